"""pacman's database: a directory for each package, with the files desc and files.

Source of the format: the comments of libalpm's local database.
"""

import re
from collections.abc import Iterator

from updater.core.packages import text
from updater.core.packages.owners import Conffile
from updater.model import Package

LOCAL = b"var/lib/pacman/local/"

_SECTION = re.compile(rb"^%([A-Z0-9]+)%\n((?:[^%\n][^\n]*\n)*)", re.MULTILINE)


def parse_desc(data: bytes) -> list[Package]:
    """One `desc` below /var/lib/pacman/local: `%NAME%`, then its lines.

    Raises:
        ValueError: it is damaged.
    """
    text.check(data)
    sections: dict[bytes, bytes] = {}
    for name, body in _SECTION.findall(data):
        if name in sections:
            raise ValueError(f"the section %{name.decode()}% appears twice")
        sections[name] = body.strip()
    name = text.word(sections.get(b"NAME", b""), "%NAME%")
    base, arch = sections.get(b"BASE"), sections.get(b"ARCH")
    size = sections.get(b"SIZE")
    return [
        Package(
            name=name,
            version=text.word(sections.get(b"VERSION", b""), "%VERSION%"),
            source=text.word(base, "%BASE%") if base else name,
            arch=text.word(arch, "%ARCH%") if arch else "",
            size=text.number(size, "%SIZE%") if size else None,
            family="pacman",
        )
    ]


def listed_by(path: bytes) -> str | None:
    """The package whose files are listed at this path of the database."""
    if not path.startswith(LOCAL) or not path.endswith(b"/files"):
        return None
    directory = path[len(LOCAL) : -len(b"/files")]  # NAME-VERSION-RELEASE
    return directory.rsplit(b"-", 2)[0].decode("utf-8", "backslashreplace")


def listed(data: bytes) -> list[bytes]:
    """The paths in `files`.

    Raises:
        ValueError: it is damaged.
    """
    text.check(data)
    return [
        line.rstrip(b"/")
        for name, body in _SECTION.findall(data)
        if name == b"FILES"
        for line in body.split(b"\n")
        if line
    ]


def conffiles(package: str, data: bytes) -> Iterator[tuple[bytes, Conffile]]:
    """The paths below `%BACKUP%` in `files`."""
    for name, body in _SECTION.findall(data):
        if name == b"BACKUP":
            for line in body.split(b"\n")[:-1]:
                path, _, md5 = line.partition(b"\t")
                yield path, Conffile(package, md5.decode("ascii", "replace") or None)
