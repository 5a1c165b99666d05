"""rpm's SQLite database: one header for each package in its table Packages.

Source of the header's format: the RPM documentation, "Package format", "Header".
"""

import re
import sqlite3
import struct
from collections.abc import Callable, Container, Iterator
from enum import IntEnum
from typing import TypeVar

from msgspec import Struct

from updater.core.packages import text
from updater.model import Package

SQLITE = (b"usr/lib/sysimage/rpm/rpmdb.sqlite", b"var/lib/rpm/rpmdb.sqlite")
MAX_DATABASE = 1 << 28  # bytes; a full desktop has 1 << 26
MAX_HEADER = 1 << 25  # bytes; 32 MiB, rpm's own limit is 256 MiB

_SOURCE_RPM = re.compile(r"(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm\Z")
_MAGIC = b"SQLite format 3\0"
_JOURNAL = 18  # offset of two bytes in the file header: 2 is WAL, 1 is not
_INTRO = struct.Struct(">II")  # entries, bytes of data
_ENTRY = struct.Struct(">IIiI")  # tag, type, offset, count
_MAX_ENTRIES = 65536
_NUMBERS = {2: "B", 3: "H", 4: "I", 5: "Q"}  # type -> how struct calls it
_STRINGS = (6, 8, 9)  # string, string array, translated string
_CONFIG = 1  # flag of a file
_MAX_PATHS = 1 << 27  # bytes of all paths of a header; a full kernel has 1 << 20
_Made = TypeVar("_Made")
_KEY = "gpg-pubkey"  # a key, not a package


class Header(Struct, frozen=True):
    """The wanted tags of a package, tag -> its values."""

    strings: dict[int, list[bytes]]
    numbers: dict[int, tuple[int, ...]]


class Tag(IntEnum):
    """The tags that are read."""

    NAME = 1000
    VERSION = 1001
    RELEASE = 1002
    EPOCH = 1003
    SIZE = 1009
    ARCH = 1022
    FILE_FLAGS = 1037
    SOURCE_RPM = 1044
    CHANGE_TIME = 1080
    CHANGE_NAME = 1081
    CHANGE_TEXT = 1082
    DIR_INDEXES = 1116
    BASE_NAMES = 1117
    DIR_NAMES = 1118
    LONG_SIZE = 5009


PACKAGE = frozenset(
    (
        Tag.NAME,
        Tag.VERSION,
        Tag.RELEASE,
        Tag.EPOCH,
        Tag.SIZE,
        Tag.ARCH,
        Tag.SOURCE_RPM,
        Tag.LONG_SIZE,
    )
)
_FILES = frozenset(
    (Tag.NAME, Tag.FILE_FLAGS, Tag.DIR_INDEXES, Tag.BASE_NAMES, Tag.DIR_NAMES)
)
CHANGES = frozenset((Tag.CHANGE_TIME, Tag.CHANGE_NAME, Tag.CHANGE_TEXT))


def parse(data: bytes) -> list[Package]:
    """The installed packages.

    Raises:
        ValueError: the database is damaged, or not one of rpm.
    """
    found = read(data, PACKAGE, package)
    return [one for one in found if one.name != _KEY]


def read(
    data: bytes, tags: Container[int], make: Callable[[Header], _Made]
) -> Iterator[_Made]:
    """What `make` makes of the wanted tags of every header in a database.

    Raises:
        ValueError: the database is damaged, or not one of rpm; with the header.
    """
    for count, blob in enumerate(_blobs(data), 1):
        if count > text.MAX_PACKAGES:
            raise ValueError(f"it has more than {text.MAX_PACKAGES} headers")
        try:
            made = make(parse_header(blob, tags))
        except (ValueError, struct.error) as error:
            raise ValueError(f"header {count}: {error}") from error
        yield made


def _blobs(data: bytes) -> Iterator[bytes]:
    """The rows of Packages; a file from outside may compute nothing."""
    if len(data) > MAX_DATABASE:
        raise ValueError(f"it has {len(data)} bytes, more than {MAX_DATABASE}")
    if not data.startswith(_MAGIC):
        raise ValueError("it is not a database of SQLite 3")
    if data[_JOURNAL : _JOURNAL + 2] == b"\2\2":
        # A database in WAL mode wants a second file, which one in memory cannot have.
        data = data[:_JOURNAL] + b"\1\1" + data[_JOURNAL + 2 :]
    room = len(data)
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(data)
        del data
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_HEADER)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.set_authorizer(_only_reading)
        for row in connection.execute("SELECT blob FROM main.Packages NOT INDEXED"):
            blob = row[0] if isinstance(row[0], bytes) else b""
            room -= len(blob)
            if room < 0:
                raise ValueError("its rows are larger than it is")
            yield blob
    except sqlite3.Error as error:
        raise ValueError(f"SQLite: {error}") from error
    finally:
        connection.close()


