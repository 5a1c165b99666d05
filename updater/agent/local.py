"""What this machine made of its release: the files on disk, as a snapshot.

Only what does not look as it was laid out is read. Without root privileges owners, and
what depends on them, were never applied: there they are the release's.
"""

import os
import stat
from collections.abc import Iterator

from updater.agent import look
from updater.agent.room import Room
from updater.agent.sides import Library, Named, Stored, open_directory
from updater.core.text import plural
from updater.core.tree import object_id
from updater.core.treediff import Leaf
from updater.model import GitMode, LocalChange, Metadata, ObjectId, Record
from updater.report.diff import Side
from updater.report.snapshot import LARGEST, Snapshot
from updater.report.trees import Overlay
from updater.system import checkout, fs
from updater.system.git.objects import read_file

MAX_EXTRA = 20_000  # paths below directories that are no part of the release
_TYPES = {
    stat.S_IFDIR: "dir",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
}


def snapshot(
    room: Room, record: Record, library: Library
) -> tuple[Snapshot, Snapshot, list[str]]:
    """A deployment's release, what is on disk of it, and what could not be read.

    Raises:
        HostError, UntrustedError.
    """
    side = Side("release", record.version, record.commit, record.created)
    release = library.snapshot(Named(side, record))
    laid = look.lay_open(record.commit, library.everything)
    plan = look.full_plan(room, laid, record.created)
    changes = look.survey_one(room, record, save=False).changes
    content = Live(library, room.layout.deployment(record.id))
    scene = _Scene(room, release, content)
    for change in look.differing(content.root, plan, changes):
        scene.take(change)
    here = Side("this machine", record.version, record.commit, room.now())
    tree = Overlay(release.tree, scene.leaves)
    metadata = {
        path: meta
        for path, meta in {**release.metadata, **scene.metadata}.items()
        if meta is not None
    }
    return release, Snapshot(here, tree, metadata, content), scene.problems


class Live(Stored):
    """Content of files that are not as the release has them."""

    def __init__(self, library: Library, path: str) -> None:
        super().__init__(library)
        self.root = open_directory(self, path)
        self.sizes: dict[bytes, int] = {}

    def read(self, path: bytes, oid: ObjectId) -> bytes:
        """A blob; KeyError when it is not here."""
        if path not in self.sizes:
            return super().read(path, oid)
        found = read_file(self.root, path, self.sizes[path])
        if found is None:
            raise KeyError(oid)
        return found

    def size(self, path: bytes, oid: ObjectId) -> int | None:
        """Its bytes."""
        found = self.sizes.get(path)
        return super().size(path, oid) if found is None else found


class _Scene:
    """What is otherwise, path by path."""

    def __init__(self, room: Room, release: Snapshot, content: Live) -> None:
        self._owns = room.owner.privileged
        self._release = release
        self._content = content
        self._extra = 0
        self.leaves: dict[bytes, Leaf | None] = {}
        self.metadata: dict[bytes, Metadata | None] = {}
        self.problems: list[str] = []

    def take(self, change: LocalChange) -> None:
        """Look at one path that is not as the release has it."""
        if change.kind == "missing":
            if self._release.tree.leaf(change.path) is not None:
                self.leaves[change.path] = None
            self.metadata[change.path] = None
            return
        for path in self._below(change.path, extra=change.kind == "extra"):
            self._look(path)

    def _below(self, path: bytes, *, extra: bool) -> Iterator[bytes]:
        """The path, and what is in it when all of it is extra."""
        yield path
        if not extra:
            return
        try:
            fd = fs.open_beneath(self._content.root, path)
        except OSError:
            return
        try:
            names = sorted(map(os.fsencode, os.listdir(fd)))
        finally:
            os.close(fd)
        for name in names:
            self._extra += 1
            if self._extra == MAX_EXTRA:
                count = plural(MAX_EXTRA, "path")
                self.problems.append(
                    f"over {count} are no part of the release; the others are left out"
                )
            if self._extra >= MAX_EXTRA:
                return
            yield from self._below(path + b"/" + name, extra=True)

    def _look(self, path: bytes) -> None:
        parent, _, name = path.rpartition(b"/")
        try:
            directory = fs.open_beneath(self._content.root, parent)
        except OSError:
            return
        try:
            facts = os.stat(name, dir_fd=directory, follow_symlinks=False)
            xattrs: tuple[tuple[str, bytes], ...] = ()
            if not stat.S_ISLNK(facts.st_mode):
                xattrs = checkout.read_xattrs(directory, name)
            self._enter(path, facts, xattrs)
        except OSError as error:
            self.problems.append(f"/{os.fsdecode(path)}: {error.strerror}")
        finally:
            os.close(directory)

    def _enter(
        self,
        path: bytes,
        facts: os.stat_result,
        xattrs: tuple[tuple[str, bytes], ...],
    ) -> None:
        kind = stat.S_IFMT(facts.st_mode)
        was = self._release.metadata.get(path, Metadata())
        if kind in (stat.S_IFREG, stat.S_IFLNK):
            self.leaves[path] = self._leaf(path, facts)
            special = None
        elif kind in _TYPES:
            if self._release.tree.leaf(path) is not None:
                self.leaves[path] = None
            filled = kind == stat.S_IFDIR and self._release.is_filled(path)
            special = None if filled else _TYPES[kind]
        else:
            return  # a socket is nothing that a release can have
        device = special in ("char", "block")
        mode = None if kind == stat.S_IFLNK else stat.S_IMODE(facts.st_mode)
        number = facts.st_rdev
        self.metadata[path] = Metadata(
            type=special,
            dev=(os.major(number), os.minor(number)) if device else None,
            mode=mode if self._owns else _as_applied(mode, was.mode),
            uid=facts.st_uid if self._owns else was.uid,
            gid=facts.st_gid if self._owns else was.gid,
            xattrs=xattrs if self._owns else was.xattrs,
        )

    def _leaf(self, path: bytes, facts: os.stat_result) -> Leaf:
        """What git would call it; a huge file goes by a name that no blob has."""
        mode = GitMode.EXECUTABLE if facts.st_mode & stat.S_IXUSR else GitMode.FILE
        if stat.S_ISLNK(facts.st_mode):
            mode = GitMode.SYMLINK
        self._content.sizes[path] = facts.st_size
        if facts.st_size > LARGEST:
            return Leaf(mode, ObjectId("0" * 40))
        found = read_file(self._content.root, path, facts.st_size)
        return Leaf(mode, ObjectId(object_id("blob", found or b"", "sha1").hex()))


def _as_applied(mode: int | None, released: int | None) -> int | None:
    """Without root, setuid and setgid were left away when it was laid out."""
    if mode is None or released is None:
        return mode
    return mode | (released & 0o6000)
