"""Changelogs of packages: entries, what is security, and which ones an update brings.

People write them by hand, for decades: what cannot be read is passed over, and nothing
here raises because of what a changelog says.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

URGENCIES = ("emergency", "critical", "high", "medium", "low")
"""From the most urgent one; an entry that tells none has ''."""
PATIENCE = 30  # entries in a row that are not newer, until the rest is taken as old

_CVE = re.compile(r"\bCVE-([0-9]{4})-([0-9]{4,10})(?![0-9])", re.IGNORECASE)
_STABLE = re.compile(r"[+~]deb[0-9]+u[0-9]+")


class Entry(Struct, frozen=True):
    """One entry of a changelog.

    Attributes:
        source: the source package that the entry itself names.
        version: None when it does not tell.
        distribution: one or several words; empty when not told.
        urgency: one of URGENCIES, or empty.
        date: seconds since the epoch, or None.
        lines: the text, as written, without empty lines around it.
        news: from NEWS.Debian, and so meant for whoever runs the machine.
    """

    source: str
    version: str | None
    distribution: str = ""
    urgency: str = ""
    date: int | None = None
    author: str = ""
    lines: tuple[str, ...] = ()
    news: bool = False


def cves(lines: Iterable[str]) -> tuple[str, ...]:
    """The CVE ids in a text, sorted by year and number; half ids are not guessed at."""
    found = {
        (int(year), int(number), f"CVE-{year}-{number}")
        for line in lines
        for year, number in _CVE.findall(line)
    }
    return tuple(cve for _, _, cve in sorted(found))


def worst(urgencies: Iterable[str]) -> str:
    """The most urgent of several; empty when none tells."""
    told = set(urgencies)
    return next((urgency for urgency in URGENCIES if urgency in told), "")


def is_security(entry: Entry) -> bool:
    """Whether an entry closes a hole, as far as it says so.

    It names a CVE, was meant for a security archive, or is an urgent update of a
    stable distribution (`+deb12u3`).
    """
    if cves(entry.lines):
        return True
    if any(word.endswith("-security") for word in entry.distribution.split()):
        return True
    urgent = URGENCIES.index(worst([entry.urgency]) or "low") <= URGENCIES.index("high")
    return urgent and bool(_STABLE.search(entry.version or ""))


def of_source(entries: Sequence[Entry], source: str) -> Sequence[Entry]:
    """The entries, unless none is of this source: then it is another one's changelog.

    Older entries may have an older name of the source.
    """
    return entries if any(entry.source == source for entry in entries) else []


def between(
    entries: Iterable[Entry],
    old: str | None,
    new: str,
    compare: Callable[[str, str], int],
) -> list[Entry]:
    """The entries that an update brings: newer than `old` and at most `new`.

    Args:
        entries: newest first, as changelogs have them; read no further than needed.
        old: the source version before; None for a package that was not there.
        new: the source version after.
        compare: the order of versions of the package system.
    """
    return list(_newer(entries, old, new, compare))


def _newer(
    entries: Iterable[Entry],
    old: str | None,
    new: str,
    compare: Callable[[str, str], int],
) -> Iterator[Entry]:
    passed = 0
    for entry in entries:
        if entry.version is None:
            # Without a version its place tells: above all that is known to be old.
            if old is not None and passed == 0:
                yield entry
            continue
        if compare(entry.version, new) > 0:
            continue
        if old is None or compare(entry.version, old) > 0:
            passed = 0
            yield entry
        else:
            passed += 1
            if passed > PATIENCE:
                return
