"""What people ask of a lock service: how it stands, what happened, and overrides."""

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from updater.core.text import safe
from updater.errors import HostError, RefusedError, TransportError
from updater.lock import client, wire
from updater.lock.access import Access
from updater.lock.exchange import Reply, Silence, exchange
from updater.lock.status import LogStatus, Status

DEADLINE = 30.0  # seconds
_MOST = 16 << 20  # bytes of a status

_Answer = TypeVar("_Answer", Status, LogStatus)


def status(access: Access) -> Status:
    """How the lock stands.

    Raises:
        TransportError: it does not answer.
        HostError: it is a server that tells nothing.
        RefusedError: it does not tell us.
    """
    return _read(access, "/v1/status", Status)


def log(access: Access, *, after: int | None, limit: int) -> LogStatus:
    """The last entries of the ledger, or the first ones behind `after`.

    Raises:
        TransportError, HostError, RefusedError.
    """
    query = f"limit={limit}" + ("" if after is None else f"&after={after}")
    return _read(access, f"/v1/log?{query}", LogStatus)


def force(access: Access, group: str, node: str, reason: str, actor: str) -> str:
    """Take a slot or a place away.

    Returns:
        What the service says beside yes.

    Raises:
        TransportError, RefusedError.
    """
    return _order(
        access, "release", {"group": group, "id": node, "reason": reason}, actor
    )


def drain(access: Access, group: str, on: bool, reason: str, actor: str) -> str:  # noqa: FBT001 - data
    """Grant nothing more in a group, or grant again.

    Raises:
        TransportError, RefusedError.
    """
    return _order(access, "drain", {"group": group, "on": on, "reason": reason}, actor)


def slots(access: Access, group: str, count: int, reason: str, actor: str) -> str:
    """Let so many be down at once.

    Raises:
        TransportError, RefusedError.
    """
    order = {"group": group, "slots": count, "reason": reason}
    return _order(access, "slots", order, actor)


def _read(access: Access, path: str, kind: type[_Answer]) -> _Answer:
    reply = _answered(
        access, exchange(access, "GET", path, deadline=DEADLINE, most=_MOST)
    )
    if reply.status != 200:
        raise _refusal(access, reply, unchanged="")
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HostError(
            f"{access.url} answered something else than a status: "
            f"{safe(str(error), 200)}",
            unchanged="",
            hint="It may be another FleetLock server, which tells nothing.",
        ) from error


def _order(access: Access, what: str, order: Mapping[str, Any], actor: str) -> str:
    reply = _answered(
        access,
        exchange(
            access,
            "POST",
            f"/v1/admin/{what}",
            body=msgspec.json.encode(order),
            headers={wire.NAME: quote(actor, safe="@ .")},
            deadline=DEADLINE,
        ),
    )
    if reply.status != 200:
        raise _refusal(access, reply, unchanged="The lock was not changed.")
    try:
        note = msgspec.json.decode(reply.body, type=dict[str, str]).get("note", "")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return safe(note, 300)


def _answered(access: Access, reply: Reply | Silence) -> Reply:
    if isinstance(reply, Silence):
        raise TransportError(
            f"{access.url} does not answer: {reply.reason}", unchanged=""
        )
    return reply


def _refusal(
    access: Access, reply: Reply, unchanged: str
) -> RefusedError | TransportError:
    outcome = client.classify(reply)
    where = f"{access.url} answered {reply.status}"
    match outcome:
        case client.Unreachable(reason=reason):
            return TransportError(f"{access.url}: {reason}", unchanged=unchanged)
        case (
            client.Refused(kind="not_found")
            | client.Refused(status=404, kind="http_404")
        ):
            return RefusedError(
                f"{where}: it has no such thing",
                unchanged=unchanged,
                hint="It may be another FleetLock server, which has no overrides.",
            )
        case client.Refused(text=text) | client.Wait(text=text):
            return RefusedError(f"{where}: {text}", unchanged=unchanged)
        case client.Granted():
            return RefusedError(where, unchanged=unchanged)
