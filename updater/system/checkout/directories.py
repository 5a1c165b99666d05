"""Directories below one root, opened part by part and never through a symlink."""

import contextlib
import os
from collections.abc import Iterable

from updater.system import fs


class Directories:
    """Directory descriptors below one root; those above the last one are kept open.

    So the next directory, in the order of paths, costs one call to open.

    Args:
        root: descriptor.
        make: create what is missing, for the owner alone; others may do so too.
    """

    def __init__(self, root: int, *, make: bool = False) -> None:
        self._root = root
        self._make = make
        self._path: bytes | None = None
        self._fd = root
        self._parts: list[bytes] = []
        self._fds: list[int] = []

    def open(self, path: bytes) -> int:
        """A descriptor of `path`, valid until the next call.

        Raises:
            OSError: a part of the path is missing, or not a directory.
        """
        if path == self._path:
            return self._fd
        parts = path.split(b"/") if path else []
        same = 0
        for known, part in zip(self._parts, parts, strict=False):
            if known != part:
                break
            same += 1
        self._close(same)
        self._path = None
        for part in parts[same:]:
            above = self._fds[-1] if self._fds else self._root
            self._fds.append(self._open(part, above))
            self._parts.append(part)
        self._path = path
        self._fd = self._fds[-1] if self._fds else self._root
        return self._fd

    def _open(self, name: bytes, above: int) -> int:
        try:
            return os.open(name, fs.DIRECTORY, dir_fd=above)
        except FileNotFoundError:
            if not self._make:
                raise
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=above)
        return os.open(name, fs.DIRECTORY, dir_fd=above)

    def close(self) -> None:
        """Close what is open."""
        self._close(0)
        self._path = None

    def _close(self, keep: int) -> None:
        for fd in self._fds[keep:]:
            os.close(fd)
        del self._fds[keep:], self._parts[keep:]


def make_directories(root: int, paths: Iterable[bytes]) -> None:
    """Create the directories that are missing, for the owner alone until they are done.

    Raises:
        OSError: also where something else than a directory is.
    """
    directories = Directories(root, make=True)
    try:
        for path in paths:
            directories.open(path)
    finally:
        directories.close()
