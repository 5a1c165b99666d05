"""Two snapshots -> what differs: the one model that every rendering shows.

Paths come sorted from the walk and are looked at one by one. The first `LISTED` are
kept and looked at closely; of more, only numbers and privileges are, and the report
says so, so that memory does not follow what a hostile release makes up.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice

from msgspec.structs import replace

from updater.model import ObjectId
from updater.report import accounts, changelogs, compare_packages, trusted, units
from updater.report.attention import Finder
from updater.report.bookkeeping import is_bookkeeping
from updater.report.changelogs import advisories
from updater.report.compare_packages import Lists
from updater.report.diff import FileChange, Kind, Node, Packages, Report
from updater.report.ownership import Ownership
from updater.report.sections import (
    AccountChange,
    Attention,
    Changelog,
    ConfigChange,
    Unexplained,
    UnitChange,
)
from updater.report.snapshot import Snapshot, differing
from updater.report.tally import Tally
from updater.report.unexplained import Judge

LISTED = 100_000  # paths that are kept
IsLocal = Callable[[bytes, ObjectId], bool | None]
"""Whether a path here is not the blob of the old release any more; None: not known."""


def nobody_knows(_path: bytes, _oid: ObjectId) -> bool | None:
    """For releases that do not run here."""
    return None


def compare(
    old: Snapshot | None,
    new: Snapshot,
    *,
    download: int | None = None,
    paths: Sequence[bytes] = (),
    is_local: IsLocal = nobody_knows,
    asked: Sequence[str] = (),
    local: bool = False,
    listed: int = LISTED,
) -> Report:
    """What differs from one release to another.

    Args:
        old: None when nothing is deployed yet.
        new: the release that is to be, or is, there.
        download: bytes to fetch or fetched, None when it is not known.
        paths: look only at these and below them; packages are left out then.
        is_local: whether this machine changed a path too.
        asked: the releases as a person named them, for the commands that show more.
        local: the new side is this machine's own: nobody else has to explain it.
        listed: how many paths are looked at closely.
    """
    wanted = tuple(path for path in paths if path)
    if len(wanted) < len(paths):  # the root was one of them
        wanted = ()
    changes = _changes(old, new, wanted)
    first = next(changes, None)
    lists = Lists()
    if first is not None or not wanted:
        lists = compare_packages.read(old, new)
    work = _Comparison(old, new, lists, Finder(("diff", *asked)), local=local)
    work.look_at(chain([first] if first else [], changes), listed)
    packages = Packages() if wanted else compare_packages.compare(lists)
    told = () if wanted else work.changelogs(lists)
    return Report(
        old=None if old is None else old.side,
        new=new.side,
        paths=wanted,
        packages=packages,
        kernel=compare_packages.kernel(packages),
        files=tuple(work.files),
        counts=work.tally.counts(),
        directories=work.tally.directories(),
        download=download,
        grows=work.tally.grows(),
        configs=work.configs(is_local),
        units=work.units(),
        accounts=work.accounts(),
        unexplained=work.unexplained(),
        attention=work.attention(),
        security=advisories(told, _binaries(packages)),
        changelogs=told,
        told=_told(old, new),
        unknown=tuple(work.unknown),
        problems=tuple(work.problems),
    )


class _Comparison:
    """The sections of one report, each made when it is asked for, attention last.

    A section that needs content which is not here is left out. A first release is only
    counted: nothing was there that it could differ from.
    """

    def __init__(
        self,
        old: Snapshot | None,
        new: Snapshot,
        lists: Lists,
        finder: Finder,
        *,
        local: bool,
    ) -> None:
        self._old, self._new = old, new
        self._local, self._lists = local, lists
        self._ownership = Ownership(old, new, compare_packages.changed_names(lists))
        self._judge = Judge(old, new, self._ownership)
        self._finder = finder
        self._packages: dict[bytes, str] = {}
        self._problems: list[str] = []
        self.tally = Tally()
        self.files: list[FileChange] = []
        self.unknown: list[str] = []

    @property
    def problems(self) -> list[str]:
        """Sentences about what could not be read, each once."""
        return list(dict.fromkeys([*self._problems, *self._ownership.problems]))

    def look_at(self, changes: Iterator[FileChange], listed: int) -> None:
        """Count every change, keep the first ones, and see what each is allowed."""
        find = self._ownership.of_changed
        if self._local:
            find = self._ownership.owner_of
        for change in islice(changes, listed):
            owner = self._judge.package(change.path) or find(change.path)
            if owner is not None:
                self._packages[change.path] = owner
                change = replace(change, package=owner)  # noqa: PLW2901
            self.files.append(change)
            self._count(change)
        more = 0
        for more, change in enumerate(changes, 1):  # noqa: B007
            self._count(change)
        if more:
            self._problems.append(
                f"{listed + more:,} paths differ: the first {listed:,} by name are "
                "compared closely, of the others only numbers and privileges are told; "
                "to see them, name a directory"
            )

    def _count(self, change: FileChange) -> None:
        self.tally.add(change)
        if self._old is not None:
            self._finder.privileges(change)

    def configs(self, is_local: IsLocal) -> tuple[ConfigChange, ...]:
        """What differs below /etc in content, without bookkeeping."""
        found = tuple(
            ConfigChange(
                path=change.path,
                change=change.kind.value,
                package=change.package or self._ownership.conffile_of(change.path),
                conffile=self._ownership.conffile_of(change.path) is not None,
                local=_local(change, is_local),
            )
            for change in self.files
            if change.path.startswith(b"etc/")
            and change.kind is not Kind.METADATA
            and not change.bookkeeping
            and not _is_directory(change)
        )
        self._finder.configs(found)
        return found

    def units(self) -> tuple[UnitChange, ...]:
        """What starts by itself."""
        if self._old is None:
            return ()
        paths = [change.path for change in self.files]
        found = units.compare(self._old, self._new, paths)
        self._note(found.problems, "where sockets listen, and when timers run out")
        self._finder.units(found, self._owner)
        return tuple(
            UnitChange(
                unit=units.show(change.unit),
                enabled=change.enabled,
                by=tuple(units.show(name) for name in change.by),
                package=self._owner(change.file) if change.file else None,
                listens=change.tells,
            )
            for change in found.changes
        )

    def accounts(self) -> tuple[AccountChange, ...]:
        """Users and groups."""
        if self._old is None:
            return ()
        paths = [change.path for change in self.files]
        found, problems = accounts.compare(self._old, self._new, paths)
        self._note(problems, "users and groups")
        self._finder.accounts(found)
        return found

    def unexplained(self) -> Unexplained:
        """What no update of a package explains; people may change what is theirs."""
        told = self._lists.problem is None
        if self._old is None or self._local or not told:
            return Unexplained()
        found = self._judge.unexplained(self.files)
        self._finder.unexplained(found)
        return found

    def attention(self) -> tuple[Attention, ...]:
        """What somebody should look at, of this and of the other sections."""
        if self._old is None:
            return ()
        found, problems = trusted.compare(self._old, self._new, self.files)
        self._note(problems, "whom new certificates and keys trust")
        self._finder.trust(found, self._owner)
        return self._finder.found()

    def changelogs(self, lists: Lists) -> tuple[Changelog, ...]:
        """What people wrote about the packages that changed."""
        found, problems = changelogs.compare(self._old, self._new, lists.old, lists.new)
        self._problems += problems
        return found

    def _owner(self, path: bytes) -> str | None:
        return self._packages.get(path) or self._ownership.of_changed(path)

    def _note(self, problems: Iterable[str], what: str) -> None:
        """A channel does not tell content: that is no problem, only not known yet."""
        if "channel" in (self._new.told, self._old and self._old.told):
            self.unknown += [what] if list(problems) else []
        else:
            self._problems += problems


def _changes(
    old: Snapshot | None, new: Snapshot, wanted: Sequence[bytes]
) -> Iterator[FileChange]:
    for path in differing(old, new):
        if _below(path, wanted) and (change := _change(path, old, new)):
            yield change


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


def _is_directory(change: FileChange) -> bool:
    return all(node is None or node.type == "dir" for node in (change.old, change.new))


def _local(change: FileChange, is_local: IsLocal) -> bool | None:
    if change.old is None or change.old.oid is None:
        return None
    return is_local(change.path, change.old.oid)


def _binaries(packages: Packages) -> dict[str, list[str]]:
    """The packages that changed, by source."""
    found: dict[str, list[str]] = defaultdict(list)
    for group in packages.groups:
        found[group.source] += [change.package.name for change in group.changes]
    return {source: sorted(set(names)) for source, names in found.items()}


def _told(old: Snapshot | None, new: Snapshot) -> str:
    sides = [new.told, new.told if old is None else old.told]
    return "channel" if "channel" in sides else "release"
