"""The HTTP side of the lock service: FleetLock, status, ledger, overrides, page.

Every request is bounded in size and time. Only a change that is stored is answered with
200; whatever else happens is an error in FleetLock's form.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeVar, cast

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from updater import __version__
from updater.core.fleet import Answer
from updater.core.text import safe
from updater.errors import ConfigError
from updater.lock import page, status, wire
from updater.lock.auth import Identity, Tokens, identify, is_local_name, may_speak_for
from updater.lock.config import GROUP, ServiceConfig
from updater.lock.connections import Connection
from updater.lock.keeper import Keeper, OverloadedError
from updater.lock.metrics import CONTENT_TYPE, metrics
from updater.lock.store import Line, StoreError, View
from updater.lock.wire import BadRequestError, Failure

BODY_TIMEOUT = 10.0  # seconds
RETRY_UNAVAILABLE = 30  # seconds, told when the store does not answer
FRESH = 1.0  # seconds that what is looked at may be old
FRESH_CHANGED = 0.1  # the same after a change that this service made
RECENT = 100  # entries of the ledger on the page
MOST_LOG = 1000  # entries of the ledger in one answer

log = logging.getLogger("osupdate.lock")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_Body = TypeVar("_Body")

Reason = Annotated[str, Meta(min_length=1, max_length=500)]


class ForceRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Take a slot or place away."""

    group: str
    id: str
    reason: Reason


class DrainRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Grant nothing more, or again."""

    group: str
    on: bool
    reason: Reason


class SlotsRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Let so many be down at once."""

    group: str
    slots: Annotated[int, Meta(ge=0, le=10_000)]
    reason: Reason


