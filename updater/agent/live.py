"""What runs, beside its release: what was changed here, and the content of both."""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from updater.agent import look
from updater.agent.look import Laid
from updater.agent.room import Room, Surveyed
from updater.core import names
from updater.core.plan import Plan
from updater.errors import HostError, RefusedError
from updater.model import GitMode, LocalChange, ObjectId, Record, State, TreeEntry
from updater.system import checkout, fs
from updater.system.git.objects import Objects

MAX_EXTRA = 5000  # paths below directories that the release does not have
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Live(Struct, frozen=True):
    """The deployment that runs: its release laid open, and what differs by stat.

    `changes` are of kind modified, metadata, missing or extra, sorted by path. `root`
    is a descriptor of its directory. `objects` has its blobs, and those of the others.
    """

    record: Record
    path: str
    root: int
    laid: Laid
    plan: Plan
    changes: tuple[LocalChange, ...]
    objects: Objects
    surveyed: tuple[Surveyed, ...]

    @property
    def entries(self) -> dict[bytes, TreeEntry]:
        """The files and symlinks of the release, by path."""
        return {entry.path: entry for entry in self.laid.entries}

    def close(self) -> None:
        """Let the directory go."""
        os.close(self.root)


def open_live(room: Room, state: State) -> Live:
    """Compare what runs with its release, by stat; only what was touched is read.

    Raises:
        UsageError: nothing runs. RefusedError: only root may look. HostError,
            UntrustedError.
    """
    record = names.require(room.running(state), "running", state.deployments)
    if not os.access(room.layout.deployments, os.X_OK):
        raise RefusedError(
            "only root may look at the files of what runs", hint="sudo osupdate ..."
        )
    one = look.survey_one(room, record)
    others = [other for other in state.deployments if other.id != record.id]
    surveyed = (one, *indexed(room, others))
    objects = look.open_kept(room, surveyed)
    laid = look.lay_open(record.commit, objects)
    plan = look.full_plan(room, laid, record.created)
    root = os.open(one.path, _DIRECTORY)
    found = tuple(look.differing(root, plan, one.changes))
    return Live(record, one.path, root, laid, plan, found, objects, surveyed)


def indexed(room: Room, records: Iterable[Record]) -> list[Surveyed]:
    """Deployments by their indexes alone: who only reads blobs does not need more."""
    found = []
    for record in records:
        path = room.layout.deployment(record.id)
        try:
            rows = room.index_of(record)
        except HostError:
            continue
        found.append(Surveyed(record, path, room.layout.index(record.id), rows, ()))
    return found


def lstat(root: int, path: bytes) -> os.stat_result | None:
    """How a path looks, no part of it followed through a symlink; None: not there."""
    parent, _, name = path.rpartition(b"/")
    try:
        directory = fs.open_beneath(root, parent)
    except OSError:
        return None
    try:
        return os.lstat(name or b".", dir_fd=directory)
    except OSError:
        return None
    finally:
        os.close(directory)


def content(root: int, path: bytes, size: int) -> bytes:
    """What a file or symlink holds.

    Raises:
        HostError: it changed meanwhile. OSError.
    """
    parent, _, name = path.rpartition(b"/")
    directory = fs.open_beneath(root, parent)
    try:
        return b"".join(map(bytes, checkout.content(directory, name, size)))
    finally:
        os.close(directory)


def git_mode(found: os.stat_result) -> GitMode | None:
    """What git would call it; None for what it cannot hold."""
    if stat.S_ISLNK(found.st_mode):
        return GitMode.SYMLINK
    if not stat.S_ISREG(found.st_mode):
        return None
    return GitMode.EXECUTABLE if found.st_mode & stat.S_IXUSR else GitMode.FILE


def below_extra(root: int, path: bytes) -> Iterator[bytes]:
    """A path that the release does not have, or everything in it but directories.

    Raises:
        RefusedError: that is more than anybody can mean.
    """
    waiting, count = [path], 0
    while waiting:
        current = waiting.pop()
        found = lstat(root, current)
        if found is None or not stat.S_ISDIR(found.st_mode):
            yield current
            continue
        fd = fs.open_beneath(root, current)
        try:
            inside = sorted(map(os.fsencode, os.listdir(fd)), reverse=True)
        finally:
            os.close(fd)
        count += len(inside)
        if count > MAX_EXTRA:
            raise RefusedError(
                f"/{os.fsdecode(path)} holds over {MAX_EXTRA:,} paths that are no "
                "part of the release: name what is meant"
            )
        waiting += [current + b"/" + name for name in inside]


def chosen(paths: Sequence[bytes], path: bytes) -> bool:
    """Whether a path is one of these, or below one; nothing chosen is everything."""
    return not paths or any(
        path == top or not top or path.startswith(top + b"/") for top in paths
    )


def blob_of(live: Live, oid: ObjectId) -> bytes | None:
    """A blob of the release, when it can be had on this machine."""
    try:
        return live.objects.read_blob(oid)
    except (RefusedError, OSError):
        return None
