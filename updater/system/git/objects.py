"""Reads git objects: from object directories, and out of deployments' own files.

The directories are opened as bare databases, never as repositories, so that no config,
alternates or owner of somebody else's repository is believed.
"""

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

import pygit2
from msgspec import Struct
from pygit2.enums import ConfigLevel, ObjectType

from updater.core import index
from updater.core.index import Row
from updater.core.tree import object_id
from updater.errors import HostError, UntrustedError
from updater.model import ObjectId
from updater.system import fs
from updater.system.git.packread import Packs, inflated

LEAST_LIBGIT2 = (1, 9, 7)  # hardening: CVE-2026-53583 to 53587, 5917
_NAMES = {
    ObjectType.COMMIT: "commit",
    ObjectType.TREE: "tree",
    ObjectType.BLOB: "blob",
    ObjectType.TAG: "tag",
}
_PRIORITY = 1  # below loose and packed: git's own stores are asked first
_READ = 1 << 24
_LARGE = 16 << 20  # bytes
ON, OFF = True, False
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class DeploymentBlobs(Struct, frozen=True, weakref=True):
    """One deployment as a source of blobs: a directory descriptor and its index."""

    root: int
    rows: dict[bytes, Row]


def require_libgit2(version: str = pygit2.LIBGIT2_VERSION) -> None:
    """Refuse a libgit2 without the hardening that the fetch relies on.

    Raises:
        HostError.
    """
    if tuple(int(part) for part in version.split(".")[:3]) < LEAST_LIBGIT2:
        least = ".".join(map(str, LEAST_LIBGIT2))
        raise HostError(
            f"libgit2 {version} is too old: expected {least} or newer",
            hint="Upgrade pygit2: pip install --upgrade pygit2",
        )


def configure() -> None:
    """Make libgit2 strict and durable, and deaf to anybody's gitconfig."""
    require_libgit2()
    for level in (
        ConfigLevel.SYSTEM,
        ConfigLevel.GLOBAL,
        ConfigLevel.XDG,
        ConfigLevel.PROGRAMDATA,
    ):
        pygit2.settings.search_path[level] = "/nonexistent"
    pygit2.settings.enable_strict_hash_verification(ON)
    pygit2.settings.enable_strict_object_creation(ON)
    pygit2.settings.enable_fsync_gitdir(ON)
    pygit2.settings.owner_validation = True
    pygit2.settings.enable_caching(OFF)  # a cache keeps large blobs alive
    pygit2.settings.mwindow_size = 1 << 20
    pygit2.settings.mwindow_mapped_limit = 8 << 20


def leave_hashing_to_the_caller() -> None:
    """Read objects without hashing each, in a process whose caller hashes them all.

    Staging hashes every byte that it wrote; libgit2's SHA-1 with collision detection
    beside it would take as long as inflating.
    """
    pygit2.settings.enable_strict_hash_verification(OFF)


