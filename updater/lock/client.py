"""A node's side of FleetLock: may I go down, and I am up.

Exactly 200 is a yes. 202 is not: there is a server that means "keep waiting" by it
(heathcliff26/fleetlock), and clients that count 2xx reboot too early there. Servers say
no in different ways; each is read as what the node can do about it.
"""

from typing import Any

import msgspec
from msgspec import Struct

from updater.core.fleet import Ask, Proof, Verdict
from updater.core.text import safe
from updater.lock import wire
from updater.lock.access import Access
from updater.lock.exchange import Reply, Silence, exchange

__all__ = [
    "Ask",
    "Granted",
    "Outcome",
    "Proof",
    "Refused",
    "Unreachable",
    "Verdict",
    "Wait",
    "as_object",
    "classify",
    "pre_reboot",
    "steady_state",
]

DEADLINE = 30.0  # seconds for one request
USUAL_WAIT = 300  # seconds until the next try, when the server says nothing
_MOST_WAIT = 3600

_FULL = {
    "failed_lock"
}  # airlock (500) and knubbis (409) say so when all slots are held


class Granted(Struct, frozen=True):
    """Yes: the lock is held, or given back."""


class Wait(Struct, frozen=True):
    """Not now; ask again in `retry_after` seconds.

    `position`, `waiting` and `expected` (seconds) are None where a server has no queue.
    """

    retry_after: int
    kind: str
    text: str
    position: int | None = None
    waiting: int | None = None
    expected: int | None = None


class Refused(Struct, frozen=True):
    """No, and asking again changes nothing until somebody mends something."""

    status: int
    kind: str
    text: str


class Unreachable(Struct, frozen=True):
    """Nobody there could decide; that is never a yes. Try in `retry_after` seconds."""

    reason: str
    retry_after: int


Outcome = Granted | Wait | Refused | Unreachable


def pre_reboot(
    access: Access, group: str, ask: Ask, *, deadline: float = DEADLINE
) -> Outcome:
    """Ask for the lock. Asking again while it is held is fine, and keeps it.

    Args:
        access: the service.
        group: the node's.
        ask: who, and what for.
        deadline: seconds for the whole request.
    """
    body = wire.request_body(ask.id, group)
    reply = exchange(
        access,
        "POST",
        wire.PRE_REBOOT,
        body=body,
        headers=wire.ask_headers(ask),
        deadline=deadline,
    )
    return classify(reply)


def steady_state(
    access: Access, group: str, proof: Proof, *, deadline: float = DEADLINE
) -> Outcome:
    """Give the lock back, if it is held.

    Args:
        access: the service.
        group: the node's.
        proof: who, and what was booted.
        deadline: seconds for the whole request.
    """
    body = wire.request_body(proof.id, group)
    reply = exchange(
        access,
        "POST",
        wire.STEADY_STATE,
        body=body,
        headers=wire.proof_headers(proof),
        deadline=deadline,
    )
    return classify(reply)


def as_object(outcome: Outcome) -> dict[str, Any]:
    """`osupdate.lock-answer/1`: what is printed of an answer."""
    made: dict[str, Any] = {
        "schema": "osupdate.lock-answer/1",
        "answer": type(outcome).__name__.lower(),
        "kind": None,
        "text": "",
        "retry_after": None,
        "position": None,
        "waiting": None,
        "expected": None,
    }
    found: dict[str, Any] = msgspec.to_builtins(outcome)
    if isinstance(outcome, Unreachable):
        found["text"] = found.pop("reason")
    found.pop("status", None)
    return made | found


def classify(reply: Reply | Silence) -> Outcome:
    """What an answer of any FleetLock server means for the node."""
    if isinstance(reply, Silence):
        return Unreachable(reply.reason, USUAL_WAIT)
    if reply.status == 200:
        return Granted()
    kind, text = _failure(reply)
    retry = _seconds(reply, "Retry-After")
    if reply.status in (202, 423, 429) or kind in _FULL:
        return Wait(
            retry_after=min(max(retry or USUAL_WAIT, 1), _MOST_WAIT),
            kind=kind,
            text=text,
            position=_seconds(reply, wire.POSITION),
            waiting=_seconds(reply, wire.WAITING),
            expected=_seconds(reply, wire.EXPECTED),
        )
    if reply.status >= 500 or reply.status == 408:
        wait = min(max(retry or USUAL_WAIT, 1), _MOST_WAIT)
        return Unreachable(f"it answered {reply.status}: {text}", wait)
    if 300 <= reply.status < 400:
        target = safe(reply.headers.get("Location", "elsewhere"), 200)
        text = f"it points to {target}, where nobody follows; expected the final URL"
    return Refused(reply.status, kind, text)


def _failure(reply: Reply) -> tuple[str, str]:
    """Kind and text of a body in FleetLock's form, or what can be said without one."""
    try:
        found = msgspec.json.decode(reply.body, type=wire.Failure)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = safe(reply.body.strip(), 200) or "no reason was given"
        return f"http_{reply.status}", text
    return safe(found.kind, 64) or f"http_{reply.status}", safe(found.value, 500)


def _seconds(reply: Reply, name: str) -> int | None:
    """A header that holds a small number, or None."""
    text = reply.headers.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        return None
    return int(text)
