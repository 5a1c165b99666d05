"""Stage: lay a verified release out beside the running one; makes each Deployment.

The order, and what a cut after each part leaves:

1. `<id>.tmp` is built: directories, files in parallel workers, links, devices, then the
   attributes of directories. Each file is read back and hashed by the worker that wrote
   it. A cut leaves a `.tmp` that nothing points at.
2. One syncfs for everything; meanwhile the hashes are held to the signed one (S1), and
   the stat index of what is there now is made.
3. The stat index is written, then `.tmp` is renamed: the one commit point.
"""

import contextlib
import os
import struct
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from updater.core import text, tree
from updater.core.index import Index, Row, Stat
from updater.core.plan import Attributes, Keep, Plan, Write
from updater.errors import HostError, NoSpaceError, OsupdateError, UntrustedError
from updater.model import Deployment, DeploymentId, ObjectId, Record, Release
from updater.system import checkout, fs, process
from updater.system.checkout.directories import Directories, make_directories
from updater.system.checkout.spare import reduce
from updater.system.git.objects import Objects, leave_hashing_to_the_caller

LARGE = 16 << 20  # bytes; such blobs go one after another, so that one is in memory
_JOB_COST = 2_000_000  # about 10 ms of work
_FILE_COST = 15_000  # a file costs as much as so many bytes of content
_LINK_COST = 2_000
_STAT = struct.Struct("<QqqQIIII")
_HASHED = struct.Struct("<20s32sQqqQIIII")

Progress = Callable[[int, int], None]


class Place(Struct, frozen=True):
    """Where deployments lie, and the one to build upon.

    Attributes:
        deployments: the directory.
        index_path: where the new deployment's stat index goes.
        base: the path of the base deployment, or None.
        base_rows: its index, of the files that are as they were.
        clones: kept files share extents; else they are hardlinks.
        spare: a directory to begin with in place of an empty one, when it is there.
    """

    deployments: str
    index_path: str
    base: str | None
    base_rows: Mapping[bytes, Row]
    clones: bool
    spare: str


class Job(Struct, frozen=True):
    """What one worker does at a time: keep files, or write some."""

    keeps: Sequence[Keep]
    writes: Sequence[Write]


def stage(
    plan: Plan,
    release: Release,
    name: DeploymentId,
    place: Place,
    open_objects: Callable[[], Objects],
    progress: Progress,
) -> tuple[Deployment, Index]:
    """Lay the release out.

    Args:
        plan: what to keep and what to write.
        release: verified.
        name: of the new deployment.
        place: where.
        open_objects: opens the object database; called in each worker.
        progress: told files done and files in all.

    Returns:
        The deployment, complete and synced, and its stat index.

    Raises:
        UntrustedError: S1. HostError, NoSpaceError: the `.tmp` is removed.
    """
    final = os.path.join(place.deployments, name)
    temporary = f"{final}.tmp"
    fs.remove_tree(temporary)
    try:
        here = _begin(plan, temporary, place)
        index, data = _build(
            plan, release, temporary, place, open_objects, progress, here
        )
        fs.write_durably(place.index_path, data)
        fs.rename(temporary, final)
    except OSError as error:
        what, needed = f"cannot stage {name}", plan.written_bytes
        failed = fs.host_error(error, what, needed, place.deployments)
        fs.remove_tree(temporary)
        raise failed from error
    except NoSpaceError as error:
        free = text.size(fs.free_bytes(place.deployments))
        fs.remove_tree(temporary)
        whole = text.size(plan.written_bytes)
        raise NoSpaceError(
            f"{error}; staging writes {whole}, and {free} were left of the disk"
        ) from error
    except (OsupdateError, KeyboardInterrupt):
        fs.remove_tree(temporary)
        raise
    return Deployment(name, release.commit, final), index


def reopen(record: Record, deployments: str) -> Deployment:
    """A deployment that was staged before.

    Raises:
        HostError: it is not on disk.
    """
    path = os.path.join(deployments, record.id)
    if not os.path.isdir(path):
        raise HostError(f"the deployment {record.id} is not on disk any more: {path}")
    return Deployment(record.id, record.commit, path)


def _begin(plan: Plan, temporary: str, place: Place) -> set[bytes]:
    """Make the directory to build in, of the spare one if there is one.

    Returns:
        The kept files that are there already: the base's own inodes.
    """
    if place.base is not None and not place.clones and os.path.isdir(place.spare):
        keeps = {keep.path: place.base_rows[keep.path] for keep in plan.keeps}
        try:
            here = reduce(place.spare, keeps, (path for path, _ in plan.directories))
            fs.rename(place.spare, temporary)
        except (OSError, HostError):
            pass  # it is removed, and an empty one does as well
        else:
            return here
    with contextlib.suppress(HostError):
        fs.remove_tree(place.spare)
    os.mkdir(temporary, 0o700)
    return set()


