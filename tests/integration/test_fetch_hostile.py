"""Servers that are slow, lie, flood or break off: each ends in time, in a sentence."""

import hashlib
import os
import select
import signal
import subprocess
import sys
import threading
import time

import msgspec
import pytest
from support.fetching import Client, homes
from support.remote import HttpServer, RawServer, Repository, pkt

from updater.errors import OsupdateError, RefusedError, TransportError
from updater.system.git.child import FetchLimits

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


SERVICE = pkt("# service=git-upload-pack\n") + b"0000"


class Chunked:
    """A file whose writes are HTTP chunks."""

    def __init__(self, out):
        self._out = out

    def write(self, data):
        if data:
            self._out.write(chunk(data))

    def end(self):
        self._out.write(chunk(b""))

    def flush(self):
        self._out.flush()


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    made = Repository(tmp_path_factory.mktemp("remote"))
    made.commit({"a": "one\n", "big": os.urandom(300_000)}, "1.0")
    return made


def impatient(tmp_path, url, **limits):
    client = Client(tmp_path, url)
    quick = {"answer": 1.5, "prepare": 1.5, "stall": 1.0}
    client.limits = FetchLimits(**(quick | limits))
    return client


def read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(4096)
        if not chunk:
            return data
        data += chunk
    return data


def ended(client, error, match, call=None):
    with pytest.raises(error, match=match):
        (call or client.check)()
    assert client.leftovers() == {}
    assert homes() == set()


# --- slow ---


def test_a_server_that_accepts_and_says_nothing(tmp_path):
    done = threading.Event()
    with RawServer(lambda connection: done.wait(30)) as server:
        client = impatient(tmp_path, f"{server.base}/os.git")
        ended(client, TransportError, r"did not answer within 1\.5 s")
        done.set()
    assert server.connections == 3
    assert len(client.waits) == 2
    assert 1 <= client.waits[0] <= 3 <= client.waits[1] <= 9


def test_an_advertisement_of_one_byte_a_second(tmp_path):
    stop = threading.Event()

    def drip(connection):
        read_request(connection)
        connection.sendall(HEAD)
        for byte in pkt("# service=git-upload-pack\n") * 100:
            if stop.wait(0.3):
                return
            connection.sendall(chunk(bytes([byte])))

    with RawServer(drip) as server:
        client = impatient(tmp_path, f"{server.base}/os.git")
        ended(client, TransportError, "did not answer")
        stop.set()


def answer_pack(handler, body, send):
    """Hand the bytes of an answer that holds the pack to `send`."""
    status, headers, content = handler.run_backend(body)
    if b"PACK" not in content:
        return False
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.flush()
    send(Chunked(handler.wfile), content)
    handler.close_connection = True
    return True


def fetch_from(tmp_path, repository, send, **limits):
    with HttpServer(
        repository.root, lambda handler, body: answer_pack(handler, body, send)
    ) as server:
        client = impatient(tmp_path, f"{server.base}/os.git", **limits)
        offer = client.check()
        yield client, lambda: client.fetch(offer)


def test_a_pack_that_never_starts(tmp_path, repository):
    stop = threading.Event()
    for client, fetch in fetch_from(tmp_path, repository, lambda *_: stop.wait(30)):
        ended(client, TransportError, r"sent no content within 1\.5 s", fetch)
        stop.set()


def test_a_pack_of_a_few_bytes_a_second(tmp_path, repository):
    stop = threading.Event()

    def drip(out, content):
        out.write(content[:100_000])
        for position in range(100_000, len(content)):
            out.write(content[position : position + 1])
            out.flush()
            if stop.wait(0.05):
                return

    for client, fetch in fetch_from(tmp_path, repository, drip):
        ended(client, TransportError, "sent less than 1000 bytes a second", fetch)
        stop.set()


def test_the_deadline_ends_even_a_steady_download(tmp_path, repository):
    stop = threading.Event()

    def steady(out, content):
        for position in range(0, len(content), 4000):
            out.write(content[position : position + 4000])
            out.flush()
            if stop.wait(0.1):
                return

    for client, fetch in fetch_from(tmp_path, repository, steady, stall=10):
        client.remote = msgspec.structs.replace(client.remote, deadline=2)
        ended(
            client,
            TransportError,
            r"not finished after 2 s \(remote\.deadline\)",
            fetch,
        )
        stop.set()


# --- broken ---


@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_a_pack_that_breaks_off(tmp_path, repository, share):
    def cut(out, content):
        out.write(content[: int(len(content) * share)])

    for client, fetch in fetch_from(tmp_path, repository, cut):
        ended(client, OsupdateError, None, fetch)
        assert len(client.waits) == 2


def test_a_pack_with_a_flipped_bit(tmp_path, repository):
    def flip(out, content):
        damaged = bytearray(content)
        damaged[len(content) // 2] ^= 1
        out.write(bytes(damaged))
        out.end()

    for client, fetch in fetch_from(tmp_path, repository, flip):
        ended(client, OsupdateError, None, fetch)


def test_a_pack_without_the_wanted_commit(tmp_path, repository):
    """The server answers with an empty pack: libgit2 alone would call that success."""
    empty = b"PACK\0\0\0\2\0\0\0\0"
    empty += hashlib.sha1(empty).digest()

    def lie(out, content):
        shallow = content[: content.index(b"0000") + 4]
        out.write(shallow + pkt("NAK\n") + pkt(b"\1" + empty) + b"0000")
        out.end()

    for client, fetch in fetch_from(tmp_path, repository, lie):
        ended(client, OsupdateError, None, fetch)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n<html>login</html>",
        b"garbage\0\xff\xfe",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        HEAD + chunk(b"zzzz") + chunk(b""),
        HEAD + chunk(SERVICE + b"fff0short") + chunk(b""),
        HEAD + chunk(SERVICE + pkt("ERR go\x1b[31m away")) + chunk(b""),
    ],
)
def test_nonsense_instead_of_refs(tmp_path, answer):
    def talk(connection):
        read_request(connection)
        connection.sendall(answer)

    with RawServer(talk) as server:
        client = impatient(tmp_path, f"{server.base}/os.git")
        with pytest.raises(OsupdateError) as caught:
            client.check()
    assert str(caught.value).isprintable()
    assert homes() == set()


