"""The parent's side of a fetch: starts the child, watches it, believes little of it.

Without pygit2: `check` must be cheap, and no hostile byte reaches a parser of C here.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec
from msgspec import Struct

import updater
from updater.core.text import safe, size
from updater.core.urls import parse_remote
from updater.errors import (
    HostError,
    NoSpaceError,
    OsupdateError,
    RefusedError,
    TransportError,
    UntrustedError,
)
from updater.model import ObjectId, Offer, Progress, RemoteHead, RemoteSettings
from updater.system import process
from updater.system.git import wire
from updater.system.git.failures import (
    MemoryLimitError,
    MissingBasesError,
    RejectedError,
    TooLargeError,
)
from updater.system.git.prepared import prepared

_START = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from updater.fetcher import main; sys.exit(main())"
)
# Bytes that a pack's index may take; the child counts the pack itself.
_SLACK = 64 << 20
_MAPPED = 1 << 32
_MAX_HEADS = 1_000_000
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class FetchLimits(Struct, frozen=True):
    """What a remote may cost.

    Attributes:
        memory: that the child may allocate, bytes; mapped files do not count.
        size: of the download, bytes.
        answer: seconds until the remote has told its refs.
        prepare: seconds until the first byte of content.
        rate: least bytes per second, measured over `stall` seconds.
        stall: seconds. libgit2 reports every 100 kB: at `rate`, this takes longer.
    """

    memory: int = 1 << 30
    size: int = 1 << 33
    answer: float = 60
    prepare: float = 300
    rate: int = 1000
    stall: float = 120


class ObjectSources(Struct, frozen=True):
    """What a fetch may build on.

    Attributes:
        haves: commits of which every object is in the places below.
        directories: object directories (`.../objects`).
        deployments: (directory, file of its stat index).
    """

    haves: tuple[ObjectId, ...] = ()
    directories: tuple[str, ...] = ()
    deployments: tuple[tuple[str, str], ...] = ()


_ERRORS: dict[str, type[OsupdateError]] = {
    "transport": TransportError,
    "rejected": RejectedError,
    "bases": MissingBasesError,
    "size": TooLargeError,
    "memory": MemoryLimitError,
    "refused": RefusedError,
    "space": NoSpaceError,
}
"""Kind of a `wire.Failure` -> what it is here; every other one is a HostError."""


def list_heads(
    remote: RemoteSettings,
    limits: FetchLimits,
    *,
    allow_plain: bool,
    secrets_dir: str | None = None,
) -> list[RemoteHead]:
    """Ask a remote for its refs.

    Args:
        remote: where; its credentials are paths, or names below `secrets_dir`.
        limits: what it may cost.
        allow_plain: whether http and git are acceptable.
        secrets_dir: of systemd's credentials.

    Raises:
        ConfigError, TransportError, RefusedError, HostError.
    """
    with prepared(remote, allow_plain=allow_plain, secrets_dir=secrets_dir) as request:
        heads: list[RemoteHead] = []
        watch = _Watch(remote, limits, lambda _: None)
        for event in watch.run(request):
            if isinstance(event, wire.Heads):
                heads += event.heads
            if len(heads) > _MAX_HEADS:
                raise RefusedError(
                    f"{watch.name} advertises more than {_MAX_HEADS:,} refs"
                )
        return heads


def fetch(
    offer: Offer,
    remote: RemoteSettings,
    sources: ObjectSources,
    incoming: str,
    limits: FetchLimits,
    progress: Callable[[Progress], None],
    *,
    allow_plain: bool,
    secrets_dir: str | None = None,
) -> int:
    """Fetch what `offer` names into an empty directory that becomes an object store.

    Args:
        offer: from a check of the same remote.
        remote: as for `list_heads`.
        sources: what is here already; without haves everything is fetched.
        incoming: a directory below one that nobody else can enter.
        limits: what it may cost.
        progress: called for each sign of life.
        allow_plain: whether http and git are acceptable.
        secrets_dir: of systemd's credentials.

    Returns:
        Bytes received.

    Raises:
        UntrustedError: F1: something else arrived.
        MissingBasesError: try again without haves.
        ConfigError, TransportError, RefusedError, HostError, NoSpaceError.
    """
    watch = _Watch(remote, limits, progress)
    done = wire.Done()
    with contextlib.ExitStack() as stack:
        request = stack.enter_context(
            prepared(remote, allow_plain=allow_plain, secrets_dir=secrets_dir)
        )
        if request.user:
            os.chown(incoming, *request.user)
        request = msgspec.structs.replace(
            request,
            ref=offer.ref,
            commit=offer.commit,
            tag=offer.tag,
            depth=1 if remote.history == "shallow" else 0,
            incoming=_open(stack, incoming),
            size=limits.size,
        )
        if sources.haves:
            request = _with_sources(request, sources, stack)
        for event in watch.run(request):
            if isinstance(event, wire.Done):
                done = event
    if (done.commit, done.tag) != (offer.commit, offer.tag):
        raise UntrustedError(
            "F1", f"commit {done.commit} arrived; expected {offer.commit}"
        )
    return done.received


def fetch_logs(
    names: Sequence[str],
    remote: RemoteSettings,
    sources: ObjectSources,
    incoming: str,
    limits: FetchLimits,
    *,
    allow_plain: bool,
    secrets_dir: str | None = None,
) -> tuple[dict[str, ObjectId], int]:
    """Fetch branches with all their history; what is here is not fetched again.

    Args:
        names: of the refs.
        remote: as for `list_heads`.
        sources: `haves` are tips that are here with all of their history.
        incoming: as for `fetch`.
        limits: what it may cost.
        allow_plain: whether http and git are acceptable.
        secrets_dir: of systemd's credentials.

    Returns:
        Name -> commit of those that the remote has, and bytes received.

    Raises:
        MissingBasesError: try again without haves.
        ConfigError, TransportError, RefusedError, HostError, NoSpaceError.
    """
    done = wire.Done()
    with contextlib.ExitStack() as stack:
        request = stack.enter_context(
            prepared(remote, allow_plain=allow_plain, secrets_dir=secrets_dir)
        )
        if request.user:
            os.chown(incoming, *request.user)
        request = msgspec.structs.replace(
            request,
            logs=tuple(names),
            incoming=_open(stack, incoming),
            size=limits.size,
        )
        request = _with_sources(request, sources, stack)
        for event in _Watch(remote, limits, lambda _: None).run(request):
            if isinstance(event, wire.Done):
                done = event
    heads = {head.name: head.oid for head in done.heads if head.name in names}
    return heads, done.received


def _with_sources(
    request: wire.Request, sources: ObjectSources, stack: contextlib.ExitStack
) -> wire.Request:
    return msgspec.structs.replace(
        request,
        haves=sources.haves,
        objects=tuple(_open(stack, path) for path in sources.directories),
        deployments=tuple(
            (_open(stack, root), _open(stack, index, os.O_RDONLY | os.O_CLOEXEC))
            for root, index in sources.deployments
        ),
    )


def _open(stack: contextlib.ExitStack, path: str, flags: int = _DIRECTORY) -> int:
    """A descriptor that the stack closes; what is gone is nothing to build on."""
    try:
        fd = os.open(path, flags)
    except OSError as error:
        raise MissingBasesError(f"{path}: {error.strerror}") from error
    stack.callback(os.close, fd)
    return fd


class _Watch:
    """Runs one child and ends it when the remote is too slow."""

    def __init__(
        self,
        remote: RemoteSettings,
        limits: FetchLimits,
        progress: Callable[[Progress], None],
    ) -> None:
        self.name = safe(parse_remote(remote.url).host or remote.url, 200)
        self._deadline = remote.deadline
        self._limits = limits
        self._progress = progress
        self._phase = "connecting"
        self._received = 0
        self._end = self._window = time.monotonic()
        self._mark = 0

    def run(self, request: wire.Request) -> Iterator[wire.Event]:
        """Yield what the child says until it is done.

        Raises:
            OsupdateError: what it reported, or why it was killed.
        """
        now = time.monotonic()
        self._end, self._window = now + self._deadline, now
        with self._spawn(request) as child:
            for line in self._lines(child):
                try:
                    event = wire.decode_event(line)
                except msgspec.MsgspecError as error:
                    raise HostError("the fetching process spoke nonsense") from error
                if isinstance(event, wire.Failure):
                    raise self._error(event)
                if isinstance(event, wire.Step):
                    self._note(event.progress)
                    self._progress(event.progress)
                yield event
                if isinstance(event, wire.Done):
                    return
            raise self._died(child.wait(5))

    def _spawn(self, request: wire.Request) -> process.Child:
        fds = [fd for pair in request.deployments for fd in pair]
        single = (request.repository, request.incoming)
        fds += [*request.objects, *(fd for fd in single if fd is not None)]
        return process.spawn(
            [sys.executable, "-I", "-S", "-B", "-c", _START, *_import_path()],
            stdin=wire.encode(request),
            env={"HOME": request.home},
            limits=process.Limits(
                memory=self._limits.memory,
                # libgit2 maps all of a pack while it resolves its deltas, and more
                # where packs are here already.
                addresses=self._limits.memory + 2 * self._limits.size + _MAPPED,
                file_size=self._limits.size + _SLACK,
                cpu=max(10, self._deadline),
            ),
            pass_fds=fds,
        )

    def _lines(self, child: process.Child) -> Iterator[bytes]:
        buffer = b""
        while True:
            chunk = child.read(min(self._patience(), 1.0))
            if chunk == b"":
                return
            *lines, buffer = (buffer + (chunk or b"")).split(b"\n")
            if len(buffer) > wire.LARGEST_LINE:
                raise HostError("the fetching process wrote a line without end")
            yield from lines
            if time.monotonic() >= self._end:
                raise RejectedError(
                    f"{self.name}: not finished after {self._deadline} s "
                    f"(remote.deadline); {size(self._received)} had arrived"
                )
            if self._patience() <= 0:
                raise TransportError(self._too_slow())

    def _note(self, progress: Progress) -> None:
        if progress.phase != self._phase:
            self._phase = progress.phase
            self._window, self._mark = time.monotonic(), progress.received
        self._received = progress.received

    def _patience(self) -> float:
        """Seconds until the remote is too slow, as far as one can tell now."""
        now = time.monotonic()
        limit = {
            "connecting": self._limits.answer,
            "preparing": self._limits.prepare,
            "receiving": self._limits.stall,
        }.get(self._phase)
        left = self._end - now
        if limit is None:
            return left
        window = self._window + limit - now
        if self._phase == "receiving" and window <= 0:
            enough = self._received - self._mark >= self._limits.rate * limit
            if enough:
                self._window, self._mark = now, self._received
                window = limit
        return min(left, window)

    def _too_slow(self) -> str:
        if self._phase == "connecting":
            return f"{self.name} did not answer within {self._limits.answer:g} s"
        if self._phase == "preparing":
            return f"{self.name} sent no content within {self._limits.prepare:g} s"
        return (
            f"{self.name} sent less than {self._limits.rate} bytes a second "
            f"for {self._limits.stall:g} s"
        )

    def _error(self, failure: wire.Failure) -> OsupdateError:
        message = safe(failure.message, 600)
        if failure.kind == "untrusted":
            return UntrustedError(safe(failure.check, 4), message)
        return _ERRORS.get(failure.kind, HostError)(message)

    def _died(self, code: int) -> OsupdateError:
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return RefusedError(
            f"{self.name}: the fetching process ended {how} without an answer; its "
            f"memory limit is {size(self._limits.memory)}"
        )


def _import_path() -> Sequence[str]:
    """Where this process imports from; the child must find the same modules.

    The package itself comes first: an editable install is in no path, but in a hook.
    """
    package = os.path.dirname(os.path.abspath(updater.__file__))
    return [
        os.path.dirname(package),
        *(path for path in sys.path if os.path.isabs(path) and os.path.exists(path)),
    ]
