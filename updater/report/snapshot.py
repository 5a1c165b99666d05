"""One release as the report sees it: its paths, and its content where that is here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from updater.core import files as file_list
from updater.core import packages, release_toml, treediff
from updater.core.changes import Changes
from updater.core.manifest import parse as parse_manifest
from updater.core.text import show_path, size
from updater.errors import RefusedError
from updater.model import (
    MANIFEST_PATH,
    PACKAGES_PATH,
    RELEASE_TOML_PATH,
    GitMode,
    Metadata,
    ObjectId,
    Package,
    TreeEntry,
)
from updater.report import trees
from updater.report.diff import Node, Side
from updater.report.trees import FlatTree, Tree

LARGEST = 64 << 20  # bytes of a file that is read to be compared
_DEFAULT = Metadata()
_NO_PACKAGES = b"[]"


class Content(Protocol):
    """Where the bytes of a release are."""

    def read(self, path: bytes, oid: ObjectId) -> bytes:
        """A blob; KeyError when it is not on this machine."""

    def size(self, path: bytes, oid: ObjectId) -> int | None:
        """Its bytes; None when that is not known here."""


class Snapshot:
    """A release to compare. Nothing of it is read before it is needed.

    Attributes:
        side: what it is called.
        tree: its files and symlinks.
        metadata: its manifest.
        told: who says so: "release", or "channel" while its content is not here.
        owners: path -> package as the channel tells it; None: the databases know.
        changes: changes.json of a channel; None: it is in the tree, or nowhere.
    """

    def __init__(
        self,
        side: Side,
        tree: Tree,
        metadata: Mapping[bytes, Metadata],
        content: Content,
        *,
        told: str = "release",
        owners: Mapping[bytes, str] | None = None,
        changes: Changes | None = None,
    ) -> None:
        self.side = side
        self.tree = tree
        self.metadata = metadata
        self.told = told
        self.owners = owners
        self.changes = changes
        self._content = content

    def node(self, path: bytes) -> Node | None:
        """What is at `path`; None when nothing is."""
        meta = self.metadata.get(path, _DEFAULT)
        leaf = self.tree.leaf(path)
        if leaf is None:
            return self._beside_git(path, meta)
        owner = meta
        if meta.hardlink is not None:
            owner = self.metadata.get(meta.hardlink, _DEFAULT)
        symlink = leaf.mode is GitMode.SYMLINK
        default = 0o755 if leaf.mode is GitMode.EXECUTABLE else 0o644
        return Node(
            type="symlink" if symlink else "file",
            oid=leaf.oid,
            size=self._content.size(path, leaf.oid),
            mode=None if symlink else default if owner.mode is None else owner.mode,
            uid=owner.uid,
            gid=owner.gid,
            xattrs=owner.xattrs,
            hardlink=meta.hardlink,
        )

    def is_filled(self, path: bytes) -> bool:
        """Whether `path` is a directory that has a file or symlink below it."""
        return self.tree.is_directory(path)

    def database(self) -> dict[bytes, ObjectId]:
        """The files that tell which packages are there, by path.

        Empty: no package database, or one that names no package.
        """
        if told := self.tree.leaf(PACKAGES_PATH):
            empty = self.read(PACKAGES_PATH).strip() == _NO_PACKAGES
            return {} if empty else {PACKAGES_PATH: told.oid}
        found = {}
        for path in _database_files(self.tree):
            leaf = self.tree.leaf(path)
            if leaf is not None and leaf.mode is not GitMode.SYMLINK:
                found[path] = leaf.oid
        return found

    def packages(self, paths: Sequence[bytes]) -> list[Package]:
        """The packages that these files of `database` name.

        Raises:
            RefusedError: one is damaged, or its content is not on this machine.
        """
        if PACKAGES_PATH in paths:
            return packages.from_json(self.read(PACKAGES_PATH))
        return packages.find(paths, self.read)

    def read(self, path: bytes, largest: int = LARGEST) -> bytes:
        """The content of a file of this release.

        Args:
            path: of a file or symlink.
            largest: bytes; a larger file is not read.

        Raises:
            RefusedError: it is not on this machine, too large, or damaged there.
            KeyError: there is no such path.
        """
        where = f"the content of {show_path(path)}"
        leaf = self.tree.leaf(path)
        if leaf is None:
            raise KeyError(path)
        known = self._content.size(path, leaf.oid)
        if known is not None and known > largest:
            raise RefusedError(
                f"{where} is not read: it has {size(known)}, at most {size(largest)} "
                "are compared"
            )
        try:
            return self._content.read(path, leaf.oid)
        except KeyError as error:
            raise RefusedError(f"{where} is not on this machine") from error
        except RefusedError as error:
            raise RefusedError(f"{where} cannot be read: {error}") from error

    def link(self, path: bytes) -> bytes | None:
        """Where a symlink leads; None when there is none, or that is not known here."""
        leaf = self.tree.leaf(path)
        if leaf is None or leaf.mode is not GitMode.SYMLINK:
            return None
        try:
            return self.read(path)
        except RefusedError:
            return None

    def _beside_git(self, path: bytes, meta: Metadata) -> Node | None:
        """A path that is no entry of a git tree: a directory, a device, a pipe."""
        kind = meta.type
        if kind is None and self.is_filled(path):
            kind = "dir"
        if kind is None:
            return None
        default = 0o755 if kind == "dir" else 0o644
        return Node(
            type=kind,
            oid=None,
            size=0,
            mode=default if meta.mode is None else meta.mode,
            uid=meta.uid,
            gid=meta.gid,
            xattrs=meta.xattrs,
            dev=meta.dev,
        )


def differing(old: Snapshot | None, new: Snapshot) -> Iterator[bytes]:
    """The paths that may differ, sorted: git or the manifest says not the same."""
    if old is None:
        files, metadata = trees.differing(None, new.tree), set(new.metadata)
    else:
        files = trees.differing(old.tree, new.tree)
        metadata = treediff.differing_metadata(old.metadata, new.metadata)
    return _merge((found.path for found in files), iter(sorted(metadata)))


def _merge(one: Iterator[bytes], other: Iterator[bytes]) -> Iterator[bytes]:
    """Both, sorted as each is, and each path once."""
    left, right = next(one, None), next(other, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left <= right):
            if left == right:
                right = next(other, None)
            assert left is not None
            yield left
            left = next(one, None)
        else:
            yield right
            right = next(other, None)


def _database_files(tree: Tree) -> Iterator[bytes]:
    for place in packages.DATABASES:
        if packages.is_database(place):
            yield place
            continue
        for name in tree.names(place):
            path = place + b"/" + name
            found = [path]
            if tree.is_directory(path):
                found = [path + b"/" + inside for inside in tree.names(path)]
            yield from (name for name in found if packages.is_database(name))


class Blobs:
    """Content by blob id alone, wherever it lies."""

    def __init__(
        self, read: Callable[[ObjectId], bytes], sizes: Mapping[ObjectId, int]
    ) -> None:
        self._read = read
        self._sizes = sizes

    def read(self, path: bytes, oid: ObjectId) -> bytes:  # noqa: ARG002
        """A blob; KeyError when it is not here."""
        return self._read(oid)

    def size(self, path: bytes, oid: ObjectId) -> int | None:  # noqa: ARG002
        """Its bytes; None when that is not known here."""
        return self._sizes.get(oid)


def take(
    name: str,
    version: str,
    commit: ObjectId,
    created: int,
    entries: Sequence[TreeEntry],
    metadata: Mapping[bytes, Metadata],
    read: Callable[[ObjectId], bytes],
    sizes: Mapping[ObjectId, int],
) -> Snapshot:
    """A release to compare with another one, from a list of its files.

    Args:
        name: its role here, such as "running"; may be empty.
        version: what people call it.
        commit: the release commit.
        created: when it was made, seconds.
        entries: its files and symlinks.
        metadata: its manifest.
        read: gives a blob; KeyError when it is not here.
        sizes: bytes of blobs, as far as they are known. Only those of paths that
            differ are asked for, so this may look them up when asked.
    """
    side = Side(name=name, version=version, commit=commit, created=created)
    return Snapshot(side, FlatTree(entries), metadata, Blobs(read, sizes))


class _Told:
    """The content of the few files that a channel tells, by path."""

    def __init__(self, files: Mapping[bytes, bytes]) -> None:
        self._files = files

    def read(self, path: bytes, oid: ObjectId) -> bytes:
        """A file; KeyError for every other one."""
        if path not in self._files:
            raise KeyError(oid)
        return self._files[path]

    def size(self, path: bytes, oid: ObjectId) -> int | None:  # noqa: ARG002
        """Its bytes; None for every other one."""
        return len(self._files[path]) if path in self._files else None


def from_metadata(
    name: str,
    commit: ObjectId,
    *,
    files: bytes,
    manifest: bytes,
    release: bytes,
    packages: bytes,
    changes: Changes | None = None,
) -> Snapshot:
    """A release of which only the metadata is here (DESIGN 3.4): as the channel tells.

    Args:
        name: its role here, such as "offered".
        commit: the release commit that the signed tag names.
        files: the channel's `files`: mode, id, owner and path of everything.
        manifest: the release's manifest.
        release: its release.toml.
        packages: its packages.json.
        changes: changes.json of every entry of the channel after this machine's own,
            united; None when the channel tells none.

    Raises:
        UntrustedError: F2, F3 or F4: one of them is not what its format says.
    """
    listed = file_list.parse(files)
    own = release_toml.parse(release)
    told = {
        MANIFEST_PATH: manifest,
        RELEASE_TOML_PATH: release,
        PACKAGES_PATH: packages,
    }
    return Snapshot(
        Side(name=name, version=own.version, commit=commit, created=own.created),
        FlatTree(listed.entries),
        parse_manifest(manifest),
        _Told(told),
        told="channel",
        owners=listed.owners,
        changes=changes,
    )
