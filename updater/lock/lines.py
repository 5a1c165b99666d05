"""The lock for a terminal: lines of at most 80 columns where names allow it."""

from collections.abc import Sequence

from updater.core.text import safe
from updater.core.times import short
from updater.lock import words
from updater.lock.client import Granted, Outcome, Refused, Unreachable, Wait
from updater.lock.status import EventStatus, GroupStatus, LogStatus, Status

_NODE = 24  # columns of a name and an id
_WHY = 28


def status(value: Status, url: str, me: str | None, only: str | None) -> list[str]:
    """The answer of `lock status`.

    Args:
        value: what the service said.
        url: of the service.
        me: this machine's id, when it has one.
        only: the group that is shown; all when None.
    """
    now = words.seconds_of(value.now)
    groups = [g for g in value.groups if only is None or g.name == only]
    late = sum(one.overdue for group in groups for one in group.holders)
    if late:
        lines = [f"PROBLEM: {late} overdue: the lock waits for a node or a person"]
    else:
        lines = [_summary(groups, only)]
    for group in groups:
        lines += ["", *_group(group, now, me)]
    if only is None and value.fleet:
        runs = [
            f"{safe(c.release, 40) or 'not told'} {c.nodes:,}"
            + (f" ({c.failed:,} FAILED)" if c.failed else "")
            for c in value.fleet[:5]
        ]
        more = len(value.fleet) - 5
        runs += [f"{more} more"] if more > 0 else []
        lines += ["", f"Fleet    {', '.join(runs)}"]
    return [*lines, "", f"Service  {safe(url, 200)}   what happened: osupdate lock log"]


def _summary(groups: Sequence[GroupStatus], only: str | None) -> str:
    held = sum(group.held for group in groups)
    waiting = sum(group.waiting for group in groups)
    slots = sum(group.slots for group in groups)
    where = f"Group {safe(only, 100)}" if only else f"{len(groups)} groups"
    if only is None and len(groups) == 1:
        where = f"Group {safe(groups[0].name, 100)}"
    return f"{where}: {held:,} of {slots:,} slots held, {waiting:,} waiting"


def _group(group: GroupStatus, now: int, me: str | None) -> list[str]:
    lines = [f"{safe(group.name, 100)}: {words.slots(group)}"]
    lines += [f"! {text}" for _, text in words.notes(group, now)]
    if group.holders:
        lines.append(
            f"{'HOLDER':<{_NODE}}  {'SINCE (UTC)':<15} {'PHASE':<9}  "
            f"{'WHY':<{_WHY}} SEEN"
        )
    for one in group.holders:
        lines.append(
            f"{_node(one.name, one.id, me):<{_NODE}}  "
            f"{words.since(one.since, now):<15} {safe(one.phase, 9):<9}  "
            f"{words.why(one):<{_WHY}} {words.ago(one.last_seen, now)}".rstrip()
        )
    if group.queue:
        lines.append("WAITING")
    for place in group.queue:
        node = f"{place.position} {_node(place.name, place.id, me)}"
        lines.append(
            f"{node:<{_NODE}}  {words.since(place.since, now):<15} "
            f"{words.expectation(place, now):<9}  {words.why(place):<{_WHY}} "
            f"{words.ago(place.last_seen, now)}".rstrip()
        )
    more = group.waiting - len(group.queue)
    if more > 0:
        lines.append(f"... {more:,} more")
    return lines + _stuck(group, now)


def _stuck(group: GroupStatus, now: int) -> list[str]:
    """What a person can do about the first holder."""
    if not group.holders or (
        group.waiting == 0 and not any(one.overdue for one in group.holders)
    ):
        return []
    one = min(group.holders, key=lambda holder: (not holder.overdue, holder.since))
    name = words.node(one.name, one.id)[0]
    lines: list[str] = []
    if not one.overdue:
        policy = (
            "its slot is then given on"
            if group.overdue_policy == "free"
            else ("its slot stays taken then")
        )
        due = words.clock(one.overdue_at, now)
        lines.append(f"{name} is overdue at {due} UTC; {policy}.")
    lines.append(
        f"Stuck? osupdate lock release {safe(one.id, 64)} --group "
        f"{safe(group.name, 100)} --reason TEXT"
    )
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
