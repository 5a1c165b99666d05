"""The files of a release by path: from git, from a list, or with local changes."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Protocol

from updater.core import treediff
from updater.core.treediff import Browser, Difference, Leaf
from updater.model import TreeEntry


class Tree(Protocol):
    """The files and symlinks of a release, by path."""

    def leaf(self, path: bytes) -> Leaf | None:
        """The file or symlink at `path`."""

    def is_directory(self, path: bytes) -> bool:
        """Whether something is below `path`."""

    def names(self, path: bytes) -> list[bytes]:
        """What is in a directory, sorted."""

    def walk(self) -> Iterator[tuple[bytes, Leaf]]:
        """Every file and symlink, sorted by path."""


class FlatTree:
    """A tree that is a list: what a channel tells, or a test."""

    def __init__(self, entries: Sequence[TreeEntry]) -> None:
        self._leaves = {entry.path: Leaf(entry.mode, entry.oid) for entry in entries}

    def leaf(self, path: bytes) -> Leaf | None:
        """The file or symlink at `path`."""
        return self._leaves.get(path)

    def is_directory(self, path: bytes) -> bool:
        """Whether something is below `path`."""
        below = path + b"/"
        at = bisect_left(self._sorted, below)
        return at < len(self._sorted) and self._sorted[at].startswith(below)

    def names(self, path: bytes) -> list[bytes]:
        """What is in a directory, sorted."""
        below = path + b"/" if path else b""
        found: dict[bytes, None] = {}
        for name in self._sorted[bisect_left(self._sorted, below) :]:
            if not name.startswith(below):
                break
            found[name[len(below) :].partition(b"/")[0]] = None
        return sorted(found)

    def walk(self) -> Iterator[tuple[bytes, Leaf]]:
        """Every file and symlink, sorted by path."""
        return ((path, self._leaves[path]) for path in self._sorted)

    @cached_property
    def _sorted(self) -> list[bytes]:
        return sorted(self._leaves)


class Overlay:
    """A tree, and what is otherwise; None: the path is gone there."""

    def __init__(self, base: Tree, changed: Mapping[bytes, Leaf | None]) -> None:
        self.base = base
        self.changed = changed
        self._children: dict[bytes, dict[bytes, bool]] = {}
        for path, leaf in sorted(changed.items()):
            self._enter(path, leaf is not None)
        for path in sorted(changed, reverse=True):
            if changed[path] is None:
                self._leave(path.rpartition(b"/")[0])

    def _enter(self, path: bytes, here: bool) -> None:  # noqa: FBT001 - there or gone
        while path:
            parent, _, name = path.rpartition(b"/")
            known = self._children.setdefault(parent, {})
            known[name] = here or known.get(name, False)
            if not here:
                break
            path = parent

    def _leave(self, directory: bytes) -> None:
        """A directory in which nothing is left is none, and perhaps its parent."""
        while directory and not self.names(directory):
            parent, _, name = directory.rpartition(b"/")
            if self.changed.get(directory) is None:
                self._children.setdefault(parent, {})[name] = False
            directory = parent

    def leaf(self, path: bytes) -> Leaf | None:
        """The file or symlink at `path`."""
        if path in self.changed:
            return self.changed[path]
        return self.base.leaf(path)

    def is_directory(self, path: bytes) -> bool:
        """Whether something is below `path`."""
        if path not in self._children:
            return self.base.is_directory(path) and self.changed.get(path) is None
        return bool(self.names(path))

    def names(self, path: bytes) -> list[bytes]:
        """What is in a directory, sorted."""
        found = dict.fromkeys(self.base.names(path), True)
        found.update(self._children.get(path, {}))
        return sorted(name for name, here in found.items() if here)

    def walk(self) -> Iterator[tuple[bytes, Leaf]]:
        """Every file and symlink, sorted by path."""
        found = dict(self.base.walk())
        for path, leaf in self.changed.items():
            if leaf is None:
                found.pop(path, None)
            else:
                found[path] = leaf
        return iter(sorted(found.items()))


def differing(old: Tree | None, new: Tree) -> Iterator[Difference]:
    """The files and symlinks that are not alike, sorted by path."""
    if old is None:
        return (Difference(path, None, leaf) for path, leaf in new.walk())
    if isinstance(old, Browser) and isinstance(new, Browser):
        return treediff.differing(old.root, new.root, new.read, old.read)
    if isinstance(new, Overlay) and new.base is old:
        return _differ(sorted(new.changed), old, new)
    before, after = dict(old.walk()), dict(new.walk())
    return _differ(sorted(before.keys() | after.keys()), old, new)


def _differ(paths: Sequence[bytes], old: Tree, new: Tree) -> Iterator[Difference]:
    for path in paths:
        before, after = old.leaf(path), new.leaf(path)
        if before != after:
            yield Difference(path, before, after)
