"""The JSON objects of `--json`; their schemas are in docs/json.

Keys never vanish: what is not known is null. Times are RFC 3339 UTC, sizes bytes.
Paths are text as it is shown: bytes that are not printable UTF-8 are escaped.
"""

from collections.abc import Sequence
from typing import Any

from updater.core.text import show_path
from updater.core.times import rfc3339
from updater.errors import OsupdateError
from updater.model import (
    Accepted,
    Applied,
    Checked,
    Collected,
    Finding,
    Followed,
    Hold,
    LedgerEntry,
    LocalChange,
    Mark,
    Obstacle,
    Offer,
    Preview,
    Record,
    Reverted,
    Status,
    Verified,
)
from updater.report.status import condition, is_expired, summary
from updater.report.status import obstacle as not_taken

Object = dict[str, Any]


def status(value: Status) -> Object:
    """`osupdate.status/1`."""
    state = value.state
    last = state.last_check
    return {
        "schema": "osupdate.status/1",
        "state": condition(value).value,
        "phase": state.phase.value,
        "summary": summary(value),
        "running": release(value.running),
        "target": release(value.target),
        "previous": release(value.previous),
        "kept": [release(record) for record in value.kept],
        "changes": {"summary": value.brief[0], "attention": list(value.brief[1:])}
        if value.brief
        else None,
        "available": offer(value.available),
        "obstacle": obstacle(not_taken(value)),
        "last_check": last
        and {"at": _time(last.at), "ok": last.error is None, "error": last.error},
        "last_success_at": _time(state.last_success_at),
        "holds": [hold(item) for item in state.holds],
        "paused": state.paused,
        "pin": state.pin,
        "security_floor": state.security_floor,
        "channel": None if "remote.channel" in value.doubts else value.channel,
        "url": value.url or None,
        "trust": None if "trust.mode" in value.doubts else value.mode.value,
        "doubts": list(value.doubts),
        "trouble": value.trouble,
        "log": log(value.log),
        "expired": is_expired(value),
        "turn": value.turn,
        "pinned": value.pinned,
        "waiting": value.waiting
        and {"gate": value.waiting.gate, "why": value.waiting.text},
        "unprivileged": value.unprivileged,
        "enter_command": value.enter_command,
        "now": _time(value.now),
    }


def check(value: Checked) -> Object:
    """`osupdate.check/1`."""
    return {
        "schema": "osupdate.check/1",
        "offer": offer(value.offer),
        "available": offer(value.available),
        "why": value.why,
        "obstacle": obstacle(value.obstacle),
        "changes": {"summary": value.brief[0], "attention": list(value.brief[1:])}
        if value.brief
        else None,
    }


def reverted(value: Reverted) -> Object:
    """`osupdate.reverted/1`."""
    return {
        "schema": "osupdate.reverted/1",
        "running": release(value.record),
        "dropped": release(value.dropped),
        "held": value.held and hold(value.held),
        "text": value.text,
    }


def history(entries: Sequence[LedgerEntry], limit: int | None) -> Object:
    """`osupdate.history/1`, newest first."""
    return {
        "schema": "osupdate.history/1",
        "entries": [
            {
                "at": _time(entry.at),
                "event": entry.event,
                "text": entry.text,
                "actor": entry.actor,
                "data": entry.data,
            }
            for entry in list(reversed(entries))[:limit]
        ],
    }


def verified(outcomes: Sequence[Verified]) -> Object:
    """`osupdate.verified/1`."""
    return {
        "schema": "osupdate.verified/1",
        "clean": all(len(v.changes) == len(v.repaired) for v in outcomes),
        "deployments": [
            {
                "release": release(value.record),
                "files": value.files,
                "hashed": value.hashed,
                "changes": [change(item) for item in value.changes],
                "repaired": [show_path(path) for path in value.repaired],
            }
            for value in outcomes
        ],
    }


def collected(value: Collected, *, dry_run: bool) -> Object:
    """`osupdate.collected/1`."""
    return {
        "schema": "osupdate.collected/1",
        "dry_run": dry_run,
        "removed": [release(record) for record in value.removed],
        "freed": value.freed,
        "kept": list(value.kept),
    }


def holds(
    *, held: Sequence[Hold], released: Sequence[Hold], paused: bool | None
) -> Object:
    """`osupdate.holds/1`: what `hold` or `unhold` did; `paused` holds everything."""
    return {
        "schema": "osupdate.holds/1",
        "held": [hold(item) for item in held],
        "released": [hold(item) for item in released],
        "paused": paused,
    }


def pin(version: str | None) -> Object:
    """`osupdate.pin/1`."""
    return {"schema": "osupdate.pin/1", "pin": version}


