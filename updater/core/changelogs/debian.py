"""debian/changelog and NEWS.Debian.

Source of the format: deb-changelog(5), Debian policy 4.4; and 25 years of files that
keep neither.
"""

import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

from updater.core.changelogs import URGENCIES, Entry

MAX_LINES = 5000  # of one entry
_MAX_KEYS = 4096  # characters behind the semicolon that are looked at

_HEADER = re.compile(
    r"(?P<source>[A-Za-z0-9][-+.\w]*) \((?P<version>[^()\s]{1,256})\)"
    r"(?P<distribution>(?:\s+[-+.\w/~]+)*)\s*;(?P<keys>.*)"
)
_KEY = re.compile(r"([-\w]+)\s*=\s*([-\w]+)")
_TRAILER = re.compile(r" --\s*(?P<author>.*>|.*)(?P<date>.*)")
_END = re.compile(
    r"\s*(?:;;\s*)?(?:Local variables:|vim:|-\*-|old changelog:|changes from version )",
    re.IGNORECASE,
)


def parse(data: bytes, *, news: bool = False) -> Iterator[Entry]:
    """The entries of a changelog, newest first, read as they are asked for.

    Args:
        data: the file, decompressed; it may be cut anywhere.
        news: it is a NEWS.Debian.
    """
    header: re.Match[str] | None = None
    lines: list[str] = []
    trailer = ""
    for line in map(_decode, data.split(b"\n")):
        if found := _HEADER.fullmatch(line):
            if header:
                yield _entry(header, lines, trailer, news=news)
            header, lines, trailer = found, [], ""
        elif line.startswith(" --"):
            trailer = trailer or line
        elif header and not trailer and _is_text(line) and len(lines) < MAX_LINES:
            lines.append(line.rstrip())
    if header:
        yield _entry(header, lines, trailer, news=news)


def _decode(line: bytes) -> str:
    """A line in UTF-8; what is not was written before that, in Latin-1."""
    try:
        return line.decode("utf-8").rstrip("\r")
    except UnicodeDecodeError:
        return line.decode("latin-1").rstrip("\r")


def _is_text(line: str) -> bool:
    return not line.strip() or (line[0] in " \t" and not _END.match(line))


def _entry(
    header: re.Match[str], lines: list[str], trailer: str, *, news: bool
) -> Entry:
    told_keys = header["keys"][:_MAX_KEYS]
    keys = {name.lower(): value.lower() for name, value in _KEY.findall(told_keys)}
    urgency = keys.get("urgency", "")
    told = _TRAILER.fullmatch(trailer)
    return Entry(
        source=header["source"],
        version=header["version"],
        distribution=" ".join(header["distribution"].split()),
        urgency=urgency if urgency in URGENCIES else "",
        date=_date(told["date"]) if told else None,
        author=(told["author"] if told else "").strip(),
        lines=_trim(lines),
        news=news,
    )


def _date(text: str) -> int | None:
    try:
        return int(parsedate_to_datetime(text.strip()).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _trim(lines: list[str]) -> tuple[str, ...]:
    """Without empty lines around, and without what is empty on the left of all."""
    while lines and not lines[0].strip():
        lines = lines[1:]
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    left = min((len(s) - len(s.lstrip()) for s in lines if s.strip()), default=0)
    return tuple(line[left:] for line in lines)
