"""What changelogs say about an update, and what of it closes holes.

changes.json tells it, where the release has one that reaches back far enough; else the
changelogs in the tree, as far as they are there. What is told is what people wrote: a
changelog that lies is shown, an entry that is not between the versions is not.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial

from msgspec import Struct

from updater.core import changelogs, changes, unpack
from updater.core.changelogs import debian
from updater.core.packages import order, sources
from updater.core.packages.sources import SourceChange
from updater.errors import RefusedError
from updater.model import Package
from updater.report.sections import Advisory, Changelog, Entry, Fix, Urgency
from updater.report.snapshot import Snapshot

CHANGES_PATH = b"usr/lib/osupdate/changes.json"
MAX_CHANGELOG = 2 << 20  # bytes, unpacked
MAX_ENTRIES = 100  # of one source
MAX_LINES = 200  # of one entry
MAX_FIXES = 5000  # of one source
MAX_FIX = 160  # characters

_DOC = b"usr/share/doc/"
_LOGS = (b"changelog.Debian.gz", b"changelog.gz", b"changelog.Debian", b"changelog")
_NEWS = (b"NEWS.Debian.gz", b"NEWS.Debian")
_BULLET = re.compile(r"(\s*)[*+-] +(.*)")
_CVE = re.compile(r"\S*\bCVE-[0-9]{4}-[0-9]{4,}\S*", re.IGNORECASE)
_EMPTY = re.compile(
    r"\(\s*(?:[,;/&]|and|fixes|fix|see|\s)*\s*\)|\((?:closes|lp)?:? *#[^)]*\)",
    re.IGNORECASE,
)
_LEAST_WORDS = 4  # characters that say something
_EDGE = " \t,;:-"


def compare(
    old: Snapshot | None,
    new: Snapshot,
    before: Sequence[Package],
    after: Sequence[Package],
) -> tuple[tuple[Changelog, ...], tuple[str, ...]]:
    """What is told about each source package that changed, most urgent first.

    Returns:
        The changelogs, and sentences about what could not be read.
    """
    if old is None:
        return (), ()
    moved = sources.changed(before, after)
    problems: list[str] = []
    told = _told(new, before, after, problems)
    found = [_changelog(change, told, new) for change in moved if _is_newer(change)]
    ranks: dict[Urgency | None, int] = {None: len(Urgency)}
    ranks.update((urgency, number) for number, urgency in enumerate(Urgency))
    found.sort(key=lambda one: (ranks[one.urgency], one.source))
    return tuple(found), tuple(problems)


def advisories(
    found: Iterable[Changelog], binaries: Mapping[str, Sequence[str]]
) -> tuple[Advisory, ...]:
    """The sources whose changelogs speak of security, in the order given.

    Args:
        found: changelogs.
        binaries: names of the packages that changed, by source.
    """
    return tuple(
        Advisory(
            source=one.source,
            old=one.old,
            new=one.new,
            urgency=one.urgency,
            fixes=tuple(_fixes(one.entries)),
            binaries=tuple(binaries.get(one.source, ())),
        )
        for one in found
        if any(_is_security(entry) for entry in one.entries)
    )


def _is_newer(change: SourceChange) -> bool:
    if change.old is None:
        return True
    return order.compare(change.family, change.old, change.new) < 0


def _told(
    new: Snapshot,
    before: Sequence[Package],
    after: Sequence[Package],
    problems: list[str],
) -> Mapping[str, Sequence[changes.Change]]:
    found = new.changes
    if found is None and new.tree.leaf(CHANGES_PATH):
        try:
            found = changes.parse(new.read(CHANGES_PATH, changes.MAX_BYTES))
        except RefusedError as error:
            problems.append(f"changelogs: {error}")
    if found is None:
        return {}
    return changes.since(found, before, after)


def _changelog(
    change: SourceChange,
    told: Mapping[str, Sequence[changes.Change]],
    new: Snapshot,
) -> Changelog:
    rows = told.get(change.source, ())
    entries: list[Entry] = [_from_change(row) for row in rows]
    problem = None
    if not entries and new.told == "release":
        entries, problem = _from_tree(change, new)
    elif any(row.cut for row in rows):
        problem = "entries are shortened"
    if not entries and problem is None:
        problem = "nothing is told about these versions"
    return Changelog(
        source=change.source,
        old=change.old,
        new=change.new,
        urgency=_worst(entries),
        entries=tuple(entries),
        problem=problem,
    )


def _from_change(row: changes.Change) -> Entry:
    return Entry(
        version=row.version,
        urgency=_urgency(row.urgency),
        distribution=row.distribution or None,
        date=_seconds(row.date),
        cves=row.cves,
        lines=row.text,
        news=row.news,
    )


def _seconds(date: str | None) -> int | None:
    if date is None:
        return None
    try:
        told = datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(told.timestamp())


def _from_tree(change: SourceChange, new: Snapshot) -> tuple[list[Entry], str | None]:
    """The changelog of any of its packages; NEWS of all of them comes first."""
    if change.family != "dpkg":
        return [], "the release has no changelog of it"
    problem: str | None = "the release has no changelog of it"
    log: list[Entry] | None = None
    news: dict[str, Entry] = {}
    for name in change.binaries:
        directory = _directory(new, name.encode("utf-8", "backslashreplace"))
        for entry in _read(new, directory, _NEWS, change)[0]:
            news.setdefault(entry.version, entry)
        if log is None:
            found, told = _read(new, directory, _LOGS, change)
            log, problem = (found, told) if found else (None, told or problem)
    return [*news.values(), *(log or ())], problem


def _directory(new: Snapshot, package: bytes) -> bytes:
    """Where the documentation of a package is; often a link to another one's."""
    path = _DOC + package
    target = new.link(path)
    if target is None:
        return path
    return _DOC + target.rstrip(b"/").rpartition(b"/")[2]


