"""What differs between two releases: the one model that every rendering shows.

Nothing in here is escaped: names, versions and paths are as the releases have them.
"""

from enum import StrEnum

from msgspec import Struct

from updater.model import ObjectId, Package
from updater.report.sections import (
    AccountChange,
    Advisory,
    Attention,
    Changelog,
    ConfigChange,
    Unexplained,
    UnitChange,
)


class Side(Struct, frozen=True):
    """One of the two releases. `name` is its role here, such as running, or empty."""

    name: str
    version: str
    commit: ObjectId
    created: int


HIDDEN = (ObjectId("0" * 40), ObjectId("f" * 40))
"""Stand for the ids of what is not everybody's, before and after: an id is a hash, and
would let anybody guess at a short secret."""


class Node(Struct, frozen=True, gc=False):
    """One path of one release, the manifest's word included.

    `type`: file, symlink, dir, char, block, fifo. `size` is bytes, or None when it is
    not known here. `mode` is None for symlinks. A hardlink has its target's metadata.
    """

    type: str
    oid: ObjectId | None
    size: int | None
    mode: int | None
    uid: int
    gid: int
    xattrs: tuple[tuple[str, bytes], ...] = ()
    dev: tuple[int, int] | None = None
    hardlink: bytes | None = None

    @property
    def disk(self) -> int | None:
        """Bytes that it takes by itself: a hardlink takes none."""
        return 0 if self.hardlink is not None else self.size


class Kind(StrEnum):
    """How a path differs."""

    ADDED = "added"
    REMOVED = "removed"
    MODIFIED = "modified"
    TYPE = "type"
    METADATA = "metadata"


class FileChange(Struct, frozen=True):
    """A path that differs; None is where it is not. At least one side is."""

    path: bytes
    old: Node | None
    new: Node | None
    bookkeeping: bool
    package: str | None = None

    @property
    def kind(self) -> Kind:
        """The largest of the differences."""
        if self.old is None:
            return Kind.ADDED
        if self.new is None:
            return Kind.REMOVED
        if self.old.type != self.new.type:
            return Kind.TYPE
        if self.content:
            return Kind.MODIFIED
        return Kind.METADATA

    @property
    def content(self) -> bool:
        """Whether the content, the target or the device differs."""
        old, new = self.old, self.new
        if old is None or new is None or old.type != new.type:
            return True
        return (old.oid, old.dev) != (new.oid, new.dev)

    @property
    def mode(self) -> bool:
        """Whether both sides have a mode, and another one."""
        return self._both() and self._differ("mode")

    @property
    def owner(self) -> bool:
        """Whether both sides exist, with another user or group."""
        return self._both() and (self._differ("uid") or self._differ("gid"))

    @property
    def xattrs(self) -> bool:
        """Whether both sides exist, with other extended attributes."""
        return self._both() and self._differ("xattrs")

    @property
    def links(self) -> bool:
        """Whether both sides exist, hardlinked to something else."""
        return self._both() and self._differ("hardlink")

    @property
    def metadata(self) -> bool:
        """Whether a path that stays differs in what git cannot say."""
        return self.mode or self.owner or self.xattrs or self.links

    @property
    def grows(self) -> int | None:
        """Bytes on disk, negative when it shrinks; None when not known here."""
        old = 0 if self.old is None else self.old.disk
        new = 0 if self.new is None else self.new.disk
        return None if old is None or new is None else new - old

    def _both(self) -> bool:
        return self.old is not None and self.new is not None

    def _differ(self, field: str) -> bool:
        old, new = getattr(self.old, field), getattr(self.new, field)
        if field == "mode" and None in (old, new):
            return False  # a symlink has none
        return bool(old != new)


class PackageChange(Struct, frozen=True):
    """A package that is new, gone, or of another version; None is where it is not."""

    old: Package | None
    new: Package | None

    @property
    def package(self) -> Package:
        """The newer of the two."""
        found = self.new or self.old
        assert found is not None
        return found


class Group(Struct, frozen=True):
    """Packages of one source that changed alike: `old` and `new` are versions.

    `grows` is installed bytes as the package databases tell them, or None.
    """

    source: str
    old: str | None
    new: str | None
    changes: tuple[PackageChange, ...]
    grows: int | None


class Packages(Struct, frozen=True):
    """How the package databases differ; `problem` says why that is not known.

    `changed` are upgrades, and what cannot be ordered; `downgraded` have a version that
    the package system orders before the old one.
    """

    changed: tuple[Group, ...] = ()
    downgraded: tuple[Group, ...] = ()
    added: tuple[Group, ...] = ()
    removed: tuple[Group, ...] = ()
    problem: str | None = None

    @property
    def groups(self) -> tuple[Group, ...]:
        """All of them."""
        return (*self.changed, *self.downgraded, *self.added, *self.removed)


class Kernel(Struct, frozen=True):
    """The versions of the kernel packages that are on one side only, sorted."""

    old: tuple[str, ...]
    new: tuple[str, ...]


class Directory(Struct, frozen=True):
    """A place with many changes; bookkeeping is not counted."""

    path: bytes
    changes: int
    grows: int | None


class Counts(Struct, frozen=True):
    """Of the paths that differ, each counted once but in `metadata` and `bookkeeping`.

    `metadata`: paths that stay, with another mode, owner, attribute or link.
    `bookkeeping`: of `total`, what package managers and osupdate note for themselves.
    """

    added: int
    removed: int
    modified: int
    metadata: int
    bookkeeping: int

    @property
    def total(self) -> int:
        """Paths that come, go or have other content."""
        return self.added + self.removed + self.modified


class Report(Struct, frozen=True):
    """Everything that differs. `old` None: nothing was here before.

    `paths` are what was asked about; empty is everything, and only then packages are
    compared. `download` and `grows` are bytes, None while not known. `told` is who says
    so: "release", or "channel" before the content is here. `unknown` names what is
    known only after the download, in words. `problems` are sentences about what could
    not be read; the rest of the report stands.
    """

    old: Side | None
    new: Side
    paths: tuple[bytes, ...]
    packages: Packages
    kernel: Kernel | None
    files: tuple[FileChange, ...]
    counts: Counts
    directories: tuple[Directory, ...]
    download: int | None
    grows: int | None
    attention: tuple[Attention, ...] = ()
    security: tuple[Advisory, ...] = ()
    changelogs: tuple[Changelog, ...] = ()
    configs: tuple[ConfigChange, ...] = ()
    units: tuple[UnitChange, ...] = ()
    accounts: tuple[AccountChange, ...] = ()
    unexplained: Unexplained = Unexplained()
    told: str = "release"
    unknown: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def is_empty(report: Report) -> bool:
    """Whether nothing differs."""
    return not (report.files or report.packages.groups)
