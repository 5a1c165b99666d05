"""Two trees, walked together: only where they differ.

A directory whose tree id is the same on both sides is the same in everything below it.
The trees are those of releases that were verified when they were stored (and libgit2
holds each to its id again), so the walk does not judge names; `core.tree` did.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from updater.core.text import show_path
from updater.errors import UntrustedError
from updater.model import GitMode, Metadata, ObjectId

Read = Callable[[ObjectId], bytes]

_ENTRY = re.compile(rb"([0-7]{5,6}) ([^\0/]+)\0(.{20})", re.DOTALL)
_MODES = {mode.value.encode(): mode for mode in GitMode if mode is not GitMode.TREE}
_TREE = GitMode.TREE.value.encode()
_REMEMBERED = 50_000  # entries of directories that a Browser has read
_OVERHEAD = 22  # bytes of an entry beside its mode and name: a space, a NUL, the id

Raw = tuple[bytes, bytes, bytes]
"""One entry as git has it: mode, name, 20 bytes of id."""


class Leaf(NamedTuple):
    """What a tree has at a path that is not a directory."""

    mode: GitMode
    oid: ObjectId


class Difference(NamedTuple):
    """A path that is not the same file on both sides; None: no file is there."""

    path: bytes
    old: Leaf | None
    new: Leaf | None


def differing_metadata(
    old: Mapping[bytes, Metadata], new: Mapping[bytes, Metadata]
) -> set[bytes]:
    """The paths, and the targets of links, that two manifests tell differently."""
    found = {path for path in old.keys() | new.keys() if old.get(path) != new.get(path)}
    for side in (old, new):
        found |= {m.hardlink for p, m in side.items() if m.hardlink and p in found}
        found |= {p for p, m in side.items() if m.hardlink in found}
    return found


def differing(
    old: ObjectId | None,
    new: ObjectId | None,
    read: Read,
    read_old: Read | None = None,
) -> Iterator[Difference]:
    """The files and symlinks that two trees do not have alike, sorted by path.

    Args:
        old: a root tree; None is an empty one.
        new: another.
        read: gives the raw bytes of a tree object.
        read_old: the same for the old side, where that is from elsewhere.

    Raises:
        UntrustedError: F2: damaged since.
    """
    reads = read_old or read, read
    stack = [_pairs(old, new, b"", reads)]
    while stack:
        for path, before, after in stack[-1]:
            trees = [_subtree(entry) for entry in (before, after)]
            if any(trees):
                stack.append(_pairs(trees[0], trees[1], path + b"/", reads))
                break
            leaves = _leaf(before), _leaf(after)
            if any(leaves):
                yield Difference(path, *leaves)
        else:
            stack.pop()


def _pairs(
    old: ObjectId | None, new: ObjectId | None, prefix: bytes, reads: tuple[Read, Read]
) -> Iterator[tuple[bytes, Raw | None, Raw | None]]:
    """The unequal entries of two directories, in git's order, which sorts paths."""
    before = set(listing(old, prefix, reads[0]))
    after = set(listing(new, prefix, reads[1]))
    gone = {_key(entry): entry for entry in before - after}
    come = {_key(entry): entry for entry in after - before}
    for key in sorted(gone.keys() | come.keys()):
        left, right = gone.get(key), come.get(key)
        yield prefix + key.removesuffix(b"/"), left, right


def _key(entry: Raw) -> bytes:
    """As what git sorts it: a file and a directory of one name are two things."""
    return entry[1] + b"/" if entry[0] == _TREE else entry[1]


def _subtree(entry: Raw | None) -> ObjectId | None:
    if entry is None or entry[0] != _TREE:
        return None
    return ObjectId(entry[2].hex())


def _leaf(entry: Raw | None) -> Leaf | None:
    """A submodule is nothing, as everywhere."""
    if entry is None or entry[0] not in _MODES:
        return None
    return Leaf(_MODES[entry[0]], ObjectId(entry[2].hex()))


def listing(oid: ObjectId | None, where: bytes, read: Read) -> list[Raw]:
    """The entries of one tree object; none for None.

    Raises:
        UntrustedError: F2: it is not one.
    """
    if oid is None:
        return []
    data = read(oid)
    found: list[Raw] = _ENTRY.findall(data)
    if sum(len(m) + len(n) + _OVERHEAD for m, n, _ in found) != len(data):
        raise UntrustedError("F2", f"{show_path(where)}: tree {oid} is damaged")
    return found


class Browser:
    """One tree, looked into by path; what was read is remembered, up to a bound."""

    def __init__(self, root: ObjectId, read: Read) -> None:
        self.root = root
        self.read = read
        self._known: dict[bytes, dict[bytes, Raw]] = {}
        self._count = 0

    def leaf(self, path: bytes) -> Leaf | None:
        """The file or symlink at `path`."""
        return _leaf(self._find(path))

    def is_directory(self, path: bytes) -> bool:
        """Whether `path` is a directory in git; the root, called empty, is one."""
        return not path or _subtree(self._find(path)) is not None

    def names(self, path: bytes) -> list[bytes]:
        """What is in a directory, sorted; empty when there is none."""
        return sorted(self._list(path))

    def walk(self) -> Iterator[tuple[bytes, Leaf]]:
        """Every file and symlink, sorted by path."""
        for path, _, leaf in differing(None, self.root, self.read):
            assert leaf is not None
            yield path, leaf

    def _find(self, path: bytes) -> Raw | None:
        parent, _, name = path.rpartition(b"/")
        return self._list(parent).get(name)

    def _list(self, path: bytes) -> dict[bytes, Raw]:
        known = self._known.get(path)
        if known is None:
            oid = _subtree(self._find(path)) if path else self.root
            known = {raw[1]: raw for raw in listing(oid, path, self.read)}
            self._count += len(known)
            if self._count > _REMEMBERED:
                self._known.clear()
                self._count = len(known)
            self._known[path] = known
        return known
