"""pacman's database: a directory for each package, with the files desc and files.

Source of the format: the comments of libalpm's local database.
"""

from collections.abc import Iterator

from updater.core.packages import text
from updater.core.packages.owners import Conffile
from updater.core.text import safe
from updater.model import Package

LOCAL = b"var/lib/pacman/local/"


def parse_desc(data: bytes) -> list[Package]:
    """One `desc` below /var/lib/pacman/local: `%NAME%`, then its lines.

    Raises:
        ValueError: it is damaged.
    """
    sections = _sections(data)
    name = text.word(sections.get(b"%NAME%", b""), "%NAME%")
    base, arch = sections.get(b"%BASE%"), sections.get(b"%ARCH%")
    size = sections.get(b"%SIZE%")
    return [
        Package(
            name=name,
            version=text.word(sections.get(b"%VERSION%", b""), "%VERSION%"),
            source=text.word(base, "%BASE%") if base else name,
            arch=text.word(arch, "%ARCH%") if arch else "",
            size=text.number(size, "%SIZE%") if size else None,
            family="pacman",
        )
    ]


def _sections(data: bytes) -> dict[bytes, bytes]:
    """The lines below each `%NAME%`."""
    text.check(data)
    sections: dict[bytes, bytes] = {}
    for offset, paragraph in text.paragraphs(data):
        head, _, body = paragraph.partition(b"\n")
        if head in sections:
            line = text.line_at(data, offset)
            raise ValueError(f"line {line}: {safe(head, 40)} appears twice")
        sections[head] = body.strip(b"\n")
    return sections


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
    files = _sections(data).get(b"%FILES%", b"")
    return [line.rstrip(b"/") for line in files.split(b"\n") if line]


def conffiles(package: str, data: bytes) -> Iterator[tuple[bytes, Conffile]]:
    """The paths below `%BACKUP%` in `files`."""
    backup = _sections(data).get(b"%BACKUP%", b"")
    for line in filter(None, backup.split(b"\n")):
        path, _, md5 = line.partition(b"\t")
        yield path, Conffile(package, md5.decode("ascii", "replace") or None)
