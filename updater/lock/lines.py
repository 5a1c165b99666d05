"""The lock for a terminal: lines of at most 80 columns where names allow it."""

import shlex
from collections.abc import Sequence

from updater.core.text import plural, safe
from updater.core.times import short
from updater.lock import words
from updater.lock.client import Granted, Outcome, Refused, Unreachable, Wait
from updater.lock.status import (
    EventStatus,
    GroupStatus,
    LogStatus,
    ReleaseCount,
    Status,
)

_MOST_NODE, _MOST_WHY = 40, 48  # columns


def status(value: Status, url: str, me: str | None, only: str | None) -> list[str]:
    """The answer of `lock status`.

    Args:
        value: what the service said.
        url: of the service.
        me: this machine's id, when it has one.
        only: the group that is shown; all when None.
    """
    now = words.seconds_of(value.now)
    known = words.groups(value.groups)
    groups = [group for group in known if only in (None, group.name)]
    problem = words.trouble(value) or _problem(groups, now)
    lines = [problem or _summary(groups, only)]
    for group in groups:
        lines += ["", *_group(group, now, me)]
    if only is None and value.fleet:
        lines += ["", f"Fleet    {_fleet(value.fleet)}"]
    return [*lines, "", f"Service  {safe(url, 200)}   what happened: osupdate lock log"]


def _problem(groups: Sequence[GroupStatus], now: int) -> str | None:
    late = [(h, g) for g in groups for h in words.holders(g) if h.overdue]
    if not late:
        return None
    first, group = min(late, key=lambda pair: pair[0].since)
    name = words.node(first.name, first.id)[0]
    held = short(max(0, now - words.seconds_of(first.since)))
    more = f", and {plural(len(late) - 1, 'more', 'more')}" if len(late) > 1 else ""
    where = safe(group.name, 100)
    return f"PROBLEM: {name} has held the lock of {where} for {held}{more}"


def _summary(groups: Sequence[GroupStatus], only: str | None) -> str:
    held = sum(group.held for group in groups)
    waiting = sum(group.waiting for group in groups)
    slots = sum(group.slots for group in groups)
    where = f"Group {safe(only, 100)}" if only else plural(len(groups), "group")
    if only is None and len(groups) == 1:
        where = f"Group {safe(groups[0].name, 100)}"
    return f"{where}: {held:,} of {plural(slots, 'slot')} held, {waiting:,} waiting"


def _fleet(counts: Sequence[ReleaseCount]) -> str:
    runs = [
        f"{safe(one.release, 40) or 'not told'} {one.nodes:,}"
        + (f" ({one.failed:,} FAILED)" if one.failed else "")
        for one in counts[:5]
    ]
    more = len(counts) - 5
    return ", ".join([*runs, f"{more} more"] if more > 0 else runs)


def _group(group: GroupStatus, now: int, me: str | None) -> list[str]:
    lines = [f"{safe(group.name, 100)}: {words.slots(group)}"]
    lines += [f"! {text}" for _, text in words.notes(group, now)]
    holding = [
        (
            _node(one.name, one.id, me),
            words.since(one.since, now),
            safe(one.phase, 9),
            words.why(one, _MOST_WHY),
            words.ago(one.last_seen, now),
        )
        for one in words.holders(group)
    ]
    waiting = [
        (
            f"{place.position} {_node(place.name, place.id, me)}",
            words.since(place.since, now),
            words.expectation(place, now),
            words.why(place, _MOST_WHY),
            words.ago(place.last_seen, now),
        )
        for place in group.queue
    ]
    if holding or waiting:
        table = _table(
            [("HOLDER", "SINCE (UTC)", "PHASE", "WHY", "SEEN"), *holding], waiting
        )
        lines += table[: len(holding) + 1] if holding else []
        lines += ["WAITING", *table[len(holding) + 1 :]] if waiting else []
    more = group.waiting - len(group.queue)
    if more > 0:
        lines.append(f"... {more:,} more")
    return lines + _stuck(group, now)


def _table(*parts: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows with columns as wide as they need to be; a longer name moves its row."""
    rows = [row for part in parts for row in part]
    widths = [
        min(max(len(row[number]) for row in rows), _MOST_NODE if number == 0 else 80)
        for number in range(len(rows[0]))
    ]
    return [
        "  ".join(
            f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def _stuck(group: GroupStatus, now: int) -> list[str]:
    """What a person can do about the first holder."""
    if not group.holders or (
        group.waiting == 0 and not any(one.overdue for one in group.holders)
    ):
        return []
    one = words.holders(group)[0]
    lines: list[str] = []
    if not one.overdue:
        free = group.overdue_policy == "free"
        policy = "is then given on" if free else "stays taken then"
        due = words.clock(one.overdue_at, now)
        name = words.node(one.name, one.id)[0]
        lines.append(f"{name} is overdue at {due} UTC; its slot {policy}.")
    # Quoted, because a node chose the id and a person copies the line into a shell.
    wanted = shlex.quote(safe(one.id, 256))
    where = shlex.quote(safe(group.name, 100))
    lines.append(f"Stuck? osupdate lock release {wanted} --group {where} --reason TEXT")
    return lines


def _node(name: str, full_id: str, me: str | None) -> str:
    shown = " ".join(part for part in words.node(name, full_id) if part)
    return f"{shown} (you)" if full_id == me else shown


def log(value: LogStatus) -> list[str]:
    """The answer of `lock log`, oldest first."""
    if not value.entries:
        return ["Nothing has happened yet"]
    width = max(9, *(len(safe(one.event, 12)) for one in value.entries))
    lines = [f"{'WHEN (UTC)':<19}  {'WHAT':<{width}}  {'GROUP':<10} NODE"]
    return lines + [_event(one, width) for one in value.entries]


def _event(one: EventStatus, width: int) -> str:
    when = safe(one.at, 20).replace("T", " ").removesuffix("Z")
    node = " ".join(part for part in words.node(one.name, one.id) if part)
    head = f"{when:<19}  {safe(one.event, 12):<{width}}  {safe(one.group, 100):<10}"
    return " ".join(part for part in (head, node, words.event(one)) if part).rstrip()


def acquired(outcome: Outcome, group: str) -> list[str]:
    """The answer of `lock acquire`."""
    where = safe(group, 100)
    match outcome:
        case Granted():
            return [
                f"Granted: this node holds the lock of {where}",
                "Give it back: osupdate lock release",
            ]
        case Wait(text=text, position=position, waiting=waiting, expected=expected):
            lines = [f"Not granted: {text}"]
            if position is not None and waiting is not None:
                when = "" if expected is None else f", expected in {short(expected)}"
                lines.append(f"Place {position:,} of {waiting:,} in {where}{when}")
            lines.append(f"Ask again in {short(outcome.retry_after)}, or with --wait")
            return lines
        case Refused(text=text, status=code):
            return [f"Refused ({code}): {text}"]
        case Unreachable(reason=reason):
            return [f"Not granted, because the service cannot tell: {reason}"]


def released(outcome: Outcome, group: str) -> list[str]:
    """The answer of `lock release` for this node."""
    where = safe(group, 100)
    match outcome:
        case Granted():
            return [f"Released: this node does not hold the lock of {where}"]
        case Wait(text=text) | Refused(text=text):
            return [f"Not released: {text}"]
        case Unreachable(reason=reason):
            return [f"Not released, because the service cannot tell: {reason}"]
