"""What is said on the wire: FleetLock's bodies, and our headers beside them.

The protocol is Zincati's (coreos/zincati, docs/development/fleetlock/protocol.md). The
body holds `client_params` with `id` and `group` and nothing else of ours; what goes
beyond it travels in headers, percent-encoded UTF-8, because servers exist that refuse a
body with more.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from msgspec import Struct

from updater.core.fleet import Answer, Ask, Kind, Phase, Proof, Verdict
from updater.core.text import safe
from updater.lock.config import GROUP

PROTOCOL = "fleet-lock-protocol"
MOST_BODY = 16 << 10  # bytes
MOST_ID = 256  # characters
MOST_TEXT = 200

PRE_REBOOT = "/v1/pre-reboot"
STEADY_STATE = "/v1/steady-state"

NAME = "Osupdate-Name"
WHY = "Osupdate-Why"
FROM = "Osupdate-From"
TARGET = "Osupdate-Target"
PHASE = "Osupdate-Phase"
REQUEST = "Osupdate-Request"
BOOTED = "Osupdate-Booted"
VERDICT = "Osupdate-Verdict"
POSITION = "Osupdate-Position"
WAITING = "Osupdate-Waiting"
EXPECTED = "Osupdate-Expected"

STATUS = {
    Kind.OK: 200,
    Kind.LOCK_HELD: 423,
    Kind.DRAINING: 423,
    Kind.QUEUE_FULL: 429,
    Kind.NOT_PROVED: 409,
    Kind.STALE: 409,
    Kind.UNKNOWN_GROUP: 404,
    Kind.UNKNOWN_HOLDER: 404,
}
"""The HTTP status of each answer. Only 200 is a grant."""


class BadRequestError(Exception):
    """A request that the protocol does not know; `kind` goes into the body."""

    def __init__(self, kind: str, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.kind = kind
        self.status = status


class ClientParams(Struct, frozen=True):
    """FleetLock's identity of a client. More keys are passed over."""

    id: str
    group: str


class Body(Struct, frozen=True):
    """FleetLock's body of a request."""

    client_params: ClientParams


class Failure(Struct, frozen=True):
    """FleetLock's body of an error: a name that programs count, a text for people."""

    kind: str
    value: str


def parse_body(data: bytes) -> ClientParams:
    """The identity that a body holds.

    Raises:
        BadRequestError.
    """
    try:
        params = msgspec.json.decode(data, type=Body).client_params
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequestError(
            "invalid_body",
            f"expected client_params with id and group: {safe(str(error), 200)}",
        ) from error
    if not params.id or len(params.id) > MOST_ID or not params.id.isprintable():
        raise BadRequestError(
            "invalid_client_identity",
            f"expected an id of 1 to {MOST_ID} printable characters",
        )
    if not GROUP.match(params.group):
        raise BadRequestError(
            "invalid_client_identity", "expected a group of a-z, A-Z, 0-9, . and -"
        )
    return params


def parse_ask(node: str, headers: Mapping[str, str], actor: str) -> Ask:
    """A request for the lock.

    Raises:
        BadRequestError.
    """
    phase = headers.get(PHASE, Phase.GRANTED)
    if phase not in set(Phase):
        raise _bad_header(PHASE, ", ".join(Phase))
    return Ask(
        id=node,
        name=_text(headers, NAME),
        why=_text(headers, WHY),
        origin=_text(headers, FROM),
        target=_text(headers, TARGET),
        phase=Phase(phase),
        request=_number(headers),
        actor=actor,
    )


def parse_proof(node: str, headers: Mapping[str, str], actor: str) -> Proof:
    """A release.

    Raises:
        BadRequestError.
    """
    verdict = headers.get(VERDICT)
    if verdict is not None and verdict not in set(Verdict):
        raise _bad_header(VERDICT, ", ".join(Verdict))
    return Proof(
        id=node,
        name=_text(headers, NAME),
        booted=_text(headers, BOOTED),
        verdict=None if verdict is None else Verdict(verdict),
        request=_number(headers),
        actor=actor,
    )


def ask_headers(ask: Ask) -> dict[str, str]:
    """What `parse_ask` reads."""
    texts = {NAME: ask.name, WHY: ask.why, FROM: ask.origin, TARGET: ask.target}
    headers = _quoted(texts)
    if ask.phase is not Phase.GRANTED:
        headers[PHASE] = ask.phase
    if ask.request is not None:
        headers[REQUEST] = str(ask.request)
    return headers


def proof_headers(proof: Proof) -> dict[str, str]:
    """What `parse_proof` reads."""
    headers = _quoted({NAME: proof.name, BOOTED: proof.booted})
    if proof.verdict is not None:
        headers[VERDICT] = proof.verdict
    if proof.request is not None:
        headers[REQUEST] = str(proof.request)
    return headers


def answer_headers(answer: Answer) -> dict[str, str]:
    """What goes beyond the body of an answer."""
    found: dict[str, Any] = {
        "Retry-After": answer.retry_after,
        POSITION: answer.position,
        WAITING: answer.waiting,
        EXPECTED: answer.expected,
    }
    return {name: str(value) for name, value in found.items() if value is not None}


def request_body(node: str, group: str) -> bytes:
    """FleetLock's body, exactly."""
    return msgspec.json.encode(Body(ClientParams(node, group)))


def _quoted(texts: Mapping[str, str]) -> dict[str, str]:
    return {
        name: quote(text[:MOST_TEXT], safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~")
        for name, text in texts.items()
        if text
    }


def _text(headers: Mapping[str, str], name: str) -> str:
    text = unquote(headers.get(name, ""), errors="backslashreplace")
    return safe(text, MOST_TEXT)


def _number(headers: Mapping[str, str]) -> int | None:
    text = headers.get(REQUEST)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise _bad_header(REQUEST, "a number of at most 15 digits")
    return int(text)


def _bad_header(name: str, wanted: str) -> BadRequestError:
    return BadRequestError("invalid_header", f"{name}: expected {wanted}")
