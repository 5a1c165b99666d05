"""Taking care of what is here: verify and repair, holds and the pin, gc, doctor."""

import os

from msgspec.structs import replace

from updater.agent import look, public
from updater.agent.obtain import prune
from updater.agent.room import Room
from updater.core import names
from updater.core.index import Index
from updater.core.plan import below
from updater.core.text import safe
from updater.errors import (
    HostError,
    OsupdateError,
    UsageError,
)
from updater.model import (
    Collected,
    DeploymentId,
    Hold,
    ObjectId,
    Record,
    State,
)
from updater.steps import collect
from updater.steps.survey import survey
from updater.system import fs
from updater.system.git.keeper import Keeper
from updater.system.git.logs import LogStore

PACKS = 4  # of objects.git; with more, gc makes one of them


def hold(room: Room, state: State, wanted: str | None, reason: str) -> Hold | None:
    """Never take a release by itself; None pauses all updates.

    Raises:
        UsageError: nothing is called so.
    """
    if wanted is None:
        room.save(replace(state, paused=reason))
        room.tell("hold", f"all updates: {safe(reason)}")
        return None
    held = _hold_for(room, state, wanted, reason)
    others = tuple(h for h in state.holds if h.commit != held.commit)
    room.save(replace(state, holds=(*others, held)))
    room.tell("hold", f"{safe(held.version)}: {safe(reason)}", commit=held.commit)
    return held


def _hold_for(room: Room, state: State, wanted: str, reason: str) -> Hold:
    record = names.find_record(state, room.booted(), wanted)
    if record is not None:
        return Hold(record.version, record.commit, record.number, reason, room.now())
    offer = state.offer
    if offer and wanted in ("available", offer.version, offer.commit, offer.tag_name):
        version = offer.version or offer.commit[:7]
        return Hold(version, offer.commit, 0, reason, room.now())
    names.require(None, wanted, state.deployments)
    raise AssertionError("require has raised")


def unhold(room: Room, state: State, wanted: str | None) -> tuple[Hold, ...]:
    """Give holds up: of one release, or the pause and every hold.

    Raises:
        UsageError: nothing called so is held.
    """
    if wanted is None:
        released = state.holds
        room.save(replace(state, holds=(), paused=None))
    else:
        released = tuple(
            h for h in state.holds if wanted in (h.version, h.commit, h.commit[:7])
        )
        if not released:
            held = ", ".join(safe(h.version) for h in state.holds) or "none"
            raise UsageError(
                f'"{safe(wanted, 80)}" is not held', hint=f"Held are: {held}."
            )
        left = tuple(h for h in state.holds if h not in released)
        room.save(replace(state, holds=left))
    named = ", ".join(safe(h.version) for h in released) or "the pause"
    room.tell("unhold", named)
    return released


def pin(room: Room, state: State, wanted: str | None) -> str | None:
    """Stay on a release; None follows the channel again.

    Raises:
        UsageError: nothing is called so.
    """
    version = None
    if wanted is not None:
        record = names.find_record(state, room.booted(), wanted)
        offer = state.offer
        if record is None and offer and wanted in (offer.version, offer.commit):
            version = offer.version or offer.commit
        else:
            version = names.require(record, wanted, state.deployments).version
    room.save(replace(state, pin=version))
    room.tell("pin", safe(version) if version else "off")
    return version


def gc(
    room: Room, state: State, *, dry_run: bool = False, spare: bool = False
) -> Collected:
    """Delete deployments beyond `[deploy] keep`, leftovers, and what only they needed.

    Args:
        room: this machine.
        state: as saved.
        dry_run: only tell.
        spare: the directories of the last one that goes stay for the next update,
            without any content of their own; else those of an earlier one go too.

    Raises:
        HostError: what was not deleted is complete.
    """
    booted = room.booted()
    keep = room.settings.deploy.keep
    unclear: tuple[str, ...] = ()
    if not room.knows("deploy"):
        keep = len(state.deployments)
        unclear = ("no deployment is removed: [deploy] has mistakes",)
    beyond = collect.choose(state, booted, keep, {}).removable
    written = {record.id: _written(room, record) for record in beyond}
    choice = collect.choose(state, booted, keep, written)
    if dry_run:
        return Collected(choice.removable, 0, (*unclear, *choice.reasons))
    freed = 0
    if not spare and os.path.lexists(room.layout.spare):
        state, freed = _remove_spare(room, state)
    state = _tidy(room, state)  # first: a disk that is full takes no new state.json
    removed, reasons = [], [*unclear, *choice.reasons]
    for record in choice.removable:
        mounted = fs.mounts_below(room.layout.deployment(record.id))
        if mounted:
            reasons.append(f"{record.id} stays: {mounted[0]} is mounted below it")
            continue
        state, count = _remove(room, state, record, spare=spare)
        removed.append(record)
        freed += count
    public.forget_reports(room.layout, _reported(state))
    keeper = Keeper(room.layout.repository)
    if removed and len(keeper.packs()) > PACKS:
        prune(room, state)
    tips = [log.tip for log in state.accepted]
    LogStore(room.layout.channels).repack([*tips, *state.trusted.values()])
    return Collected(tuple(removed), freed, tuple(reasons))


