"""Looking without touching: what is here, whether it is as it was, how it differs."""

import contextlib
import os
from collections.abc import Mapping, Sequence

from msgspec import Struct

from updater.agent import public
from updater.agent.room import Room, Surveyed, sizes_of
from updater.core import commits, index, machine, manifest, names, tree, treediff
from updater.core.plan import Base, Plan, make_plan
from updater.errors import HostError, NoSpaceError, UsageError
from updater.model import (
    MANIFEST_PATH,
    DeploymentId,
    Download,
    Listing,
    Metadata,
    ObjectId,
    Offer,
    Record,
    Release,
    State,
    TreeEntry,
)
from updater.report import compare, diff_text, snapshot
from updater.report.diff import Report
from updater.report.snapshot import Snapshot
from updater.steps.inspect import inspect, remembered
from updater.steps.survey import survey as survey_deployment
from updater.system import fs
from updater.system.git.keeper import Keeper
from updater.system.git.objects import DeploymentBlobs, Objects, open_objects


class Laid(Struct, frozen=True):
    """What a commit here holds: its files, trees, and manifest."""

    entries: tuple[TreeEntry, ...]
    trees: dict[ObjectId, Listing]
    metadata: dict[bytes, Metadata]


def survey(room: Room, state: State) -> list[Surveyed]:
    """The deployment to build upon, looked at by stat: the one that runs.

    When files of it were changed, the others come before it, because they may have
    what it lost. One that cannot be looked at is passed over, not an error.
    """
    ordered = sorted(state.deployments, key=lambda r: r.id == room.booted())
    found: list[Surveyed] = []
    for record in reversed(ordered):
        try:
            found.insert(0, survey_one(room, record))
        except HostError as error:
            room.watcher.notice(f"{error}; {record.id} is not built upon")
            continue
        if not found[-1].changes:
            break
    return found


def survey_one(room: Room, record: Record) -> Surveyed:
    """One deployment; its stat index is made anew when it is lost.

    Raises:
        HostError.
    """
    path = room.layout.deployment(record.id)
    index_path = room.layout.index(record.id)
    try:
        found = room.index_of(record)
    except HostError as error:
        if not os.path.isdir(path):
            raise HostError(f"{path} is not on disk any more") from error
        room.watcher.notice(f"{error}; every file of {record.id} is hashed again")
        found = _hash_again(room, record)
    changes, renewed = survey_deployment(path, found, room.linked)
    if renewed and room.owns_state:
        with contextlib.suppress(NoSpaceError):  # a cache: the next survey tries again
            fs.write_durably(index_path, found.to_bytes())
    return Surveyed(record, path, index_path, found, changes)


def _hash_again(room: Room, record: Record) -> index.Index:
    objects = open_kept(room)
    laid = lay_open(record.commit, objects)
    path = room.layout.deployment(record.id)
    plan = full_plan(room, laid, record.created)
    rows = remembered(plan, inspect(path, plan, room.count_files)[0])
    return index.Index(os.stat(path).st_dev, dict(sorted(rows.items())))


def full_plan(room: Room, laid: Laid, created: int) -> Plan:
    """A plan of a whole release, as if nothing were here. It has no sizes."""
    return make_plan(
        laid.entries,
        laid.metadata,
        created,
        dict.fromkeys((entry.oid for entry in laid.entries), 0),
        Base({}, {}),
        room.persistent,
        room.owner,
    )


