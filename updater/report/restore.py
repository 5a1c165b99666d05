"""`restore`: what was taken back, and from where."""

from typing import Any

from msgspec import Struct

from updater.core.text import plural, safe, show_path
from updater.model import LocalChange, Record
from updater.report import objects

ROWS = 20


class Restored(Struct, frozen=True):
    """The outcome. `origins` say where content came from, `extra` was left alone."""

    record: Record
    changes: tuple[LocalChange, ...]
    origins: tuple[str, ...]
    extra: tuple[bytes, ...]
    dry_run: bool
    declined: bool = False


def text(outcome: Restored) -> list[str]:
    """For a terminal, the answer first."""
    version = safe(outcome.record.version, 64)
    count = plural(len(outcome.changes), "path")
    if outcome.declined:
        lines = ["Declined. Nothing was changed."]
    elif not outcome.changes:
        lines = [f"Nothing to restore: as {version} has it"]
    elif outcome.dry_run:
        lines = [f"Would restore {count} as {version} has it; nothing was changed"]
    else:
        came = (
            f", content from {' and '.join(outcome.origins)}" if outcome.origins else ""
        )
        lines = [f"Restored {count} as {version} has it{came}"]
    lines += [f"  {c.kind:<9} {show_path(c.path)}" for c in outcome.changes[:ROWS]]
    if len(outcome.changes) > ROWS:
        lines.append(f"  ... {len(outcome.changes) - ROWS:,} more")
    if outcome.extra:
        some = show_path(outcome.extra[0])
        many = plural(len(outcome.extra), "path")
        lines.append(
            f"Left alone: {many} that the release does not have, such as {some}"
        )
    return lines


def to_json(outcome: Restored) -> dict[str, Any]:
    """`osupdate.restored/1`; the schema is docs/json/restored-1.json."""
    return {
        "schema": "osupdate.restored/1",
        "release": objects.release(outcome.record),
        "dry_run": outcome.dry_run,
        "declined": outcome.declined,
        "restored": [objects.change(change) for change in outcome.changes],
        "content_from": list(outcome.origins),
        "left_alone": [show_path(path) for path in outcome.extra],
    }
