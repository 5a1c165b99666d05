"""Survey: is a deployment as it was staged? By stat; only what was touched is read."""

import os
from collections.abc import Callable, Sequence

from updater.core.index import Index, Row
from updater.errors import HostError
from updater.model import LocalChange
from updater.system import checkout, process
from updater.system.checkout.changes import changed
from updater.system.checkout.directories import Directories

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BATCH = 100


def survey(
    path: str, index: Index, linked_at: Sequence[tuple[int, int]] = ()
) -> tuple[tuple[LocalChange, ...], bool]:
    """Compare a deployment with its stat index.

    A file that only looks touched is hashed; when it is as it was, its row is brought
    up to date, as that of a file to which a link came or went.

    Args:
        path: the deployment's directory.
        index: changed in place.
        linked_at: when we made or removed links, from and to in nanoseconds.

    Returns:
        What is changed or missing, and whether the index has to be written again.

    Raises:
        HostError.
    """
    try:
        root = os.open(path, _DIRECTORY)
    except OSError as error:
        raise HostError(f"cannot open {path}: {error.strerror}") from error
    try:
        found, linked = changed(root, index.rows, linked_at)
        for name, now in linked.items():
            index.rows[name] = index.rows[name]._replace(stat=now)
        touched = [change for change in found if change.kind == "modified"]
        same = _unchanged(root, [(c.path, index.rows[c.path]) for c in touched])
        for name in same:
            index.rows[name] = _now(root, name, index.rows[name])
    finally:
        os.close(root)
    changes = tuple(change for change in found if change.path not in same)
    return changes, bool(same or linked)


def _unchanged(root: int, touched: list[tuple[bytes, Row]]) -> set[bytes]:
    def start() -> Callable[[int], bytes]:
        directories = Directories(root)

        def work(number: int) -> bytes:
            batch = touched[number * _BATCH : (number + 1) * _BATCH]
            return bytes(_is_same(directories, name, row) for name, row in batch)

        return work

    answers = b"".join(process.fork_map(-(-len(touched) // _BATCH), start))
    return {name for (name, _), same in zip(touched, answers, strict=True) if same}


def _is_same(directories: Directories, path: bytes, row: Row) -> bool:
    parent, _, name = path.rpartition(b"/")
    try:
        directory = directories.open(parent)
        ids = checkout.hash_entry(directory, name, row.stat.size, ("sha256",))
    except (OSError, HostError):
        return False
    return ids[0] == row.sha256


def _now(root: int, path: bytes, row: Row) -> Row:
    directories = Directories(root)
    parent, _, name = path.rpartition(b"/")
    try:
        return row._replace(stat=checkout.stat_entry(directories.open(parent), name))
    finally:
        directories.close()
