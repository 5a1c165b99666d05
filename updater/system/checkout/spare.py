"""The directories of a deployment that went, kept for the next one to be laid out in.

Of its files only those stay that are the very inodes of another deployment: hardlinks
that the next one needs again, and would otherwise be deleted and made anew. A spare is
believed in nothing. Whatever it holds is compared with what is wanted, by inode, and
what is anything else goes: so it may be half made, damaged, or written to.
"""

import os
import stat
from collections.abc import Iterable, Mapping

from updater.core.index import Row
from updater.core.manifest import XATTRS
from updater.errors import HostError
from updater.system import fs

_SPECIAL = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX


def reduce(
    path: str, files: Mapping[bytes, Row], directories: Iterable[bytes]
) -> set[bytes]:
    """Leave nothing below a directory but what is wanted there.

    Directories are left as new ones are, as far as it matters to what is made in them:
    of our own user, without set-group-id and without xattrs such as a default ACL.

    Args:
        path: the directory.
        files: path -> a row with the inode that this path has to be.
        directories: of which all that are there stay; with what is above each.

    Returns:
        The paths of `files` that are there.

    Raises:
        HostError: something cannot be deleted, is mounted, or lies on another device.
    """
    if mounted := fs.mounts_below(path):
        raise HostError(f"{path} is not used: {mounted[0]} is mounted there")
    try:
        root = os.open(path, fs.DIRECTORY)
        try:
            reduction = _Reduction(path, files, frozenset(directories))
            reduction.device = os.fstat(root).st_dev
            reduction.reduce(root, b"")
        finally:
            os.close(root)
    except OSError as error:
        raise fs.host_error(error, f"cannot use {path} again") from error
    return reduction.kept


class _Reduction:
    """One walk; it goes into wanted directories only, which are never very deep."""

    def __init__(
        self, top: str, files: Mapping[bytes, Row], directories: frozenset[bytes]
    ) -> None:
        self.device = 0
        self.kept: set[bytes] = set()
        self._top = os.fsencode(top)
        self._files = files
        self._directories = directories
        self._own = (os.geteuid(), os.getegid())

    def reduce(self, fd: int, path: bytes) -> None:
        self._make_plain(fd, path)
        above = path + b"/" if path else b""
        below: list[bytes] = []
        same: list[bytes] = []
        with os.scandir(fd) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                full = above + name
                if entry.is_dir(follow_symlinks=False):
                    below.append(name)
                    continue
                row = self._files.get(full)
                if row is not None and row.stat.inode == entry.inode():
                    same.append(name)
                else:
                    os.unlink(name, dir_fd=fd)
        self._hold(fd, above, same)
        for name in below:
            self._enter(fd, name, above + name)

    def _hold(self, fd: int, above: bytes, names: list[bytes]) -> None:
        """Some filesystems list other inode numbers than stat(2) tells: ask for one."""
        if names:
            found = os.lstat(names[0], dir_fd=fd)
            expected = self._files[above + names[0]].stat.inode
            if (found.st_dev, found.st_ino) != (self.device, expected):
                for name in names:
                    os.unlink(name, dir_fd=fd)
                return
        self.kept.update(above + name for name in names)

    def _enter(self, above: int, name: bytes, path: bytes) -> None:
        if path not in self._directories:
            fs.remove_tree(os.fsdecode(os.path.join(self._top, path)))
            return
        fd = os.open(name, fs.DIRECTORY, dir_fd=above)
        try:
            self.reduce(fd, path)
        finally:
            os.close(fd)

    def _make_plain(self, fd: int, path: bytes) -> None:
        found = os.fstat(fd)
        if found.st_dev != self.device:
            raise HostError(f"/{os.fsdecode(path)} is on another device")
        if (found.st_uid, found.st_gid) != self._own:
            os.fchown(fd, *self._own)
        if found.st_mode & _SPECIAL or found.st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.fchmod(fd, 0o700)
        for name in os.listxattr(fd):
            if XATTRS.match(name):
                os.removexattr(fd, name)