def open_kept(
    room: Room, surveyed: Sequence[Surveyed] = (), download: str | None = None
) -> Objects:
    """What objects.git has, the files of these deployments, and a download."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    sources = [DeploymentBlobs(os.open(one.path, flags), one.rows) for one in surveyed]
    stores = [Keeper(room.layout.repository).objects, *([download] if download else [])]
    return open_objects(stores, sources)


def lay_open(commit: ObjectId, objects: Objects) -> Laid:
    """Read a kept commit: it was verified when it was stored.

    Raises:
        UntrustedError: F2: damaged since.
        HostError: it is not here.
    """
    root = _tree_of(commit, objects)
    flat = tree.flatten(root, objects.read_tree, submodules=True)
    metadata = _manifest(flat.entries, objects)
    return Laid(flat.entries, flat.trees, metadata)


def _tree_of(commit: ObjectId, objects: Objects) -> ObjectId:
    try:
        return commits.parse(objects.read(commit)[1]).tree
    except KeyError as error:
        raise HostError(
            f"the commit {commit} is not here any more",
            hint=f"Fetch it again: osupdate apply {commit[:7]} --full",
        ) from error


def _manifest(entries: Sequence[TreeEntry], objects: Objects) -> dict[bytes, Metadata]:
    for entry in entries:
        if entry.path == MANIFEST_PATH:
            return manifest.parse(objects.read_blob(entry.oid))
    return {}


def manifest_of(found: index.Index, objects: Objects) -> dict[bytes, Metadata]:
    """The manifest that a deployment was staged with."""
    row = found.rows.get(MANIFEST_PATH)
    if row is None:
        return {}
    return manifest.parse(objects.read_blob(ObjectId(row.oid.hex())))


def release_report(
    running: Record | None,
    release: Release,
    objects: Objects,
    surveyed: Sequence[Surveyed],
    received: int,
) -> Report:
    """What changes from what runs to a release that is not staged yet."""
    sizes = objects.sizes(sizes_of(surveyed))
    old, entries = None, release.entries
    if running and running.commit in objects:
        before, after = _lay_open_both(running.commit, release.commit, objects)
        old, entries = (
            _snapshot("running", running, before, objects, sizes),
            after.entries,
        )
    new = snapshot.take(
        "",
        release.version,
        release.commit,
        release.created,
        entries,
        release.metadata,
        objects.read_blob,
        sizes,
    )
    return compare.compare(old, new, download=received)


def summary(
    room: Room, surveyed: Sequence[Surveyed], running: Record | None, target: Record
) -> str:
    """What changes from one deployment to another."""
    objects = open_kept(room, surveyed)
    sizes = objects.sizes(sizes_of(surveyed))
    if target.commit not in objects:
        return f"What changes is not known: the commit {target.commit} is not here"
    if running is None or running.commit not in objects:
        new = _snapshot("", target, lay_open(target.commit, objects), objects, sizes)
        return diff_text.summary(compare.compare(None, new))
    before, after = _lay_open_both(running.commit, target.commit, objects)
    return diff_text.summary(
        compare.compare(
            _snapshot("running", running, before, objects, sizes),
            _snapshot("", target, after, objects, sizes),
        )
    )


def _snapshot(
    role: str,
    record: Record,
    laid: Laid,
    objects: Objects,
    sizes: Mapping[ObjectId, int],
) -> Snapshot:
    return snapshot.take(
        role,
        record.version,
        record.commit,
        record.created,
        laid.entries,
        laid.metadata,
        objects.read_blob,
        sizes,
    )


def diff(
    room: Room,
    state: State,
    left: str | None,
    right: str | None,
    paths: Sequence[bytes],
) -> Report:
    """What changes between two releases that are here.

    Raises:
        UsageError: one of them is not, or there is only one.
    """
    old, new = _pair(state, room.running(state), left, right, room)
    if not os.access(room.layout.repository, os.X_OK) and old and not paths:
        commit = new.offer.commit if isinstance(new, Download) else new.commit
        return public.read_report(room.layout, old.commit, commit)
    surveyed = _indexed(room, state)
    download = room.layout.download(new) if isinstance(new, Download) else None
    objects = open_kept(room, surveyed, download)
    sizes = objects.sizes(sizes_of(surveyed))
    record = _as_record(new.offer, objects) if isinstance(new, Download) else new
    role = "available" if isinstance(new, Download) else _role(room, state, new)
    if old is None:
        laid = lay_open(record.commit, objects)
        fresh = _snapshot(role, record, laid, objects, sizes)
        return compare.compare(None, fresh, paths=paths)
    before, after = _lay_open_both(old.commit, record.commit, objects)
    return compare.compare(
        _snapshot(_role(room, state, old), old, before, objects, sizes),
        _snapshot(role, record, after, objects, sizes),
        paths=paths,
    )


def _lay_open_both(old: ObjectId, new: ObjectId, objects: Objects) -> tuple[Laid, Laid]:
    """Read two kept commits where they differ, and only there."""
    read = objects.read_tree
    roots = _tree_of(old, objects), _tree_of(new, objects)
    told = []
    for root in roots:
        blob = treediff.find(root, MANIFEST_PATH, read)
        told.append(manifest.parse(objects.read_blob(blob)) if blob else {})
    wanted = treediff.Wanted(treediff.differing_metadata(told[0], told[1]))
    sides = treediff.differing(roots[0], roots[1], read, wanted)
    before, after = (
        Laid(tuple(entries), {}, metadata)
        for entries, metadata in zip(sides, told, strict=True)
    )
    return before, after


def _indexed(room: Room, state: State) -> list[Surveyed]:
    """The deployments by their indexes alone: a report does not need more."""
    found = []
    for record in state.deployments:
        path = room.layout.deployment(record.id)
        try:
            index = room.index_of(record)
        except HostError:
            continue
        found.append(Surveyed(record, path, room.layout.index(record.id), index, ()))
    return found


def _as_record(offer: Offer, objects: Objects) -> Record:
    commit = commits.parse(objects.read(offer.commit)[1])
    return Record(
        id=DeploymentId(""),
        commit=offer.commit,
        version=offer.version or offer.commit[:7],
        number=0,
        tag=offer.tag,
        created=commit.committed,
        staged_at=0,
        size=0,
        headline=commit.headline,
        signed=False,
    )


def _pair(
    state: State,
    running: Record | None,
    left: str | None,
    right: str | None,
    room: Room,
) -> tuple[Record | None, Record | Download]:
    booted = room.booted()
    if left is None and right is None:
        if target := machine.find(state, state.target):
            return running, target
        if state.download and _is_here(room, state.download):
            return running, state.download
        before = machine.find(state, state.previous) or machine.previous(state, booted)
        if (running is None or before is None) and state.offer is not None:
            raise _not_downloaded()
        if running is None or before is None:
            raise UsageError(
                "there is only one release here: nothing to compare it with",
                hint="To see what the channel offers: osupdate apply --dry-run",
            )
        return before, running
    if right is None and left is not None:
        return running, _named(room, state, left)
    old = running if left is None else _named(room, state, left)
    if not isinstance(old, Record):
        raise UsageError("what is not deployed yet can only be the right side of diff")
    if right is None:
        raise UsageError("diff needs a release on the right side")
    return old, _named(room, state, right)


def _named(room: Room, state: State, wanted: str) -> Record | Download:
    download = state.download
    if download and _is_here(room, download):
        offer = download.offer
        if wanted in ("available", offer.version, offer.commit, offer.tag_name):
            return download
    record = names.find_record(state, room.booted(), wanted)
    if record is None and wanted == "available":
        raise _not_downloaded()
    return names.require(record, wanted, state.deployments)


def _not_downloaded() -> UsageError:
    return UsageError(
        "what the channel offers is not downloaded yet: its content is unknown",
        hint="Download and verify it: osupdate apply --download-only",
    )


def _is_here(room: Room, download: Download) -> bool:
    return os.path.isdir(room.layout.download(download))


def _role(room: Room, state: State, record: Record) -> str:
    if record.id == room.booted():
        return "running"
    return "staged" if record.id == state.target else ""
