"""Whose the paths are that differ, read from no more than says so.

The file lists of packages that changed explain nearly all of an update; the others are
read only when a path is left that neither these lists nor a rule explains.
"""

from collections.abc import Container, Iterator, Set
from functools import cached_property

from updater.core import packages
from updater.core.packages import dpkg, pacman
from updater.core.packages.owners import NOBODY, Owners, explained_by
from updater.core.packages.ownership import is_ownership
from updater.errors import RefusedError
from updater.model import GitMode
from updater.report.snapshot import Snapshot
from updater.report.trees import Tree

_PLACES = (
    pacman.LOCAL.rstrip(b"/"),
    b"etc/apk",
    b"lib/apk",
    b"usr/lib/apk",
    b"usr/lib/sysimage/rpm",
    b"var/lib/dpkg",
    b"var/lib/rpm",
)
"""In these, and one directory below, is what `packages.is_ownership` names."""


class Ownership:
    """The owners of paths in two releases, before and after.

    Args:
        old: the release before, or None.
        new: the release after.
        changed: names of the packages that came, went, or have another version.
    """

    def __init__(
        self, old: Snapshot | None, new: Snapshot, changed: Container[str]
    ) -> None:
        self._old, self._new = old, new
        self._changed = changed
        self.problems: list[str] = []

    @property
    def known(self) -> bool:
        """Whether the releases tell who owns what."""
        if self._new.owners is not None:
            return bool(self._new.owners)
        listed = any(map(bool, self._of_changed)) or bool(self._every)
        return listed and not self.problems

    def explained_by(self, path: bytes) -> str | None:
        """The changed package that this path is, or was, part of."""
        told = self._told(path)
        if told is not None and told in self._changed:
            return told
        before, after = self._of_changed
        return explained_by(path, before, after, self._changed)

    def of_changed(self, path: bytes) -> str | None:
        """The owner, as far as the lists of changed packages tell."""
        before, after = self._of_changed
        return self._told(path) or after.owner_of(path) or before.owner_of(path)

    def owner_of(self, path: bytes) -> str | None:
        """The package that lists this path now, or did; every list is read for it."""
        return self.of_changed(path) or self._every.owner_of(path)

    def conffile_of(self, path: bytes) -> str | None:
        """The package of a path that the package manager treats as configuration."""
        for owners in reversed(self._of_changed):
            found = owners.conffile(path)
            if found is not None:
                return found.package
        return None

    def _told(self, path: bytes) -> str | None:
        """The owner that a channel tells."""
        for side in (self._new, self._old):
            if side is not None and side.owners is not None and path in side.owners:
                return side.owners[path]
        return None

    @cached_property
    def _new_files(self) -> dict[bytes, str]:
        return dict(_ownership_files(self._new))

    @cached_property
    def _of_changed(self) -> tuple[Owners, Owners]:
        """By the lists that differ, and those of packages that changed."""
        old = {} if self._old is None else dict(_ownership_files(self._old))
        new = self._new_files
        before = {path for path, oid in old.items() if self._counts(path, oid, new)}
        after = {path for path, oid in new.items() if self._counts(path, oid, old)}
        return self._read(self._old, before), self._read(self._new, after)

    def _counts(self, path: bytes, oid: str, other: dict[bytes, str]) -> bool:
        if other.get(path) != oid:
            return True
        name = dpkg.listed_by(path) or pacman.listed_by(path)
        return name is not None and name in self._changed

    @cached_property
    def _every(self) -> Owners:
        if self._new.owners is None or self._old is None:
            return self._read(self._new, self._new_files.keys())
        return self._read(self._old, dict(_ownership_files(self._old)).keys())

    def _read(self, side: Snapshot | None, paths: Set[bytes]) -> Owners:
        if side is None or side.owners is not None or not paths:
            return NOBODY
        try:
            return packages.find_owners(paths, side.read, side.link)
        except RefusedError as error:
            self.problems.append(f"whose files are whose is not known: {error}")
            return NOBODY


def _ownership_files(side: Snapshot) -> Iterator[tuple[bytes, str]]:
    """The files that tell owners, and their blobs."""
    for path in _candidates(side.tree):
        leaf = side.tree.leaf(path)
        if leaf is not None and leaf.mode is not GitMode.SYMLINK:
            yield path, leaf.oid


def _candidates(tree: Tree) -> Iterator[bytes]:
    for place in _PLACES:
        for name in tree.names(place):
            path = place + b"/" + name
            if is_ownership(path):
                yield path
            elif tree.is_directory(path):
                for inside in tree.names(path):
                    below = path + b"/" + inside
                    if is_ownership(below):
                        yield below
