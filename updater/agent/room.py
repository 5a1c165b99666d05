"""The room that the story plays in: state, clock, and the ways to the parts."""

import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from updater.agent import memory, public
from updater.agent.adopt import adopt
from updater.core import machine, nodeid, rollout
from updater.core.index import Index, Row, from_bytes
from updater.core.plan import Owner
from updater.core.policy import device_time
from updater.core.signers import ROLES
from updater.core.text import safe
from updater.errors import (
    BrokenStateError,
    ConfigError,
    HostError,
    RefusedError,
)
from updater.model import (
    Accepted,
    DeploymentId,
    LedgerEntry,
    LocalChange,
    ObjectId,
    Offer,
    Preview,
    Record,
    RemoteSettings,
    State,
    TrustMode,
)
from updater.settings import UNSUPPORTED, AbsolutePath, Settings
from updater.system import boot, clock, fs
from updater.system.layout import Layout
from updater.system.ledger import Ledger
from updater.system.lockfile import locked
from updater.system.store import Store

BUILT = 1_790_000_000  # when this version was made; no clock is right before it
_COARSE = 20_000_000  # nanoseconds that a file's times may lag behind the clock
_WINDOWS = 32
PLACE = ("deploy.mode", "deploy.path", "boot.loader")  # where deployments are
LAYING = ("apply", "verify", "restore")  # the commands that give files their attributes
WITHOUT_ROOT = (
    "Without root privileges: owners, and with them setuid, setgid, capabilities and "
    "devices, are not applied"
)


class Watcher(Protocol):
    """Who hears how the work goes, and answers for the person."""

    def stage(self, number: int, of: int, name: str) -> None:
        """A stage begins."""

    def progress(self, done: int, total: int | None, unit: str) -> None:
        """How far the stage is; `unit` is bytes, objects or files."""

    def done(self, text: str) -> None:
        """The stage is over; what it reached."""

    def notice(self, text: str) -> None:
        """Something that must be read."""

    def consent(self, preview: Preview) -> bool:
        """Whether the person wants it, having seen this."""


class Surveyed(Struct, frozen=True):
    """A deployment looked at by stat: its index, and what is not as it was."""

    record: Record
    path: str
    index_path: str
    index: Index
    changes: tuple[LocalChange, ...]

    @property
    def rows(self) -> dict[bytes, Row]:
        """The files that are as they were."""
        changed = {change.path for change in self.changes}
        if not changed:
            return self.index.rows
        return {p: row for p, row in self.index.rows.items() if p not in changed}


