"""The lock's client against our service, fakes of the other servers, and liars."""

import asyncio
import gzip
import os
import threading
import time

import pytest
from support.certificates import Authority
from support.fake_fleetlock import (
    FAKES,
    FakeAirlock,
    FakeDynamo,
    FakeHeathcliff,
    FakePoseidon,
    RawServer,
)
from support.lock_service import LockService

from updater.core.fleet import Ask, Phase, Proof, Verdict
from updater.errors import HostError, RefusedError, TransportError
from updater.lock import office
from updater.lock.access import access
from updater.lock.client import (
    Granted,
    Refused,
    Unreachable,
    Wait,
    pre_reboot,
    steady_state,
)

FULL_ASK = Ask(
    "a", "café\n1", "update; why=%\x1b[31m", "1.0", "2.0", Phase.REBOOTING, 7
)


@pytest.fixture
def service(tmp_path):
    with LockService(tmp_path / "service") as running:
        yield running


def test_it_takes_keeps_and_releases_the_lock_of_our_service(service):
    made = access(service.url)
    assert pre_reboot(made, "default", FULL_ASK) == Granted()
    assert pre_reboot(made, "default", FULL_ASK) == Granted()
    waiting = pre_reboot(made, "default", Ask("b"))
    assert isinstance(waiting, Wait)
    assert (waiting.kind, waiting.position, waiting.waiting) == ("lock_held", 1, 1)
    refused = steady_state(made, "default", Proof("a", request=7))
    assert isinstance(refused, Refused)
    assert (refused.status, refused.kind) == (409, "not_proved")
    proof = Proof("a", booted="2.0", verdict=Verdict.GOOD, request=7)
    assert steady_state(made, "default", proof) == Granted()
    assert steady_state(made, "default", proof) == Granted()
    assert pre_reboot(made, "default", Ask("b")) == Granted()
    unknown = pre_reboot(made, "nope", Ask("a"))
    assert isinstance(unknown, Refused)
    assert unknown.kind == "unknown_group"


def test_every_word_arrives_as_it_was_said_but_safe(service):
    made = access(service.url)
    pre_reboot(made, "default", FULL_ASK)
    [group] = office.status(made).groups
    [holder] = group.holders
    assert holder.name == "café\\n1"
    assert holder.why == "update; why=%\\x1b[31m"
    assert (holder.origin, holder.target, holder.phase) == ("1.0", "2.0", "rebooting")


@pytest.mark.parametrize("fake", FAKES, ids=lambda fake: fake.__name__)
def test_it_understands_the_dialect(fake):
    with fake() as server:
        made = access(server.url)
        first = [pre_reboot(made, "web", FULL_ASK) for _ in range(3)]
        assert first[-1] == Granted()
        full = pre_reboot(made, "web", Ask("b"))
        assert isinstance(full, Refused if fake is FakeDynamo else Wait)
        assert type(fake).__name__ not in full.text
        assert fake.__name__ in full.text, "the fake says that it is one"
        assert pre_reboot(made, "other", Ask("a")) != Granted()
        foreign = steady_state(made, "web", Proof("b"))
        if fake in (FakePoseidon, FakeDynamo):
            assert foreign != Granted()
        else:
            assert foreign == Granted()
        assert server.holder == "a"
        proof = Proof("a", booted="2.0", verdict=Verdict.GOOD, request=7)
        assert steady_state(made, "web", proof) == Granted()
        assert server.holder is None
        path, headers, body = server.requests[0]
        assert path == "/v1/pre-reboot"
        assert body == b'{"client_params":{"id":"a","group":"web"}}'
        assert headers["fleet-lock-protocol"] == "true"


def test_202_keeps_waiting_until_the_node_is_drained():
    with FakeHeathcliff() as server:
        made = access(server.url)
        answers = [pre_reboot(made, "web", Ask("a")) for _ in range(3)]
        assert [type(answer) for answer in answers] == [Wait, Wait, Granted]
        assert answers[0].kind == "waiting_for_node_drain"


def test_a_redirect_is_not_followed_and_the_token_not_sent_on(tmp_path):
    token = tmp_path / "token"
    token.write_text("geheim")
    with FakeAirlock() as target:
        head = f"HTTP/1.1 307 Go\r\nLocation: {target.url}/v1/pre-reboot\r\n"

        def answer():
            yield f"{head}Content-Length: 0\r\n\r\n".encode()

        with RawServer(answer) as server:
            made = access(server.url, token_file=str(token))
            found = pre_reboot(made, "web", Ask("a"))
            assert isinstance(found, Refused)
            assert found.status == 307
        assert target.requests == []
        assert target.holder is None


def ok(body=b"", *headers, length=None):
    size = len(body) if length is None else length
    head = [b"HTTP/1.1 200 OK", *headers, b"Content-Length: %d" % size]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


