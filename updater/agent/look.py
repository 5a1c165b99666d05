"""Looking without touching: what is here, and whether it is as it was."""

import contextlib
import os
import weakref
from collections.abc import Sequence

from msgspec import Struct

from updater.agent.room import Room, Surveyed
from updater.core import commits, index, manifest, tree
from updater.core.plan import Base, Plan, make_plan
from updater.errors import HostError, NoSpaceError
from updater.model import (
    MANIFEST_PATH,
    Listing,
    Metadata,
    ObjectId,
    Record,
    State,
    TreeEntry,
)
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


def survey_one(room: Room, record: Record, *, save: bool = True) -> Surveyed:
    """One deployment; its stat index is made anew when it is lost.

    Args:
        room: this machine.
        record: the deployment.
        save: keep what the survey learned; not for whoever does not hold the lock.

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
    if renewed and save and room.owns_state:
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
    stores = [Keeper(room.layout.repository).objects, *([download] if download else [])]
    return open_objects(stores, [_source(one) for one in surveyed])


def _source(one: Surveyed) -> DeploymentBlobs:
    """A deployment's files; its descriptor is closed when nobody has them any more."""
    root = os.open(one.path, fs.DIRECTORY)
    source = DeploymentBlobs(root, one.rows)
    weakref.finalize(source, os.close, root)
    return source


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
