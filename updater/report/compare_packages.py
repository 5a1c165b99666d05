"""Two package databases -> what differs, grouped by source package."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import zip_longest

from msgspec import Struct

from updater.core.packages import order
from updater.errors import RefusedError
from updater.model import Package
from updater.report.diff import Group, Kernel, PackageChange, Packages
from updater.report.snapshot import Snapshot

NO_DATABASE = "no package database"

_KERNEL = re.compile(
    r"linux-image-(?!.*-dbg).*|kernel(-core)?|"
    r"linux(-lts|-virt|-zen|-hardened|-rpi\d*|-rt)?"
)


class Lists(Struct, frozen=True):
    """The packages of two releases, as far as the files that tell them differ.

    `problem` says why that is not known.
    """

    old: list[Package] = []
    new: list[Package] = []
    problem: str | None = None


def read(old: Snapshot | None, new: Snapshot) -> Lists:
    """The package lists; those that are the same file are not parsed."""
    try:
        before = {} if old is None else old.database()
        after = new.database()
        if not before and not after:
            return Lists(problem=NO_DATABASE)
        gone = [path for path, oid in before.items() if after.get(path) != oid]
        come = [path for path, oid in after.items() if before.get(path) != oid]
        removed = [] if old is None or not gone else old.packages(gone)
        added = new.packages(come) if come else []
    except RefusedError as error:
        return Lists(problem=str(error))
    return Lists(removed, added)


def changed_names(lists: Lists) -> set[str]:
    """The names of packages that came, went, or have another version."""
    before = {(p.name, p.arch, p.version) for p in lists.old}
    after = {(p.name, p.arch, p.version) for p in lists.new}
    return {name for name, _, _ in before ^ after}


def compare(lists: Lists) -> Packages:
    """How the packages differ."""
    if lists.problem is not None:
        return Packages(problem=lists.problem)
    changes = list(_pair(lists.old, lists.new))
    both = [c for c in changes if c.old is not None and c.new is not None]
    back = [change for change in both if _is_older(change)]
    return Packages(
        changed=_groups(change for change in both if not _is_older(change)),
        downgraded=_groups(back),
        added=_groups(c for c in changes if c.old is None),
        removed=_groups(c for c in changes if c.new is None),
    )


def _is_older(change: PackageChange) -> bool:
    """Whether the package system orders the new version before the old one."""
    old, new = change.old, change.new
    if old is None or new is None or old.family != new.family:
        return False
    return order.compare(new.family, new.version, old.version) < 0


def kernel(packages: Packages) -> Kernel | None:
    """The kernels that come and go; None when they stay."""
    old: set[str] = set()
    new: set[str] = set()
    for group in packages.groups:
        for change in group.changes:
            if not _KERNEL.fullmatch(change.package.name):
                continue
            if change.old is not None:
                old.add(change.old.version)
            if change.new is not None:
                new.add(change.new.version)
    if old == new:
        return None
    return Kernel(tuple(sorted(old)), tuple(sorted(new)))


def _pair(old: Iterable[Package], new: Iterable[Package]) -> Iterator[PackageChange]:
    """Each package with its other version.

    A name may be there for several architectures, and several times in one: first the
    same architecture is paired, then what is left of the same name.
    """
    before, after = _by(old, "name"), _by(new, "name")
    for name in sorted(before.keys() | after.keys()):
        gone, come = _without_equal(before[name], after[name])
        pairs = [*zip_longest(gone, come)]
        if len({package.arch for package in gone + come}) > 1:
            pairs = [*_by_arch(gone, come)]
        for left, right in pairs:
            yield PackageChange(left, right)


def _by_arch(
    old: Iterable[Package], new: Iterable[Package]
) -> Iterator[tuple[Package | None, Package | None]]:
    before, after = _by(old, "arch"), _by(new, "arch")
    gone: list[Package] = []
    come: list[Package] = []
    for arch in sorted(before.keys() | after.keys()):
        olds, news = before[arch], after[arch]
        alike = min(len(olds), len(news))
        yield from zip(olds[:alike], news[:alike], strict=True)
        gone += olds[alike:]
        come += news[alike:]
    yield from zip_longest(gone, come)


def _by(packages: Iterable[Package], field: str) -> dict[str, list[Package]]:
    found: dict[str, list[Package]] = defaultdict(list)
    for package in sorted(packages, key=lambda p: (p.name, p.arch, p.version)):
        found[getattr(package, field)].append(package)
    return found


def _without_equal(
    old: list[Package], new: list[Package]
) -> tuple[list[Package], list[Package]]:
    """What is on one side only; sizes and sources do not make a package another."""
    before = {(package.arch, package.version) for package in old}
    after = {(package.arch, package.version) for package in new}
    return (
        [package for package in old if (package.arch, package.version) not in after],
        [package for package in new if (package.arch, package.version) not in before],
    )


def _groups(changes: Iterable[PackageChange]) -> tuple[Group, ...]:
    alike: dict[tuple[str, str, str], list[PackageChange]] = defaultdict(list)
    for change in changes:
        old = "" if change.old is None else change.old.version
        new = "" if change.new is None else change.new.version
        alike[change.package.source, old, new].append(change)
    return tuple(
        Group(source, old or None, new or None, tuple(found), _grows(found))
        for (source, old, new), found in sorted(alike.items())
    )


def _grows(changes: Iterable[PackageChange]) -> int | None:
    total = 0
    for change in changes:
        for package, sign in ((change.old, -1), (change.new, 1)):
            if package is None:
                continue
            if package.size is None:
                return None
            total += sign * package.size
    return total
