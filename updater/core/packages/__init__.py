"""Package databases, read without their programs: dpkg, apk, pacman, rpm (SQLite).

Every parser is a function from bytes to packages; where the files lie in a release is
in `DATABASES`. A damaged record is refused with its place, not skipped: a list of
packages that silently lacks one would hide a change.
"""

import json
import re
import sqlite3
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec

from updater.core.text import safe
from updater.errors import RefusedError
from updater.model import Package

DPKG_STATUS = b"var/lib/dpkg/status"
DPKG_STATUS_D = b"var/lib/dpkg/status.d/"
APK_INSTALLED = (b"lib/apk/db/installed", b"usr/lib/apk/db/installed")
PACMAN_LOCAL = b"var/lib/pacman/local/"
RPM_SQLITE = (b"usr/lib/sysimage/rpm/rpmdb.sqlite", b"var/lib/rpm/rpmdb.sqlite")
DATABASES = (
    DPKG_STATUS,
    DPKG_STATUS_D.rstrip(b"/"),
    *APK_INSTALLED,
    PACMAN_LOCAL.rstrip(b"/"),
    *RPM_SQLITE,
)
"""Where package managers keep their lists: files, and directories of files."""
NO_ARCH = frozenset(("all", "noarch", "any", "none", ""))

_SOURCE = re.compile(r"(\S+)(?: \((.+)\))?")
_PACMAN_SECTION = re.compile(r"%([A-Z0-9]+)%\n((?:.+\n?)*)")
_SOURCE_RPM = re.compile(r"(.+)-[^-]+-[^-]+\.(?:no)?src\.rpm\Z")
_SQLITE_JOURNAL = 18  # offset of two bytes in the file header: 2 is WAL, 1 is not
_RPM_INTRO = struct.Struct(">II")  # entries, bytes of data
_RPM_ENTRY = struct.Struct(">IIiI")  # tag, type, offset, count
_RPM_INT32, _RPM_INT64 = 4, 5
_RPM_STRINGS = (6, 8, 9)  # string, string array, translated string
_RPM_MAX_ENTRIES = 65536


def find(paths: Iterable[bytes], read: Callable[[bytes], bytes]) -> list[Package]:
    """All packages that the databases of a release name, sorted.

    Args:
        paths: every file of the release.
        read: gives the content of one.

    Raises:
        RefusedError: a database is damaged.
    """
    found: list[Package] = []
    for path in sorted(paths):
        if parse := _parser(path):
            try:
                found += parse(read(path))
            except (ValueError, KeyError, struct.error, sqlite3.Error) as error:
                raise RefusedError(
                    f"the package database /{safe(path)} cannot be read: {error}"
                ) from error
    return sorted(found, key=lambda p: (p.name, p.arch, p.version))


def is_database(path: bytes) -> bool:
    """Whether a package manager keeps its list, or a part of it, at this path."""
    return _parser(path) is not None


def _parser(path: bytes) -> Callable[[bytes], list[Package]] | None:
    if path == DPKG_STATUS:
        return parse_dpkg_status
    if path.startswith(DPKG_STATUS_D) and not path.endswith(b".md5sums"):
        return parse_dpkg_control
    if path in APK_INSTALLED:
        return parse_apk
    if path.startswith(PACMAN_LOCAL) and path.endswith(b"/desc"):
        return parse_pacman_desc
    return parse_rpm_sqlite if path in RPM_SQLITE else None


def main_arch(packages: Iterable[Package]) -> str | None:
    """The architecture that most packages are built for."""
    counts = Counter(p.arch for p in packages if p.arch not in NO_ARCH)
    return min(counts, key=lambda arch: (-counts[arch], arch)) if counts else None


def to_json(packages: Iterable[Package]) -> bytes:
    """packages.json: an array with one package a line, so that a diff is a review."""
    rows = [json.dumps(msgspec.to_builtins(p), ensure_ascii=True) for p in packages]
    return ("[\n" + ",\n".join(rows) + "\n]\n" if rows else "[]\n").encode()


def from_json(data: bytes) -> list[Package]:
    """Read packages.json.

    Raises:
        RefusedError: it is not what `to_json` writes.
    """
    try:
        return msgspec.json.decode(data, type=list[Package])
    except msgspec.DecodeError as error:
        raise RefusedError(f"packages.json cannot be read: {error}") from error


def parse_dpkg_status(data: bytes) -> list[Package]:
    """/var/lib/dpkg/status: what is installed, or at least unpacked."""
    return [
        _dpkg_package(fields)
        for fields in _stanzas(data)
        if fields.get("Status", "").split()[2:] not in (["config-files"], [])
        and not fields["Status"].endswith(" not-installed")
    ]


