"""What this machine knows of releases: those that are here, and those that were.

A release is remembered when it was verified, with what it says of itself, its packages
and the paths that it changed; `gc` does not take that away (`system/seen.py`). With
`[remote] history = "full"` its ancestors are remembered too: the signed commit names
each of them.
"""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from updater.agent.room import Room
from updater.core import chronicle, history, machine
from updater.core.chronicle import Known
from updater.core.history import Read
from updater.core.text import plural
from updater.errors import OsupdateError, UntrustedError
from updater.model import ObjectId, Record, Release, State
from updater.system.seen import LIMIT, Seen

if TYPE_CHECKING:
    from updater.system.git.objects import Objects


def store(room: Room) -> Seen:
    """What was remembered here."""
    return Seen(room.layout.releases)


def remember(room: Room, state: State, release: Release, objects: "Objects") -> None:
    """Note a verified release, what else is here, and what its history brought.

    It cannot fail an update: what is not remembered is only told of less.
    """
    seen = store(room)
    try:
        here = _deployed(state, objects, seen)
        told = history.tell(
            release.commit,
            objects.read,
            version=release.version,
            number=release.number,
            tag=release.tag,
        )
        known = replace(told.known, signed=release.tree_sha256 is not None)
        _add(seen, replace(told, known=known), here, objects.read)
        if room.settings.remote.history == "full":
            _remember_ancestors(room, seen, known, objects.read)
        seen.tidy()
    except (OsupdateError, KeyError, OSError) as error:
        room.watcher.notice(f"Not remembered for osupdate log: {error}")


def _deployed(state: State, objects: "Objects", seen: Seen) -> list[Known]:
    """The releases whose trees are here; those that are not remembered are, now."""
    known = {release.commit: release for release in seen.releases()}
    found: list[Known] = []
    for record in sorted(state.deployments, key=lambda r: r.number):
        if record.commit not in objects:
            continue
        if record.commit not in known:
            told = _tell_record(record, objects.read)
            known[record.commit] = _add(seen, told, found, objects.read)
        found.append(known[record.commit])
    return found


def _tell_record(record: Record, read: Read) -> history.Told:
    told = history.tell(
        record.commit,
        read,
        version=record.version,
        number=record.number,
        tag=record.tag,
    )
    return replace(told, known=replace(told.known, signed=record.signed))


def _add(seen: Seen, told: history.Told, here: Sequence[Known], read: Read) -> Known:
    """Remember a release, and what it changed since the nearest one that is here."""
    base, paths = _base(told, here, read)
    older = next((release for release in here if release.commit == base), None)
    known = replace(told.known, base=base)
    brought = None
    if told.changes is not None:
        brought = chronicle.brought(told.changes, older, known)
    seen.add(known, told.notes, history.packages_of(told.tree, read), brought, paths)
    return known


def _base(
    told: history.Told, here: Sequence[Known], read: Read
) -> tuple[ObjectId | None, list[bytes] | None]:
    """The release to compare with, its parent if that is here, and what differs.

    The first release of all changed everything that it has.
    """
    if told.known.parent is None:
        return None, history.changed_paths(None, told.tree, read)
    older = [release for release in here if release.number < told.known.number]
    for commit in (
        told.known.parent,
        *(r.commit for r in chronicle.newest_first(older)),
    ):
        try:
            before = history.root_of(commit, read)
            return commit, history.changed_paths(before, told.tree, read)
        except (KeyError, UntrustedError):
            continue
    return None, None


def _remember_ancestors(room: Room, seen: Seen, known: Known, read: Read) -> None:
    there = seen.commits()
    wanted = [
        commit
        for commit in itertools.islice(history.ancestors(known.commit, read), LIMIT)
        if commit not in there
    ]
    for done, commit in enumerate(wanted):
        room.watcher.progress(done, len(wanted), "releases")
        _add(seen, history.tell(commit, read), (), read)
    if wanted:
        count = plural(len(wanted), "earlier release")
        room.tell("remembered", f"{count} out of the history of {known.version}")


def releases(room: Room, state: State) -> tuple[Known, ...]:
    """Every release that is known here, newest first."""
    found = {release.commit: release for release in store(room).releases()}
    for record in state.deployments:
        found.setdefault(record.commit, _of_record(record))
    return chronicle.newest_first(found.values())


def _of_record(record: Record) -> Known:
    return Known(
        commit=record.commit,
        version=record.version,
        number=record.number,
        created=record.created,
        headline=record.headline,
        tag=record.tag,
        signed=record.signed,
    )


def roles(room: Room, state: State) -> dict[str, ObjectId]:
    """running, staged, previous, available or offered -> commit, where there is one."""
    booted = room.booted()
    records = {
        "running": machine.find(state, booted),
        "staged": machine.find(state, state.target),
        "previous": machine.previous(state, booted),
    }
    found = {name: record.commit for name, record in records.items() if record}
    if state.offer is not None:
        found["available"] = found["offered"] = state.offer.commit
    return found
