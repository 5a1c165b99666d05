"""Two trees, walked together: only where they differ, and where the caller must look.

A directory whose tree id is the same on both sides is the same in everything below it.
"""

from collections.abc import Callable, Iterable, Mapping

from updater.core import tree
from updater.core.packages import DATABASES
from updater.model import GitMode, Metadata, ObjectId, RawEntry, TreeEntry

_METADATA = b"usr/lib/osupdate"


class Wanted:
    """Paths that are looked at although their trees are the same.

    Args:
        paths: whose metadata differ; with a directory, everything below it.
    """

    def __init__(self, paths: Iterable[bytes]) -> None:
        tops = {_METADATA, *DATABASES, *paths}
        self._tops = frozenset(tops)
        self._below = tuple(top + b"/" for top in tops)
        self._above = {parent for top in tops for parent in _parents(top)}

    def __contains__(self, path: bytes) -> bool:
        return path in self._above or path in self._tops or path.startswith(self._below)


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
    old: ObjectId,
    new: ObjectId,
    read: Callable[[ObjectId], bytes],
    wanted: Wanted,
) -> tuple[list[TreeEntry], list[TreeEntry]]:
    """The files of two releases, but those of directories that are the same in both.

    Args:
        old: a tree; both were verified when they were stored.
        new: another tree.
        read: gives the raw bytes of a tree object.
        wanted: what to look at in any case.

    Returns:
        The entries of each side, sorted by path.

    Raises:
        UntrustedError: F2: damaged since.
    """
    found: tuple[list[TreeEntry], list[TreeEntry]] = ([], [])
    stack: list[tuple[bytes, tuple[ObjectId | None, ObjectId | None]]]
    stack = [(b"", (old, new))]
    while stack:
        path, pair = stack.pop()
        if pair[0] == pair[1] and path and path not in wanted:
            continue
        below: dict[bytes, list[ObjectId | None]] = {}
        for side, oid in enumerate(pair):
            for entry in _listing(oid, path, read):
                full = path + b"/" + entry.name if path else entry.name
                if entry.mode is GitMode.TREE:
                    below.setdefault(full, [None, None])[side] = entry.oid
                else:
                    found[side].append(TreeEntry(full, entry.mode, entry.oid))
        stack += [(name, (sides[0], sides[1])) for name, sides in below.items()]
    for entries in found:
        entries.sort(key=lambda entry: entry.path)
    return found


def find(
    root: ObjectId, path: bytes, read: Callable[[ObjectId], bytes]
) -> ObjectId | None:
    """The blob at a path, without a look at anything beside it."""
    current, place = root, b""
    parts = path.split(b"/")
    for depth, part in enumerate(parts, 1):
        last = depth == len(parts)
        entries = _listing(current, place, read)
        entry = next((e for e in entries if e.name == part), None)
        if entry is None or (entry.mode is GitMode.TREE) == last:
            return None
        current, place = entry.oid, part
    return current


def _listing(
    oid: ObjectId | None, path: bytes, read: Callable[[ObjectId], bytes]
) -> list[RawEntry]:
    return tree.parse(read(oid), path, submodules=True)[0] if oid else []


def _parents(path: bytes) -> list[bytes]:
    found = []
    while path:
        path = path.rpartition(b"/")[0]
        found.append(path)
    return found