class Room:
    """Everything that lasts longer than one step."""

    stages = 6  # of an update, as people see them

    def __init__(
        self,
        settings: Settings,
        root: str,
        watcher: Watcher,
        *,
        offline: bool,
        doubts: Mapping[str, str],
    ) -> None:
        self.doubts = doubts
        settings = _in_its_place(settings, os.path.abspath(root), doubts, watcher)
        self.settings = settings
        self.offline = offline
        self.watcher = watcher
        self.layout = Layout(os.path.abspath(root), settings.deploy.path)
        self.store = Store(self.layout.state)
        self.ledger = Ledger(self.layout.ledger)
        deploy = self.layout.below(settings.deploy.path)
        self.loader = boot.choose(settings.boot.loader, deploy)
        self.linked: tuple[tuple[int, int], ...] = ()
        self.owner = Owner(os.geteuid() == 0, os.geteuid(), os.getegid())

    def knows(self, *names: str) -> bool:
        """Whether none of these tables or dotted keys is in doubt."""
        return not any(True for _ in self._doubtful(names))

    def require_known(self, *names: str) -> None:
        """Refuse to go on where one of these tables or dotted keys is in doubt.

        Raises:
            ConfigError: the mistakes, a line each.
        """
        mistakes = dict.fromkeys(self.doubts[key] for key in self._doubtful(names))
        if mistakes:
            raise ConfigError("\n".join(mistakes))

    def _doubtful(self, names: Sequence[str]) -> Iterator[str]:
        for key in self.doubts:
            if key in names or key.partition(".")[0] in names:
                yield key

    @property
    def mode(self) -> TrustMode:
        """`[trust] mode`."""
        return self.settings.trust.mode

    @property
    def allow_plain(self) -> bool:
        """Whether http and git are good enough: where signatures bind the content."""
        return self.mode is not TrustMode.UNSIGNED

    @property
    def persistent(self) -> tuple[bytes, ...]:
        """Directories whose files are never shared between deployments."""
        return tuple(
            os.fsencode(path.lstrip("/"))
            for path in (
                *self.settings.deploy.persistent,
                *self.settings.deploy.release_owned,
            )
        )

    @property
    def seeds(self) -> tuple[bytes, ...]:
        """The persistent directories: what a deployment has there are seeds."""
        paths = self.settings.deploy.persistent
        return tuple(os.fsencode(path.lstrip("/")) for path in paths)

    @property
    def owns_state(self) -> bool:
        """Whether this process may write what osupdate remembers."""
        return os.access(self.layout.state_dir, os.W_OK)

    def require_network(self) -> None:
        """Refuse to go on where the network was forbidden.

        Raises:
            RefusedError.
        """
        if self.offline:
            raise RefusedError("this needs the network, and --offline forbids it")

    @property
    def secrets(self) -> str | None:
        """Where systemd put this unit's credentials."""
        return os.environ.get("CREDENTIALS_DIRECTORY")

    def sleep(self, seconds: float) -> None:
        """Wait between two tries."""
        time.sleep(seconds)

    def count_files(self, done: int, total: int) -> None:
        """Progress of something that goes file by file."""
        self.watcher.progress(done, total, "files")

    def linking(self, state: State, began: int) -> State:
        """Remember when we made or removed links ourselves (`State.linked`)."""
        window = (began - _COARSE, time.time_ns())
        return replace(state, linked=(*state.linked[-_WINDOWS + 1 :], window))

    def nanoseconds(self) -> int:
        """The clock that files' times are of."""
        return time.time_ns()

    def now(self) -> int:
        """The clock of this machine, in seconds."""
        return int(time.time())

    def device_time(self, state: State) -> int:
        """The time that signatures are judged at."""
        accepted = [record.created for record in state.deployments]
        accepted += [log.entry.created for log in state.accepted]
        return device_time(self.now(), BUILT, max(accepted, default=0))

    def is_pinned(self) -> bool:
        """Whether /etc says which keys count, so that nothing rotates them."""
        place = self.layout.below("etc/osupdate/trust")
        return any(os.path.lexists(os.path.join(place, role)) for role in ROLES)

    def synchronised_clock(self) -> int | None:
        """The time, when somebody keeps the clock right or is trusted to."""
        trusted = self.settings.update.clock == "trust"
        return self.now() if trusted or clock.is_synchronised() else None

    def remote(self, state: State) -> RemoteSettings:
        """Where releases come from; a channel that was chosen here counts."""
        remote = self.settings.remote
        return replace(remote, channel=state.channel) if state.channel else remote

    def accepted(self, state: State) -> Accepted | None:
        """What the channel said last, in signed mode."""
        if self.mode is not TrustMode.SIGNED:
            return None
        remote = self.remote(state)
        key = (remote.channels or remote.url, remote.channel)
        return next((a for a in state.accepted if (a.url, a.channel) == key), None)

    def node(self, state: State) -> str | None:
        """This machine's name in rollouts; None before it made one up."""
        if self.settings.node.id is not None:
            return self.settings.node.id
        try:
            with open(self.layout.below("etc/machine-id"), encoding="ascii") as file:
                found = nodeid.derive(file.read(64))
        except (OSError, UnicodeDecodeError):
            found = None
        return found or state.node

    def turn(self, state: State, offer: Offer | None) -> str | None:
        """Why it is not this machine's turn to have an offer, in a sentence."""
        log = self.accepted(state)
        if offer is None or log is None or offer.tag != log.entry.tag:
            return None
        node = self.node(state)
        if node is None:
            return "this machine has no name yet, which its first check makes"
        slow = log.entry.rollout.hours > 0 or log.entry.rollout.limit < 1
        if slow and self.synchronised_clock() is None:
            return "the clock is not synchronised, so that nobody can tell the turn"
        place = rollout.position(node, log.entry.tag)
        return rollout.sentence(log.entry, place, self.device_time(state))

    @contextmanager
    def at_work(self, command: str) -> Iterator[State]:
        """Hold the lock of this machine; gives the saved state.

        Raises:
            BusyError, HostError.
        """
        self.layout.make()
        if command == "revert":
            fs.use_reserve(self.layout.reserve)
        if command in LAYING and not self.owner.privileged:
            self.watcher.notice(WITHOUT_ROOT)
        with locked(self.layout.lock, command, self.now()):
            state = self._recover() if command == "revert" else self.load()
            if command == "apply":
                memory.require_whole(self.layout)
            if state.deployments and not os.path.exists(self.layout.state):
                count = len(state.deployments)
                self.tell("adopt", f"state.json was absent; {count} deployments found")
                self.watcher.notice(
                    f"state.json was absent; {count} deployments are known again"
                )
                self.save(state)
            keep = self.settings.deploy.keep
            with memory.honest_about_space(self.layout, state, self.booted(), keep):
                yield state

    def load(self) -> State:
        """The saved state; when it is absent, what the deployments on disk tell.

        Raises:
            HostError: it is broken.
        """
        state = self.store.load()
        if not os.path.exists(self.layout.state):
            state = adopt(self.layout, self.booted())
        self.linked = state.linked
        return state

    def look(self) -> tuple[State, str | None]:
        """The saved state; else what the disk tells, and what is wrong with the file.

        Raises:
            HostError: it cannot be read.
        """
        try:
            return self.load(), None
        except BrokenStateError as error:
            return adopt(self.layout, self.booted()), str(error)

    def _recover(self) -> State:
        """The saved state; a broken one is put aside, and made again from the disk."""
        state, trouble = self.look()
        if trouble is not None:
            place = memory.move_aside(self.layout, self.now())
            self.tell("adopt", f"{safe(trouble, 300)}; moved to {place}")
            self.watcher.notice(f"{trouble}; it is kept as {place}")
        return state

    def save(self, state: State) -> State:
        """Put the state on disk, with what people without privileges may see."""
        self.store.save(state)
        fs.keep_reserve(self.layout.reserve)
        self.linked = state.linked
        public.show_booted(self.layout, self.booted())
        if self.knows(*PLACE):
            public.show_place(self.layout, _place(self.settings))
        return state

    def tell(self, event: str, text: str, **data: str | int | None) -> None:
        """Write a line of the ledger, durably."""
        actor = f"uid {os.getuid()}"
        self.ledger.append(LedgerEntry(self.now(), event, text, actor, data))

    def booted(self) -> DeploymentId | None:
        """The deployment that really runs; without privileges, as last told."""
        try:
            return self.loader.booted()
        except PermissionError:
            return public.read_booted(self.layout)

    def running(self, state: State) -> Record | None:
        """The record of the deployment that runs."""
        return machine.find(state, self.booted())

    def index_of(self, record: Record) -> Index:
        """A deployment's stat index.

        Raises:
            HostError: it is lost, damaged, or of another filesystem.
        """
        path = self.layout.index(record.id)
        try:
            with open(path, "rb") as file:
                found = from_bytes(file.read())
            device = os.stat(self.layout.deployment(record.id)).st_dev
        except OSError as error:
            raise HostError(f"cannot read {path}: {error.strerror}") from error
        if found.device != device:
            raise HostError(f"{path} is of another filesystem")
        return found


