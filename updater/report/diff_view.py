"""What Markdown and HTML say alike: the words and rows of a report.

Nothing in here is escaped for its place, and names are as the release has them.
"""

import shlex
from collections.abc import Sequence

from msgspec import Struct

from updater.core.text import plural, size
from updater.core.times import day
from updater.report.compare_packages import NO_DATABASE
from updater.report.diff import FileChange, Group, Kind, Report, is_empty
from updater.report.diff_words import details, label
from updater.report.layout import signed
from updater.report.sections import (
    Attention,
    ConfigChange,
    Danger,
    UnitChange,
    Urgency,
)

DEPTH = 3  # directories that a group of files shares, as in `compare`
DANGERS = {
    Danger.SETUID: "setuid",
    Danger.SETGID: "setgid",
    Danger.CAPABILITY: "capability",
    Danger.LOOSENED: "loosened",
    Danger.UNIT: "unit enabled",
    Danger.SOCKET: "socket enabled",
    Danger.TIMER: "timer enabled",
    Danger.USER: "user",
    Danger.ID: "number changed",
    Danger.CERTIFICATE: "CA certificate",
    Danger.KEY: "trusted key",
    Danger.CONFFILE: "conffile",
    Danger.UNEXPLAINED: "unexplained",
}
_HIGH = (Urgency.EMERGENCY, Urgency.CRITICAL, Urgency.HIGH)


class PackageRow(Struct, frozen=True):
    """A group of packages. `binaries` says more than `name`, or is empty."""

    name: str
    binaries: str
    old: str | None
    new: str | None
    size: str


class PackageKind(Struct, frozen=True):
    """Groups that changed alike: `told` is how many."""

    word: str
    told: str
    rows: tuple[PackageRow, ...]


class FileGroup(Struct, frozen=True):
    """Paths of one directory; `path` None: of one sort, which `word` names."""

    path: bytes | None
    word: str
    changes: tuple[FileChange, ...]
    size: str


def title(report: Report) -> str:
    """`2026.04.2 to 2026.05.1`."""
    if report.old is None:
        return f"{report.new.version}, the first release"
    return f"{report.old.version} to {report.new.version}"


def command(report: Report) -> str:
    """What to say after `osupdate diff` for this report."""
    new = report.new.version
    return new if report.old is None else f"{report.old.version}..{new}"


def danger(one: Attention) -> str:
    """`setuid added`, `unit enabled`."""
    word = DANGERS[one.kind]
    if one.kind in (Danger.SETUID, Danger.SETGID, Danger.CAPABILITY):
        return f"{word} added"
    return word


def dangers(report: Report) -> list[tuple[Danger, tuple[Attention, ...]]]:
    """What wants attention by its kind, in the order that the report has."""
    kinds: dict[Danger, list[Attention]] = {}
    for one in report.attention:
        kinds.setdefault(one.kind, []).append(one)
    return [(kind, tuple(found)) for kind, found in kinds.items()]


def more(one: Attention) -> str:
    """The command that shows more, to copy into a shell; empty when there is none."""
    return shlex.join(("osupdate", *one.more)) if one.more else ""


def tone(urgency: Urgency | None) -> str:
    """How loud: high, medium, or nothing."""
    if urgency in _HIGH:
        return "high"
    return "medium" if urgency is Urgency.MEDIUM else ""


def notes(report: Report) -> list[str]:
    """What limits this report, in sentences."""
    told = []
    if report.told == "channel":
        told.append("As told by the channel: the content is not here yet.")
    if report.unknown:
        told.append(f"Known after the download: {', '.join(report.unknown)}.")
    return [*told, *(f"{text[:1].upper()}{text[1:]}" for text in report.problems)]


def nothing(report: Report) -> str:
    """The sentence for two releases that are alike; empty when they are not."""
    if not is_empty(report) or report.packages.problem not in (None, NO_DATABASE):
        return ""
    return "Nothing differs here" if report.paths else "Nothing differs"


def problem(report: Report) -> str:
    """Why packages are not compared."""
    if report.packages.problem == NO_DATABASE:
        return "No package database: only files are compared."
    return f"Not compared: {report.packages.problem}"


def package_count(report: Report) -> int:
    """How many packages differ."""
    return sum(len(group.changes) for _, groups in _kinds(report) for group in groups)


def packages(report: Report) -> list[PackageKind]:
    """The groups by how they changed, in the order that matters."""
    found = []
    for word, groups in _kinds(report):
        if not groups:
            continue
        count = sum(len(group.changes) for group in groups)
        told = f"{count:,}"
        if count > len(groups):
            told += f" from {plural(len(groups), 'source')}"
        rows = tuple(_row(group) for group in sorted(groups, key=label))
        found.append(PackageKind(word, told, rows))
    return found


