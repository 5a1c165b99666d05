"""The parts of a report that a person decides on: what is dangerous, and what is fixed.

Values only; `compare` makes them, the renderings show them. Nothing in here is escaped.
"""

from enum import StrEnum

from msgspec import Struct


class Danger(StrEnum):
    """Why a change wants attention (DESIGN section 7)."""

    SETUID = "setuid"
    SETGID = "setgid"
    CAPABILITY = "capability"
    LOOSENED = "loosened"
    UNIT = "unit"
    SOCKET = "socket"
    TIMER = "timer"
    USER = "user"
    ID = "id"
    CERTIFICATE = "certificate"
    KEY = "key"
    CONFFILE = "conffile"
    UNEXPLAINED = "unexplained"


class Attention(Struct, frozen=True):
    """One thing that somebody should look at before consent.

    `old` and `new` are what it was and is, in words (`0755`, `4755`); None where it was
    not, or is not. `more` is the one command that shows more, without `osupdate`; odd
    bytes of a path are escaped in it.
    """

    kind: Danger
    path: bytes | None
    package: str | None
    old: str | None
    new: str | None
    text: str
    more: tuple[str, ...]


class Urgency(StrEnum):
    """How urgent a changelog says that it is; the most urgent first."""

    EMERGENCY = "emergency"
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Entry(Struct, frozen=True):
    """One entry of a changelog or a NEWS file, newer than what is replaced.

    `date` is in seconds, None when it was not told. `lines` are its text, without the
    heading and without the author's line.
    """

    version: str
    urgency: Urgency | None
    distribution: str | None
    date: int | None
    cves: tuple[str, ...]
    lines: tuple[str, ...]
    news: bool = False


class Fix(Struct, frozen=True):
    """A vulnerability that an update fixes, and the words of the changelog for it."""

    cve: str
    text: str


class Advisory(Struct, frozen=True):
    """A source package whose update concerns security.

    `binaries` are the names of its packages that changed here.
    """

    source: str
    old: str | None
    new: str | None
    urgency: Urgency | None
    fixes: tuple[Fix, ...]
    binaries: tuple[str, ...]


class Changelog(Struct, frozen=True):
    """What a source package's changelog says between two versions, newest first.

    `problem` says why there is nothing, or not all of it.
    """

    source: str
    old: str | None
    new: str | None
    urgency: Urgency | None
    entries: tuple[Entry, ...]
    problem: str | None = None


class ConfigChange(Struct, frozen=True):
    """A file of /etc that differs between the releases.

    `change`: added, removed, modified, type. `conffile`: the package manager says that
    it is one. `local`: this machine changed it too; None when that is not known.
    """

    path: bytes
    change: str
    package: str | None
    conffile: bool
    local: bool | None


class UnitChange(Struct, frozen=True):
    """A unit that is started, or no longer started, by itself.

    `by`: what pulls it in, such as `multi-user.target`. `listens` are the addresses of
    a socket that is enabled.
    """

    unit: str
    enabled: bool
    by: tuple[str, ...]
    package: str | None
    listens: tuple[str, ...] = ()


class AccountChange(Struct, frozen=True):
    """A user or group that differs. `kind`: user, group.

    `change`: added, removed, id, groups, home, shell, password. `old` and `new` are
    what it was and is, in words; never a password hash.
    """

    kind: str
    name: str
    change: str
    old: str | None
    new: str | None


class Unowned(Struct, frozen=True):
    """Changed paths of one directory that no package owns."""

    path: bytes
    added: int
    removed: int
    modified: int
    grows: int | None


class Unexplained(Struct, frozen=True):
    """What no package update explains.

    `changed` are pairs of path and package: its version is as before, the file is not.
    `known`: whether the releases tell who owns what.
    """

    changed: tuple[tuple[bytes, str], ...] = ()
    unowned: tuple[Unowned, ...] = ()
    known: bool = False
