"""`log`: the releases that are known, newest first, and where knowledge ends."""

from typing import Any

from msgspec import Struct

from updater.core.chronicle import Known
from updater.core.text import safe, show_path
from updater.core.times import day, rfc3339
from updater.model import Offer
from updater.report.layout import wrap
from updater.report.status import DOT

VERSION_WIDTH = 24
HERE_WIDTH = 9
_WIDTH = 80
_NAMED = 3  # versions in a sentence


class Row(Struct, frozen=True):
    """One release. `here`: running, staged, previous, kept, held, available, or "".

    `gap`: releases between it and the next older row may exist, and are not known.
    `since` is the version that its changes were told against, where paths were asked
    about and that is not the release before it.
    """

    known: Known
    here: str
    gap: bool
    since: str | None = None


class Log(Struct, frozen=True):
    """The answer. `name` is the channel or branch, `offer` what is not here yet.

    `complete`: whether the first release is among all that are known, and nothing is
    missing after it. `oldest` is the oldest that is known, `untold` are the versions
    of which nobody here knows what they changed.
    """

    name: str
    rows: tuple[Row, ...]
    paths: tuple[bytes, ...]
    offer: Offer | None
    complete: bool
    oldest: Known | None
    untold: tuple[str, ...]
    local: bool


def text(log: Log) -> list[str]:
    """For a terminal."""
    if not log.rows and log.offer is None:
        return [_nothing(log), *_ends(log)]
    named = [safe(row.known.version, VERSION_WIDTH) for row in log.rows]
    if log.offer is not None:
        named.append(safe(log.offer.version or log.offer.commit[:7], VERSION_WIDTH))
    width = max(len("RELEASE"), *map(len, named))
    head = f"  {'RELEASE':<{width}}  {'DATE':<10}  "
    lines = [
        f"{head}{'HERE':<{HERE_WIDTH}}  HEADLINE" if log.local else head + "HEADLINE"
    ]
    if log.offer is not None:
        version = safe(log.offer.version or log.offer.commit[:7], VERSION_WIDTH)
        told = "(told after download: osupdate apply --download-only)"
        lines.append(f"  {version:<{width}}  {'':<10}  {'available':<9}  {told}")
    for row in log.rows:
        lines += _row(row, width, local=log.local)
    return [*lines, *_ends(log)]


def _row(row: Row, width: int, *, local: bool) -> list[str]:
    known = row.known
    mark = DOT if row.here == "running" else " "
    line = (
        f"{mark} {safe(known.version, VERSION_WIDTH):<{width}}  {day(known.created)}  "
    )
    if local:
        line += f"{row.here or '-':<{HERE_WIDTH}}  "
    lines = [f"{line}{safe(known.headline, 200)}".rstrip()]
    if row.since is not None:
        since = safe(row.since, 80)
        lines.append(f"{'':<{width + 4}}or a release before it, after {since}")
    if row.gap:
        lines.append("  ...  releases in between are not known here")
    return lines


def _nothing(log: Log) -> str:
    if not log.paths:
        return "No release is known here yet"
    names = ", ".join(show_path(path) for path in log.paths)
    return f"No release that is known here changed {names}"


def _ends(log: Log) -> list[str]:
    """Where knowledge ends, in sentences."""
    said = []
    if log.untold:
        named = ", ".join(safe(version, 80) for version in log.untold[:_NAMED])
        rest = len(log.untold) - _NAMED
        more = f" and {rest:,} more" if rest > 0 else ""
        said.append(f"What {named}{more} changed is not known here.")
    if log.oldest is not None and not log.complete and log.local:
        oldest = safe(log.oldest.version, 80)
        told = any(row.known.heard for row in log.rows)
        whence = "downloaded here or told by a channel" if told else "downloaded here"
        said.append(
            f"Known are the releases that were {whence}, back to {oldest}; "
            'older and skipped ones come with [remote] history = "full".'
        )
    lines = [line for sentence in said for line in wrap(sentence, "", _WIDTH)]
    return ["", *lines] if lines else []


def to_json(log: Log) -> dict[str, Any]:
    """`osupdate.log/1`; the schema is docs/json/log-1.json."""
    offer = log.offer
    return {
        "schema": "osupdate.log/1",
        "channel": log.name,
        "paths": [show_path(path) for path in log.paths],
        "available": offer and {"version": offer.version, "commit": offer.commit},
        "releases": [
            {
                **release(row.known),
                "here": row.here or None,
                "gap": row.gap,
                "changed_since": row.since,
            }
            for row in log.rows
        ],
        "complete": log.complete,
        "oldest": log.oldest and log.oldest.version,
        "untold": list(log.untold),
    }


def release(known: Known) -> dict[str, Any]:
    """What identifies a release in JSON."""
    return {
        "version": known.version,
        "number": known.number,
        "commit": known.commit,
        "tag": known.tag,
        "date": rfc3339(known.created),
        "headline": known.headline,
    }