def _place(settings: Settings) -> public.Place:
    deploy = settings.deploy
    return public.Place(deploy.mode, str(deploy.path), settings.boot.loader)


def _in_its_place(
    settings: Settings, root: str, doubts: Mapping[str, str], watcher: Watcher
) -> Settings:
    """The settings; where deployments are is remembered when it is in doubt.

    A default would look for them in another place, and find that nothing runs.

    Raises:
        ConfigError: it is not remembered, or a newer version put it there.
    """
    doubtful = [key for key in PLACE if key in doubts]
    if not doubtful:
        return settings
    known = public.read_place(Layout(root, settings.deploy.path))
    last = {
        "deploy.mode": known and known.mode,
        "boot.loader": known and known.loader,
    }
    if known is None or any((key, last.get(key)) in UNSUPPORTED for key in doubtful):
        mistakes = "\n".join(dict.fromkeys(doubts[key] for key in doubtful))
        raise ConfigError(
            f"{mistakes}\nWithout it nobody can tell where deployments are"
        )
    watcher.notice(f"Going on with the deployments in {known.path}, as last time")
    path = settings.deploy.path
    if "deploy.path" in doubts:
        path = AbsolutePath(known.path)
    return replace(settings, deploy=replace(settings.deploy, path=path))


@contextmanager
def directories(paths: Sequence[str]) -> Iterator[list[int]]:
    """Descriptors of these directories for the length of a `with` block."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    with ExitStack() as stack:
        fds = []
        for path in paths:
            fd = os.open(path, flags)
            stack.callback(os.close, fd)
            fds.append(fd)
        yield fds


def deployment_id(number: int, commit: ObjectId, taken: Sequence[str]) -> DeploymentId:
    """A name for a new deployment: `<number>-<short id>.<serial>`.

    Not that of a leftover either, which perhaps cannot be deleted.
    """
    serial, names = 0, {name.removesuffix(".tmp") for name in taken}
    while f"{number}-{commit[:7]}.{serial}" in names:
        serial += 1
    return DeploymentId(f"{number}-{commit[:7]}.{serial}")


def sizes_of(surveyed: Sequence[Surveyed]) -> dict[ObjectId, int]:
    """Bytes of the blobs that deployments hold unchanged."""
    return {
        ObjectId(row.oid.hex()): row.stat.size
        for one in surveyed
        for row in one.rows.values()
    }


def links_of(surveyed: Sequence[Surveyed]) -> set[ObjectId]:
    """The blobs that deployments hold unchanged as symlinks."""
    return {
        ObjectId(row.oid.hex())
        for one in surveyed
        for row in one.rows.values()
        if stat.S_ISLNK(row.stat.mode)
    }
