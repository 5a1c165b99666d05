"""Tells what lies in a deployment otherwise than it was laid out; nothing is read."""

import os
from collections.abc import Iterable, Mapping, Sequence

from updater.core.index import Row, Stat
from updater.model import LocalChange
from updater.system import fs
from updater.system.checkout import stat_entry
from updater.system.checkout.directories import Directories


def changed(
    root: int,
    rows: Mapping[bytes, Row],
    linked_at: Sequence[tuple[int, int]] = (),
) -> tuple[list[LocalChange], dict[bytes, Stat]]:
    """The files that do not look as the index remembers them; nothing is read.

    link(2) and unlink(2) change the ctime of a file that stays as it is. A file whose
    ctime and number of links changed, and nothing else, at a time when we were linking,
    was linked, not written.

    Args:
        root: descriptor of the deployment's directory.
        rows: its index.
        linked_at: when we were, from and to in nanoseconds.

    Returns:
        Changes of kind missing, metadata (mode or owner) or modified (perhaps only
        touched: hashing tells), sorted by path; and how linked files look now.
    """
    found: list[LocalChange] = []
    linked: dict[bytes, Stat] = {}
    directories = Directories(root)
    unreachable: bytes | None = None
    last = None
    fd = -1
    for path in sorted(rows, key=lambda path: path.rpartition(b"/")[0]):
        parent, _, name = path.rpartition(b"/")
        if parent != last:
            last = parent
            try:
                fd, unreachable = directories.open(parent), None
            except OSError:
                unreachable = parent
        if unreachable == parent:
            found.append(LocalChange(path, "missing"))
            continue
        expected = rows[path].stat
        now = _lstat(fd, name)
        if now is None:
            found.append(LocalChange(path, "missing"))
        elif now != expected:
            if _only_linked(now, expected, linked_at):
                linked[path] = now
            else:
                found.append(LocalChange(path, _kind(now, expected)))
    directories.close()
    return sorted(found, key=lambda change: change.path), linked


def _only_linked(
    now: Stat, expected: Stat, linked_at: Sequence[tuple[int, int]]
) -> bool:
    if now != expected._replace(ctime=now.ctime, links=now.links):
        return False
    return any(begin <= now.ctime <= end for begin, end in linked_at)


def _lstat(directory: int, name: bytes) -> Stat | None:
    try:
        return stat_entry(directory, name)
    except OSError:
        return None


def _kind(now: Stat, expected: Stat) -> str:
    looks = (now.mode, now.uid, now.gid)
    same = looks == (expected.mode, expected.uid, expected.gid)
    return "modified" if same else "metadata"


def strays(
    root: int, known: Iterable[bytes], directories: Iterable[bytes] = ()
) -> list[LocalChange]:
    """What lies in a deployment without being in its release; directories collapsed.

    Args:
        root: descriptor of the deployment's directory.
        known: the release's paths.
        directories: those of them that may be empty there: nothing known tells that
            something can lie in them. Another filesystem that is mounted on one is
            not looked into.
    """
    present = set(known)
    empty = present.intersection(directories)
    parents = {b""}
    for path in present:
        parent = path.rpartition(b"/")[0]
        while parent not in parents:
            parents.add(parent)
            parent = parent.rpartition(b"/")[0]
    found: list[LocalChange] = []
    device = os.fstat(root).st_dev
    for directory in sorted(parents | empty):
        try:
            fd = fs.open_beneath(root, directory)
        except OSError:
            continue
        try:
            if directory not in parents and os.fstat(fd).st_dev != device:
                continue
            for name in map(os.fsencode, os.listdir(fd)):
                path = directory + b"/" + name if directory else name
                if path not in present and path not in parents:
                    found.append(LocalChange(path, "extra"))
        finally:
            os.close(fd)
    return sorted(found, key=lambda change: change.path)
