"""What no update of a package explains: the trust feature of a rootfs in git.

A path that differs is explained when the package that owns it, before or after, came,
went or has another version; when it is bookkeeping of a package manager; or by a rule
of `made`. Of what is left, a path with an owner is a change that its package does not
admit, and a path without one is told by its directory.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from updater.report import made
from updater.report.bookkeeping import is_record
from updater.report.diff import FileChange
from updater.report.ownership import Ownership
from updater.report.sections import Unexplained, Unowned
from updater.report.snapshot import Snapshot

MAX_ROWS = 40  # directories of unowned paths; deeper ones are told by their parents
_DEPTHS = (64, 4, 3, 2, 1)


class Judge:
    """Tells explained changes from others, once it has seen all of them."""

    def __init__(
        self, old: Snapshot | None, new: Snapshot, ownership: Ownership
    ) -> None:
        self._sides = [side for side in (new, old) if side is not None]
        self._ownership = ownership
        self._explained: dict[bytes, str] = {}
        self._answers: dict[bytes, made.Rule | None] = {}
        self._patterns: dict[bytes, bool] = {}

    def package(self, path: bytes) -> str | None:
        """The changed package that explains a path; `unexplained` remembers it."""
        found = self._ownership.explained_by(path)
        if found is not None:
            self._explained[path] = found
        return found

    def unexplained(self, changes: Sequence[FileChange]) -> Unexplained:
        """What is left of these changes."""
        left = [change for change in changes if not self._is_explained(change)]
        if left and not self._ownership.known:
            return Unexplained()
        changed: list[tuple[bytes, str]] = []
        unowned: list[FileChange] = []
        for change in left:
            owner = self._ownership.owner_of(change.path)
            if owner is None:
                unowned.append(change)
            else:
                changed.append((change.path, owner))
        return Unexplained(tuple(changed), tuple(_collapse(unowned)), known=True)

    def _is_explained(self, change: FileChange) -> bool:
        path = change.path
        if path in self._explained or is_record(path) or _is_directory(change):
            return True
        return self.rule(path) is not None

    def rule(self, path: bytes) -> made.Rule | None:
        """The rule of `made` that explains a path, if one does."""
        if path not in self._answers:
            self._answers[path] = None  # two links that lead to each other end here
            self._answers[path] = made.rule_for(
                path, self._has_changed, self._leads_to_explained
            )
        return self._answers[path]

    def _has_changed(self, pattern: bytes) -> bool:
        """Whether an explained change matches; each pattern is looked for once."""
        if pattern not in self._patterns:
            search = re.compile(pattern).fullmatch
            self._patterns[pattern] = any(search(path) for path in self._explained)
        return self._patterns[pattern]

    def _leads_to_explained(self, path: bytes) -> bool:
        """Whether a link leads, or led, to what a changed package brings."""
        for side in self._sides:
            target = side.link(path)
            if target is None:
                continue
            where = _resolve(path, target)
            places = [where, b"usr/" + where] if where else []
            for place in places:
                if place in self._explained or self._ownership.explained_by(place):
                    return True
                if self.rule(place) is not None:
                    return True
        return False


def _is_directory(change: FileChange) -> bool:
    """A directory belongs to many packages; attention tells when one is opened."""
    nodes = [node for node in (change.old, change.new) if node is not None]
    return all(node.type == "dir" for node in nodes)


def _resolve(path: bytes, target: bytes) -> bytes:
    """Where a link leads, from the root; empty when that is outside."""
    parts = [] if target.startswith(b"/") else path.split(b"/")[:-1]
    for part in target.split(b"/"):
        if part == b"..":
            if not parts:
                return b""
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


def _collapse(changes: Sequence[FileChange]) -> Iterable[Unowned]:
    """By directory, as deep as leaves few of them; a lone path stands for itself."""
    groups = {change.path: [change] for change in changes}
    for depth in _DEPTHS:
        if len(groups) <= MAX_ROWS:
            break
        groups = _group(changes, depth)
    for path, found in sorted(groups.items()):
        old = sum(change.new is None for change in found)
        new = sum(change.old is None for change in found)
        sizes = [change.grows for change in found]
        known = [size for size in sizes if size is not None]
        yield Unowned(
            path=found[0].path if len(found) == 1 else path,
            added=new,
            removed=old,
            modified=len(found) - old - new,
            grows=sum(known) if len(known) == len(sizes) else None,
        )


def _group(changes: Iterable[FileChange], depth: int) -> dict[bytes, list[FileChange]]:
    found: dict[bytes, list[FileChange]] = defaultdict(list)
    for change in changes:
        parents = change.path.split(b"/")[:-1]
        found[b"/".join(parents[:depth])].append(change)
    return found
