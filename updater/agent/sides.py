"""The releases that can be compared here: found by name, read where they lie.

A deployment's files are read in place, each held to its blob's id; what is not as it
was is looked for in objects.git, in downloads and in the other deployments.
"""

import os
import weakref
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from updater.agent.room import Room
from updater.core import commits, manifest
from updater.core.index import Columns
from updater.core.tree import object_id
from updater.core.treediff import Browser
from updater.errors import HostError, UntrustedError
from updater.model import (
    MANIFEST_PATH,
    ObjectId,
    Record,
    State,
)
from updater.report.diff import Side
from updater.report.snapshot import Snapshot
from updater.system.git.keeper import Keeper
from updater.system.git.objects import DeploymentBlobs, Objects, open_objects, read_file

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_directory(owner: object, path: str) -> int:
    """A directory's descriptor, which is closed when nobody has its owner any more."""
    fd = os.open(path, _DIRECTORY)
    weakref.finalize(owner, os.close, fd)
    return fd


class Named(Struct, frozen=True):
    """A release that a person named; `record` when it is laid out here.

    `heard`: its content is not here, but its channel tells of it.
    """

    side: Side
    record: Record | None = None
    heard: bool = False


class Library:
    """Everything that has content on this machine, opened when it is needed."""

    def __init__(self, room: Room, state: State) -> None:
        self._room, self._state = room, state

    @cached_property
    def objects(self) -> Objects:
        """objects.git, and a download that is here."""
        stores = [Keeper(self._room.layout.repository).objects]
        if self._state.download is not None:
            stores.append(self._room.layout.download(self._state.download))
        return open_objects(stores)

    @cached_property
    def everything(self) -> Objects:
        """The same, and the files of every deployment."""
        sources = []
        for record in self._state.deployments:
            try:
                rows = self._room.index_of(record).rows
                root = open_directory(self, self._room.layout.deployment(record.id))
            except (HostError, OSError):
                continue
            sources.append(DeploymentBlobs(root, rows))
        stores = [Keeper(self._room.layout.repository).objects]
        if self._state.download is not None:
            stores.append(self._room.layout.download(self._state.download))
        return open_objects(stores, sources)

    def snapshot(self, named: Named) -> Snapshot:
        """A release to compare.

        Raises:
            HostError: its commit is not here.
            UntrustedError: F2, F4: damaged since it was verified.
        """
        commit = named.side.commit
        try:
            parsed = commits.parse(self.objects.read(commit)[1])
        except KeyError as error:
            raise HostError(
                f"the commit {commit} is not here any more",
                hint=f"Fetch it again: osupdate apply {commit[:7]} --full",
            ) from error
        side = named.side
        if not side.created:
            side = replace(side, created=parsed.committed)
        content = Stored(self)
        if named.record is not None:
            content = Deployed(self, self._room, named.record)
        tree = Browser(parsed.tree, self.objects.read_tree)
        leaf = tree.leaf(MANIFEST_PATH)
        told = {}
        if leaf is not None:
            told = manifest.parse(content.read(MANIFEST_PATH, leaf.oid))
        return Snapshot(side, tree, told, content)


class Stored:
    """Content by blob id, wherever on this machine it is."""

    def __init__(self, library: Library) -> None:
        self._library = library

    def read(self, path: bytes, oid: ObjectId) -> bytes:  # noqa: ARG002 - by id alone
        """A blob; KeyError when it is not here."""
        try:
            return self._library.objects.read(oid)[1]
        except KeyError:
            return self._library.everything.read(oid)[1]

    def size(self, path: bytes, oid: ObjectId) -> int | None:  # noqa: ARG002
        """Its bytes; None when it is not here, or damaged."""
        try:
            if oid in self._library.objects:
                return self._library.objects.header(oid)[1]
            return self._library.everything.header(oid)[1]
        except (KeyError, UntrustedError):
            return None


class Deployed(Stored):
    """The content of a release that is laid out here: its own files come first."""

    def __init__(self, library: Library, room: Room, record: Record) -> None:
        super().__init__(library)
        self._room, self._record = room, record

    def read(self, path: bytes, oid: ObjectId) -> bytes:
        """A blob; KeyError when it is not here."""
        raw = bytes.fromhex(oid)
        size = None if self._columns is None else self._columns.size(path, raw)
        if size is not None and self._root is not None:
            content = read_file(self._root, path, size)
            if content is not None and object_id("blob", content, "sha1") == raw:
                return content
        return super().read(path, oid)

    def size(self, path: bytes, oid: ObjectId) -> int | None:
        """Its bytes, as they were when it was laid out."""
        if self._columns is not None:
            size = self._columns.size(path, bytes.fromhex(oid))
            if size is not None:
                return size
        return super().size(path, oid)

    def is_changed(self, path: bytes, oid: ObjectId) -> bool | None:
        """Whether the file here is not that blob any more; None: it cannot be seen."""
        if self._root is None:
            return None
        try:
            size = os.stat(path, dir_fd=self._root, follow_symlinks=False).st_size
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return None
        content = read_file(self._root, path, size)
        return content is None or object_id("blob", content, "sha1").hex() != oid

    @cached_property
    def _root(self) -> int | None:
        try:
            return open_directory(self, self._room.layout.deployment(self._record.id))
        except OSError:
            return None

    @cached_property
    def _columns(self) -> Columns | None:
        try:
            with open(self._room.layout.index(self._record.id), "rb") as file:
                return Columns(file.read())
        except (OSError, HostError):
            return None