def _build(
    plan: Plan,
    release: Release,
    temporary: str,
    place: Place,
    open_objects: Callable[[], Objects],
    progress: Progress,
    here: set[bytes],
) -> tuple[Index, bytes]:
    """Lay out, sync and check everything; the index, and how it is written."""
    root = os.open(temporary, fs.DIRECTORY)
    base = os.open(place.base, fs.DIRECTORY) if place.base else None
    try:
        algorithms = ("sha256",) if release.tree_sha256 else ("sha256", "sha1")
        objects = open_objects()
        jobs = make_jobs(plan.keeps, plan.writes, objects.is_whole)
        rows = _lay_files(
            jobs, root, base, place, open_objects, progress, algorithms, here
        )
        beside = (*(path for path, _ in plan.aliases), *(s.path for s in plan.specials))
        make_directories(root, {path.rpartition(b"/")[0] for path in beside})
        for path, target in plan.aliases:
            checkout.make_alias(root, path, target)
        for special in plan.specials:
            checkout.make_special(root, special)
        checkout.dress_directories(root, _directory_looks(plan, base))
        with fs.syncing(root):
            _take_links(plan, release, root, rows)
            _check_content(plan, release, root, rows, objects)
            index = Index(os.fstat(root).st_dev, dict(sorted(rows.items())))
            data = index.to_bytes()
    finally:
        os.close(root)
        if base is not None:
            os.close(base)
    return index, data


def _lay_files(
    jobs: Sequence[Job],
    root: int,
    base: int | None,
    place: Place,
    open_objects: Callable[[], Objects],
    progress: Progress,
    algorithms: Sequence[str],
    here: set[bytes],
) -> dict[bytes, Row]:
    done = [0]
    for job in jobs:
        done.append(done[-1] + len(job.keeps) + len(job.writes))

    def start() -> Callable[[int], bytes]:
        os.umask(0)
        objects = open_objects()
        leave_hashing_to_the_caller()
        target = Directories(root, make=True)
        source = Directories(root if base is None else base)

        def work(number: int) -> bytes:
            kept = _keep(jobs[number].keeps, source, target, place, here)
            return kept or _write(jobs[number].writes, target, objects, algorithms)

        return work

    answers = process.fork_map(
        len(jobs), start, report=lambda count: progress(done[count], done[-1])
    )
    rows: dict[bytes, Row] = {}
    for job, answer in zip(jobs, answers, strict=True):
        if job.keeps:
            for keep, kept in zip(job.keeps, _STAT.iter_unpack(answer), strict=True):
                row = place.base_rows[keep.path]
                rows[keep.path] = Row(row.oid, row.sha256, Stat(*kept))
        else:
            for write, found in zip(
                job.writes, _HASHED.iter_unpack(answer), strict=True
            ):
                rows[write.path] = Row(found[0], found[1], Stat(*found[2:]))
    return rows


def _keep(
    keeps: Sequence[Keep],
    source: Directories,
    target: Directories,
    place: Place,
    here: set[bytes],
) -> bytes:
    """Share files with the base; what is `here` already is the base's own inode."""
    found = []
    for path, look in keeps:
        parent, _, name = path.rpartition(b"/")
        row = place.base_rows[path]
        try:
            directory = target.open(parent)
            if path not in here:
                _share(source.open(parent), directory, name, look, row, path, place)
            now = checkout.stat_entry(directory, name)
            if path in here:
                _require_still(now, row.stat, path)
            found.append(_STAT.pack(*now))
        except OSError as error:
            raise fs.host_error(error, f"cannot keep {text.show_path(path)}") from error
    return b"".join(found)


def _share(
    base: int,
    directory: int,
    name: bytes,
    look: Attributes,
    row: Row,
    path: bytes,
    place: Place,
) -> None:
    _require_still(checkout.stat_entry(base, name), row.stat, path)
    try:
        checkout.keep_file(base, directory, name, look, clones=place.clones)
    except OSError as error:
        if error.errno not in checkout.NO_LINK:
            raise
        checkout.copy_file(base, directory, name, look)
        _check_copy(directory, name, path, row)
    _require_still(checkout.stat_entry(base, name), row.stat, path)


def _require_still(now: Stat, surveyed: Stat, path: bytes) -> None:
    """Hold a file of the base to the survey: people had time since to change it.

    Links come and go, of what was interrupted too, and change the ctime.

    Raises:
        HostError.
    """
    if now._replace(ctime=0, links=0) != surveyed._replace(ctime=0, links=0):
        raise HostError(
            f"{text.show_path(path)} changed while the release was laid out",
            hint="Try again: what differs from its release is not kept.",
        )