# --- too much ---


def test_a_flood_of_refs_meets_the_memory_limit(tmp_path):
    line = pkt("1" * 40 + " refs/heads/" + "x" * 4000 + "\n") * 200

    def flood(connection):
        read_request(connection)
        connection.sendall(HEAD + chunk(SERVICE + pkt("1" * 40 + " HEAD\0agent=x\n")))
        while True:
            connection.sendall(chunk(line))

    with RawServer(flood) as server:
        client = impatient(
            tmp_path, f"{server.base}/os.git", answer=30, memory=300 << 20
        )
        started = time.monotonic()
        ended(client, OsupdateError, "memory")
    assert time.monotonic() - started < 30
    assert server.connections == 1


def with_sideband(content, text):
    """The answer with progress messages put before the pack."""
    at = content.index(b"\1PACK") - 4
    return content[:at] + pkt(b"\2" + text) + content[at:]


@pytest.mark.parametrize(
    "text",
    [b"\x1b]0;owned\x07\x1b[2J\r", b"\xff\xfe\x80 not UTF-8", b"\0", b"x" * 60_000],
)
def test_chatter_of_the_server_is_neither_shown_nor_fatal(
    tmp_path, repository, text, capfd
):
    def talk(out, content):
        out.write(with_sideband(content, text))
        out.end()

    for client, fetch in fetch_from(tmp_path, repository, talk):
        fetch()
        assert client.waits == []
        assert all(step.phase.isalpha() for step in client.progress)
    assert capfd.readouterr() == ("", "")


def test_endless_chatter_is_ended(tmp_path, repository):
    stop = threading.Event()

    def talk(out, content):
        at = content.index(b"\1PACK") - 4
        out.write(content[:at])
        while not stop.is_set():
            out.write(pkt(b"\2still counting\r") * 100)

    for client, fetch in fetch_from(tmp_path, repository, talk):
        ended(client, TransportError, "sent no content", fetch)
        stop.set()


def test_more_bytes_than_the_limit_are_refused(tmp_path, repository):
    def talk(out, content):
        out.write(content)
        out.end()

    for client, fetch in fetch_from(tmp_path, repository, talk, size=100_000):
        ended(client, RefusedError, "limit", fetch)
        assert client.waits == []


# --- ours ---


def test_interrupt_leaves_neither_files_nor_processes(tmp_path, repository):
    """Ctrl-C while the pack is on its way, in a process of its own."""
    reached, stop = threading.Event(), threading.Event()

    def hang(out, content):
        out.write(content[:100_000])
        out.flush()
        reached.set()
        stop.wait(30)

    program = (
        "import sys; sys.path[:0] = sys.argv[1].split(':')\n"
        "from pathlib import Path\n"
        "from support.fetching import Client\n"
        "client = Client(Path(sys.argv[2]), sys.argv[3])\n"
        "client.fetch(client.check())\n"
    )
    hook = lambda handler, body: answer_pack(handler, body, hang)  # noqa: E731
    with HttpServer(repository.root, hook) as server:
        process = subprocess.Popen(
            [sys.executable, "-c", program, ":".join(sys.path), str(tmp_path),
             f"{server.base}/os.git"],
            stderr=subprocess.PIPE,
        )  # fmt: skip
        assert reached.wait(20)
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
            (child,) = map(int, file.read().split())
        process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=10)[1]
        stop.set()
    assert stderr.rstrip().endswith(b"KeyboardInterrupt")
    assert not os.path.exists(f"/proc/{child}")
    assert list((tmp_path / "incoming").iterdir()) == []


def test_the_child_dies_with_a_killed_parent(tmp_path, repository):
    reached, stop = threading.Event(), threading.Event()

    def hang(out, content):
        reached.set()
        stop.wait(30)

    program = (
        "import sys; sys.path[:0] = sys.argv[1].split(':')\n"
        "from pathlib import Path\n"
        "from support.fetching import Client\n"
        "client = Client(Path(sys.argv[2]), sys.argv[3])\n"
        "client.fetch(client.check())\n"
    )
    hook = lambda handler, body: answer_pack(handler, body, hang)  # noqa: E731
    with HttpServer(repository.root, hook) as server:
        process = subprocess.Popen(
            [sys.executable, "-c", program, ":".join(sys.path), str(tmp_path),
             f"{server.base}/os.git"],
        )  # fmt: skip
        assert reached.wait(20)
        with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
            (child,) = map(int, file.read().split())
        watched = os.pidfd_open(child)
        process.kill()
        process.wait()
        assert select_readable(watched, 10)
        os.close(watched)
        stop.set()
    client = Client(tmp_path, str(repository.path))
    offer = client.check()
    client.fetch(offer)
    assert [path.name for path in client.incoming.iterdir()] == [offer.commit]
    assert homes(process.pid) == set()


def select_readable(fd, seconds):
    return select.select([fd], [], [], seconds)[0]
