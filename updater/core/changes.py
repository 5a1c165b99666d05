"""changes.json: why packages changed, in the words of their changelogs (format 1).

One entry a line, so that a diff of two releases is a review. It goes back over several
releases, for machines that pass some of them over; every entry says which release it
came with. What is cut says so.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct, structs

from updater.core.changelogs import URGENCIES, Entry, cves, is_security
from updater.core.packages import order, sources
from updater.core.text import safe
from updater.errors import UntrustedError
from updater.model import Package

FORMAT = 1
MAX_BYTES = 1 << 19
MAX_ENTRIES = 20  # of one source in one release
MAX_LINES = 40  # of one entry
MAX_LINE = 200  # characters, of a version or distribution as well
MAX_CVES = 2000  # of one entry; a kernel's has hundreds

_SHORTER = ((MAX_LINES, MAX_ENTRIES), (10, 20), (3, 20), (3, 5), (1, 2), (0, 1), (0, 0))
"""Lines an entry and entries a source: what is tried, in turn, to keep to MAX_BYTES."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_RFC3339 = "%Y-%m-%dT%H:%M:%SZ"
_MAX_NUMBER = 1 << 53


class Change(Struct, frozen=True, forbid_unknown_fields=True):
    """One changelog entry.

    Attributes:
        version: of the source package.
        release: the number of the release that it came with.
        date: RFC 3339, or null.
        urgency: as in Debian's changelogs; empty where a family has none.
        news: a notice for whoever runs the machine (NEWS.Debian).
        text: its first lines.
        cut: lines that were left out.
    """

    version: str
    release: int
    date: str | None
    urgency: str
    distribution: str
    security: bool
    news: bool
    cves: tuple[str, ...]
    text: tuple[str, ...]
    cut: int


class Changes(Struct, frozen=True):
    """What changed in the releases after number `since`.

    Attributes:
        sources: source package -> its entries, newest first.
        left_out: source package -> how many of its entries were left out.
    """

    since: int
    sources: dict[str, tuple[Change, ...]] = {}
    left_out: dict[str, int] = {}


def from_entries(
    found: Mapping[str, Iterable[Entry]], release: int, since: int
) -> Changes:
    """What one release brings.

    Args:
        found: source package -> its new entries, newest first.
        release: its number.
        since: that of the release before.
    """
    every = {
        safe(source, MAX_LINE): tuple(_change(entry, release) for entry in entries)
        for source, entries in found.items()
        if source
    }
    return _shortened(Changes(since, every), MAX_LINES, MAX_ENTRIES)


def _change(entry: Entry, release: int) -> Change:
    date = entry.date
    return Change(
        version=safe(entry.version or "", MAX_LINE),
        release=release,
        date=None if date is None else _rfc3339(date),
        urgency=entry.urgency,
        distribution=safe(entry.distribution, MAX_LINE),
        security=is_security(entry),
        news=entry.news,
        cves=cves(entry.lines)[:MAX_CVES],
        text=tuple(safe(line, MAX_LINE) for line in entry.lines),
        cut=0,
    )


def _rfc3339(seconds: int) -> str | None:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(_RFC3339)
    except (ValueError, OverflowError, OSError):
        return None


def unite(parts: Iterable[Changes]) -> Changes:
    """Several releases' changes in one; an entry that is in several is told once."""
    united: dict[str, dict[tuple[str, bool], Change]] = {}
    left_out: dict[str, int] = {}
    since: int | None = None
    for part in parts:
        since = part.since if since is None else min(since, part.since)
        for source, changes in part.sources.items():
            known = united.setdefault(source, {})
            for change in changes:
                known.setdefault((change.version, change.news), change)
        for source, count in part.left_out.items():
            left_out[source] = max(count, left_out.get(source, 0))
    return Changes(
        since or 0,
        {
            source: tuple(sorted(known.values(), key=lambda c: -c.release))
            for source, known in united.items()
        },
        left_out,
    )


def after(changes: Changes, number: int) -> Changes:
    """What the releases after this number brought."""
    kept = {
        source: tuple(change for change in found if change.release > number)
        for source, found in changes.sources.items()
    }
    return Changes(
        max(number, changes.since),
        {source: found for source, found in kept.items() if found},
        {s: n for s, n in changes.left_out.items() if kept.get(s)},
    )


def since(
    changes: Changes, old: Iterable[Package], new: Iterable[Package]
) -> dict[str, tuple[Change, ...]]:
    """What an update between any two lists of packages brings, by source package.

    Entries of versions that are newer than the one before and at most the one after;
    an empty tuple for a source that changed although nothing is told of it.
    """
    found = {}
    for moved in sources.changed(old, new):
        found[moved.source] = tuple(
            change
            for change in changes.sources.get(moved.source, ())
            if _is_between(change.version, moved)
        )
    return found


def again(
    changes: Changes, moved: Iterable[sources.SourceChange], release: int
) -> Changes:
    """What is known already of a step that another release took before."""
    found = {
        step.source: tuple(
            structs.replace(change, release=release)
            for change in changes.sources.get(step.source, ())
            if _is_between(change.version, step)
        )
        for step in moved
    }
    return Changes(
        changes.since, {source: told for source, told in found.items() if told}
    )


def _is_between(version: str, moved: sources.SourceChange) -> bool:
    if not version:
        return True
    if order.compare_told(moved.family, version, moved.new) > 0:
        return False
    old = moved.old
    return old is None or order.compare_told(moved.family, version, old) > 0