def _read(
    new: Snapshot, directory: bytes, names: Sequence[bytes], change: SourceChange
) -> tuple[list[Entry], str | None]:
    for name in names:
        path = directory + b"/" + name
        if new.tree.leaf(path) is None:
            continue
        try:
            text, whole = unpack.unpack(new.read(path, MAX_CHANGELOG), MAX_CHANGELOG)
        except (RefusedError, ValueError) as error:
            return [], f"its changelog cannot be read: {error}"
        news = name in _NEWS
        found = changelogs.between(
            debian.parse(text, news=news), change.old, change.new, _order(change.family)
        )
        entries = [_entry(entry) for entry in found[:MAX_ENTRIES]]
        if entries or news:
            cut = not whole or len(found) > MAX_ENTRIES
            return entries, "it is longer than what was read" if cut else None
    return [], None


def _order(family: str) -> Callable[[str, str], int]:
    """As `order.compare`, for many comparisons with the same two versions."""
    key = cache(partial(order.key, family))
    return lambda a, b: int(key(a) > key(b)) - int(key(a) < key(b))


def _entry(entry: changelogs.Entry) -> Entry:
    return Entry(
        version=entry.version or "",
        urgency=_urgency(entry.urgency),
        distribution=entry.distribution or None,
        date=entry.date,
        cves=changelogs.cves(entry.lines),
        lines=entry.lines[:MAX_LINES],
        news=entry.news,
    )


def _urgency(word: str) -> Urgency | None:
    return Urgency(word) if word in set(Urgency) else None


def _worst(entries: Iterable[Entry]) -> Urgency | None:
    told = {entry.urgency for entry in entries}
    return next((urgency for urgency in Urgency if urgency in told), None)


def _is_security(entry: Entry) -> bool:
    """As `changelogs.is_security`, of the entry that it was made of."""
    return changelogs.is_security(
        changelogs.Entry(
            source="",
            version=entry.version,
            distribution=entry.distribution or "",
            urgency=entry.urgency or "",
            lines=(*entry.lines, *entry.cves),
        )
    )


def _fixes(entries: Iterable[Entry]) -> Iterator[Fix]:
    """Each CVE id once; those that the text explains come first, the newest of them."""
    seen: dict[str, str] = {}
    for entry in entries:
        for cve in entry.cves:
            if len(seen) < MAX_FIXES:
                seen.setdefault(cve, "")
        parents: list[_Item] = []
        for item in _items(entry.lines):
            while parents and parents[-1].indent >= item.indent:
                parents.pop()
            for name in changelogs.cves([item.text]):
                if seen.get(name) == "":
                    seen[name] = _words(item, parents)
            parents.append(item)
    return (Fix(cve, text) for cve, text in sorted(seen.items(), key=_rank))


def _rank(found: tuple[str, str]) -> tuple[bool, int, int]:
    _, year, number = found[0].split("-")
    return not found[1], -int(year), -int(number)


class _Item(Struct, frozen=True):
    """One point of a changelog, its lines joined."""

    indent: int
    text: str


def _items(lines: Sequence[str]) -> Iterator[_Item]:
    """The points of an entry; a line without a bullet goes on with the one above.

    The first line has lost its blanks: it is as high as what has the same mark.
    """
    marks = [line.lstrip()[:1] for line in lines]
    alike = [
        len(match[1])
        for line, mark in zip(lines[1:], marks[1:], strict=True)
        if (match := _BULLET.match(line)) and mark == marks[0]
    ]
    least = min(alike, default=0)
    indent, words = 0, ""
    for line in lines:
        match = _BULLET.match(line)
        if match or not line.strip():
            if words:
                yield _Item(indent, words)
            indent, words = 0, ""
        if match:
            indent = max(len(match[1]), least if line is lines[0] else 0)
            words = match[2]
        elif line.strip():
            words = f"{words} {line.strip()}".strip()
    if words:
        yield _Item(indent, words)


def _words(item: _Item, parents: Sequence[_Item]) -> str:
    """What a point says beside the ids; that above it, when it says nothing else."""
    for one in (item, *reversed(parents)):
        text = " ".join(_EMPTY.sub("", _CVE.sub("", one.text)).split()).strip(_EDGE)
        text = text.removeprefix(")").removesuffix("(").strip(_EDGE)
        if len(text) >= _LEAST_WORDS:
            return text if len(text) <= MAX_FIX else text[: MAX_FIX - 3] + "..."
    return ""
