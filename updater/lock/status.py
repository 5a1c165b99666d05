"""How the lock stands, as `GET /v1/status` and `lock status --json` say it.

The structs are the schema `osupdate.lock/1` (docs/json/lock-1.json): keys never vanish,
times are RFC 3339 UTC. The client reads what it gets from any server into the same.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from updater.core.fleet import Entry, Group, Holder, Moment, Node
from updater.core.lapses import back_by
from updater.core.outlook import expected, usual_hold
from updater.core.times import rfc3339
from updater.core.waiting import Place
from updater.lock.store import Line, Trouble, View

SCHEMA = "osupdate.lock/1"
LOG_SCHEMA = "osupdate.lock-log/1"
MOST_PLACES = 100  # of a group that are listed; more are counted
MOST_RELEASES = 20


class HolderStatus(Struct, frozen=True):
    """A node that may be down; `overdue_at` is when it is late."""

    id: str
    name: str
    since: str
    last_seen: str
    phase: str
    why: str
    origin: str = field(name="from")
    target: str = field(name="to")
    overdue: bool
    overdue_at: str


class PlaceStatus(Struct, frozen=True):
    """A node that waits; `expected_at` is null when nobody can tell."""

    position: int
    id: str
    name: str
    since: str
    last_seen: str
    why: str
    origin: str = field(name="from")
    target: str = field(name="to")
    expected_at: str | None


class DrainStatus(Struct, frozen=True):
    """Why nothing is granted."""

    since: str
    reason: str
    actor: str


class GroupStatus(Struct, frozen=True):
    """One semaphore. `configured_slots` differs from `slots` after an override."""

    name: str
    slots: int
    configured_slots: int | None
    held: int
    waiting: int
    overdue_policy: str
    overdue_after: int
    usual_hold: int
    drain: DrainStatus | None
    holders: tuple[HolderStatus, ...]
    queue: tuple[PlaceStatus, ...]


class ReleaseCount(Struct, frozen=True):
    """How many nodes said last that they run a release; "" is not known."""

    release: str
    nodes: int
    failed: int


class EventStatus(Struct, frozen=True):
    """One entry of the ledger."""

    seq: int
    at: str
    event: str
    group: str
    id: str
    name: str
    reason: str
    actor: str
    origin: str = field(name="from")
    target: str = field(name="to")
    booted: str
    verdict: str
    seconds: int | None


class TroubleStatus(Struct, frozen=True):
    """Since when nothing can be granted or released, because the store fails."""

    since: str
    reason: str


class Status(Struct, frozen=True):
    """Everything."""

    schema: str
    now: str
    trouble: TroubleStatus | None
    groups: tuple[GroupStatus, ...]
    fleet: tuple[ReleaseCount, ...]
    recent: tuple[EventStatus, ...]


class LogStatus(Struct, frozen=True):
    """A part of the ledger, oldest first."""

    schema: str
    entries: tuple[EventStatus, ...]


def status(
    view: View,
    lines: Sequence[Line],
    moment: Moment,
    trouble: Trouble | None,
) -> Status:
    """The status of what a store has."""
    return Status(
        schema=SCHEMA,
        now=rfc3339(moment.now),
        trouble=TroubleStatus(rfc3339(trouble.since), trouble.reason)
        if trouble
        else None,
        groups=tuple(
            group_status(group, moment) for _, group in sorted(view.groups.items())
        ),
        fleet=fleet(view.nodes),
        recent=tuple(event(line.seq, line.entry) for line in lines),
    )


def group_status(group: Group, moment: Moment) -> GroupStatus:
    """The status of one group."""
    first = enumerate(list(group.queue)[:MOST_PLACES])
    drain = group.drain
    return GroupStatus(
        name=group.name,
        slots=group.settings.slots,
        configured_slots=group.configured.slots if group.configured else None,
        held=len(group.holders),
        waiting=len(group.queue),
        overdue_policy=group.settings.overdue,
        overdue_after=group.settings.overdue_after,
        usual_hold=usual_hold(group),
        drain=DrainStatus(rfc3339(drain.since), drain.reason, drain.actor)
        if drain
        else None,
        holders=tuple(_holder(group, one, moment) for one in group.holders),
        queue=tuple(_place(group, rank, one, moment) for rank, one in first),
    )


def fleet(nodes: Mapping[str, Mapping[str, Node]]) -> tuple[ReleaseCount, ...]:
    """How many nodes run what, the most first; the rest of many as one."""
    total: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for known in nodes.values():
        for node in known.values():
            total[node.release] += 1
            failed[node.release] += node.verdict == "failed"
    counts = [
        ReleaseCount(release, count, failed[release])
        for release, count in sorted(total.items(), key=lambda item: (-item[1], item))
    ]
    if len(counts) <= MOST_RELEASES:
        return tuple(counts)
    rest = counts[MOST_RELEASES:]
    others = ReleaseCount(
        f"{len(rest)} others", sum(c.nodes for c in rest), sum(c.failed for c in rest)
    )
    return (*counts[:MOST_RELEASES], others)


def event(seq: int, entry: Entry) -> EventStatus:
    """An entry of the ledger as it is told."""
    return EventStatus(
        seq=seq,
        at=rfc3339(entry.at),
        event=entry.event,
        group=entry.group,
        id=entry.id,
        name=entry.name,
        reason=entry.reason,
        actor=entry.actor,
        origin=entry.origin,
        target=entry.target,
        booted=entry.booted,
        verdict=entry.verdict,
        seconds=entry.seconds,
    )


def log(lines: Sequence[Line]) -> LogStatus:
    """A part of the ledger."""
    return LogStatus(LOG_SCHEMA, tuple(event(line.seq, line.entry) for line in lines))


def only_group(value: Status, name: str | None) -> Status:
    """The status of one group alone; of all when None."""
    if name is None:
        return value
    return replace(
        value,
        groups=tuple(group for group in value.groups if group.name == name),
        recent=tuple(one for one in value.recent if one.group == name),
    )


def as_object(value: Status | LogStatus) -> dict[str, Any]:
    """What is printed."""
    made: dict[str, Any] = msgspec.to_builtins(value)
    return made


def _holder(group: Group, holder: Holder, moment: Moment) -> HolderStatus:
    return HolderStatus(
        id=holder.id,
        name=holder.name,
        since=rfc3339(holder.since),
        last_seen=rfc3339(holder.seen),
        phase=holder.phase,
        why=holder.why,
        origin=holder.origin,
        target=holder.target,
        overdue=holder.overdue,
        overdue_at=rfc3339(back_by(group, holder, moment)),
    )


def _place(group: Group, rank: int, place: Place, moment: Moment) -> PlaceStatus:
    seconds = expected(group, rank, moment.now)
    return PlaceStatus(
        position=rank + 1,
        id=place.id,
        name=place.name,
        since=rfc3339(place.since),
        last_seen=rfc3339(place.seen),
        why=place.why,
        origin=place.origin,
        target=place.target,
        expected_at=None if seconds is None else rfc3339(moment.now + seconds),
    )