def _check_copy(directory: int, name: bytes, path: bytes, row: Row) -> None:
    """A copy is held to what was once read back: the base may have been damaged since.

    Raises:
        UntrustedError: S1.
    """
    try:
        ids = checkout.hash_entry(directory, name, row.stat.size, ("sha256",))
    except HostError as error:
        raise _wrong(path) from error
    if ids[0] != row.sha256:
        raise _wrong(path)


def _write(
    writes: Sequence[Write],
    target: Directories,
    objects: Objects,
    algorithms: Sequence[str],
) -> bytes:
    found = []
    for path, oid, size, look in writes:
        parent, _, name = path.rpartition(b"/")
        content = objects.pieces(oid, size)
        try:
            ids, now = checkout.write_checked(
                target.open(parent), name, content, look, algorithms
            )
        except (OSError, HostError) as error:
            what = f"cannot write {text.show_path(path)}"
            if isinstance(error, OSError):
                raise fs.host_error(error, what) from error
            raise HostError(f"{what}: {error}") from error
        raw = bytes.fromhex(oid)
        if ids[1:] and ids[1] != raw:
            raise _unlike(path, oid, size, objects)
        found.append(_HASHED.pack(raw, ids[0], *now))
    return b"".join(found)


def make_jobs(
    keeps: Sequence[Keep],
    writes: Sequence[Write],
    is_whole: Callable[[ObjectId], bool],
) -> list[Job]:
    """Cut the work into pieces of like cost, the large files first.

    Large files that will be in memory as a whole make one piece: one at a time.
    """
    large = sorted((w for w in writes if w.size > LARGE), key=lambda w: -w.size)
    held = [write for write in large if not is_whole(write.oid)]
    jobs = [Job((), held)] if held else []
    jobs += [Job((), [write]) for write in large if write not in held]
    chosen: list[Write] = []
    cost = 0
    for write in writes:
        if write.size > LARGE:
            continue
        chosen.append(write)
        cost += _FILE_COST + write.size
        if cost > _JOB_COST:
            jobs.append(Job((), chosen))
            chosen, cost = [], 0
    if chosen:
        jobs.append(Job((), chosen))
    step = _JOB_COST // _LINK_COST
    jobs += [Job(keeps[i : i + step], ()) for i in range(0, len(keeps), step)]
    return jobs


def _directory_looks(plan: Plan, base: int | None) -> list[tuple[bytes, Attributes]]:
    found = []
    for path, look in plan.directories:
        mtime = look.mtime
        if base is not None and path not in plan.changed_directories:
            try:
                mtime = os.stat(
                    path or b".", dir_fd=base, follow_symlinks=False
                ).st_mtime_ns
            except OSError:
                mtime = look.mtime
        found.append((path, look._replace(mtime=mtime)))
    return found


def _take_links(
    plan: Plan, release: Release, root: int, rows: dict[bytes, Row]
) -> None:
    """Index the second names of files; link(2) has changed the ctime of the first."""
    for path, target in plan.aliases:
        parent, _, name = path.rpartition(b"/")
        fd = fs.open_beneath(root, parent)
        try:
            now = rows[target]._replace(stat=checkout.stat_entry(fd, name))
        finally:
            os.close(fd)
        rows[path] = rows[target] = now
    for path, target in plan.aliases:
        rows[path] = rows[target]
    if len(rows) != len(release.entries):
        raise HostError(
            f"laid out {len(rows):,} files; the release has {len(release.entries):,}"
        )


def _check_content(
    plan: Plan,
    release: Release,
    root: int,
    rows: Mapping[bytes, Row],
    objects: Objects,
) -> None:
    if release.tree_sha256 is None:
        return
    digests = {path: row.sha256 for path, row in rows.items()}
    found = tree.sha256_id(release.tree, release.trees, digests)
    if found == release.tree_sha256:
        return
    directories = Directories(root)
    for path, oid, size, _ in plan.writes:
        parent, _, name = path.rpartition(b"/")
        ids = checkout.hash_entry(directories.open(parent), name, size, ("sha1",))
        if ids[0].hex() != oid:
            raise _unlike(path, oid, size, objects)
    raise UntrustedError(
        "S1",
        f"the tree laid out has the SHA-256 id {found}; "
        f"the signed tag says {release.tree_sha256}",
    )


def _unlike(path: bytes, oid: ObjectId, size: int, objects: Objects) -> UntrustedError:
    """Why a file is not its blob: it came so, or something happened on the way."""
    content = b"".join(objects.pieces(oid, size))
    if tree.object_id("blob", content, "sha1").hex() == oid:
        return _wrong(path)
    return UntrustedError(
        "F2",
        f"{text.show_path(path)}: the content that arrived as blob {oid} is another",
    )


def _wrong(path: bytes) -> UntrustedError:
    return UntrustedError(
        "S1", f"{text.show_path(path)} read back is not what was written"
    )
