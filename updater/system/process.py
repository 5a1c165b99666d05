"""The only door to other processes: programs by argument vector, and forked workers.

Programs get a closed or piped stdin and a clean environment; nothing is ever handed to
a shell. A worker is a fork of this process that answers numbered jobs.
"""

import contextlib
import gc
import os
import pickle
import resource
import select
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


def memory_file(data: bytes) -> int:
    """A descriptor of a file that is on no disk, at its start; the caller closes it."""
    fd = os.memfd_create("data")
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


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
    terminal: bool = False,
    pass_fds: Sequence[int] = (),
) -> Result:
    """Run a program to its end. A non-zero exit code is an answer, not an error.

    Args:
        argv: program and arguments; the program is looked up in a fixed PATH.
        stdin: bytes for its standard input, which is then closed.
        env: added to the clean environment (LC_ALL=C, TZ=UTC, PATH).
        timeout: seconds, after which it is killed with its session.
        cwd: its working directory.
        terminal: leave it our terminal, to ask a person; else it has its own session.
        pass_fds: descriptors that it inherits under the same numbers.

    Raises:
        HostError: it is missing, was killed by a signal, or took too long.
    """
    with contextlib.ExitStack() as stack:
        # Files, not pipes: what it leaves running may hold them as long as it likes.
        feed, out, err = (
            stack.enter_context(open(os.memfd_create(name), "w+b", buffering=0))
            for name in ("stdin", "stdout", "stderr")
        )
        os.write(feed.fileno(), stdin)
        feed.seek(0)
        try:
            program = subprocess.Popen(
                list(argv),
                stdin=feed,
                stdout=out,
                stderr=err,
                env=_ENVIRONMENT | dict(env or {}),
                cwd=cwd,
                start_new_session=not terminal,
                pass_fds=pass_fds,
            )
        except FileNotFoundError as error:
            raise HostError(f"the program {argv[0]} is not installed") from error
        except OSError as error:
            raise HostError(f"cannot run {argv[0]}: {error.strerror}") from error
        code = _await(program, argv[0], timeout, terminal=terminal)
        stdout, stderr = _written(out.fileno()), _written(err.fileno())
    if code < 0:
        name = signal.Signals(-code).name
        raise HostError(f"{argv[0]} was killed by {name}: {safe(stderr, 300)}")
    return Result(code, stdout, stderr)


def _await(
    program: "subprocess.Popen[bytes]", name: str, timeout: float, *, terminal: bool
) -> int:
    """Its exit code; when it takes too long, or we end, it and its session end."""
    try:
        return program.wait(timeout)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            (os.kill if terminal else os.killpg)(program.pid, signal.SIGKILL)
        program.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            text = f"{name} did not end within {timeout:g} seconds"
            raise HostError(text) from error
        raise


def _written(fd: int) -> bytes:
    with open(f"/proc/self/fd/{fd}", "rb") as file:  # from its start, by an own offset
        return file.read()


class Limits(Struct, frozen=True):
    """What a spawned process may use at most: bytes, descriptors, seconds of CPU.

    `memory` is what it may allocate; `addresses` includes the files that it maps.
    """

    memory: int
    addresses: int
    file_size: int
    cpu: int
    files: int = 256


class Child:
    """A process that talks back. Leaving the `with` block kills its whole session."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        assert process.stdout is not None
        self._stdout = process.stdout.fileno()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def read(self, timeout: float) -> bytes | None:
        """What it has written; b"" at its end; None when `timeout` seconds passed."""
        waiter = select.poll()
        waiter.register(self._stdout, select.POLLIN)
        ready = waiter.poll(1000 * max(0.0, timeout))
        return os.read(self._stdout, 1 << 16) if ready else None

    def kill(self) -> int:
        """End it, and every process of its session, now.

        Returns:
            Its exit code, or minus the signal that ended it.
        """
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        return code

    def wait(self, timeout: float) -> int:
        """Let it end by itself; it is killed after `timeout` seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout)
        return self.kill()


