"""etcd v3 over its JSON gateway: ranges, transactions, leases, and nothing else.

The gateway speaks JSON with base64 keys and values, and 64-bit numbers as strings
(https://etcd.io/docs/latest/dev-guide/api_grpc_gateway/, `/v3` since etcd 3.4).
Endpoints are tried in turn, beginning with the one that answered last.
"""

import asyncio
import contextlib
import ssl
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from updater.core.text import safe
from updater.lock.exchange import reason_of
from updater.lock.store import StoreError

TIMEOUT = 3.0  # seconds for one call to one endpoint
_MOST = 64 << 20  # bytes of an answer

Object = dict[str, Any]


class KeyValue(Struct, frozen=True):
    """One key, as it was read; `created` and `modified` are revisions."""

    key: str
    value: bytes
    created: int
    modified: int
    lease: int


class Range(Struct, frozen=True):
    """What a range found, and at which revision of the store."""

    found: tuple[KeyValue, ...]
    revision: int


class Etcd:
    """A cluster, by the URLs of its members."""

    def __init__(self, endpoints: Sequence[str], tls: ssl.SSLContext | None) -> None:
        self._endpoints = list(endpoints)
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the client; nothing is asked yet."""
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            connector=aiohttp.TCPConnector(limit=64, ssl=self._tls or True),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close its connections."""
        if self._session is not None:
            await self._session.close()

    async def ranges(self, *wanted: Object) -> list[Range]:
        """Several ranges of one revision."""
        body = {"success": [{"request_range": one} for one in wanted]}
        answer = await self.call("kv/txn", body)
        revision = int(answer["header"]["revision"])
        return [_range(one["response_range"], revision) for one in answer["responses"]]

    async def range(self, wanted: Object) -> Range:
        """One range."""
        answer = await self.call("kv/range", wanted)
        return _range(answer, int(answer["header"]["revision"]))

    async def commit(
        self, compare: Sequence[Object], success: Sequence[Object]
    ) -> int | None:
        """A transaction: its revision, or None when a comparison did not hold."""
        body = {"compare": list(compare), "success": list(success)}
        answer = await self.call("kv/txn", body)
        if not answer.get("succeeded", False):
            return None
        return int(answer["header"]["revision"])

    async def call(self, path: str, body: Object) -> Object:
        """One request, to the first endpoint that answers.

        Raises:
            StoreError: none did, or etcd refused it.
        """
        if self._session is None:
            raise StoreError("the connection to etcd is closed")
        reasons: list[str] = []
        for endpoint in list(self._endpoints):
            try:
                return await self._post(self._session, f"{endpoint}/v3/{path}", body)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                reasons.append(f"{endpoint}: {reason_of(error)}")
                with contextlib.suppress(ValueError):  # another call moved it
                    self._endpoints.remove(endpoint)
                    self._endpoints.append(endpoint)
        raise StoreError(
            f"no etcd answers ({'; '.join(reasons)})",
            unchanged="Nobody is granted anything until one does.",
        )

    async def _post(
        self, session: aiohttp.ClientSession, url: str, body: Object
    ) -> Object:
        async with session.post(
            url, data=msgspec.json.encode(body), allow_redirects=False
        ) as response:
            data = await response.content.read(_MOST + 1)
            while not response.content.at_eof() and len(data) <= _MOST:
                data += await response.content.read(_MOST + 1 - len(data))
        try:
            answer = msgspec.json.decode(data, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise aiohttp.ClientPayloadError(
                f"status {response.status}, and not JSON"
            ) from error
        if response.status in (502, 503, 504):
            raise aiohttp.ClientPayloadError(_reason(answer, response.status))
        if response.status != 200:
            raise StoreError(f"etcd refused: {_reason(answer, response.status)}")
        return answer

    async def new_lease(self, lease: int, seconds: int) -> None:
        """Make a lease; that it exists already is fine."""
        try:
            await self.call("lease/grant", {"ID": str(lease), "TTL": str(seconds)})
        except StoreError as error:
            if "already exists" not in str(error):
                raise

    async def keep_alive(self, leases: Sequence[int]) -> None:
        """Begin the time of leases anew; ones that are gone are passed over."""
        room = asyncio.Semaphore(16)

        async def one(lease: int) -> None:
            async with room:
                await self.call("lease/keepalive", {"ID": str(lease)})

        for done in await asyncio.gather(*map(one, leases), return_exceptions=True):
            if isinstance(done, BaseException) and not isinstance(done, StoreError):
                raise done

    async def age(self, lease: int) -> int | None:
        """Seconds since a lease was last kept alive; None when it is gone."""
        answer = await self.call("lease/timetolive", {"ID": str(lease)})
        left = int(answer.get("TTL", -1))
        if left < 0:
            return None
        return max(0, int(answer.get("grantedTTL", left)) - left)


def key_range(key: str) -> Object:
    """The range of one key."""
    return {"key": encode(key)}


def prefix_range(prefix: str, **options: Any) -> Object:  # noqa: ANN401 - JSON
    """The range of every key that begins so."""
    raw = prefix.encode()
    end = raw[:-1] + bytes([raw[-1] + 1])
    return {
        "key": encode(prefix),
        "range_end": b64encode(end).decode(),
        **options,
    }


def unchanged(key: str, modified: int) -> Object:
    """The comparison that a key was not changed since; 0 is that it is not there."""
    return {
        "key": encode(key),
        "target": "MOD",
        "result": "EQUAL",
        "mod_revision": str(modified),
    }


def put(key: str, value: bytes, lease: int = 0) -> Object:
    """Write a key."""
    body: Object = {"key": encode(key), "value": b64encode(value).decode()}
    if lease:
        body["lease"] = str(lease)
    return {"request_put": body}


def delete(key: str) -> Object:
    """Remove a key."""
    return {"request_delete_range": {"key": encode(key)}}


def encode(key: str) -> str:
    """A key as JSON carries it."""
    return b64encode(key.encode()).decode()


def _range(answer: Object, revision: int) -> Range:
    found = tuple(
        KeyValue(
            key=b64decode(one["key"]).decode("utf-8", "replace"),
            value=b64decode(one.get("value", "")),
            created=int(one["create_revision"]),
            modified=int(one["mod_revision"]),
            lease=int(one.get("lease", 0)),
        )
        for one in answer.get("kvs", ())
    )
    return Range(found, revision)


def _reason(answer: Object, status: int) -> str:
    words = answer.get("message") or answer.get("error") or ""
    return f"{safe(str(words), 200)} (status {status})"
