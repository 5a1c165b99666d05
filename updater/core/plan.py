"""What staging will do, decided before anything is touched.

A plan names for every path of the release whether its file is kept (shared with the
base deployment) or written, and with which attributes. Work grows with the change:
a kept file costs one link.
"""

import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from updater.core.index import Row
from updater.model import GitMode, Metadata, ObjectId, TreeEntry

# /etc is merged and edited, package databases are rewritten in place: a shared inode
# would carry one deployment's edit into another.
NEVER_SHARED = (b"etc",)
METADATA = b"usr/lib/osupdate"
_FORMAT = {GitMode.SYMLINK: stat.S_IFLNK}
_FILES = (GitMode.FILE, GitMode.EXECUTABLE, GitMode.SYMLINK)
_DEFAULT = Metadata()


class Attributes(NamedTuple):
    """A path's look on disk. `mode` has the type bits; `mtime` is in nanoseconds."""

    mode: int
    uid: int
    gid: int
    mtime: int
    xattrs: tuple[tuple[str, bytes], ...]


class Owner(Struct, frozen=True):
    """Who stages. Without root privileges everything belongs to the caller."""

    privileged: bool
    uid: int
    gid: int


class Write(NamedTuple):
    """A file or symlink that is written from its blob."""

    path: bytes
    oid: ObjectId
    size: int
    attributes: Attributes


class Keep(NamedTuple):
    """A file or symlink that is shared with the base deployment, or cloned from it."""

    path: bytes
    attributes: Attributes


class Special(NamedTuple):
    """A device node or fifo."""

    path: bytes
    device: tuple[int, int]
    attributes: Attributes


class Plan(Struct, frozen=True):
    """Everything that staging does, in no order but that of the fields.

    `aliases` are (path, target) hardlinks within the new deployment. `removed` are
    paths of the base that the release does not have.
    """

    directories: tuple[tuple[bytes, Attributes], ...]
    keeps: tuple[Keep, ...]
    writes: tuple[Write, ...]
    specials: tuple[Special, ...]
    aliases: tuple[tuple[bytes, bytes], ...]
    removed: tuple[bytes, ...]
    changed_directories: frozenset[bytes]

    @property
    def written_bytes(self) -> int:
        """Bytes of content that staging writes."""
        return sum(write.size for write in self.writes)


class Base(Struct, frozen=True):
    """The deployment that is built upon: its files that are as they were, by path.

    `metadata` is its release's manifest. `clones`: the filesystem can share extents.
    """

    rows: Mapping[bytes, Row]
    metadata: Mapping[bytes, Metadata]
    clones: bool = False


def below(directories: Iterable[bytes]) -> Callable[[bytes], bool]:
    """Whether a path is one of these directories or lies in one, asked very often."""
    exact = frozenset(directories)
    tops = tuple(top + b"/" for top in exact)
    return lambda path: path.startswith(tops) or path in exact


def attributes(
    metadata: Metadata, mode: GitMode | None, mtime: int, owner: Owner
) -> Attributes:
    """How a path looks on disk, by its release and by who stages it.

    Args:
        metadata: its line in the manifest, or the defaults.
        mode: of its tree entry; None for directories and what git cannot hold.
        mtime: nanoseconds.
        owner: without privileges, owners, setuid, setgid and capabilities are not
            applied, and the owner can always read.
    """
    kind, default = _kind(metadata, mode)
    bits = default if metadata.mode is None else metadata.mode
    if mode is GitMode.SYMLINK:
        bits = 0o777
    if owner.privileged:
        uid, gid, xattrs = metadata.uid, metadata.gid, metadata.xattrs
    else:
        uid, gid = owner.uid, owner.gid
        xattrs = tuple(x for x in metadata.xattrs if x[0].startswith("user."))
        bits &= 0o1777 if kind == stat.S_IFDIR else 0o777
        bits |= 0o700 if kind == stat.S_IFDIR else 0o400
    return Attributes(kind | bits, uid, gid, mtime, xattrs)


def _looks(stamp: int, owner: Owner) -> Callable[[Metadata, GitMode], Attributes]:
    """`attributes` of files: most have no line in the manifest, and look alike."""
    usual = {mode: attributes(_DEFAULT, mode, stamp, owner) for mode in _FILES}

    def look(metadata: Metadata, mode: GitMode) -> Attributes:
        if metadata is _DEFAULT:
            return usual[mode]
        return attributes(metadata, mode, stamp, owner)

    return look


def _kind(metadata: Metadata, mode: GitMode | None) -> tuple[int, int]:
    if mode is not None:
        bits = 0o755 if mode is GitMode.EXECUTABLE else 0o644
        return _FORMAT.get(mode, stat.S_IFREG), bits
    kinds = {"char": stat.S_IFCHR, "block": stat.S_IFBLK, "fifo": stat.S_IFIFO}
    if metadata.type in kinds:
        return kinds[metadata.type], 0o644
    return stat.S_IFDIR, 0o755