def parse_dpkg_control(data: bytes) -> list[Package]:
    """A file of /var/lib/dpkg/status.d, as images without dpkg have it."""
    return [_dpkg_package(fields) for fields in _stanzas(data)]


def _dpkg_package(fields: Mapping[str, str]) -> Package:
    source = _SOURCE.fullmatch(fields.get("Source", fields["Package"]))
    if not source:
        raise ValueError(f'Source "{safe(fields["Source"], 80)}" is not a name')
    size = fields.get("Installed-Size")  # in KiB
    return Package(
        name=fields["Package"],
        version=fields["Version"],
        source=source[1],
        arch=fields.get("Architecture", ""),
        size=int(size) * 1024 if size else None,
    )


def _stanzas(data: bytes) -> Iterator[dict[str, str]]:
    for stanza in re.split(r"\n\s*\n", data.decode("utf-8", "replace")):
        fields: dict[str, str] = {}
        for line in stanza.split("\n"):
            name, colon, value = line.partition(":")
            if colon and not line.startswith((" ", "\t")):
                fields[name] = value.strip()
        if fields:
            yield fields


def parse_apk(data: bytes) -> list[Package]:
    """/lib/apk/db/installed: `K:value` lines, an empty line between packages."""
    found = []
    for stanza in data.decode("utf-8", "replace").split("\n\n"):
        fields: dict[str, str] = {}
        for line in stanza.split("\n"):
            key, colon, value = line.partition(":")
            if colon:
                fields.setdefault(key, value)
        if fields:
            found.append(
                Package(
                    name=fields["P"],
                    version=fields["V"],
                    source=fields.get("o", fields["P"]),
                    arch=fields.get("A", ""),
                    size=int(fields["I"]) if "I" in fields else None,
                )
            )
    return found


def parse_pacman_desc(data: bytes) -> list[Package]:
    """One `desc` below /var/lib/pacman/local: `%NAME%`, then its lines."""
    sections = {
        name: body.strip()
        for name, body in _PACMAN_SECTION.findall(data.decode("utf-8", "replace"))
    }
    size = sections.get("SIZE")
    return [
        Package(
            name=sections["NAME"],
            version=sections["VERSION"],
            source=sections.get("BASE", sections["NAME"]),
            arch=sections.get("ARCH", ""),
            size=int(size) if size else None,
        )
    ]


def parse_rpm_sqlite(data: bytes) -> list[Package]:
    """rpmdb.sqlite: the headers in its table Packages."""
    if data[_SQLITE_JOURNAL : _SQLITE_JOURNAL + 2] == b"\2\2":
        # A database in WAL mode wants a second file, which one in memory cannot have.
        data = data[:_SQLITE_JOURNAL] + b"\1\1" + data[_SQLITE_JOURNAL + 2 :]
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(data)
        blobs = [row[0] for row in connection.execute("SELECT blob FROM Packages")]
    finally:
        connection.close()
    packages = [_rpm_package(parse_rpm_header(blob)) for blob in blobs]
    return [p for p in packages if p.name != "gpg-pubkey"]  # a key, not a package


def parse_rpm_header(blob: bytes) -> dict[int, str | int]:
    """The first value of each string and integer tag of an rpm header.

    Source of the format: the RPM documentation, "Package format", "Header".
    """
    count, length = _RPM_INTRO.unpack_from(blob)
    start = _RPM_INTRO.size + count * _RPM_ENTRY.size
    if count > _RPM_MAX_ENTRIES or start + length > len(blob):
        raise ValueError("an rpm header is longer than its record")
    index = blob[_RPM_INTRO.size : start]
    found: dict[int, str | int] = {}
    for tag, kind, offset, _ in _RPM_ENTRY.iter_unpack(index):
        at = start + offset
        if kind in _RPM_STRINGS:
            found[tag] = blob[at : blob.index(b"\0", at)].decode("utf-8", "replace")
        elif kind in (_RPM_INT32, _RPM_INT64):
            size = 4 if kind == _RPM_INT32 else 8
            found[tag] = int.from_bytes(blob[at : at + size], "big")
    return found


def _rpm_package(tags: Mapping[int, str | int]) -> Package:
    name, version, release, epoch, size, arch, source_rpm, long_size = (
        tags.get(tag) for tag in (1000, 1001, 1002, 1003, 1009, 1022, 1044, 5009)
    )
    if name is None or version is None or release is None:
        raise ValueError("an rpm header has no name, version or release")
    source = _SOURCE_RPM.match(str(source_rpm or ""))
    installed = long_size if long_size is not None else size
    return Package(
        name=str(name),
        version=(f"{epoch}:" if epoch else "") + f"{version}-{release}",
        source=source[1] if source else str(name),
        arch=str(arch or "noarch"),
        size=int(installed) if installed is not None else None,
    )