def _only_reading(
    action: int,
    table: str | None,
    column: str | None,
    _base: str | None,
    view: str | None,
) -> int:
    if action == sqlite3.SQLITE_SELECT:
        return sqlite3.SQLITE_OK
    read = (action, table, column, view)
    good = read == (sqlite3.SQLITE_READ, "Packages", "blob", None)
    return sqlite3.SQLITE_OK if good else sqlite3.SQLITE_DENY


def parse_header(blob: bytes, tags: Container[int]) -> Header:
    """The wanted tags of an rpm header.

    Raises:
        ValueError, struct.error: it is damaged.
    """
    count, length = _INTRO.unpack_from(blob)
    start = _INTRO.size + count * _ENTRY.size
    if count > _MAX_ENTRIES or start + length > len(blob):
        raise ValueError("it is longer than its record")
    found = Header({}, {})
    for tag, kind, offset, many in _ENTRY.iter_unpack(blob[_INTRO.size : start]):
        if tag not in tags:
            continue
        if tag in found.strings or tag in found.numbers:
            raise ValueError(f"tag {tag} appears twice")
        if not 0 <= offset <= length or many > length - offset:
            raise ValueError(f"tag {tag} points outside")
        at = start + offset
        if letter := _NUMBERS.get(kind):
            found.numbers[tag] = struct.unpack_from(f">{many}{letter}", blob, at)
        elif kind in _STRINGS:
            found.strings[tag] = _strings(blob, at, many)
    return found


def _strings(blob: bytes, at: int, many: int) -> list[bytes]:
    found = []
    for _ in range(many):
        end = blob.index(b"\0", at)
        found.append(blob[at:end])
        at = end + 1
    return found


def _word(header: Header, tag: Tag) -> str | None:
    values = header.strings.get(tag)
    return text.word(values[0], tag.name) if values else None


def _number(header: Header, tag: Tag) -> int | None:
    values = header.numbers.get(tag)
    return values[0] if values else None


def package(header: Header) -> Package:
    """The package of a header with its `PACKAGE` tags.

    Raises:
        ValueError: it has no name, version or release.
    """
    name, version, release = (
        _word(header, tag) for tag in (Tag.NAME, Tag.VERSION, Tag.RELEASE)
    )
    if name is None or version is None or release is None:
        raise ValueError("it has no name, version or release")
    source = _SOURCE_RPM.match(_word(header, Tag.SOURCE_RPM) or "")
    size = _number(header, Tag.LONG_SIZE)
    epoch = _number(header, Tag.EPOCH)
    front = f"{epoch}:" if epoch else ""
    other = source is not None and source[2] != f"{version}-{release}"
    return Package(
        name=name,
        version=f"{front}{version}-{release}",
        source=source[1] if source else name,
        arch=_word(header, Tag.ARCH) or "noarch",
        size=_number(header, Tag.SIZE) if size is None else size,
        family="rpm",
        source_version=f"{front}{source[2]}" if source and other else None,
    )


def listed(data: bytes) -> Iterator[tuple[str, list[bytes], list[bytes]]]:
    """Every package's name, its paths, and those of them that are configuration.

    Raises:
        ValueError: the database is damaged, or not one of rpm; with the header.
    """
    return read(data, _FILES, _files)


def _files(header: Header) -> tuple[str, list[bytes], list[bytes]]:
    name = _word(header, Tag.NAME) or ""
    bases = header.strings.get(Tag.BASE_NAMES, [])
    directories = header.strings.get(Tag.DIR_NAMES, [])
    indexes = header.numbers.get(Tag.DIR_INDEXES, ())
    flags = header.numbers.get(Tag.FILE_FLAGS, (0,) * len(bases))
    if not len(bases) == len(indexes) == len(flags):
        raise ValueError(f"the lists of files of {name} are not equally long")
    if indexes and max(indexes) >= len(directories):
        raise ValueError(f"a file of {name} is in no directory")
    lengths = list(map(len, directories))
    needed = sum(map(len, bases)) + sum(lengths[index] for index in indexes)
    if needed > _MAX_PATHS:
        raise ValueError(f"the paths of {name} have over {_MAX_PATHS} bytes")
    paths = [
        (directories[index] + base).strip(b"/")
        for base, index in zip(bases, indexes, strict=True)
    ]
    marked = zip(paths, flags, strict=True)
    return name, paths, [path for path, flag in marked if flag & _CONFIG]