def spawn(
    argv: Sequence[str],
    *,
    stdin: bytes,
    limits: Limits,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Child:
    """Start a process that cannot gain privileges, in its own session, under limits.

    Args:
        argv: an absolute program and its arguments.
        stdin: all of its standard input; kept in memory, never on disk.
        limits: enforced by the kernel.
        env: added to the clean environment.
        pass_fds: descriptors that it inherits under the same numbers.

    Raises:
        HostError: it cannot be started.
    """
    import ctypes  # noqa: PLC0415 - not needed to start osupdate

    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()
    feed = memory_file(stdin)
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=feed,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT | dict(env or {}),
            cwd="/",
            pass_fds=pass_fds,
            start_new_session=True,
            preexec_fn=lambda: _confine(prctl, parent, limits),  # noqa: PLW1509 - we have no threads
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise HostError(f"cannot start {argv[0]}: {error}") from error
    finally:
        os.close(feed)
    return Child(process)


def _confine(prctl: Callable[..., int], parent: int, limits: Limits) -> None:
    pr_set_pdeathsig, pr_set_no_new_privs = 1, 38
    prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    if prctl(pr_set_no_new_privs, 1, 0, 0, 0) != 0:
        os._exit(1)
    for what, most in (
        (resource.RLIMIT_DATA, limits.memory),
        (resource.RLIMIT_AS, limits.addresses),
        (resource.RLIMIT_FSIZE, limits.file_size),
        (resource.RLIMIT_CPU, limits.cpu),
        (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_CORE, 0),
    ):
        ceiling = resource.getrlimit(what)[1]
        limited = most if ceiling == resource.RLIM_INFINITY else min(most, ceiling)
        resource.setrlimit(what, (limited, limited))


def fork_map(
    count: int,
    start: Callable[[], Callable[[int], bytes]],
    workers: int | None = None,
    report: Callable[[int], None] | None = None,
    *,
    closing: bool = False,
) -> list[bytes]:
    """Answer `count` numbered jobs in forked workers, each taking the next one free.

    Args:
        count: the jobs are 0 .. count - 1; lower numbers start first.
        start: called once in each worker; returns what answers a job.
        workers: how many; default one for each processor.
        report: called in this process with the number of jobs done so far.
        closing: ask every worker for job `count` as its last, to close what it opened;
            those answers are not returned.

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
            others = list(children.values())
            last = count if closing else None
            pid, pipe = _fork_worker(jobs_out, jobs_in, start, others, last)
            children[pid] = pipe
        os.close(jobs_out)
        answers = _collect(count, jobs_in, children, report)
        os.close(jobs_in)
        jobs_in = -1
        if closing:
            _await_last(count, children)
    except BaseException:
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        raise
    else:
        return answers
    finally:
        if jobs_in >= 0:
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
    last: int | None,
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
        gc.freeze()  # the parent's objects stay as they are, in memory that is shared
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _die_with_parent(parent)
        for fd in (jobs_in, answers_out, *others):
            os.close(fd)
        _work(jobs_out, answers_in, start, last)
    finally:
        os._exit(0)


def _die_with_parent(parent: int) -> None:
    import ctypes  # noqa: PLC0415 - only forked workers need it

    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _work(
    jobs: int,
    answers: int,
    start: Callable[[], Callable[[int], bytes]],
    last: int | None,
) -> None:
    try:
        answer = start()
        while chunk := os.read(jobs, _JOB.size):
            number = _JOB.unpack(chunk)[0]
            _send(answers, number, answer(number))
        if last is not None:
            _send(answers, last, answer(last))
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


def _await_last(number: int, children: dict[int, int]) -> None:
    for pipe in children.values():
        buffer, answers = bytearray(), dict[int, bytes]()
        while number not in answers:
            if not _receive(pipe, buffer, answers):
                raise HostError("a worker ended before its work was done")


def _hand_out(jobs_in: int, handed: int, count: int, until: int) -> int:
    with contextlib.suppress(BrokenPipeError):  # all have ended; what they say tells
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
