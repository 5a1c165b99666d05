"""Reads a root filesystem from a directory: lstat, extended attributes, content."""

import mmap
import os
import stat
from collections import Counter
from collections.abc import Callable

from updater.core import manifest
from updater.core.index import Stat
from updater.core.rootfs import Kind, Node
from updater.core.text import safe, show_path
from updater.errors import HostError, RefusedError

_MAP_FROM = 1 << 24  # bytes; larger files are mapped, not copied
_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHAR,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
}
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Directory:
    """A root filesystem on disk.

    Args:
        root: its directory.
        me: the (user, group) that publishes without root privileges: their files
            are recorded as root's, because nobody else could have made them so.

    Attributes:
        device: of the directory.
        sockets: paths that no release can hold.
        unrecorded: names of extended attributes that were left out, counted.
    """

    def __init__(self, root: str, me: tuple[int, int] | None = None) -> None:
        self._root = os.fsencode(os.path.abspath(root))
        self._me = me
        self.sockets: list[bytes] = []
        self.unrecorded: Counter[str] = Counter()
        try:
            self.device = os.stat(self._root).st_dev
        except OSError as error:
            raise _host_error(b"", error) from error

    def walk(self, enter: Callable[[bytes], bool]) -> dict[bytes, Node]:
        """Every path below the root, without reading a file.

        Args:
            enter: whether to look into a directory.
        """
        found: dict[bytes, Node] = {}
        stack = [b""]
        while stack:
            here = stack.pop()
            prefix = here + b"/" if here else b""
            try:
                with os.scandir(self._root + b"/" + here) as entries:
                    for entry in entries:
                        path = prefix + entry.name
                        info = entry.stat(follow_symlinks=False)
                        node = self._node(path, entry.path, info)
                        if node is None:
                            self.sockets.append(path)
                            continue
                        found[path] = node
                        if node.kind is Kind.DIRECTORY and enter(path):
                            stack.append(path)
            except OSError as error:
                raise _host_error(here, error) from error
        return found

    def _node(self, path: bytes, full: bytes, info: os.stat_result) -> Node | None:
        kind = _KINDS.get(stat.S_IFMT(info.st_mode))
        if kind is None:
            return None
        special = kind in (Kind.CHAR, Kind.BLOCK)
        several = kind is Kind.FILE and info.st_nlink > 1
        return Node(
            path=path,
            kind=kind,
            mode=stat.S_IMODE(info.st_mode),
            uid=0 if self._me and info.st_uid == self._me[0] else info.st_uid,
            gid=0 if self._me and info.st_gid == self._me[1] else info.st_gid,
            size=info.st_size if kind in (Kind.FILE, Kind.SYMLINK) else 0,
            target=os.readlink(full) if kind is Kind.SYMLINK else b"",
            dev=(os.major(info.st_rdev), os.minor(info.st_rdev)) if special else None,
            xattrs=self._xattrs(full, kind),
            link=(info.st_dev, info.st_ino) if several else None,
            stat=_stat(info),
        )

    def _xattrs(self, full: bytes, kind: Kind) -> tuple[tuple[str, bytes], ...]:
        try:
            names = os.listxattr(full, follow_symlinks=False)
        except OSError:
            return ()  # a filesystem without them
        found = []
        for name in names:
            if kind is not Kind.SYMLINK and manifest.XATTRS.match(name):
                found.append((name, os.getxattr(full, name, follow_symlinks=False)))
            else:
                self.unrecorded[name] += 1
        return tuple(found)

    def lookup(self, path: bytes) -> Node | None:
        """What is at a path, whether it is part of the release or not."""
        node: Node | None = None
        end = 0
        while end < len(path):
            if end and (node is None or node.kind is not Kind.DIRECTORY):
                return None
            end = path.find(b"/", end + 1)
            end = len(path) if end < 0 else end
            here = path[:end]
            full = self._root + b"/" + here
            try:
                node = self._node(here, full, os.lstat(full))
            except OSError:
                return None
        return node

    def close(self) -> None:
        """Nothing is kept open."""

    def read(self, node: Node) -> bytes | memoryview:
        """A file's content; large files are mapped.

        Raises:
            RefusedError: it is not what it was when the directory was walked.
            HostError: it cannot be read.
        """
        try:
            fd = os.open(self._root + b"/" + node.path, _OPEN)
            try:
                content = _content(fd, node.size)
                unchanged = _stat(os.fstat(fd)) == node.stat
            finally:
                os.close(fd)
        except OSError as error:
            raise _host_error(node.path, error) from error
        if not unchanged or len(content) != node.size:
            raise RefusedError(
                f"{show_path(node.path)} changed while it was being published",
                hint="Publish a root filesystem that nothing writes to.",
            )
        return content


def _content(fd: int, size: int) -> bytes | memoryview:
    if size >= _MAP_FROM:
        return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_READ))
    content = os.read(fd, size + 1)
    while len(content) < size and (more := os.read(fd, size - len(content))):
        content += more
    return content


def _stat(info: os.stat_result) -> Stat:
    return Stat(
        info.st_size,
        info.st_mtime_ns,
        info.st_ctime_ns,
        info.st_ino,
        info.st_mode,
        info.st_uid,
        info.st_gid,
        info.st_nlink,
    )


def _host_error(path: bytes, error: OSError) -> HostError:
    where = safe(path) if path else "root directory"
    return HostError(f"the rootfs cannot be read at /{where}: {error.strerror}")
