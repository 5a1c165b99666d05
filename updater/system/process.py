"""The only door to other processes: programs by argument vector, and forked workers.

Programs get a closed or piped stdin and a clean environment; nothing is ever handed to
a shell. A worker is a fork of this process that answers numbered jobs.
"""

import contextlib
import os
import pickle
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from updater.core.text import safe
from updater.errors import HostError, OsupdateError

_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
_FRAME = struct.Struct("<iQ")  # job number (-1: an error instead), length
_JOB = struct.Struct("<I")


class Result(Struct, frozen=True):
    """How a program ended."""

    code: int
    stdout: bytes
    stderr: bytes


def run(
    argv: Sequence[str],
    *,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    timeout: float = 60,
    cwd: str | None = None,
) -> Result:
    """Run a program to its end. A non-zero exit code is an answer, not an error.

    Args:
        argv: program and arguments; the program is looked up in a fixed PATH.
        stdin: bytes for its standard input, which is then closed.
        env: added to the clean environment (LC_ALL=C, TZ=UTC, PATH).
        timeout: seconds, after which it is killed.
        cwd: its working directory.

    Raises:
        HostError: it is missing, was killed by a signal, or took too long.
    """
    try:
        done = subprocess.run(
            list(argv),
            input=stdin,
            capture_output=True,
            env=_ENVIRONMENT | dict(env or {}),
            timeout=timeout,
            cwd=cwd,
            check=False,
        )
    except FileNotFoundError as error:
        raise HostError(f"the program {argv[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise HostError(f"{argv[0]} did not end within {timeout:g} seconds") from error
    except OSError as error:
        raise HostError(f"cannot run {argv[0]}: {error.strerror}") from error
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise HostError(f"{argv[0]} was killed by {name}: {safe(done.stderr, 300)}")
    return Result(done.returncode, done.stdout, done.stderr)


def fork_map(
    count: int,
    start: Callable[[], Callable[[int], bytes]],
    workers: int | None = None,
    report: Callable[[int], None] | None = None,
) -> list[bytes]:
    """Answer `count` numbered jobs in forked workers, each taking the next one free.

    Args:
        count: the jobs are 0 .. count - 1; lower numbers start first.
        start: called once in each worker; returns what answers a job.
        workers: how many; default one for each processor.
        report: called in this process with the number of jobs done so far.

    Returns:
        The answers in the order of the jobs.

    Raises:
        OsupdateError: what a worker raised, as it raised it.
        HostError: a worker died, or raised anything else.
    """
    number = max(1, min(workers or os.cpu_count() or 1, count))
    if count == 0:
        return []
    jobs_out, jobs_in = os.pipe()
    os.set_blocking(jobs_in, False)
    children: dict[int, int] = {}
    try:
        for _ in range(number):
            pid, pipe = _fork_worker(jobs_out, jobs_in, start, list(children.values()))
            children[pid] = pipe
        os.close(jobs_out)
        return _collect(count, jobs_in, children, report)
    except BaseException:
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        raise
    finally:
        os.close(jobs_in)
        for pid, pipe in children.items():
            os.close(pipe)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _fork_worker(
    jobs_out: int,
    jobs_in: int,
    start: Callable[[], Callable[[int], bytes]],
    others: Sequence[int],
) -> tuple[int, int]:
    answers_out, answers_in = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(answers_in)
        return pid, answers_out
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _die_with_parent(parent)
        for fd in (jobs_in, answers_out, *others):
            os.close(fd)
        _work(jobs_out, answers_in, start)
    finally:
        os._exit(0)


def _die_with_parent(parent: int) -> None:
    import ctypes  # noqa: PLC0415 - only forked workers need it

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _work(jobs: int, answers: int, start: Callable[[], Callable[[int], bytes]]) -> None:
    try:
        answer = start()
        while chunk := os.read(jobs, _JOB.size):
            number = _JOB.unpack(chunk)[0]
            _send(answers, number, answer(number))
    except OsupdateError as error:
        _send(answers, -1, pickle.dumps((type(error), str(error), vars(error))))
    except BaseException as error:  # noqa: BLE001 - the parent reports it
        text = f"{type(error).__name__}: {error}"
        _send(answers, -1, pickle.dumps((HostError, f"a worker failed: {text}", {})))


def _send(fd: int, number: int, data: bytes) -> None:
    view = memoryview(_FRAME.pack(number, len(data)) + data)
    while view:
        view = view[os.write(fd, view) :]


def _collect(
    count: int,
    jobs_in: int,
    children: dict[int, int],
    report: Callable[[int], None] | None,
) -> list[bytes]:
    import selectors  # noqa: PLC0415 - not needed to start osupdate

    answers: dict[int, bytes] = {}
    buffers = {pipe: bytearray() for pipe in children.values()}
    handed = 0
    with selectors.DefaultSelector() as selector:
        for pipe in buffers:
            selector.register(pipe, selectors.EVENT_READ)
        while len(answers) < count:
            handed = _hand_out(jobs_in, handed, count, len(answers) + 2 * len(buffers))
            for key, _ in selector.select():
                if not _receive(key.fd, buffers[key.fd], answers):
                    raise HostError("a worker ended before its work was done")
            if report:
                report(len(answers))
    return [answers[number] for number in range(count)]


def _hand_out(jobs_in: int, handed: int, count: int, until: int) -> int:
    while handed < min(count, until):
        os.write(jobs_in, _JOB.pack(handed))
        handed += 1
    return handed


def _receive(pipe: int, buffer: bytearray, answers: dict[int, bytes]) -> bool:
    chunk = os.read(pipe, 1 << 20)
    buffer += chunk
    while len(buffer) >= _FRAME.size:
        number, length = _FRAME.unpack_from(buffer)
        if len(buffer) < _FRAME.size + length:
            break
        data = bytes(buffer[_FRAME.size : _FRAME.size + length])
        del buffer[: _FRAME.size + length]
        if number < 0:
            _raise_again(data)
        answers[number] = data
    return bool(chunk)


def _raise_again(data: bytes) -> None:
    kind, message, attributes = pickle.loads(data)  # noqa: S301 - from our own fork
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.__dict__.update({"hint": None, "unchanged": OsupdateError("").unchanged})
    error.__dict__.update(attributes)
    raise error