class Service:
    """The handlers, and what they share."""

    def __init__(self, config: ServiceConfig, keeper: Keeper, tokens: Tokens) -> None:
        self._config = config
        self._keeper = keeper
        self._tokens = tokens
        self._tokens_at = 0.0
        self._looking = asyncio.Lock()
        self._seen: tuple[float, View, list[Line]] | None = None
        self._changed = False
        self._made: dict[str, bytes] = {}

    def application(self) -> web.Application:
        """The application of aiohttp."""
        app = web.Application(
            middlewares=[self._guard], client_max_size=wire.MOST_BODY, logger=log
        )
        app.add_routes(
            [
                web.post(wire.PRE_REBOOT, self._pre_reboot),
                web.post(wire.STEADY_STATE, self._steady_state),
                web.post("/v1/admin/release", self._force),
                web.post("/v1/admin/drain", self._drain),
                web.post("/v1/admin/slots", self._slots),
                web.get("/v1/status", self._status),
                web.get("/v1/log", self._log),
                web.get("/healthz", self._healthz),
                web.get("/metrics", self._metrics),
                web.get("/", self._page),
            ]
        )
        return app

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        """Time limits, and every error in the one form."""
        connection = request.protocol
        if isinstance(connection, Connection):
            connection.request_began()
        try:
            response = await handler(request)
        except BadRequestError as error:
            self._keeper.counts["refused", error.kind] += 1
            response = _failure(error.status, error.kind, str(error))
        except StoreError as error:
            text = f"{error}. {error.unchanged}"
            retry = {"Retry-After": str(RETRY_UNAVAILABLE)}
            busy = isinstance(error, OverloadedError)
            kind = "overloaded" if busy else "backend_unavailable"
            response = _failure(503, kind, text, retry)
        except web.HTTPNotFound:
            response = _failure(404, "not_found", "there is nothing at this path")
        except web.HTTPMethodNotAllowed as error:
            text = f"expected {', '.join(sorted(error.allowed_methods))}"
            response = _failure(405, "method_not_allowed", text)
        except web.HTTPException as error:
            response = _failure(error.status, "bad_request", error.reason)
        except Exception:
            log.exception("a mistake of this program")
            response = _failure(500, "internal_error", "a mistake of the lock service")
        finally:
            if isinstance(connection, Connection):
                connection.request_ended()
        response.headers["Server"] = f"osupdate-lock/{__version__}"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    async def _pre_reboot(self, request: web.Request) -> web.Response:
        params, who = await self._node(request)
        ask = wire.parse_ask(params.id, request.headers, who.actor)
        return self._answer(await self._keeper.ask(params.group, ask))

    async def _steady_state(self, request: web.Request) -> web.Response:
        params, who = await self._node(request)
        proof = wire.parse_proof(params.id, request.headers, who.actor)
        return self._answer(await self._keeper.release(params.group, proof))

    async def _force(self, request: web.Request) -> web.Response:
        asked, actor = await self._admin(request, ForceRequest)
        answer = await self._keeper.force(asked.group, asked.id, asked.reason, actor)
        return self._overridden(answer)

    async def _drain(self, request: web.Request) -> web.Response:
        asked, actor = await self._admin(request, DrainRequest)
        answer = await self._keeper.drain(asked.group, asked.on, asked.reason, actor)
        return self._overridden(answer)

    async def _slots(self, request: web.Request) -> web.Response:
        asked, actor = await self._admin(request, SlotsRequest)
        if not GROUP.match(asked.group):
            text = "expected a group of a-z, A-Z, 0-9, . and -"
            raise BadRequestError("invalid_body", text)
        answer = await self._keeper.slots(asked.group, asked.slots, asked.reason, actor)
        return self._overridden(answer)

    async def _status(self, _: web.Request) -> web.Response:
        body = await self._shown("status", msgspec.json.encode)
        return _json(body)

    async def _log(self, request: web.Request) -> web.Response:
        after = _number(request.query, "after", None)
        limit = _number(request.query, "limit", RECENT)
        lines = await self._keeper.log(after=after, limit=min(limit or 1, MOST_LOG))
        return _json(msgspec.json.encode(status.log(lines)))

    async def _healthz(self, _: web.Request) -> web.Response:
        await self._look()
        if self._keeper.trouble is not None:
            raise StoreError(self._keeper.trouble.reason)
        return web.Response(body=b'{"status":"ok"}', content_type="application/json")

    async def _metrics(self, _: web.Request) -> web.Response:
        try:
            view = (await self._look())[0]
        except StoreError:
            view = None
        text = metrics(view, self._keeper.counts, self._keeper.moment(""))
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def _page(self, _: web.Request) -> web.Response:
        try:
            body = await self._shown("page", lambda value: page.render(value).encode())
            code = 200
        except StoreError as error:
            body, code = page.unavailable(str(error)).encode(), 503
        return web.Response(body=body, status=code, headers=page.HEADERS)

    async def _shown(self, name: str, make: Callable[[status.Status], bytes]) -> bytes:
        """The page or the status: made once for all who look in the same second."""
        view, lines = await self._look()
        if name not in self._made:
            moment = self._keeper.moment("")
            made = status.status(view, lines, moment, self._keeper.trouble)
            self._made[name] = make(made)
        return self._made[name]

    async def _look(self) -> tuple[View, list[Line]]:
        """What everybody who looks sees; read once for all of them."""
        async with self._looking:
            enough = FRESH_CHANGED if self._changed else FRESH
            if self._seen is None or time.monotonic() - self._seen[0] > enough:
                self._seen, self._changed = None, False
                self._made = {}
                view = await self._keeper.view()
                lines = await self._keeper.log(limit=RECENT)
                self._seen = time.monotonic(), view, lines
            return self._seen[1], self._seen[2]

    def _overridden(self, answer: Answer) -> web.Response:
        """The answer to a person, who looks next whether it worked."""
        self._seen = None
        return self._answer(answer)

    def _answer(self, answer: Answer) -> web.Response:
        self._changed = True
        code = wire.STATUS[answer.kind]
        headers = wire.answer_headers(answer)
        if code != 200:
            return _failure(code, answer.kind, answer.text, headers)
        body = msgspec.json.encode({"note": answer.text} if answer.text else {})
        return web.Response(body=body, content_type="application/json", headers=headers)

    async def _node(self, request: web.Request) -> tuple[wire.ClientParams, Identity]:
        """The node that speaks, and whose word that is.

        Raises:
            BadRequestError.
        """
        who = self._identity(request)
        params = wire.parse_body(await _body(request))
        refusal = may_speak_for(self._config.auth, who, params.id)
        if refusal is not None:
            known = who.role != "anybody"
            kind = "forbidden" if known else "unauthorized"
            raise BadRequestError(kind, refusal, 403 if known else 401)
        return params, who

    async def _admin(
        self, request: web.Request, kind: type[_Body]
    ) -> tuple[_Body, str]:
        """What a person wants, and who it is.

        Raises:
            BadRequestError.
        """
        who = self._identity(request)
        actor = who.actor
        if who.role != "admin":
            if not self._is_at_the_machine(request, who):
                text = "this needs the token or certificate of an administrator"
                raise BadRequestError("forbidden", text, 403)
            name = wire.parse_proof("", request.headers, "").name
            actor = f"{name or 'somebody'} (not authenticated)"
        try:
            return msgspec.json.decode(await _body(request), type=kind), actor
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadRequestError("invalid_body", safe(str(error), 200)) from error

    def _is_at_the_machine(self, request: web.Request, who: Identity) -> bool:
        """Whether nobody needs to prove anything: a service for this machine alone.

        The Host header keeps web pages out that had their name point here.
        """
        return (
            self._config.open
            and self._config.local
            and who.role == "anybody"
            and is_local_name(request.headers.get("Host"))
        )

    def _identity(self, request: web.Request) -> Identity:
        """Who sent this.

        Raises:
            BadRequestError: it is no FleetLock, or they are not who they say they are.
        """
        if request.headers.get(wire.PROTOCOL) != "true":
            text = f"expected the header {wire.PROTOCOL}: true"
            raise BadRequestError("missing_header", text)
        self._refresh_tokens()
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport else None
        who = identify(
            self._config.auth,
            self._tokens,
            cast("Mapping[str, Any] | None", certificate),
            request.headers.get("Authorization"),
        )
        if who is None:
            raise BadRequestError("unauthorized", "this token is not known here", 401)
        return who

    def _refresh_tokens(self) -> None:
        if time.monotonic() - self._tokens_at < FRESH:
            return
        self._tokens_at = time.monotonic()
        try:
            self._tokens.refresh()
        except ConfigError as error:
            log.warning("%s; the tokens read before still count", error)


async def _body(request: web.Request) -> bytes:
    """The body of a request, bounded.

    Raises:
        BadRequestError.
    """
    data = b""
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            while chunk := await request.content.readany():
                data += chunk
                if len(data) > wire.MOST_BODY:
                    text = f"expected at most {wire.MOST_BODY} bytes"
                    raise BadRequestError("body_too_large", text, 413)
    except TimeoutError as error:
        text = f"the body did not arrive within {BODY_TIMEOUT:g} s"
        raise BadRequestError("timeout", text, 408) from error
    return data


def _failure(
    code: int, kind: str, text: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    response = web.Response(
        body=msgspec.json.encode(Failure(kind, safe(text, 1000))),
        status=code,
        content_type="application/json",
        headers=headers,
    )
    if code in (408, 413):  # the rest of the body is not wanted
        response.force_close()
    return response


def _json(body: bytes) -> web.Response:
    return web.Response(
        body=body,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _number(query: Mapping[str, str], name: str, default: int | None) -> int | None:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadRequestError("bad_request", f"{name}: expected a number")
    return int(text)