def fit(changes: Changes) -> Changes:
    """What `write` has room for: the oldest releases go, then lines, then entries."""
    while _size(changes) > MAX_BYTES:
        releases = {c.release for found in changes.sources.values() for c in found}
        if len(releases) < 2:
            break
        changes = after(changes, min(releases))
    for lines, entries in _SHORTER:
        short = _shortened(changes, lines, entries)
        if _size(short) <= MAX_BYTES:
            return short
    return Changes(changes.since)


def _shortened(changes: Changes, lines: int, entries: int) -> Changes:
    left_out = dict(changes.left_out)
    kept = {}
    for source, found in changes.sources.items():
        counts: dict[int, int] = {}
        here = []
        for change in found:
            counts[change.release] = counts.get(change.release, 0) + 1
            if counts[change.release] <= entries:
                here.append(_cut(change, lines))
        if len(found) > len(here):
            left_out[source] = left_out.get(source, 0) + len(found) - len(here)
        if here:
            kept[source] = tuple(here)
    return Changes(changes.since, kept, left_out)


def _cut(change: Change, lines: int) -> Change:
    if len(change.text) <= lines:
        return change
    cut = change.cut + len(change.text) - lines
    return structs.replace(change, text=change.text[:lines], cut=cut)


def _size(changes: Changes) -> int:
    return sum(len(line) + 1 for line in _lines(changes))


def write(changes: Changes) -> bytes:
    """The file, at most MAX_BYTES; `parse` reads it back."""
    return "".join(line + "\n" for line in _lines(fit(changes))).encode("ascii")


def _lines(changes: Changes) -> Iterator[str]:
    left_out = json.dumps(dict(sorted(changes.left_out.items())))
    yield f'{{"format": {FORMAT}, "since": {changes.since},'
    yield f'"left_out": {left_out},'
    yield '"sources": {'
    names = sorted(changes.sources)
    for name in names:
        yield f"{json.dumps(name)}: ["
        found = changes.sources[name]
        for change in found:
            row = json.dumps(msgspec.to_builtins(change))
            yield row if change is found[-1] else row + ","
        yield "]" if name == names[-1] else "],"
    yield "}}"


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    since: int
    left_out: dict[str, int]
    sources: dict[str, list[msgspec.Raw]]


def parse(data: bytes) -> Changes:
    """Read changes.json.

    Raises:
        UntrustedError: F3: it is not what `write` writes; with the entry.
    """
    if len(data) > MAX_BYTES:
        raise _bad(f"it has {len(data)} bytes, more than {MAX_BYTES}")
    try:
        told = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(str(error)) from error
    if told.format != FORMAT:
        raise _bad(f"expected format {FORMAT}, got {told.format}")
    if not 0 <= told.since < _MAX_NUMBER:
        raise _bad("since is not the number of a release")
    for source, count in told.left_out.items():
        if not _is_name(source) or not 0 < count < _MAX_NUMBER:
            raise _bad(f'left_out of "{safe(source, 80)}" is not a count of a source')
    found: dict[str, tuple[Change, ...]] = {}
    for source, rows in told.sources.items():
        if not rows or not _is_name(source):
            raise _bad(f'source "{safe(source, 80)}" has no entry, or is no name')
        found[source] = tuple(
            _parse_row(source, place, row) for place, row in enumerate(rows, 1)
        )
    changes = Changes(told.since, found, told.left_out)
    if "".join(line + "\n" for line in _lines(changes)).encode("ascii") != data:
        raise _bad("it is not written as the format says: order, spaces or escapes")
    return changes


def _parse_row(source: str, place: int, row: msgspec.Raw) -> Change:
    where = f'source "{safe(source, 80)}", entry {place}'
    try:
        change = msgspec.json.decode(row, type=Change)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(f"{where}: {error}") from error
    if reason := _wrong(change):
        raise _bad(f"{where}: {reason}")
    return change


def _wrong(change: Change) -> str | None:
    lines = (change.version, change.distribution, *change.text)
    if not 0 <= change.release < _MAX_NUMBER or not 0 <= change.cut < _MAX_NUMBER:
        return "a number is negative or too large"
    if change.urgency and change.urgency not in URGENCIES:
        return f'urgency "{safe(change.urgency, 40)}" is none of {", ".join(URGENCIES)}'
    if not all(map(_is_line, lines)):
        return f"a line has control characters, or more than {MAX_LINE}"
    if len(change.text) > MAX_LINES or len(change.cves) > MAX_CVES:
        return f"more than {MAX_LINES} lines or {MAX_CVES} CVE ids"
    if change.cves != cves(change.cves):
        return "its CVE ids are not such, or not sorted"
    if change.date is not None and not _is_date(change.date):
        return f'date "{safe(change.date, 40)}" is not like 2026-05-16T14:02:11Z'
    return None


def _is_line(text: str) -> bool:
    return len(text) <= MAX_LINE + len("...") and not _CONTROL.search(text)


def _is_name(text: str) -> bool:
    return bool(text) and _is_line(text)


def _is_date(text: str) -> bool:
    try:
        return (
            datetime.strptime(text, _RFC3339).replace(tzinfo=UTC).strftime(_RFC3339)
            == text
        )
    except ValueError:
        return False


def _bad(reason: str) -> UntrustedError:
    return UntrustedError("F3", f"changes.json: {safe(reason, 400)}")
