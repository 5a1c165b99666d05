"""The status of the lock in the words that the page and the terminal share.

What comes in was said by nodes; every text is made safe here.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from updater.core.text import plural, safe
from updater.core.times import short
from updater.lock.status import (
    EventStatus,
    GroupStatus,
    HolderStatus,
    PlaceStatus,
    Status,
)

_SECONDS = {
    "granted": "waited",
    "lapsed": "waited",
    "withdrawn": "waited",
    "released": "held",
    "forced": "after",
}
SHORT_ID = 12  # characters of an id that are shown beside a name


def seconds_of(when: str) -> int:
    """RFC 3339 as seconds since the epoch; 0 for what is no time."""
    try:
        return int(
            datetime.strptime(when, "%Y-%m-%dT%H:%M:%SZ")
            .replace(tzinfo=UTC)
            .timestamp()
        )
    except ValueError:
        return 0


def since(when: str, now: int) -> str:
    """`03:01:12 (2m)`; with the day when it is another one."""
    at = seconds_of(when)
    return f"{clock(when, now)} ({short(max(0, now - at))})"


def clock(when: str, now: int) -> str:
    """`03:01:12`, or `2026-05-16 03:01` when that is no time of this day."""
    shown = safe(when, 20)
    if seconds_of(when) // 86400 == now // 86400:
        return shown[11:19]
    return f"{shown[:10]} {shown[11:16]}"


def ago(when: str, now: int) -> str:
    """`41s ago`."""
    return f"{short(max(0, now - seconds_of(when)))} ago"


def node(name: str, full_id: str) -> tuple[str, str]:
    """Name and shortened id; the whole id when there is no name."""
    if not name:
        return safe(full_id, 64), ""
    return safe(name, 64), safe(full_id, SHORT_ID).removesuffix("...")


def why(one: HolderStatus | PlaceStatus, room: int = 400) -> str:
    """`update, 1.0 -> 2.0`, as much of it as was said; the reason gives way."""
    target = f"-> {safe(one.target, 80)}" if one.target else ""
    way = f"{safe(one.origin, 80)} {target}" if one.origin and target else target
    left = max(12, room - len(way) - 5)
    said = safe(one.why, left) if one.why else ""
    return (", " if one.origin else " ").join(part for part in (said, way) if part)


def holders(group: GroupStatus) -> list[HolderStatus]:
    """The holders, the overdue and the longest ones first."""
    return sorted(group.holders, key=lambda one: (not one.overdue, one.since, one.name))


def groups(known: Sequence[GroupStatus]) -> list[GroupStatus]:
    """The groups, those with somebody overdue first."""
    return sorted(known, key=lambda group: not any(h.overdue for h in group.holders))


def trouble(status: Status) -> str | None:
    """That the store fails, or None."""
    if status.trouble is None:
        return None
    lasts = short(max(0, seconds_of(status.now) - seconds_of(status.trouble.since)))
    reason = safe(status.trouble.reason, 400)
    return f"PROBLEM: nothing can be granted for {lasts}: {reason}"


def slots(group: GroupStatus) -> str:
    """`2 slots, 1 held, 3 waiting`."""
    waiting = f", {group.waiting:,} waiting" if group.waiting else ""
    return f"{plural(group.slots, 'slot')}, {group.held:,} held{waiting}"


def notes(group: GroupStatus, now: int) -> list[tuple[bool, str]]:
    """What must be said of a group; true is an alarm."""
    found: list[tuple[bool, str]] = []
    late = [one for one in group.holders if one.overdue]
    for one in late:
        name = " ".join(node(one.name, one.id)).strip()
        held = short(max(0, now - seconds_of(one.since)))
        found.append(
            (
                True,
                f"OVERDUE: {name} has held the lock for {held}; its slot stays taken "
                "until it is back or a person releases it",
            )
        )
    if group.drain is not None:
        who = safe(group.drain.actor, 100)
        text = f"Drained {ago(group.drain.since, now)} by {who}: nothing is granted. "
        found.append((False, text + safe(group.drain.reason, 300)))
    if group.held > group.slots:
        over = plural(group.held - group.slots, "node")
        found.append((False, f"{over} more than there are slots: they were lowered"))
    configured = group.configured_slots
    if configured is not None and configured != group.slots:
        found.append((False, f"The configuration says {plural(configured, 'slot')}."))
    return found


def expectation(one: PlaceStatus, now: int) -> str:
    """`in 4m`, or that nobody can tell."""
    if one.expected_at is None:
        return "unknown"
    left = seconds_of(one.expected_at) - now
    return f"in {short(left)}" if left > 0 else "now"


def event(one: EventStatus) -> str:
    """What an entry of the ledger says beside its name."""
    words = [safe(one.reason, 400)] if one.reason else []
    if one.booted:
        words.append(f"booted {safe(one.booted, 80)}")
    elif one.target:
        origin = f"{safe(one.origin, 80)} " if one.origin else ""
        words.append(f"{origin}-> {safe(one.target, 80)}")
    if one.seconds and one.event in _SECONDS:
        words.append(f"{_SECONDS[one.event]} {short(max(0, one.seconds))}")
    if one.actor and one.event in ("forced", "drained", "resumed", "slots"):
        words.append(f"by {safe(one.actor, 100)}")
    return ", ".join(words)