def doctor(found: Sequence[Finding]) -> Object:
    """`osupdate.doctor/1`."""
    return {
        "schema": "osupdate.doctor/1",
        "healthy": all(finding.level != "problem" for finding in found),
        "findings": [
            {"level": f.level, "topic": f.topic, "text": f.text, "hint": f.hint}
            for f in found
        ],
    }


def event(kind: str, elapsed: float, **values: Any) -> Object:  # noqa: ANN401
    """`osupdate.event/1`, a line of `apply --json`; `elapsed` is seconds."""
    keys = ("stage", "n", "of", "done", "total", "unit", "text")
    empty = dict.fromkeys((*keys, "preview", "outcome", "release"))
    return {
        "schema": "osupdate.event/1",
        "event": kind,
        "elapsed": round(elapsed, 3),
        **empty,
        **values,
    }


def preview(value: Preview) -> Object:
    """What a person would be asked about."""
    return {
        "running": release(value.running),
        "version": value.version,
        "commit": value.commit,
        "headline": value.headline,
        "summary": value.summary,
        "received": value.received,
        "written_files": value.written_files,
        "written_bytes": value.written_bytes,
        "kept_files": value.kept_files,
        "local_changes": [change(item) for item in value.local_changes],
        "notices": list(value.notices),
    }


def applied(value: Applied, elapsed: float) -> Object:
    """The last event of `apply`."""
    return event(
        "result",
        elapsed,
        outcome=value.outcome,
        release=release(value.record),
        text=value.text,
    )


def error(value: OsupdateError) -> Object:
    """`osupdate.error/1`."""
    return {
        "schema": "osupdate.error/1",
        "code": value.code,
        "exit": value.exit_code,
        "check": getattr(value, "check", None),
        "message": str(value),
        "unchanged": value.unchanged,
        "hint": value.hint,
    }


def release(record: Record | None) -> Object | None:
    """A deployment's release."""
    if record is None:
        return None
    return {
        "id": record.id,
        "version": record.version,
        "number": record.number,
        "commit": record.commit,
        "tag": record.tag,
        "created": _time(record.created),
        "staged_at": _time(record.staged_at),
        "size": record.size,
        "headline": record.headline,
        "signed": record.signed,
    }


def offer(value: Offer | None) -> Object | None:
    """What a channel proposes; nothing of it is verified."""
    if value is None:
        return None
    return {
        "version": value.version,
        "number": value.number,
        "headline": value.headline,
        "commit": value.commit,
        "tag": value.tag,
        "ref": value.ref,
        "channel": value.channel,
        "url": value.url,
    }


def log(value: Accepted | None) -> Object | None:
    """What a channel says, as it was accepted here."""
    if value is None:
        return None
    entry = value.entry
    return {
        "channel": value.channel,
        "url": value.url,
        "commit": value.tip,
        "accepted_at": _time(value.at),
        "entry": entry.number,
        "product": entry.product,
        "created": _time(entry.created),
        "expires": _time(entry.expires),
        "release": entry.release,
        "number": value.release_number,
        "tag": entry.tag,
        "rollout": {
            "start": _time(entry.rollout.start),
            "hours": entry.rollout.hours,
            "limit": entry.rollout.limit,
        },
        "barriers": marks(entry.barriers),
        "dead_ends": marks(entry.dead_ends),
        "withdrawn": marks(entry.withdrawn),
        "signers": [
            {"what": s.what, "key": s.key, "until": _time(s.until)}
            for s in value.signers
        ],
    }


def followed(value: Followed) -> Object:
    """`osupdate.channel/1`."""
    return {
        "schema": "osupdate.channel/1",
        "channel": value.channel,
        "configured": value.configured,
        "before": value.before,
        "log": log(value.log),
        "check": value.checked and check(value.checked),
    }


def marks(found: Sequence[Mark]) -> list[Object]:
    """What a channel says of releases, by their numbers."""
    return [{"number": mark.number, "reason": mark.reason} for mark in found]


def obstacle(value: Obstacle | None) -> Object | None:
    """Why what is available will not be taken here."""
    if value is None:
        return None
    return {"kind": value.kind, "text": value.text, "hint": value.hint}


def hold(value: Hold) -> Object:
    """A release that is not taken."""
    return {
        "version": value.version,
        "commit": value.commit,
        "number": value.number,
        "reason": value.reason,
        "at": _time(value.at),
    }


def change(value: LocalChange) -> Object:
    """A path that is not as the release has it."""
    return {"path": show_path(value.path), "kind": value.kind}


def _time(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)
