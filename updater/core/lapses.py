"""What time does to the reboot lock: silent places lapse, late holders stand out.

An overdue holder keeps its slot (`halt`) or loses it (`free`), as its group says.
"""

from msgspec.structs import replace

from updater.core.fleet import (
    Answer,
    Entry,
    Group,
    Holder,
    Kind,
    Moment,
    Step,
    without_holder,
)
from updater.core.times import short
from updater.core.waiting import Place, from_places

MISSED_POLLS = 3  # a place lapses then


def sweep(group: Group, moment: Moment) -> Step:
    """What happens by itself: silent places lapse, late holders are overdue."""
    gone = [
        place
        for place in group.queue
        if moment.silence(place.seen) > lapse_after(group, place)
    ]
    entries = [_lapsed(group, place, moment) for place in gone]
    if gone:
        lost = {place.id for place in gone}
        kept = [place for place in group.queue if place.id not in lost]
        group = replace(group, queue=from_places(kept))
    for holder in group.holders:
        if not holder.overdue and moment.now >= back_by(group, holder, moment):
            group, entry = _late(group, holder, moment)
            entries.append(entry)
    return Step(group, Answer(Kind.OK), tuple(entries))


def back_by(group: Group, holder: Holder, moment: Moment) -> int:
    """When a holder becomes overdue: it was able to release at least one poll long."""
    due = holder.since + group.settings.overdue_after
    return max(due, moment.awake + group.settings.poll)


def lapse_after(group: Group, place: Place) -> int:
    """Seconds of silence after which a place is lost."""
    return MISSED_POLLS * max(place.interval, group.settings.poll)


def shift(group: Group, seconds: int) -> Group:
    """The same group after the clock was put forward or back: every age is kept."""
    holders = tuple(
        replace(h, since=h.since + seconds, seen=h.seen + seconds)
        for h in group.holders
    )
    queue = replace(
        group.queue,
        places={
            p.id: replace(p, since=p.since + seconds, seen=p.seen + seconds)
            for p in group.queue
        },
    )
    return replace(group, holders=holders, queue=queue)


def _lapsed(group: Group, place: Place, moment: Moment) -> Entry:
    return Entry(
        moment.now,
        "lapsed",
        group.name,
        place.id,
        place.name,
        f"did not ask for {short(moment.silence(place.seen))}",
        target=place.target,
        seconds=max(0, moment.now - place.since),
    )


def _late(group: Group, holder: Holder, moment: Moment) -> tuple[Group, Entry]:
    held = max(0, moment.now - holder.since)
    free = group.settings.overdue == "free"
    event = "freed" if free else "overdue"
    policy = "its slot was given on" if free else "its slot stays taken"
    entry = Entry(
        moment.now,
        event,
        group.name,
        holder.id,
        holder.name,
        f"was not back after {short(held)}: {policy}",
        origin=holder.origin,
        target=holder.target,
        seconds=held,
    )
    if free:
        return without_holder(group, holder.id), entry
    late = replace(holder, overdue=True)
    holders = tuple(late if h.id == late.id else h for h in group.holders)
    return replace(group, holders=holders), entry
