"""The next entry of a channel log: what a publisher asks for, as a pure rule."""

from msgspec import Struct
from msgspec.structs import replace

from updater.core import rollout
from updater.core.policy import find_mark
from updater.core.text import plural, safe
from updater.core.times import minute
from updater.errors import RefusedError
from updater.model import Entry, Mark, ObjectId, Rollout

DAY = 86400


class Offered(Struct, frozen=True):
    """A release that a channel is to offer."""

    version: str
    number: int
    tag: ObjectId
    product: str


class Change(Struct, frozen=True, kw_only=True):
    """What is asked for.

    Attributes:
        release: the release to offer; None leaves the one that is offered.
        hours: of its rollout; None: at once for a release, as it was otherwise.
        expires: days until the statement expires.
        barrier: the offered release is to be taken before any later one.
        dead_ends: numbers of releases from which no update leads.
        withdrawn: numbers of releases that nobody is to take.
        reason: for the marks.
    """

    release: Offered | None = None
    hours: int | None = None
    expires: int = 30
    barrier: bool = False
    dead_ends: tuple[int, ...] = ()
    withdrawn: tuple[int, ...] = ()
    pause: bool = False
    resume: bool = False
    reason: str = "no reason given"


def next_entry(
    old: Entry | None, offered: int | None, channel: str, change: Change, now: int
) -> Entry:
    """The entry that follows `old`.

    Args:
        old: the newest entry of the log; None begins one.
        offered: the number of the release which `old` offers.
        channel: its name.
        change: what is asked for.
        now: seconds since the epoch.

    Raises:
        RefusedError: it contradicts what the channel says.
    """
    fresh = change.release
    if old is None and fresh is None:
        raise RefusedError(
            f"there is no channel {safe(channel)} yet: name the release that it is to "
            "offer first"
        )
    if fresh is None:
        assert old is not None
        entry, number = old, offered
    else:
        entry, number = _offering(old, channel, fresh, now), fresh.number
    entry = replace(
        entry,
        number=old.number + 1 if old else 1,
        created=max(now, old.created if old else 0),
        expires=now + change.expires * DAY,
    )
    return _marked(_rolled_out(entry, change, now), number, change)


def _offering(old: Entry | None, channel: str, fresh: Offered, now: int) -> Entry:
    if old is None:
        start = Rollout(now)
        return Entry(
            channel=channel,
            product=fresh.product,
            number=1,
            created=now,
            expires=now,
            release=fresh.version,
            tag=fresh.tag,
            rollout=start,
        )
    if fresh.product != old.product:
        raise RefusedError(
            f"channel {safe(channel)} is of {old.product}; {safe(fresh.version)} is of "
            f"{fresh.product}"
        )
    mark = find_mark(old.withdrawn, fresh.number)
    if mark is not None:
        raise RefusedError(
            f"{safe(fresh.version)} (number {fresh.number}) was withdrawn from channel "
            f"{safe(channel)}: {safe(mark.reason, 500)}",
            hint="Publish what is good of it under a new version.",
        )
    again = fresh.tag == old.tag
    return replace(
        old,
        release=fresh.version,
        tag=fresh.tag,
        rollout=old.rollout if again else Rollout(now),
    )


def _rolled_out(entry: Entry, change: Change, now: int) -> Entry:
    rolled = entry.rollout
    if change.hours is not None:
        rolled = Rollout(now, change.hours)
    if change.resume:
        rolled = rollout.resumed(rolled, now)
    if change.pause:
        if rolled.hours == 0:
            raise RefusedError(
                f"{safe(entry.release)} is offered to everybody at once: there is no "
                "rollout to pause",
                hint="Nobody takes it any more: osupdate promote --withdraw NUMBER",
            )
        rolled = rollout.paused(rolled, now)
    return replace(entry, rollout=rolled)


def _marked(entry: Entry, number: int | None, change: Change) -> Entry:
    barriers = (number,) if change.barrier and number is not None else ()
    return replace(
        entry,
        barriers=_with(entry.barriers, barriers, change.reason),
        dead_ends=_with(entry.dead_ends, change.dead_ends, change.reason),
        withdrawn=_with(entry.withdrawn, change.withdrawn, change.reason),
    )


def _with(
    marks: tuple[Mark, ...], numbers: tuple[int, ...], reason: str
) -> tuple[Mark, ...]:
    fresh = tuple(Mark(number, reason) for number in dict.fromkeys(numbers))
    return (*(m for m in marks if m.number not in numbers), *fresh)


def describe(entry: Entry, number: int, old: Entry | None, now: int) -> str:
    """The message of an entry's commit: what is new in it, for `git log`."""
    lines = [f"{entry.channel}: {entry.release} (number {number})", ""]
    if old is None:
        lines.append("The channel begins.")
    elif entry.tag != old.tag:
        lines.append(f"It offered {old.release} until now.")
    lines.append(_speed(entry.rollout, now))
    for name, what in (
        ("barriers", "is a barrier"),
        ("dead_ends", "is a dead end"),
        ("withdrawn", "is withdrawn"),
    ):
        before = getattr(old, name) if old else ()
        lines += [
            f"Number {mark.number} {what}: {mark.reason}"
            for mark in getattr(entry, name)
            if mark not in before
        ]
    lines.append(f"It expires {minute(entry.expires)}.")
    return "\n".join(lines) + "\n"


def _speed(rolled: Rollout, now: int) -> str:
    if rolled.hours == 0:
        return "Every machine may have it at once."
    share = f"{100 * rollout.fraction(rolled, now):.0f} %"
    if rolled.limit < 1:
        return f"The rollout is paused at {share}."
    over = plural(rolled.hours, "hour")
    return f"The rollout takes {over} from {minute(rolled.start)}; {share} now."