def make_plan(
    entries: Sequence[TreeEntry],
    metadata: Mapping[bytes, Metadata],
    created: int,
    sizes: Mapping[ObjectId, int],
    base: Base,
    never_shared: Sequence[bytes],
    owner: Owner,
) -> Plan:
    """Decide for every path of a release.

    Args:
        entries: of the release, sorted by path.
        metadata: its manifest.
        created: its time, seconds; the mtime of what is written.
        sizes: blob id -> bytes.
        base: what may be kept; empty rows for a full stage.
        never_shared: directories whose files are never hardlinked (persistent ones).
        owner: who stages.
    """
    stamp = created * 1_000_000_000
    look_of = _looks(stamp, owner)
    may_share = _sharing(metadata, base, never_shared)
    keeps: list[Keep] = []
    writes: list[Write] = []
    aliases: list[tuple[bytes, bytes]] = []
    changed: set[bytes] = set()
    for entry in entries:
        path = entry.path
        meta = metadata.get(path, _DEFAULT)
        row = base.rows.get(path)
        same = row is not None and row.oid == bytes.fromhex(entry.oid)
        if not same:
            changed.add(path)
        if meta.hardlink is not None:
            aliases.append((path, meta.hardlink))
            continue
        look = look_of(meta, entry.mode)
        if row is not None and same:
            look = Attributes(*look[:3], row.stat.mtime, look.xattrs)
        old = base.metadata.get(path)
        if row and same and may_share(path, row) and _looks_like(row, look, old):
            keeps.append(Keep(path, look))
        else:
            writes.append(Write(path, entry.oid, sizes[entry.oid], look))
    present = {entry.path for entry in entries}
    removed = tuple(sorted(path for path in base.rows if path not in present))
    directories = _directories(present, metadata, stamp, owner)
    moved = frozenset(p.rpartition(b"/")[0] for p in (*changed, *removed)) | {b"usr"}
    if base.rows:
        moved |= _came_or_went(directories, metadata, base)
    return Plan(
        directories=directories,
        keeps=tuple(keeps),
        writes=tuple(writes),
        specials=_specials(metadata, stamp, owner),
        aliases=tuple(aliases),
        removed=removed,
        changed_directories=moved,
    )


def own_blobs(
    entries: Sequence[TreeEntry],
    metadata: Mapping[bytes, Metadata],
    never_shared: Sequence[bytes],
) -> tuple[ObjectId, ...]:
    """The blobs that a deployment's files cannot be relied on to give back later.

    Those of /etc and of persistent directories, which people edit; those of files that
    only their owner may read, which the fetching child could not; and metadata.
    """
    files = {entry.path for entry in entries}
    closed = {
        path
        for path, meta in metadata.items()
        if meta.mode is not None and not _is_open(meta)
    }
    directories = (path for path in closed - files)
    is_own = below((*NEVER_SHARED, *never_shared, METADATA, *directories))
    return tuple(
        dict.fromkeys(
            entry.oid for entry in entries if entry.path in closed or is_own(entry.path)
        )
    )


def _is_open(meta: Metadata) -> bool:
    return bool((meta.mode or 0) & stat.S_IROTH)


def _sharing(
    metadata: Mapping[bytes, Metadata], base: Base, never_shared: Sequence[bytes]
) -> Callable[[bytes, Row], bool]:
    """Whether an unchanged file may have the base's inode, or its extents.

    A file that leaves or joins a group of hardlinks needs an inode of its own, and
    nobody who looks by stat sees that xattrs were lost. A clone has its own anyway.
    """
    is_own = below((*NEVER_SHARED, *never_shared))
    joined = {path for path, meta in base.metadata.items() if meta.hardlink}
    old_targets = {m.hardlink for m in base.metadata.values() if m.hardlink}
    new_targets = {m.hardlink for m in metadata.values() if m.hardlink}
    regrouped = joined | (old_targets ^ new_targets)
    regrouped |= {path for path, meta in metadata.items() if meta.xattrs}
    if base.clones:
        return lambda path, _: path not in joined
    return lambda path, row: (
        row.stat.size > 0 and path not in regrouped and not is_own(path)
    )


def _looks_like(row: Row, look: Attributes, old: Metadata | None) -> bool:
    found = row.stat
    if (found.mode, found.uid, found.gid) != (look.mode, look.uid, look.gid):
        return False
    return look.xattrs == (old.xattrs if old else ())


def _directories(
    files: Iterable[bytes],
    metadata: Mapping[bytes, Metadata],
    stamp: int,
    owner: Owner,
) -> tuple[tuple[bytes, Attributes], ...]:
    return tuple(
        (path, attributes(metadata.get(path, _DEFAULT), None, stamp, owner))
        for path in sorted(_parents(files, metadata))
    )


def _parents(files: Iterable[bytes], metadata: Mapping[bytes, Metadata]) -> set[bytes]:
    """Every directory of a tree: above its files, and those that are empty."""
    typed = (path + b"/" for path, meta in metadata.items() if meta.type == "dir")
    special = (path for path, meta in metadata.items() if meta.type)
    return parents((*files, *typed, *special))


def parents(paths: Iterable[bytes]) -> set[bytes]:
    """Every directory above these paths; the root is called empty."""
    found: set[bytes] = {b""}
    for path in paths:
        parent = path.rpartition(b"/")[0]
        while parent not in found:
            found.add(parent)
            parent = parent.rpartition(b"/")[0]
    return found


def _came_or_went(
    directories: Iterable[tuple[bytes, Attributes]],
    metadata: Mapping[bytes, Metadata],
    base: Base,
) -> set[bytes]:
    """Where a directory, device or fifo is new or gone: directories of the new tree."""
    now = {path for path, _ in directories}
    came_or_went = now ^ _parents(base.rows, base.metadata)
    came_or_went |= {
        path
        for path in metadata.keys() | base.metadata.keys()
        if _kind_of(metadata, path) != _kind_of(base.metadata, path)
    }
    return {path.rpartition(b"/")[0] for path in came_or_went}


def _kind_of(metadata: Mapping[bytes, Metadata], path: bytes) -> object:
    found = metadata.get(path, _DEFAULT)
    return None if found.type in (None, "dir") else (found.type, found.dev)


def _specials(
    metadata: Mapping[bytes, Metadata], stamp: int, owner: Owner
) -> tuple[Special, ...]:
    return tuple(
        Special(path, meta.dev or (0, 0), attributes(meta, None, stamp, owner))
        for path, meta in metadata.items()
        if meta.type == "fifo" or (meta.type in ("char", "block") and owner.privileged)
    )
