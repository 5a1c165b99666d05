"""Survey: is a deployment as it was staged? By stat; only what was touched is read."""

import os
import struct
from collections.abc import Callable, Sequence

from updater.core.index import Index, Row, Stat
from updater.errors import HostError
from updater.model import LocalChange
from updater.system import checkout, process
from updater.system.checkout.changes import changed
from updater.system.checkout.directories import Directories

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BATCH = 100
_LOOKED = struct.Struct("<?QqqQIIII")
_NOWHERE = Stat(*[0] * 8)


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
        for name, now in same.items():
            index.rows[name] = index.rows[name]._replace(stat=now)
    finally:
        os.close(root)
    changes = tuple(change for change in found if change.path not in same)
    return changes, bool(same or linked)


def _unchanged(root: int, touched: list[tuple[bytes, Row]]) -> dict[bytes, Stat]:
    """The files whose content is as it was, and how they looked before it was read."""

    def start() -> Callable[[int], bytes]:
        directories = Directories(root)

        def work(number: int) -> bytes:
            batch = touched[number * _BATCH : (number + 1) * _BATCH]
            return b"".join(_look_at(directories, name, row) for name, row in batch)

        return work

    answers = b"".join(process.fork_map(-(-len(touched) // _BATCH), start))
    found = zip(touched, _LOOKED.iter_unpack(answers), strict=True)
    return {name: Stat(*now) for (name, _), (same, *now) in found if same}


def _look_at(directories: Directories, path: bytes, row: Row) -> bytes:
    """Whether a file is as it was, and held still while it was read."""
    parent, _, name = path.rpartition(b"/")
    try:
        directory = directories.open(parent)
        now = checkout.stat_entry(directory, name)
        ids = checkout.hash_entry(directory, name, row.stat.size, ("sha256",))
        same = ids[0] == row.sha256 and checkout.stat_entry(directory, name) == now
    except (OSError, HostError):
        return _LOOKED.pack(0, *_NOWHERE)
    return _LOOKED.pack(same, *now)
