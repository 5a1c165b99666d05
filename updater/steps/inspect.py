"""Inspect: is a deployment still the release that it was, byte for byte; and repair."""

import os
import stat
import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from updater.core import text
from updater.core.index import Row, Stat
from updater.core.plan import Attributes, Plan, Write, below
from updater.errors import HostError
from updater.model import LocalChange, ObjectId
from updater.system import checkout, fs, process
from updater.system.checkout.changes import strays
from updater.system.checkout.directories import Directories, make_directories
from updater.system.git.objects import Objects

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HASHED = struct.Struct("<B32sQqqQIIII")
_NONE = bytes(32)
_BATCH = 200
_SAME, _CONTENT, _LOOK, _MISSING = range(4)
_KINDS = {_CONTENT: "modified", _LOOK: "metadata", _MISSING: "missing"}


def inspect(
    path: str,
    plan: Plan,
    report: Callable[[int, int], None],
    sizes: Mapping[ObjectId, int] | None = None,
    most: int = 0,
) -> tuple[dict[bytes, Row], tuple[LocalChange, ...]]:
    """Hash every file of a deployment and compare it with its release.

    Args:
        path: the deployment's directory.
        plan: a full one of its release: every file as a write.
        report: told files done and files in all.
        sizes: bytes of blobs, as far as known; a file of another size is not read.
        most: bytes of the whole release, or 0; nor is a file that is larger.

    Returns:
        The rows of the files that are right, and what is not.

    Raises:
        HostError.
    """
    writes = sorted(plan.writes, key=lambda write: write.path)
    root = os.open(path, _DIRECTORY)
    count = -(-len(writes) // _BATCH)
    may_have = _may_have(sizes or {}, most)

    def start() -> Callable[[int], bytes]:
        directories = Directories(root)

        def work(number: int) -> bytes:
            batch = islice(writes, number * _BATCH, (number + 1) * _BATCH)
            return b"".join(_look_at(write, directories, may_have) for write in batch)

        return work

    try:
        answers = process.fork_map(
            count,
            start,
            report=lambda n: report(min(n * _BATCH, len(writes)), len(writes)),
        )
        rows, changes = _sort_out(writes, b"".join(answers))
        _add_aliases(root, plan, rows, changes)
        changes += beside_files(root, plan)
        changes += strays(root, known_paths(plan))
    finally:
        os.close(root)
    return rows, tuple(sorted(changes, key=lambda change: change.path))


def known_paths(plan: Plan) -> tuple[bytes, ...]:
    """Every path of a full plan: what else lies in a deployment is extra."""
    return (
        *(write.path for write in plan.writes),
        *(alias for alias, _ in plan.aliases),
        *(special.path for special in plan.specials),
        *(directory for directory, _ in plan.directories),
    )


def _may_have(sizes: Mapping[ObjectId, int], most: int) -> Callable[[Write, int], bool]:
    """Whether a file of this size, in bytes, may be what was written."""

    def may_have(write: Write, size: int) -> bool:
        expected = sizes.get(write.oid)
        return size <= (most or size) if expected is None else size == expected

    return may_have


def _look_at(
    write: Write,
    directories: Directories,
    may_have: Callable[[Write, int], bool],
) -> bytes:
    parent, _, name = write.path.rpartition(b"/")
    try:
        directory = directories.open(parent)
        now = checkout.stat_entry(directory, name)
        if not may_have(write, now.size):
            return _HASHED.pack(_CONTENT, _NONE, *Stat(*[0] * 8))
        digests = checkout.hash_entry(directory, name, now.size, ("sha256", "sha1"))
        xattrs = checkout.read_xattrs(directory, name)
    except (OSError, HostError) as error:
        gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        return _HASHED.pack(_MISSING if gone else _CONTENT, _NONE, *Stat(*[0] * 8))
    look = write.attributes
    kind = _SAME
    if (now.mode, now.uid, now.gid, xattrs) != (
        look.mode,
        look.uid,
        look.gid,
        look.xattrs,
    ):
        kind = _LOOK
    if digests[1].hex() != write.oid:
        kind = _CONTENT
    return _HASHED.pack(kind, digests[0], *now)


def _sort_out(
    writes: Sequence[Write], answers: bytes
) -> tuple[dict[bytes, Row], list[LocalChange]]:
    rows: dict[bytes, Row] = {}
    changes: list[LocalChange] = []
    for write, row in zip(writes, _HASHED.iter_unpack(answers), strict=True):
        if row[0] == _SAME:
            rows[write.path] = Row(bytes.fromhex(write.oid), row[1], Stat(*row[2:]))
        else:
            changes.append(LocalChange(write.path, _KINDS[row[0]]))
    return rows, changes


def _add_aliases(
    root: int, plan: Plan, rows: dict[bytes, Row], changes: list[LocalChange]
) -> None:
    kinds = {change.path: change.kind for change in changes}
    for path, target in plan.aliases:
        now, first = _find(root, path), _find(root, target)
        row = rows.get(target)
        if now is None:
            changes.append(LocalChange(path, "missing"))
        elif first is None or now.st_ino != first.st_ino:
            changes.append(LocalChange(path, "modified"))
        elif row is not None:
            rows[path] = row
        else:
            changes.append(LocalChange(path, kinds[target]))


def _find(root: int, path: bytes) -> os.stat_result | None:
    parent, _, name = path.rpartition(b"/")
    try:
        fd = fs.open_beneath(root, parent)
        try:
            return os.lstat(name or b".", dir_fd=fd)
        finally:
            os.close(fd)
    except OSError:
        return None


def remembered(plan: Plan, rows: Mapping[bytes, Row]) -> dict[bytes, Row]:
    """The rows for a stat index: of a file that is not right, what it should be.

    Such a row agrees with no file, so that every survey finds the file changed.
    """
    known = dict(rows)
    for write in plan.writes:
        if write.path not in rows:
            look = write.attributes
            unlike = Stat(0, 0, 0, 0, look.mode, look.uid, look.gid, 0)
            known[write.path] = Row(bytes.fromhex(write.oid), _NONE, unlike)
    for path, target in plan.aliases:
        known.setdefault(path, known[target])
    return known


def beside_files(root: int, plan: Plan) -> list[LocalChange]:
    """What is wrong with directories, devices and pipes of a deployment.

    Args:
        root: descriptor of its directory.
        plan: a full one of its release.
    """
    changes = []
    for directory, look in plan.directories:
        changes += _look_beside_files(root, directory, look, None)
    for special in plan.specials:
        device = os.makedev(*special.device)
        changes += _look_beside_files(root, special.path, special.attributes, device)
    return changes


def _look_beside_files(
    root: int, path: bytes, look: Attributes, device: int | None
) -> list[LocalChange]:
    """What is wrong with a directory, device or fifo; one change or none."""
    found = _find(root, path)
    if found is None:
        return [LocalChange(path, "missing")]
    if stat.S_IFMT(found.st_mode) != stat.S_IFMT(look.mode) or (
        device is not None and found.st_rdev != device
    ):
        return [LocalChange(path, "modified")]
    seen = (found.st_mode, found.st_uid, found.st_gid)
    same = seen == (look.mode, look.uid, look.gid)
    if device is None:
        same = same and checkout.read_xattrs(root, path or b".") == look.xattrs
    return [] if same else [LocalChange(path, "metadata")]


def repairable(
    changes: Sequence[LocalChange], persistent: Sequence[bytes]
) -> tuple[bytes, ...]:
    """What `--repair` puts back: not what people edit, not what is only extra."""
    is_own = below((b"etc", *persistent))
    return tuple(
        change.path
        for change in changes
        if change.kind != "extra" and not is_own(change.path)
    )


def repair(path: str, plan: Plan, wanted: Sequence[bytes], objects: Objects) -> None:
    """Write files of a deployment anew, each replaced by one rename.

    Args:
        path: the deployment's directory.
        plan: a full one of its release.
        wanted: the paths.
        objects: has their blobs, from anywhere but these files.

    Raises:
        HostError, UntrustedError.
    """
    writes = {write.path: write for write in plan.writes}
    aliases = dict(plan.aliases)
    targets = {aliases.get(name, name) for name in wanted}
    links = [pair for pair in plan.aliases if pair[1] in targets or pair[0] in wanted]
    looks = dict(plan.directories)
    specials = {special.path: special for special in plan.specials}
    root = os.open(path, _DIRECTORY)
    try:
        lost = [name for name in wanted if name in looks]
        _repair_directories(root, lost, looks)
        for name in sorted(targets & writes.keys()):
            _repair_file(root, writes[name], objects)
        for name in sorted(specials.keys() & set(wanted)):
            _unlink(root, name)
            checkout.make_special(root, specials[name])
        for alias, target in links:
            _unlink(root, alias)
            checkout.make_alias(root, alias, target)
        fs.sync_filesystem(root)
    except OSError as error:
        raise fs.host_error(error, f"cannot repair {path}") from error
    finally:
        os.close(root)


def _repair_directories(
    root: int, lost: Sequence[bytes], looks: Mapping[bytes, Attributes]
) -> None:
    for name in sorted(lost):
        found = _find(root, name)
        if found is not None and stat.S_ISDIR(found.st_mode):
            continue
        _unlink(root, name)
        make_directories(root, [name])
    checkout.dress_directories(root, [(name, looks[name]) for name in lost])


def _repair_file(root: int, write: Write, objects: Objects) -> None:
    parent, _, name = write.path.rpartition(b"/")
    directory = fs.open_beneath(root, parent)
    try:
        checkout.replace_file(
            directory, name, [objects.read_blob(write.oid)], write.attributes
        )
    except OSError as error:
        raise fs.host_error(
            error, f"cannot repair {text.show_path(write.path)}"
        ) from error
    finally:
        os.close(directory)


def _unlink(root: int, path: bytes) -> None:
    parent, _, name = path.rpartition(b"/")
    directory = fs.open_beneath(root, parent)
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return
    finally:
        os.close(directory)