LIARS = {
    "closes at once": (list, Unreachable),
    "no http": (lambda: [b"SSH-2.0-OpenSSH_9.2\r\n"], Unreachable),
    "half a status line": (lambda: [b"HTTP/1.1 20"], Unreachable),
    "half a body": (lambda: [ok(b"{}", length=500)], Unreachable),
    "100 MB": (
        lambda: [ok(length=100 << 20), *(b"x" * 65536 for _ in range(1600))],
        Granted,
    ),
    "100 MB of headers": (
        lambda: [b"HTTP/1.1 200 OK\r\n", *(b"X: " + b"y" * 65536 for _ in range(1600))],
        Unreachable,
    ),
    "a gzip bomb": (
        lambda: [ok(gzip.compress(b"x" * (50 << 20)), b"Content-Encoding: gzip")],
        Granted,
    ),
    "hangs": (lambda: [30.0], Unreachable),
    "hangs in the body": (lambda: [ok(length=9), 30.0], Unreachable),
    "one byte at a time": (
        lambda: (piece for _ in range(300) for piece in (b"H", 0.1)),
        Unreachable,
    ),
    "204": (lambda: [b"HTTP/1.1 204 No Content\r\n\r\n"], Refused),
    "201": (lambda: [ok().replace(b"200 OK", b"201 Created")], Refused),
    "100 and nothing": (lambda: [b"HTTP/1.1 100 Continue\r\n\r\n"], Unreachable),
}


@pytest.mark.parametrize("name", LIARS)
def test_whatever_a_server_does_the_client_comes_back_with_an_answer(name):
    pieces, outcome = LIARS[name]
    with RawServer(pieces) as server:
        began = time.monotonic()
        found = pre_reboot(access(server.url), "web", Ask("a"), deadline=1.5)
        assert time.monotonic() - began < 4
        assert type(found) is outcome, found


def test_nobody_there_is_unreachable_and_says_why():
    found = pre_reboot(access("http://127.0.0.1:1"), "web", Ask("a"))
    assert found == Unreachable("connection refused", 300)
    found = pre_reboot(access("http://lock.invalid"), "web", Ask("a"), deadline=5)
    assert isinstance(found, Unreachable)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def secure(tmp_path, authority):
    server = authority.issue("server")
    config = (
        f'[tls]\ncert = "{server}"\nkey = "{server}"\n'
        f'client_ca = "{authority.path}"\n[auth]\nnodes = "certificate"\n'
    )
    with LockService(tmp_path / "service", config) as running:
        yield running


def test_a_private_authority_and_a_certificate_of_ours_are_used(secure, authority):
    mine = str(authority.issue("a"))
    made = access(secure.url, ca=str(authority.path), cert=mine)
    assert pre_reboot(made, "default", Ask("a")) == Granted()
    other = pre_reboot(made, "default", Ask("b"))
    assert isinstance(other, Refused)
    assert other.status == 403
    bare = access(secure.url, ca=str(authority.path))
    found = pre_reboot(bare, "default", Ask("a"))
    assert isinstance(found, Refused)
    assert found.status == 401


def test_a_server_of_another_authority_is_not_asked(secure, tmp_path):
    other = Authority(tmp_path / "other", "other")
    found = pre_reboot(access(secure.url, ca=str(other.path)), "default", Ask("a"))
    assert isinstance(found, Unreachable)
    assert "certificate is not accepted" in found.reason
    found = pre_reboot(access(secure.url), "default", Ask("a"))
    assert isinstance(found, Unreachable)
    assert secure.holders() == []


def test_a_server_with_another_name_is_not_asked(tmp_path, authority):
    wrong = authority.issue("elsewhere")
    config = f'[tls]\ncert = "{wrong}"\nkey = "{wrong}"\n'
    with LockService(tmp_path / "service", config) as service:
        made = access(service.url, ca=str(authority.path))
        found = pre_reboot(made, "default", Ask("a"))
        assert isinstance(found, Unreachable)
        assert "certificate is not accepted" in found.reason


class Proxy:
    """A proxy that lets CONNECT and absolute URLs through, and remembers them."""

    def __init__(self):
        self.asked = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self):
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *exc):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self):
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed now

    async def _client(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n")[0].split(b" ")
        self.asked.append((method, target))
        host, port = target.rsplit(b":", 1)
        other_reader, other = await asyncio.open_connection(host.decode(), int(port))
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")

        async def copy(source, sink):
            while data := await source.read(65536):
                sink.write(data)
            sink.close()

        try:
            await asyncio.gather(copy(reader, other), copy(other_reader, writer))
        finally:
            for one in (writer, other):
                one.transport.abort()


def test_a_proxy_is_used_for_https_without_seeing_inside(secure, authority):
    with Proxy() as proxy:
        made = access(
            secure.url,
            ca=str(authority.path),
            cert=str(authority.issue("a")),
            proxy=proxy.url,
        )
        assert pre_reboot(made, "default", Ask("a")) == Granted()
        [(method, target)] = proxy.asked
        assert method == b"CONNECT"
        assert target.startswith(b"127.0.0.1:")


def test_the_environment_names_no_proxy(service, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setitem(os.environ, name, "http://127.0.0.1:1")
    assert pre_reboot(access(service.url), "default", Ask("a")) == Granted()


def test_a_server_that_tells_nothing_is_said_to_be_another_one():
    made_of = (b'{"groups":[]}', b"[]", b"<html>", b'{"schema":"osupdate.lock/1"}')
    for body in made_of:
        with (
            RawServer(lambda data=body: [ok(data)]) as server,
            pytest.raises(HostError, match="something else than a status"),
        ):
            office.status(access(server.url))
    with RawServer(lambda: [ok().replace(b"200 OK", b"404 Not Found")]) as server:
        made = access(server.url)
        with pytest.raises(RefusedError, match="no such thing"):
            office.status(made)
        with pytest.raises(RefusedError, match="no such thing") as refused:
            office.drain(made, "web", True, "x", "alice")
        assert refused.value.unchanged == "The lock was not changed."
    with pytest.raises(TransportError, match="connection refused"):
        office.status(access("http://127.0.0.1:1"))
