"""A draft of release notes: what a root filesystem changes, for people to complete."""

from collections.abc import Callable
from io import BufferedReader

from updater.core import manifest, tree
from updater.model import MANIFEST_PATH, Metadata, ObjectId
from updater.publish.release import Draft, drafted
from updater.publish.request import PublishRequest
from updater.report import compare, notes_draft, snapshot
from updater.report.diff import Report
from updater.report.snapshot import Snapshot


def draft(
    request: PublishRequest,
    *,
    stdin: BufferedReader | None,
    progress: Callable[[str, int, int, int], None],
) -> str:
    """notes.md of a release that is not made yet, against the one before it.

    Raises:
        OsupdateError: as `publish`; nothing is published in any case.
    """
    with drafted(request, stdin=stdin, progress=progress) as found:
        report = _report(found)
        return notes_draft.markdown(report, request.product)


def _report(found: Draft) -> Report:
    made, release = found.made, found.made.release
    new = snapshot.take(
        "",
        release.version,
        ObjectId("0" * 40),
        release.created,
        made.built.entries,
        manifest.parse(made.small[MANIFEST_PATH]),
        found.read,
        {ObjectId(blob.oid.hex()): blob.size for blob in made.hashed.values()},
    )
    return compare.compare(_before(found), new)


def _before(found: Draft) -> Snapshot | None:
    previous = found.goal.previous
    if previous is None:
        return None
    objects = found.goal.repository.objects
    flat = tree.flatten(previous.tree, objects.read_tree)
    metadata: dict[bytes, Metadata] = {}
    told = found.goal.repository.read(previous.tree, MANIFEST_PATH)
    if told is not None:
        metadata = manifest.parse(told)
    return snapshot.take(
        "",
        previous.release.version,
        previous.commit,
        previous.release.created,
        flat.entries,
        metadata,
        objects.read_blob,
        objects.sizes({}),
    )
