"""Changelogs in rpm headers: three lists, of times, authors and texts."""

import re
from collections.abc import Container, Iterator

from updater.core.changelogs import Entry
from updater.core.packages import rpm
from updater.core.packages.rpm import Header, Tag

MAX_LINES = 5000  # of one entry

_AUTHOR = re.compile(
    r"(?P<author>.*?[>\w])?(?:\s*-)?\s+(?P<version>(?:[0-9]+:)?[0-9][\w.+~^]*-[\w.+~^]+)"
)


def read(
    data: bytes, names: Container[str]
) -> dict[tuple[str, str], tuple[Entry, ...]]:
    """The changelogs of these packages: (source, its version) -> entries.

    Args:
        data: the database.
        names: of packages, not of sources.

    Raises:
        ValueError: the database is damaged, or not one of rpm.
    """
    found: dict[tuple[str, str], tuple[Entry, ...]] = {}

    def make(header: Header) -> None:
        package = rpm.package(header)
        if package.name in names:
            entries = tuple(parse(package.source, header))
            found.setdefault((package.source, package.built_from), entries)

    for _ in rpm.read(data, rpm.PACKAGE | rpm.CHANGES, make):
        pass
    return found


def parse(source: str, header: Header) -> Iterator[Entry]:
    """The entries of a package, newest first.

    Args:
        source: the source package, which rpm's entries do not name.
        header: of any package that is built from it, with its `CHANGES` tags.
    """
    times = header.numbers.get(Tag.CHANGE_TIME, ())
    authors = header.strings.get(Tag.CHANGE_NAME, [])
    texts = header.strings.get(Tag.CHANGE_TEXT, [])
    for time, author, text in zip(times, authors, texts, strict=False):
        who = author.decode("utf-8", "replace").strip()
        told = _AUTHOR.fullmatch(who)
        lines = text.decode("utf-8", "replace").strip("\n").split("\n")
        yield Entry(
            source=source,
            version=told["version"] if told else None,
            date=time,
            author=(told["author"] or "") if told else who,
            lines=tuple(line.rstrip() for line in lines[:MAX_LINES]),
        )