class Objects:
    """A bare object database. Content is checked against its id by libgit2.

    Args:
        odb: everything.
        near: of it, git's own stores.
        packs: the packs of those, for `pieces`.
    """

    def __init__(
        self,
        odb: pygit2.Odb,
        near: pygit2.Odb | None = None,
        packs: Packs | None = None,
    ) -> None:
        self._odb = odb
        self._packs = packs or Packs(())
        # Python answers slowly, and libgit2 asks every backend: git's stores first.
        self._near = near or odb
        self._repository = pygit2.Repository()
        self._repository.set_odb(odb)

    @property
    def odb(self) -> pygit2.Odb:
        """For the rest of `system.git`."""
        return self._odb

    def __contains__(self, oid: ObjectId) -> bool:
        raw = pygit2.Oid(hex=oid)
        return raw in self._near or raw in self._odb

    def read(self, oid: ObjectId) -> tuple[str, bytes]:
        """An object's kind and content.

        Raises:
            KeyError: it is not here.
            UntrustedError: F2: damaged, or not what its id says.
        """
        raw = pygit2.Oid(hex=oid)
        try:
            kind, content = self._store_of(raw).read(raw)
        except KeyError:
            raise
        except pygit2.GitError as error:
            raise _damaged(oid, error) from error
        return _NAMES[ObjectType(kind)], content

    def blob(self, oid: ObjectId) -> memoryview:
        """A blob's content without a second copy of it in memory.

        Raises:
            UntrustedError: F2: missing, damaged, or not a blob.
        """
        try:
            found = self._repository[pygit2.Oid(hex=oid)]
        except KeyError as error:
            raise UntrustedError("F2", f"blob {oid} is missing") from error
        except pygit2.GitError as error:
            raise _damaged(oid, error) from error
        if not isinstance(found, pygit2.Blob):
            raise UntrustedError("F2", f"object {oid} is not a blob")
        return memoryview(found)

    def pieces(self, oid: ObjectId, size: int) -> Iterator[bytes | memoryview]:
        """A blob's content in pieces, for a caller who hashes them: not held to its id.

        It is in memory as a whole only when it is a delta, or small.

        Raises:
            UntrustedError: F2: missing, damaged, not a blob, or not of that size.
        """
        entry = self._packs.find(oid)
        if entry is None:
            yield self.blob(oid) if size > _LARGE else self.read_blob(oid)
        elif (entry.kind, entry.size) == ("blob", size):
            yield from inflated(entry)
        else:
            found = f"a {entry.kind} of {entry.size:,} bytes"
            raise UntrustedError(
                "F2", f"object {oid} is {found}; expected a blob of {size:,}"
            )

    def is_whole(self, oid: ObjectId) -> bool:
        """Whether `pieces` gives it without holding all of it in memory."""
        return self._packs.find(oid) is not None

    def read_blob(self, oid: ObjectId) -> bytes:
        """A small blob's content."""
        return self._typed(oid, "blob")

    def read_tree(self, oid: ObjectId) -> bytes:
        """A tree object's raw content."""
        return self._typed(oid, "tree")

    def header(self, oid: ObjectId) -> tuple[str, int]:
        """An object's kind and size in bytes, without inflating it.

        Raises:
            KeyError: it is not here.
            UntrustedError: F2: damaged.
        """
        raw = pygit2.Oid(hex=oid)
        try:
            kind, size = self._store_of(raw).read_header(raw)
        except KeyError:
            raise
        except pygit2.GitError as error:
            raise _damaged(oid, error) from error
        return _NAMES[ObjectType(kind)], size

    def _store_of(self, oid: pygit2.Oid) -> pygit2.Odb:
        return self._near if oid in self._near else self._odb

    def find(self, prefix: str) -> ObjectId | None:
        """The object whose id begins so; None when there is none, or several."""
        try:
            found = self._repository.get(prefix)
        except (ValueError, pygit2.GitError):
            return None
        return None if found is None else ObjectId(str(found.id))

    def sizes(self, known: Mapping[ObjectId, int]) -> "Sizes":
        """Bytes of every object, looked up when asked and not known."""
        return Sizes(self, known)

    def _typed(self, oid: ObjectId, expected: str) -> bytes:
        try:
            kind, content = self.read(oid)
        except KeyError as error:
            raise UntrustedError("F2", f"{expected} {oid} is missing") from error
        if kind != expected:
            raise UntrustedError(
                "F2", f"object {oid} is a {kind}; expected a {expected}"
            )
        return content


class Sizes(Mapping[ObjectId, int]):
    """Object id -> bytes. It cannot be listed."""

    def __init__(self, objects: Objects, known: Mapping[ObjectId, int]) -> None:
        self._objects = objects
        self._known = known

    def __getitem__(self, oid: ObjectId) -> int:
        size = self._known.get(oid)
        return self._objects.header(oid)[1] if size is None else size

    def __iter__(self) -> Iterator[ObjectId]:
        raise TypeError("an object database is not listed")

    def __len__(self) -> int:
        raise TypeError("an object database is not counted")


