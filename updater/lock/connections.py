"""The connections of the lock service: how long a client may take, and how many."""

import asyncio
import logging
from collections.abc import Callable

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

HEADERS_TIMEOUT = 30.0  # seconds from connecting, or from an answer, to a whole request
LATE = 1.0  # seconds: a loop that is so late has not read what is there
MOST_CONNECTIONS = 20_000

_SILENT = logging.getLogger("osupdate.lock.access")  # the ledger tells what happened
_SILENT.disabled = True


class Connection(RequestHandler):
    """aiohttp's, ended when its client does not send a whole request in time."""

    def __init__(
        self, server: web.Server, open_ones: set["Connection"], most: int
    ) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=_SILENT,
            auto_decompress=False,
            keepalive_timeout=HEADERS_TIMEOUT,
            lingering_time=2.0,
            max_line_size=2048,
        )
        self._open_ones = open_ones
        self._most = most
        self._patience: asyncio.TimerHandle | None = None
        self._until = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        super().connection_made(transport)
        self._open_ones.add(self)
        if len(self._open_ones) > self._most:
            self._give_up()
        else:
            self.request_ended()

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is gone."""
        self.request_began()
        self._open_ones.discard(self)
        super().connection_lost(exc)

    def request_began(self) -> None:
        """A whole request is there."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def request_ended(self) -> None:
        """It is answered; the next one has its time."""
        self.request_began()
        self._wait(HEADERS_TIMEOUT)

    def _wait(self, seconds: float) -> None:
        self._until = asyncio.get_running_loop().time() + seconds
        self._patience = asyncio.get_running_loop().call_at(self._until, self._too_late)

    def _too_late(self) -> None:
        """Whoever waits because this process is slow is not the slow one."""
        late = asyncio.get_running_loop().time() - self._until
        unread = self.transport.get_write_buffer_size() if self.transport else 0
        if late > LATE or (self._messages and not unread):
            self._wait(late + LATE)
        else:
            self._give_up()

    def _give_up(self) -> None:
        if self.transport is not None:
            self.transport.abort()


def factory(
    server: web.Server, most: int = MOST_CONNECTIONS
) -> Callable[[], Connection]:
    """What the event loop makes a connection with.

    Args:
        server: of aiohttp.
        most: connections at one time; one more is ended at once.
    """
    open_ones: set[Connection] = set()
    return lambda: Connection(server, open_ones, most)
