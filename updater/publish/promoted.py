"""From the command line to a change of a channel, and from the outcome to JSON."""

from typing import Any

from updater.core.promotion import Change
from updater.core.times import rfc3339
from updater.model import Mark
from updater.publish.channel import Promoted


def change(**values: Any) -> Change:  # noqa: ANN401 - those of Change
    """What a publisher asks for; `promote` holds it to its limits."""
    return Change(**values)


def to_json(done: Promoted) -> dict[str, Any]:
    """`osupdate.promoted/1`."""
    entry = done.entry
    return {
        "schema": "osupdate.promoted/1",
        "channel": entry.channel,
        "product": entry.product,
        "entry": entry.number,
        "commit": done.commit,
        "release": entry.release,
        "number": done.release_number,
        "tag": entry.tag,
        "created": rfc3339(entry.created),
        "expires": rfc3339(entry.expires),
        "rollout": {
            "start": rfc3339(entry.rollout.start),
            "hours": entry.rollout.hours,
            "limit": entry.rollout.limit,
        },
        "barriers": _marks(entry.barriers),
        "dead_ends": _marks(entry.dead_ends),
        "withdrawn": _marks(entry.withdrawn),
        "size": done.size,
        "notices": list(done.notices),
    }


def _marks(marks: tuple[Mark, ...]) -> list[dict[str, Any]]:
    return [{"number": mark.number, "reason": mark.reason} for mark in marks]