def open_objects(
    directories: Sequence[str], deployments: Sequence[DeploymentBlobs] = ()
) -> Objects:
    """Open object directories (`.../objects`) and deployments as one database."""
    configure()
    near, packs = _open_stores(directories), Packs(directories)
    if not deployments:
        return Objects(near, near, packs)
    odb = _open_stores(directories)
    odb.add_backend(DeploymentBackend(deployments), _PRIORITY)
    return Objects(odb, near, packs)


def _open_stores(directories: Sequence[str]) -> pygit2.Odb:
    odb = pygit2.Odb()
    for directory in directories:
        if os.path.isdir(directory):
            odb.add_disk_alternate(directory)
    return odb


class DeploymentBackend(pygit2.OdbBackend):
    """Blobs read from the files of deployments; a changed file is simply not there."""

    def __init__(self, deployments: Sequence[DeploymentBlobs]) -> None:
        super().__init__()
        self._deployments = deployments

    @cached_property
    def _places(self) -> dict[bytes, tuple[int, bytes]]:
        return index.blobs([source.rows for source in self._deployments])

    def exists_cb(self, oid: pygit2.Oid) -> bool:
        """Whether some deployment had this blob when it was whole."""
        return oid.raw in self._places

    def read_cb(self, oid: pygit2.Oid) -> tuple[int, bytes]:
        """A blob from a file, when the file still is that blob."""
        position, path = self._place(oid)
        source = self._deployments[position]
        content = read_file(source.root, path, source.rows[path].stat.size)
        if content is None or object_id("blob", content, "sha1") != oid.raw:
            raise KeyError(oid)
        return ObjectType.BLOB, content

    def read_header_cb(self, oid: pygit2.Oid) -> tuple[int, int]:
        """A blob's kind and size, as the index remembers them."""
        position, path = self._place(oid)
        return ObjectType.BLOB, self._deployments[position].rows[path].stat.size

    def read_prefix_cb(self, prefix: str) -> tuple[int, bytes, pygit2.Oid]:
        """The same as `read_cb`: libgit2 asks so for whole ids too."""
        oid = pygit2.Oid(hex=prefix)
        return (*self.read_cb(oid), oid)

    def exists_prefix_cb(self, prefix: str) -> pygit2.Oid:
        """Abbreviated ids are never looked up here."""
        raise KeyError(prefix)

    def refresh_cb(self) -> None:
        """Deployments do not change while they are read."""

    def _place(self, oid: pygit2.Oid) -> tuple[int, bytes]:
        place = self._places.get(oid.raw)
        if place is None:
            raise KeyError(oid)
        return place


def read_file(root: int, path: bytes, size: int) -> bytes | None:
    """A file's or symlink's content below `root`; None when it is not what it was.

    Args:
        root: descriptor of the deployment's directory.
        path: relative to it; no part of it is followed through a symlink.
        size: what the index remembers, in bytes.
    """
    parent, _, name = path.rpartition(b"/")
    try:
        directory = fs.open_beneath(root, parent)
    except OSError:
        return None
    try:
        return _read_entry(directory, name, size)
    except OSError as error:
        if error.errno in (errno.EIO, errno.ENOMEM):
            raise
        return None
    finally:
        os.close(directory)


def _read_entry(directory: int, name: bytes, size: int) -> bytes | None:
    try:
        fd = os.open(name, _FILE, dir_fd=directory)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        content = os.readlink(name, dir_fd=directory)
        return content if len(content) == size else None
    try:
        if os.fstat(fd).st_size != size:
            return None
        with open(fd, "rb", buffering=0, closefd=False) as file:
            content = file.read(size) if size <= _READ else _read_large(file.read, size)
        return content if len(content) == size else None
    finally:
        os.close(fd)


def _read_large(read: Callable[[int], bytes | None], size: int) -> bytes:
    parts = []
    while size > 0 and (part := read(min(size, _READ))):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _damaged(oid: ObjectId, error: pygit2.GitError) -> UntrustedError:
    return UntrustedError("F2", f"object {oid} is damaged: {error}")
