"""One release as the report sees it: its paths, and its packages when asked."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from updater.core import packages
from updater.core.text import show_path
from updater.errors import RefusedError
from updater.model import (
    PACKAGES_PATH,
    GitMode,
    Metadata,
    ObjectId,
    Package,
    TreeEntry,
)
from updater.report.diff import Node, Side

_DEFAULT = Metadata()
_NO_PACKAGES = b"[]"


class Snapshot:
    """A release to compare. Nothing but the lists is read before it is needed."""

    def __init__(
        self,
        side: Side,
        entries: Sequence[TreeEntry],
        metadata: Mapping[bytes, Metadata],
        read: Callable[[ObjectId], bytes],
        sizes: Mapping[ObjectId, int],
    ) -> None:
        self.side = side
        self.entries = {entry.path: entry for entry in entries}
        self.metadata = metadata
        self._read = read
        self._sizes = sizes

    def node(self, path: bytes) -> Node | None:
        """What is at `path`; None when nothing is."""
        meta = self.metadata.get(path, _DEFAULT)
        entry = self.entries.get(path)
        if entry is None:
            return self._beside_git(path, meta)
        owner = meta
        if meta.hardlink is not None:
            owner = self.metadata.get(meta.hardlink, _DEFAULT)
        symlink = entry.mode is GitMode.SYMLINK
        default = 0o755 if entry.mode is GitMode.EXECUTABLE else 0o644
        return Node(
            type="symlink" if symlink else "file",
            oid=entry.oid,
            size=self._sizes.get(entry.oid),
            mode=None if symlink else default if owner.mode is None else owner.mode,
            uid=owner.uid,
            gid=owner.gid,
            xattrs=owner.xattrs,
            hardlink=meta.hardlink,
        )

    def is_filled(self, path: bytes) -> bool:
        """Whether `path` is a directory that has a file or symlink below it."""
        below = path + b"/"
        at = bisect_left(self._sorted, below)
        return at < len(self._sorted) and self._sorted[at].startswith(below)

    def database(self) -> dict[bytes, ObjectId]:
        """The files that tell which packages are there, by path.

        Empty: no package database, or one that names no package.
        """
        if told := self.entries.get(PACKAGES_PATH):
            empty = self.read(PACKAGES_PATH).strip() == _NO_PACKAGES
            return {} if empty else {PACKAGES_PATH: told.oid}
        return {
            path: entry.oid
            for path, entry in self.entries.items()
            if packages.is_database(path) and entry.mode is not GitMode.SYMLINK
        }

    def packages(self, paths: Sequence[bytes]) -> list[Package]:
        """The packages that these files of `database` name.

        Raises:
            RefusedError: one is damaged, or its content is not on this machine.
        """
        if PACKAGES_PATH in paths:
            return packages.from_json(self.read(PACKAGES_PATH))
        return packages.find(paths, self.read)

    def read(self, path: bytes) -> bytes:
        """The content of a file of this release.

        Raises:
            RefusedError: it is not on this machine, or damaged there.
        """
        where = f"the content of {show_path(path)}"
        try:
            return self._read(self.entries[path].oid)
        except KeyError as error:
            raise RefusedError(f"{where} is not on this machine") from error
        except RefusedError as error:
            raise RefusedError(f"{where} cannot be read: {error}") from error

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

    @cached_property
    def _sorted(self) -> list[bytes]:
        return sorted(self.entries)


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
    """A release to compare with another one.

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
    return Snapshot(side, entries, metadata, read, sizes)
