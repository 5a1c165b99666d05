"""`restore`: take local changes of paths back, from what this machine has of them.

Content, type, owner, mode and attributes become the release's again. Each file is
written beside its name, synced and renamed; no part of a path is followed through a
symlink. What the release does not have is left alone.
"""

import os
import shlex
import stat
from collections.abc import Callable, Container, Sequence
from contextlib import suppress

from msgspec.structs import replace

from updater.agent import live as live_
from updater.agent import whole
from updater.agent.live import Live
from updater.agent.room import Room, Surveyed
from updater.core.index import Row
from updater.core.plan import below
from updater.core.text import plural, safe, show_path
from updater.errors import UNCHANGED, HostError, RefusedError, UsageError
from updater.model import LocalChange, ObjectId, State
from updater.report.restore import Restored
from updater.steps.inspect import repair
from updater.system import checkout, fs
from updater.system.checkout.directories import Directories
from updater.system.git.keeper import Keeper
from updater.system.git.objects import open_objects

MANY = 10  # paths; for more than that somebody is asked


def restore(
    room: Room,
    state: State,
    paths: Sequence[bytes],
    ask: Callable[[str], bool],
    *,
    dry_run: bool,
) -> Restored:
    """Make paths of what runs, and what is below them, as the release has them.

    Args:
        room: this machine.
        state: as saved.
        paths: without their leading slash.
        ask: whether the person wants it, given a question.
        dry_run: only say what would be restored.

    Raises:
        UsageError: a path is not in the release. RefusedError: it is data, or lies
            behind a link. HostError, NoSpaceError, UntrustedError, TransportError.
    """
    live = live_.open_live(room, state)
    try:
        for path in paths:
            _require_released(room, live, path)
        meant = [c for c in live.changes if live_.chosen(paths, c.path)]
        extra = [change.path for change in meant if change.kind == "extra"]
        wanted = _with_parents(room, live, [c for c in meant if c.kind != "extra"])
        nothing = Restored(live.record, (), (), tuple(extra), dry_run)
        if not wanted:
            return nothing
        for change in wanted:
            _require_replaceable(live, change, {change.path for change in wanted})
        if dry_run:
            return replace(nothing, changes=tuple(wanted))
        count = plural(len(wanted), "path")
        if len(wanted) > MANY and not ask(f"Restore {count}?"):
            return replace(nothing, declined=True)
        return replace(_restore(room, state, live, wanted), extra=tuple(extra))
    finally:
        live.close()


def _with_parents(
    room: Room, live: Live, meant: Sequence[LocalChange]
) -> list[LocalChange]:
    """What is the release's of these, and the directories that are missing for it."""
    found = {c.path: c for c in meant if _is_releases(room, c.path)}
    missing = {c.path: c for c in live.changes if c.kind == "missing"}
    for path in tuple(found):
        parent = path.rpartition(b"/")[0]
        while parent:
            if parent in missing:
                found[parent] = missing[parent]
            parent = parent.rpartition(b"/")[0]
    return [found[path] for path in sorted(found)]


def _is_releases(room: Room, path: bytes) -> bool:
    """Whether a path is the release's and not this machine's data."""
    owned = [os.fsencode(p.lstrip("/")) for p in room.settings.deploy.release_owned]
    return below(owned)(path) or not below(room.seeds)(path)


def _require_released(room: Room, live: Live, path: bytes) -> None:
    version = safe(live.record.version, 64)
    if not _is_releases(room, path):
        raise RefusedError(
            f"{show_path(path)} is data: what lies below a persistent directory is "
            "never taken back",
            hint="The persistent directories: osupdate config",
        )
    known = path in live.entries or path in dict(live.plan.directories)
    if not known and path not in {special.path for special in live.plan.specials}:
        here = live_.lstat(live.root, path) is not None
        where = shlex.quote(f"{live.path}{show_path(path)}")
        raise UsageError(
            f"{show_path(path)} is not in {version}, so there is nothing to restore"
            if here
            else f"there is no {show_path(path)}, neither here nor in {version}",
            hint=f"To be rid of it: rm -r {where}" if here else None,
        )