def _kinds(report: Report) -> list[tuple[str, tuple[Group, ...]]]:
    found = report.packages
    return [
        ("Downgraded", found.downgraded),
        ("Changed", found.changed),
        ("Added", found.added),
        ("Removed", found.removed),
    ]


def _row(group: Group) -> PackageRow:
    name = label(group)
    names = [change.package.name for change in group.changes]
    old, new = group.old, group.new
    change = group.changes[0]
    if old == new and change.old is not None and change.new is not None:
        old, new = f"{old} {change.old.arch}", f"{new} {change.new.arch}"
    binaries = "" if set(names) == {name} else ", ".join(sorted(names))
    return PackageRow(name, binaries, old, new, grows(group.grows))


def grows(count: int | None) -> str:
    """`+2.1 MB`; empty when it is not known or nothing."""
    return signed(count) if count else ""


def file_count(report: Report) -> str:
    """`312 changed (+21 -8 ~283), 94 of them bookkeeping`."""
    counts = report.counts
    told = (
        f"{counts.total:,} changed (+{counts.added:,} -{counts.removed:,} "
        f"~{counts.modified:,})"
    )
    if counts.bookkeeping:
        told += f", {counts.bookkeeping:,} of them bookkeeping"
    if counts.metadata:
        paths = plural(counts.metadata, "path")
        told += f"; {paths} with another mode, owner, attribute or link"
    return told


def sizes(report: Report) -> list[tuple[str, str]]:
    """What is known of bytes: a word and a size."""
    told = []
    if report.download is not None:
        told.append(("to download", size(report.download)))
    if report.grows is not None and not report.paths:
        told.append(("on disk", signed(report.grows)))
    return told


def file_groups(files: Sequence[FileChange]) -> list[FileGroup]:
    """Every path once: by directory, then metadata alone, then bookkeeping."""
    places: dict[bytes, list[FileChange]] = {}
    other: dict[str, list[FileChange]] = {"Only mode, owner, attribute or link": []}
    other["Bookkeeping of package managers and osupdate"] = []
    metadata, bookkeeping = other.values()
    for change in files:
        if change.bookkeeping:
            bookkeeping.append(change)
        elif change.kind is Kind.METADATA:
            metadata.append(change)
        else:
            parents = change.path.split(b"/")[:-1]
            places.setdefault(b"/".join(parents[:DEPTH]), []).append(change)
    found = [
        FileGroup(place, "", tuple(changes), _grow(changes))
        for place, changes in sorted(places.items())
    ]
    found += [
        FileGroup(None, word, tuple(changes), _grow(changes))
        for word, changes in other.items()
        if changes
    ]
    return found


def _grow(changes: Sequence[FileChange]) -> str:
    values = [change.grows for change in changes]
    known = [value for value in values if value is not None]
    return grows(sum(known)) if len(known) == len(values) else ""


def file_size(change: FileChange) -> str:
    """By how much it grows; a change that keeps the size says nothing."""
    return grows(change.grows)


def file_words(change: FileChange) -> str:
    """What differs beside the content, and whose it is."""
    told = [details(change), change.package or ""]
    return " · ".join(part for part in told if part)


def unit_words(unit: UnitChange) -> str:
    """By what it is started, where it listens, whose it is."""
    told = []
    if unit.by:
        told.append(f"by {', '.join(unit.by)}")
    if unit.listens:
        told.append(f"listens on {', '.join(unit.listens)}")
    if unit.package:
        told.append(unit.package)
    return " · ".join(told)


def config_rows(report: Report) -> list[tuple[str, bytes, str]]:
    """Change, path and words for each file of /etc."""
    return [(one.change, one.path, _config_words(one)) for one in report.configs]


def _config_words(one: ConfigChange) -> str:
    told = [one.package or ""]
    if one.conffile:
        told.append("conffile")
    if one.local:
        told.append("changed on this machine too")
    return " · ".join(part for part in told if part)


def emphasis(old: str, new: str) -> tuple[str, str]:
    """A new version in two parts: as before, and what differs from there on.

    The second begins at a component, so that 9 -> 10 is not shown as 1 that became 0.
    """
    at = 0
    for position, (before, after) in enumerate(zip(old, new, strict=False), 1):
        if before != after:
            break
        if not after.isalnum():
            at = position
    else:
        at = min(len(old), len(new))
    return new[:at], new[at:]


def side_words(report: Report) -> list[tuple[str, str, str, str, str]]:
    """From and to: word, version, day, role, commit."""
    sides = [("from", report.old), ("to", report.new)]
    return [
        (word, side.version, day(side.created), side.name, side.commit[:7])
        for word, side in sides
        if side is not None
    ]
