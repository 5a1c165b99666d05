"""Two snapshots -> what differs. Pure, but for the package lists that it reads."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from updater.report import compare_packages
from updater.report.diff import (
    Counts,
    Directory,
    FileChange,
    Kind,
    Node,
    Packages,
    Report,
)
from updater.report.snapshot import Snapshot

DEPTH = 3  # directories: /usr/lib/x86_64-linux-gnu says more than /usr/lib
BOOKKEEPING = (
    b"lib/apk/db/",
    b"usr/lib/apk/db/",
    b"usr/lib/osupdate/",
    b"usr/lib/sysimage/",
    b"var/cache/",
    b"var/lib/apt/",
    b"var/lib/dnf/",
    b"var/lib/dpkg/",
    b"var/lib/pacman/",
    b"var/lib/rpm/",
    b"var/lib/systemd/deb-systemd-",
    b"var/lib/ucf/",
    b"var/lib/yum/",
    b"var/log/",
)
"""Where package managers, and osupdate itself, write down what they did."""

BOOKKEEPING_FILES = {
    b"etc/group-",
    b"etc/gshadow-",
    b"etc/ld.so.cache",
    b"etc/passwd-",
    b"etc/shadow-",
    b"etc/subgid-",
    b"etc/subuid-",
}


def compare(
    old: Snapshot | None,
    new: Snapshot,
    *,
    download: int | None = None,
    paths: Sequence[bytes] = (),
) -> Report:
    """What differs from one release to another.

    Args:
        old: None when nothing is deployed yet.
        new: the release that is to be, or is, there.
        download: bytes to fetch or fetched, None when it is not known.
        paths: look only at these and below them; packages are left out then.
    """
    wanted = tuple(path for path in paths if path)
    if len(wanted) < len(paths):  # the root was one of them
        wanted = ()
    files = tuple(
        change
        for path in sorted(_candidates(old, new))
        if _below(path, wanted) and (change := _change(path, old, new))
    )
    everything = not wanted
    packages = compare_packages.compare(old, new) if everything else Packages()
    return Report(
        old=None if old is None else old.side,
        new=new.side,
        paths=wanted,
        packages=packages,
        kernel=compare_packages.kernel(packages),
        files=files,
        counts=_counts(files),
        directories=_directories(files),
        download=download,
        grows=_sum(change.grows for change in files),
    )


def is_bookkeeping(path: bytes) -> bool:
    """Whether a path changes only because something else does."""
    return path.startswith(BOOKKEEPING) or path in BOOKKEEPING_FILES


def _candidates(old: Snapshot | None, new: Snapshot) -> set[bytes]:
    """The paths that may differ: what git or the manifest says is not the same."""
    if old is None:
        return new.entries.keys() | new.metadata.keys()
    found = set(_unequal(old.entries, new.entries))
    found.update(_unequal(old.metadata, new.metadata))
    return found


def _unequal(
    old: Mapping[bytes, object], new: Mapping[bytes, object]
) -> Iterator[bytes]:
    for path, value in new.items():
        if old.get(path) != value:
            yield path
    yield from old.keys() - new.keys()


def _below(path: bytes, wanted: Sequence[bytes]) -> bool:
    return not wanted or any(
        path == top or path.startswith(top + b"/") for top in wanted
    )


def _change(path: bytes, old: Snapshot | None, new: Snapshot) -> FileChange | None:
    """None when both sides are alike, or when the files below tell it already."""
    before = None if old is None else old.node(path)
    after = new.node(path)
    if before == after:
        return None
    if before is None and _is_filled(after, path, new):
        return None
    if after is None and old is not None and _is_filled(before, path, old):
        return None
    return FileChange(path, before, after, is_bookkeeping(path))


def _is_filled(node: Node | None, path: bytes, snapshot: Snapshot) -> bool:
    return node is not None and node.type == "dir" and snapshot.is_filled(path)


def _counts(files: Sequence[FileChange]) -> Counts:
    kinds = [change.kind for change in files]
    return Counts(
        added=kinds.count(Kind.ADDED),
        removed=kinds.count(Kind.REMOVED),
        modified=kinds.count(Kind.MODIFIED) + kinds.count(Kind.TYPE),
        metadata=sum(change.metadata for change in files),
        bookkeeping=sum(
            change.bookkeeping and kind is not Kind.METADATA
            for change, kind in zip(files, kinds, strict=True)
        ),
    )


def _directories(files: Sequence[FileChange]) -> tuple[Directory, ...]:
    """Most changes first."""
    inside: dict[bytes, list[FileChange]] = defaultdict(list)
    for change in files:
        if not change.bookkeeping and change.kind is not Kind.METADATA:
            parents = change.path.split(b"/")[:-1]
            inside[b"/".join(parents[:DEPTH])].append(change)
    found = [
        Directory(path, len(changes), _sum(change.grows for change in changes))
        for path, changes in inside.items()
    ]
    return tuple(sorted(found, key=lambda place: (-place.changes, place.path)))


def _sum(values: Iterable[int | None]) -> int | None:
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total