def _require_replaceable(
    live: Live, change: LocalChange, wanted: Container[bytes]
) -> None:
    """Refuse to lose a directory of files for a file of the release.

    Raises:
        RefusedError.
    """
    parent = change.path.rpartition(b"/")[0]
    while parent:
        found = live_.lstat(live.root, parent)
        if found is None:
            break
        if not stat.S_ISDIR(found.st_mode) and parent not in wanted:
            raise RefusedError(
                f"{show_path(change.path)} lies behind {show_path(parent)}, which is "
                "no directory here",
                hint=f"Restore that first: osupdate restore {show_path(parent)}",
            )
        parent = parent.rpartition(b"/")[0]
    found = live_.lstat(live.root, change.path)
    is_directory = change.path in dict(live.plan.directories)
    if found is not None and stat.S_ISDIR(found.st_mode) and not is_directory:
        raise RefusedError(
            f"{show_path(change.path)} is a directory here, and a file in the release",
            hint="Move it away, then restore it again.",
        )


def _restore(
    room: Room, state: State, live: Live, wanted: Sequence[LocalChange]
) -> Restored:
    record, paths = live.record, [change.path for change in wanted]
    # Everybody may read the ledger, and not every name.
    told = f"{plural(len(paths), 'path')} of {safe(record.version)}"
    origins = _origins(live, room, paths)
    if "a complete fetch" in origins:
        room.require_network()
    rows = live.surveyed[0].rows
    source = whole.source(room, state, record, live.plan, rows, paths)
    room.tell("restore", told, deployment=record.id)
    failed = repair(live.path, live.plan, paths, source)
    _remember(room, live, paths)
    if failed:
        raise HostError(
            "\n".join(failed.values()),
            unchanged="The other paths that were asked for are restored."
            if len(failed) < len(paths)
            else UNCHANGED,
        )
    room.tell("restored", told, deployment=record.id)
    return Restored(record, tuple(wanted), origins, (), dry_run=False)


def _blobs(live: Live, paths: Sequence[bytes]) -> dict[bytes, ObjectId]:
    """The files that are written for these paths, and their blobs."""
    aliases = dict(live.plan.aliases)
    targets = {aliases.get(path, path) for path in paths}
    return {w.path: w.oid for w in live.plan.writes if w.path in targets}


def _origins(live: Live, room: Room, paths: Sequence[bytes]) -> tuple[str, ...]:
    """Where the content comes from, in words, the nearest place first."""
    kept = open_objects([Keeper(room.layout.repository).objects])
    found = []
    for oid in _blobs(live, paths).values():
        if oid in kept:
            found.append("objects.git")
        elif live_.blob_of(live, oid) is None:
            found.append("a complete fetch")
        else:
            raw = bytes.fromhex(oid)
            holders = (one for one in live.surveyed if _holds(one, raw))
            version = next((o.record.version for o in holders), live.record.version)
            found.append(f"deployment {safe(version, 64)}")
    return tuple(dict.fromkeys(found))


def _holds(one: Surveyed, oid: bytes) -> bool:
    return any(row.oid == oid for row in one.rows.values())


def _remember(room: Room, live: Live, paths: Sequence[bytes]) -> None:
    """Put what is on disk now into the stat index, so that nothing is hashed again."""
    if not room.owns_state:
        return
    one = live.surveyed[0]
    written = _blobs(live, paths)
    rows = one.index.rows
    directories = Directories(live.root)
    for path in (
        *written,
        *(a for a, target in live.plan.aliases if target in written),
    ):
        parent, _, name = path.rpartition(b"/")
        directory = directories.open(parent)
        with suppress(OSError, HostError):  # it shows as changed, which is true
            now = checkout.stat_entry(directory, name)
            ids = checkout.hash_entry(directory, name, now.size, ("sha256", "sha1"))
            is_still = checkout.stat_entry(directory, name) == now
            if is_still and ids[1] == rows[path].oid:
                rows[path] = Row(rows[path].oid, ids[0], now)
    directories.close()
    fs.write_durably(one.index_path, one.index.to_bytes())
