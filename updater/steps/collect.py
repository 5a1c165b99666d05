"""Collect: delete deployments that nobody needs, and say why another one stays."""

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from updater.core.index import Row
from updater.core.plan import below, parents
from updater.errors import HostError
from updater.model import DeploymentId, Record, State
from updater.system import fs, process
from updater.system.checkout import changes
from updater.system.checkout.spare import reduce

_NAME = re.compile(r"[0-9]+-[0-9a-f]{7}\.[0-9]+\Z")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Choice(Struct, frozen=True):
    """What may go; `reasons` are sentences about what could have gone but stays."""

    removable: tuple[Record, ...]
    reasons: tuple[str, ...]


def choose(
    state: State,
    booted: DeploymentId | None,
    keep: int,
    written: Mapping[DeploymentId, Sequence[bytes]],
) -> Choice:
    """Decide which deployments go: the oldest beyond `keep`.

    Args:
        state: what is here.
        booted: runs, and stays.
        keep: deployments to keep beside pinned ones.
        written: paths below persistent directories that somebody wrote, by deployment;
            they are data, and nothing deletes them.
    """
    needed = {booted, state.target, state.origin, state.previous}
    pinned = {r.id for r in state.deployments if state.pin in (r.version, r.commit)}
    others = [r for r in state.deployments if r.id not in needed | pinned]
    count = len(state.deployments) - len(pinned)
    candidates = others[: max(0, count - keep)]
    reasons = tuple(
        f"{record.id} stays: {len(written[record.id])} files below its persistent "
        f"directories were written, /{written[record.id][0].decode('utf-8', 'replace')}"
        " is one"
        for record in candidates
        if written.get(record.id)
    )
    removable = tuple(r for r in candidates if not written.get(r.id))
    return Choice(removable, reasons)


def written_seeds(
    path: str,
    rows: Mapping[bytes, Row],
    directories: Sequence[bytes],
    persistent: Sequence[bytes],
) -> list[bytes]:
    """The paths below persistent directories of a deployment that are not as staged."""
    is_seed = below(persistent)
    seeds = {name: row for name, row in rows.items() if is_seed(name)}
    known = {name for name in (*rows, *directories) if is_seed(name)}
    root = os.open(path, _DIRECTORY)
    try:
        found = [change.path for change in changes.changed(root, seeds)[0]]
        added = [change.path for change in changes.strays(root, known, directories)]
    finally:
        os.close(root)
    return sorted((*found, *(name for name in added if is_seed(name))))


def remove(path: str, index_path: str) -> int:
    """Delete a deployment that the state does not name any more.

    Returns:
        Bytes that this freed on its filesystem.

    Raises:
        HostError.
    """
    before = fs.free_bytes(os.path.dirname(path))
    temporary = f"{path}.tmp"
    fs.remove_tree(index_path)
    if os.path.isdir(path):
        try:
            fs.rename(path, temporary)
        except OSError as error:
            raise fs.host_error(error, f"cannot delete {path}") from error
    _empty(temporary)
    fs.remove_tree(temporary)
    return max(0, fs.free_bytes(os.path.dirname(path)) - before)


def set_aside(path: str, index_path: str, spare: str, rows: Mapping[bytes, Row]) -> int:
    """Make a deployment, that the state does not name any more, the spare one.

    Args:
        path: the deployment's directory.
        index_path: its stat index, which goes.
        spare: where it goes; what is there goes.
        rows: of the deployment that the next one will share files with.

    Returns:
        Bytes that this freed on its filesystem.

    Raises:
        HostError: it is not the spare one, and `remove` is left to be done.
    """
    before = fs.free_bytes(os.path.dirname(path))
    fs.remove_tree(spare)
    fs.remove_tree(index_path)
    try:
        fs.rename(path, spare)
        try:
            reduce(spare, rows, parents(rows))
        except HostError:
            fs.rename(spare, f"{path}.tmp")
            raise
    except OSError as error:
        raise fs.host_error(error, f"cannot rename {path}") from error
    return max(0, fs.free_bytes(os.path.dirname(path)) - before)


def _empty(path: str) -> None:
    """Delete what lies two directories deep, in as many workers as are useful.

    Most of a deployment's files are hardlinks: deleting one is work for a processor.
    What stays is left to `fs.remove_tree`, which says why.
    """
    if fs.mounts_below(path):
        return
    parts = [part for top in _subdirectories(path) for part in _subdirectories(top)]

    def start() -> Callable[[int], bytes]:
        def work(number: int) -> bytes:
            with contextlib.suppress(HostError):
                fs.remove_tree(parts[number])
            return b""

        return work

    process.fork_map(len(parts), start)


def _subdirectories(path: str) -> list[str]:
    """None where it cannot be listed."""
    try:
        with os.scandir(path) as entries:
            return [e.path for e in entries if e.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def unnamed(
    deployments: str, known: Iterable[DeploymentId], booted: DeploymentId | None
) -> list[str]:
    """What an interrupted run left there: `.tmp`, and deployments that nobody names.

    Nothing else is, and where what runs is not known, no deployment is.

    Raises:
        OSError.
    """
    names = set(known)
    sane = booted in names
    return [
        name
        for name in os.listdir(deployments)
        if name.endswith(".tmp")
        or (sane and name not in names and bool(_NAME.match(name)))
    ]
