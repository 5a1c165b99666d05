"""Whether a deployment is whole, and making it so: verify, repair, the way back."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

from updater.agent import look
from updater.agent.ask import ask_by_name
from updater.agent.room import Room, Surveyed
from updater.core import names
from updater.core.index import Index, Row
from updater.core.plan import Plan
from updater.core.text import plural, safe, show_path
from updater.errors import HostError, OsupdateError, UntrustedError
from updater.model import ObjectId, Record, State, TrustMode, Verified
from updater.steps.fetch import fetch
from updater.steps.inspect import inspect, remembered, repair, repairable
from updater.system import fs
from updater.system.git.child import FetchLimits, ObjectSources
from updater.system.git.objects import Objects


def verify(room: Room, state: State, wanted: str | None, *, mend: bool) -> Verified:
    """Hash every file of a deployment; put back what is not the release's.

    Raises:
        UsageError: no such deployment. OsupdateError.
    """
    record = _require(room, state, wanted or "running")
    try:
        laid = look.lay_open(record.commit, look.open_kept(room))
    except UntrustedError as error:
        error.hint = f"Fetch it anew: osupdate apply {safe(record.version)} --full"
        raise
    plan = look.full_plan(room, laid, record.created)
    path = room.layout.deployment(record.id)
    sizes = _sizes(room, state)
    rows, changes = inspect(path, plan, room.count_files, sizes, record.size)
    repaired: tuple[bytes, ...] = ()
    lost = repairable(changes, room.persistent)
    if mend and lost:
        room.tell("repair", f"{plural(len(lost), 'path')} of {record.version}")
        found = source(room, state, record, plan, rows, lost)
        repair(path, plan, lost, found)
        rows, left = inspect(path, plan, room.count_files, sizes, record.size)
        repaired = tuple(sorted(set(lost) - {change.path for change in left}))
        room.tell("repaired", f"{plural(len(repaired), 'path')} of {record.version}")
    if room.owns_state:
        known = remembered(plan, rows)
        index = Index(os.stat(path).st_dev, dict(sorted(known.items())))
        fs.write_durably(room.layout.index(record.id), index.to_bytes())
    files = len(laid.entries)
    return Verified(record, files, files, changes, repaired)


def _sizes(room: Room, state: State) -> dict[ObjectId, int]:
    """Bytes of blobs, as the stat indexes remember them: what differs is not read."""
    sizes: dict[ObjectId, int] = {}
    for record in state.deployments:
        with suppress(HostError):  # a lost index: what it knew is read
            for row in room.index_of(record).rows.values():
                if row.stat.inode:
                    sizes[ObjectId(row.oid.hex())] = row.stat.size
    return sizes


def bring_back(room: Room, state: State, record: Record) -> None:
    """Make a deployment fit to run again, with what is on this machine alone.

    Files that it lost are put back; those that are nowhere here are named. A changed
    file is as somebody wanted it.

    Raises:
        HostError: too much is gone for it to run.
    """
    try:
        surveyed = look.survey_one(room, record)
    except OsupdateError as error:
        room.watcher.notice(f"{error}; {record.id} is not looked at before it runs")
        return
    lost = _lost(room, surveyed)
    if not lost:
        return
    room.tell("repair", f"{plural(len(lost), 'path')} of {record.version}")
    try:
        _put_back(room, state, record, surveyed, lost)
        left = _lost(room, look.survey_one(room, record))
    except OsupdateError as error:
        room.watcher.notice(f"Not repaired: {error}")
        left = lost
    name = safe(record.version)
    if len(left) < len(lost):
        count = plural(len(lost) - len(left), "file")
        room.watcher.notice(f"{count} of {name} had been lost, and put back")
    if not left:
        return
    missing = (
        f"{plural(len(left), 'file')} of {name} missing and nowhere on this machine, "
        f"{show_path(left[0])} is one"
    )
    if not can_run(surveyed.index.rows, left):
        raise HostError(
            f"{name} cannot run any more: {missing}",
            hint=f"Fetch them: osupdate verify --repair {name}",
        )
    room.watcher.notice(f"{missing}; going back without. Later: osupdate verify "
                        f"--repair {name}")  # fmt: skip


def _lost(room: Room, surveyed: Surveyed) -> tuple[bytes, ...]:
    gone = [change for change in surveyed.changes if change.kind == "missing"]
    return repairable(gone, room.persistent)


def _put_back(
    room: Room, state: State, record: Record, surveyed: Surveyed, lost: Sequence[bytes]
) -> None:
    laid = look.lay_open(record.commit, look.open_kept(room))
    plan = look.full_plan(room, laid, record.created)
    others = [one for one in look.survey(room, state) if one.record.id != record.id]
    objects = look.open_kept(room, [*others, surveyed])
    aliases = dict(plan.aliases)
    oids = {write.path: write.oid for write in plan.writes}
    here = [
        path
        for path in lost
        if (oid := oids.get(aliases.get(path, path))) and _has(objects, oid)
    ]
    directories = [
        path
        for path, _ in plan.directories
        if not os.path.lexists(os.path.join(os.fsencode(surveyed.path), path))
    ]
    repair(surveyed.path, plan, [*directories, *here], objects)


def can_run(rows: Mapping[bytes, Row], lost: Sequence[bytes]) -> bool:
    """Whether a deployment without these files is worth running.

    It is not when half of it is gone, or every program.
    """
    gone = set(lost)
    programs = [path for path in rows if path.startswith((b"usr/bin/", b"bin/"))]
    bare = bool(programs) and gone.issuperset(programs)
    return not bare and 2 * len(gone) < max(1, len(rows))


def _require(room: Room, state: State, wanted: str) -> Record:
    record = names.find_record(state, room.booted(), wanted)
    return names.require(record, wanted, state.deployments)


def source(
    room: Room,
    state: State,
    record: Record,
    plan: Plan,
    rows: dict[bytes, Row],
    lost: Sequence[bytes],
) -> Objects:
    """Where the blobs of damaged files come from: this machine, or the remote."""
    path, index_path = room.layout.deployment(record.id), room.layout.index(record.id)
    good = Surveyed(record, path, index_path, Index(0, rows), ())
    others = [one for one in look.survey(room, state) if one.record.id != record.id]
    objects = look.open_kept(room, [*others, good])
    aliases = dict(plan.aliases)
    paths = {aliases.get(name, name) for name in lost}
    missing = [
        w.oid for w in plan.writes if w.path in paths and not _has(objects, w.oid)
    ]
    if not missing:
        return objects
    room.require_known("remote", "trust")
    room.watcher.notice(
        f"{plural(len(missing), 'file')} can be had nowhere on this machine; "
        f"fetching {safe(record.version)} completely"
    )
    plain = room.mode is TrustMode.UNSIGNED
    offer = ask_by_name(room, state, record.commit if plain else record.version)
    remote = room.remote(state)
    candidate = fetch(
        offer,
        remote,
        ObjectSources(),
        room.layout.incoming,
        FetchLimits(),
        lambda step: room.watcher.progress(step.received, None, "bytes"),
        allow_plain=room.allow_plain,
        announce=room.watcher.notice,
        sleep=room.sleep,
        secrets_dir=room.secrets,
    )
    return look.open_kept(room, [*others, good], candidate.objects)


def _has(objects: Objects, oid: ObjectId) -> bool:
    """Whether a blob can really be read: a file may have been damaged since."""
    try:
        objects.read_blob(oid)
    except OsupdateError:
        return False
    return True