def tidy_up(room: Room, outcome: str) -> None:
    """After `apply`: delete what is not needed any more. It cannot fail the update."""
    state = room.load()
    try:
        if outcome == "switched":
            gc(room, state, spare=True)
        elif outcome == "nothing":
            _tidy(room, state)
    except OsupdateError as error:
        room.watcher.notice(f"Not tidied up: {error}")


def _written(room: Room, record: Record) -> list[bytes]:
    if not os.path.isdir(room.layout.deployment(record.id)):
        return []
    path = room.layout.deployment(record.id)
    try:
        known = room.index_of(record)
    except HostError:
        known = None
    try:
        index = known or look.survey_one(room, record).index
        is_seed = below(room.seeds)
        rows = {name: row for name, row in index.rows.items() if is_seed(name)}
        survey(path, Index(index.device, rows), room.linked)
    except OsupdateError as error:
        room.watcher.notice(
            f"{record.id} stays, nobody can tell what it holds: {error}"
        )
        return [b"?"]
    objects = look.open_kept(room)
    told = look.manifest_of(index, objects) if record.commit in objects else {}
    beside = [name for name, meta in told.items() if meta.type]
    return collect.written_seeds(path, rows, beside, room.seeds)


def _remove_spare(room: Room, state: State) -> tuple[State, int]:
    """Delete what the next update would have begun with; bytes that this freed."""
    began = room.nanoseconds()
    before = fs.free_bytes(room.layout.deployments)
    try:
        fs.remove_tree(room.layout.spare)
    except HostError as error:
        room.watcher.notice(str(error))
    freed = max(0, fs.free_bytes(room.layout.deployments) - before)
    return room.save(room.linking(state, began)), freed


def _remove(
    room: Room, state: State, record: Record, *, spare: bool
) -> tuple[State, int]:
    left = tuple(r for r in state.deployments if r.id != record.id)
    previous = None if state.previous == record.id else state.previous
    state = room.save(replace(state, deployments=left, previous=previous))
    room.tell("remove", f"{safe(record.version)}", deployment=record.id)
    began = room.nanoseconds()
    freed = 0
    try:
        freed = _set_aside(room, state, record) if spare else _delete(room, record)
    except HostError as error:
        room.watcher.notice(str(error))  # it is a leftover now, tried again next time
    return room.save(room.linking(state, began)), freed


def _reported(state: State) -> set[ObjectId]:
    """The releases whose reports stay: what is here, and what is offered."""
    offered = {state.offer.commit} if state.offer else set()
    return offered | {record.commit for record in state.deployments}


def _set_aside(room: Room, state: State, record: Record) -> int:
    """Leave its directories for the next update, where that will share files."""
    layout = room.layout
    running = room.running(state)
    if running is None or fs.can_clone(layout.deployments):
        return _delete(room, record)
    try:
        return collect.set_aside(
            layout.deployment(record.id),
            layout.index(record.id),
            layout.spare,
            room.index_of(running).rows,
        )
    except HostError:
        freed = _delete(room, record)
        fs.remove_tree(layout.spare)  # an earlier one may be stuck: it says where
        return freed


def _delete(room: Room, record: Record) -> int:
    return collect.remove(
        room.layout.deployment(record.id), room.layout.index(record.id)
    )


def _tidy(room: Room, state: State) -> State:
    """Leave of deployments, downloads, indexes and packs what the state still names."""
    for path in leftovers(room, state):
        try:
            fs.remove_tree(path)
        except HostError as error:  # it is named, and stops no other
            room.watcher.notice(str(error))
    layout = room.layout
    public.forget_reports(layout, _reported(state))
    public.show_booted(layout, room.booted())
    Keeper(layout.repository).make()
    done = state.download is not None and _pending(state) is None
    return room.save(replace(state, download=None)) if done else state


def leftovers(room: Room, state: State) -> list[str]:
    """Paths of interrupted runs, which nothing names.

    Raises:
        OSError.
    """
    layout = room.layout
    ids = [record.id for record in state.deployments]
    index = os.path.dirname(layout.index(DeploymentId("x")))
    found = [
        (layout.deployments, collect.unnamed(layout.deployments, ids, room.booted())),
        (layout.incoming, set(os.listdir(layout.incoming)) - {_pending(state)}),
        (index, set(os.listdir(index)) - {f"{name}.idx" for name in ids}),
    ]
    for place in (layout.state_dir, layout.public, os.path.dirname(layout.current)):
        found.append((place, [n for n in os.listdir(place) if n.endswith(".tmp")]))
    return [os.path.join(place, n) for place, names_ in found for n in sorted(names_)]


def _pending(state: State) -> str | None:
    """The download that is still to be laid out."""
    here = {record.commit for record in state.deployments}
    if state.download is None or state.download.offer.commit in here:
        return None
    return state.download.directory
