"""The web page of the lock service: one document, complete without JavaScript.

Its policy lets only the style and script of this file run, whatever a node calls
itself; the template escapes every value.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from updater.core.text import plural, safe
from updater.lock import words
from updater.lock.status import (
    EventStatus,
    GroupStatus,
    ReleaseCount,
    Status,
)

MOST_BOXES = 60  # slots that are drawn
_COLORS = 6
_BAR = 1000  # units of its width


def _asset(name: str) -> str:
    return files("updater.lock").joinpath("assets", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


CSS, JS = _asset("page.css"), _asset("page.js")
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {_hash(CSS)}; script-src {_hash(JS)}; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}


def render(status: Status) -> str:
    """The page of a status."""
    now = words.seconds_of(status.now)
    late = [one for group in status.groups for one in group.holders if one.overdue]
    return _template(
        answer=_answer(status, len(late)),
        bad=bool(late) or status.trouble is not None,
        now=f"{status.now[:10]} {status.now[11:19]} UTC",
        groups=[_group(group, now) for group in words.groups(status.groups)],
        fleet=_fleet(status.fleet),
        events=[_event(one, now) for one in reversed(status.recent)],
    )


def unavailable(reason: str) -> str:
    """The page when the store does not answer."""
    answer = f"PROBLEM: nothing is granted, because {safe(reason, 400)}"
    return _template(answer=answer, bad=True, now="", groups=[], fleet=None, events=[])


def _template(**values: Any) -> str:  # noqa: ANN401 - of the template
    title = f"{'! ' if values['bad'] else ''}Reboot lock: {values['answer']}"
    return (
        _environment()
        .get_template("page.html")
        .render(values, title=safe(title, 100), css=CSS, js=JS)
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("updater.lock", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )


def _answer(status: Status, late: int) -> str:
    if trouble := words.trouble(status):
        return trouble
    if late:
        return f"PROBLEM: {plural(late, 'node')} overdue"
    held = sum(group.held for group in status.groups)
    waiting = sum(group.waiting for group in status.groups)
    if not held and not waiting:
        return "No node holds the lock, and none waits"
    down = f"{plural(held, 'node')} may be down" if held else "No node may be down"
    return f"{down}, {waiting:,} waiting"


def _group(group: GroupStatus, now: int) -> dict[str, Any]:
    notes = words.notes(group, now)
    boxes = ["late" if one.overdue else "held" for one in words.holders(group)]
    boxes += ["free"] * (group.slots - len(boxes))
    listed = len(group.queue)
    more = group.waiting - listed
    return {
        "name": safe(group.name, 100),
        "slots_text": words.slots(group),
        "boxes": boxes[:MOST_BOXES],
        "bad": any(bad for bad, _ in notes),
        "notes": [{"bad": bad, "text": text} for bad, text in notes],
        "holders": [
            {
                **_node(one.name, one.id),
                "since": words.since(one.since, now),
                "phase": safe(one.phase, 20),
                "why": words.why(one),
                "seen": words.ago(one.last_seen, now),
                "late": one.overdue,
            }
            for one in words.holders(group)
        ],
        "queue": [
            {
                **_node(one.name, one.id),
                "position": one.position,
                "since": words.since(one.since, now),
                "why": words.why(one),
                "expected": words.expectation(one, now),
                "seen": words.ago(one.last_seen, now),
            }
            for one in group.queue
        ],
        "more": f"and {more:,} more" if more > 0 else "",
    }


def _node(name: str, full_id: str) -> dict[str, str]:
    shown, short_id = words.node(name, full_id)
    return {"name": shown, "id": short_id}


def _fleet(counts: Sequence[ReleaseCount]) -> dict[str, Any] | None:
    total = sum(count.nodes for count in counts)
    if not total:
        return None
    parts = []
    start = 0.0
    for number, count in enumerate(counts):
        width = _BAR * count.nodes / total
        parts.append(
            {
                "name": safe(count.release, 80) or "not told",
                "count": f"{count.nodes:,}",
                "failed": f"{count.failed:,} failed" if count.failed else "",
                "color": f"c{min(number, _COLORS - 1)}",
                "start": f"{start:.2f}",
                "width": f"{width:.2f}",
            }
        )
        start += width
    return {"text": f"{plural(total, 'node')} known", "parts": parts}


def _event(one: EventStatus, now: int) -> dict[str, str]:
    name, short_id = words.node(one.name, one.id)
    failed = one.verdict == "failed"
    return {
        "when": words.clock(one.at, now),
        "event": safe(one.event, 20),
        "css": "failed" if failed else {"slots": "slots-set"}.get(one.event, one.event),
        "group": safe(one.group, 100),
        "name": name,
        "id": short_id or (name and " "),
        "text": words.event(one),
    }
