"""One HTTP exchange with a lock service: bounded, never redirected, never guessed."""

import asyncio
import os
from collections.abc import Mapping

import aiohttp
from msgspec import Struct

from updater import __version__
from updater.core.text import safe
from updater.lock.access import Access, tls_context
from updater.lock.wire import PROTOCOL

MOST_ANSWER = 64 << 10  # bytes
_AGENT = f"osupdate/{__version__}"


class Reply(Struct, frozen=True):
    """What came back. `body` is at most as long as was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Silence(Struct, frozen=True):
    """Nothing usable came back, and why."""

    reason: str


def exchange(
    access: Access,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    deadline: float,
    most: int = MOST_ANSWER,
) -> Reply | Silence:
    """Ask once.

    Args:
        access: whom, and as whom.
        method: of HTTP.
        path: begins with a slash; goes behind the service's URL.
        body: what to send.
        headers: beside the protocol's own.
        deadline: seconds for all of it.
        most: bytes of the answer that are read; the rest is not waited for.
    """
    return asyncio.run(_exchange(access, method, path, body, headers, deadline, most))


async def _exchange(
    access: Access,
    method: str,
    path: str,
    body: bytes | None,
    headers: Mapping[str, str] | None,
    deadline: float,
    most: int,
) -> Reply | Silence:
    sent = {PROTOCOL: "true", "User-Agent": _AGENT, **(headers or {})}
    if body is not None:
        sent["Content-Type"] = "application/json"
    if access.token is not None:
        sent["Authorization"] = f"Bearer {access.token}"
    try:
        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=deadline),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                connector=aiohttp.TCPConnector(ssl=tls_context(access) or True),
            ) as session,
            session.request(
                method,
                f"{access.url}{path}",
                data=body,
                headers=sent,
                allow_redirects=False,
                proxy=access.proxy,
            ) as response,
        ):
            data = b""
            while len(data) < most and (chunk := await response.content.readany()):
                data += chunk
            if not response.content.at_eof():
                response.close()
            return Reply(response.status, response.headers, data[:most])
    except TimeoutError:
        return Silence(f"no answer within {deadline:g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Silence(reason_of(error))


def reason_of(error: Exception) -> str:
    """What went wrong, in the words of the system where it has some."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            text = f"its certificate is not accepted: {error.certificate_error}"
        case aiohttp.ClientConnectorDNSError():
            text = f"no address is known for {error.host}"
        case aiohttp.ClientConnectorError() if (error.os_error.errno or 0) > 0:
            text = f"{os.strerror(error.os_error.errno or 0).lower()}"
        case TimeoutError():
            text = "no answer in time"
        case _:
            text = str(error) or type(error).__name__
    return safe(text, 300)
