"""What `why` and `auto` say, for people and for programs."""

from datetime import UTC, datetime
from typing import Any

from updater.core.gates import Gate, first_closed
from updater.core.text import safe
from updater.core.times import minute, rfc3339, short
from updater.core.windows import Stretch
from updater.model import Record, Ticked


def answer(
    running: Record | None, waits: Record | None, gates: tuple[Gate, ...]
) -> str:
    """The first line of `why`."""
    closed = first_closed(gates)
    if waits is None:
        runs = f"{safe(running.version)} runs" if running else "nothing runs here"
        text = f"the first closed gate would be {closed.name}" if closed else "all open"
        return f"Nothing waits: {runs}, and nothing is staged ({text})"
    name = safe(waits.version)
    if closed is None:
        return f"{name} goes at the next tick: every gate is open"
    return f"{name} waits for {closed.name}: {closed.why}"


def lines(
    running: Record | None,
    waits: Record | None,
    gates: tuple[Gate, ...],
    plan: tuple[Stretch, ...],
    now: int,
) -> list[str]:
    """The page of `why`."""
    page = [answer(running, waits, gates), ""]
    for gate in gates:
        word = "open" if gate.open else "CLOSED"
        page.append(f"{gate.name:<10}  {word:<6}  {gate.why}")
        if not gate.open and gate.command:
            page.append(f"{'':<20}{gate.command}")
    if plan:
        page += ["", "Next openings"]
        page += [f"  {_opening(one, now)}" for one in plan]
    return page


def _opening(stretch: Stretch, now: int) -> str:
    weekday = datetime.fromtimestamp(stretch.opens, UTC).strftime("%a")
    length = f"for {short(stretch.closes - stretch.opens)}" if stretch.closes else ""
    begins = short(stretch.opens - now)
    return f"{weekday} {minute(stretch.opens)}  in {begins}  {length}".rstrip()


def why(
    running: Record | None,
    waits: Record | None,
    gates: tuple[Gate, ...],
    plan: tuple[Stretch, ...],
    now: int,
) -> dict[str, Any]:
    """`osupdate.why/1`."""
    return {
        "schema": "osupdate.why/1",
        "answer": answer(running, waits, gates),
        "waits": waits.version if waits else None,
        "gates": [
            {
                "name": gate.name.value,
                "open": gate.open,
                "why": gate.why,
                "until": _time(gate.until),
                "command": gate.command,
            }
            for gate in gates
        ],
        "plan": [
            {"opens": _time(one.opens), "closes": _time(one.closes)} for one in plan
        ],
        "now": _time(now),
    }


def auto(value: Ticked) -> dict[str, Any]:
    """`osupdate.auto/1`."""
    return {
        "schema": "osupdate.auto/1",
        "outcome": value.outcome,
        "text": value.text,
        "gate": value.gate,
        "until": _time(value.until),
        "alarm": value.alarm,
    }


def _time(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)
