"""Clients that take their time: the service ends them, and serves the others."""

import asyncio
import contextlib
import socket
import time

import pytest
from support.locks import FakeTime

from updater.core.fleet import Ask, GroupSettings
from updater.lock import app, connections
from updater.lock.auth import Tokens
from updater.lock.config import ServiceConfig
from updater.lock.keeper import Keeper
from updater.lock.sqlite import SqliteStore

HEAD = b"POST /v1/pre-reboot HTTP/1.1\r\nHost: x\r\nfleet-lock-protocol: true\r\n"
BODY = b'{"client_params":{"id":"a","group":"default"}}'


@contextlib.asynccontextmanager
async def served(directory, most=1000):
    """The service in this process: its port."""
    fake = FakeTime()
    store = SqliteStore(f"{directory}/lock.db", fake.clock().now())
    keeper = Keeper(store, {"default": GroupSettings()}, fake.clock())
    await keeper.start()
    service = app.Service(ServiceConfig(), keeper, Tokens(None))
    runner = app.web.AppRunner(service.application(), handler_cancellation=True)
    await runner.setup()
    server = await asyncio.get_running_loop().create_server(
        connections.factory(runner.server, most), "127.0.0.1", 0
    )
    try:
        yield server.sockets[0].getsockname()[1], keeper
    finally:
        server.close()
        await runner.cleanup()
        await keeper.stop()


async def until_closed(reader):
    """What came, and after how many seconds the service ended the connection."""
    began = time.monotonic()
    try:
        data = await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        data = b""
    return data, time.monotonic() - began


@pytest.mark.parametrize("start", [b"", b"POST /v1/pre-re", HEAD])
def test_a_client_that_never_ends_its_headers_is_cut_off(tmp_path, monkeypatch, start):
    monkeypatch.setattr(connections, "HEADERS_TIMEOUT", 0.4)

    async def story():
        async with served(tmp_path) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(start)

            async def drip():
                with contextlib.suppress(ConnectionError):
                    while True:
                        await asyncio.sleep(0.1)
                        writer.write(b"x" if start else b"")

            dripping = asyncio.create_task(drip())
            data, seconds = await until_closed(reader)
            dripping.cancel()
            writer.close()
            assert data == b""
            assert 0.3 < seconds < 3

    asyncio.run(story())


def test_a_body_that_never_ends_is_answered_with_408(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "BODY_TIMEOUT", 0.3)

    async def story():
        async with served(tmp_path) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HEAD + b"Content-Length: 900\r\n\r\n{")
            answer = await asyncio.wait_for(reader.readuntil(b"}"), 5)
            writer.close()
            assert answer.startswith(b"HTTP/1.1 408")
            assert b'"kind":"timeout"' in answer

    asyncio.run(story())


def test_a_client_that_does_not_read_its_answers_is_cut_off(tmp_path, monkeypatch):
    """Also when it has sent the next request already."""
    monkeypatch.setattr(connections, "HEADERS_TIMEOUT", 0.5)

    async def story():
        async with served(tmp_path) as (port, keeper):
            for number in range(120):
                await keeper.ask("default", Ask(f"{number:0200}", why="w" * 200))
            raw = socket.create_connection(("127.0.0.1", port))
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.setblocking(False)
            loop = asyncio.get_running_loop()
            request = b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"
            ended = False
            for _ in range(100):
                try:
                    await asyncio.wait_for(loop.sock_sendall(raw, request * 50), 0.1)
                except TimeoutError:
                    continue
                except ConnectionError:
                    ended = True
                    break
                await asyncio.sleep(0.05)
            raw.close()
            assert ended

    asyncio.run(story())


def test_a_hundred_slow_clients_do_not_keep_a_quick_one_waiting(tmp_path):
    async def story():
        async with served(tmp_path) as (port, _):
            slow = [
                await asyncio.open_connection("127.0.0.1", port) for _ in range(100)
            ]
            for _, writer in slow:
                writer.write(HEAD)
            began = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
            answer = await reader.readline()
            assert answer.startswith(b"HTTP/1.1 200")
            assert time.monotonic() - began < 2
            writer.close()
            for _, writer in slow:
                writer.close()

    asyncio.run(story())


def test_more_connections_than_the_service_holds_are_ended_at_once(tmp_path):
    async def story():
        async with served(tmp_path, most=3) as (port, _):
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
            await asyncio.sleep(0)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert (await until_closed(reader))[0] == b""
            writer.close()
            held[0][1].close()
            await held[0][1].wait_closed()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            writer.close()
            for _, other in held[1:]:
                other.close()

    asyncio.run(story())


def test_who_goes_away_before_the_answer_is_granted_nothing(tmp_path):
    """As long as it is not being written: then the next request shows it."""

    async def story():
        async with served(tmp_path) as (port, keeper):
            await keeper._store._turn.acquire()  # the store is busy
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            first = BODY.replace(b'"a"', b'"b"')
            writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(first) + first)
            _, second = await asyncio.open_connection("127.0.0.1", port)
            while keeper._pending < 1:
                await asyncio.sleep(0.01)
            second.write(HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
            while keeper._pending < 2:
                await asyncio.sleep(0.01)
            second.close()
            while keeper._pending > 1:
                await asyncio.sleep(0.01)
            keeper._store._turn.release()
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            group = (await keeper.view()).groups["default"]
            assert [holder.id for holder in group.holders] == ["b"]
            assert len(group.queue) == 0
            writer.close()

    asyncio.run(story())
