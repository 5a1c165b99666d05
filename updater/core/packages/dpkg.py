"""dpkg's database: status, status.d of images without dpkg, file lists, diversions."""

import re
from collections.abc import Iterator, Mapping

from updater.core.packages import text
from updater.core.packages.owners import Conffile
from updater.model import Package

STATUS = b"var/lib/dpkg/status"
STATUS_D = b"var/lib/dpkg/status.d/"
INFO = b"var/lib/dpkg/info/"
DIVERSIONS = b"var/lib/dpkg/diversions"

_FIELD = re.compile(
    rb"^(Package|Status|Version|Architecture|Source|Installed-Size):(.*)$",
    re.MULTILINE,
)
_CONFFILES = b"\nConffiles:\n"
_NEXT_FIELD = re.compile(rb"\n(?! )")
_CONFFILE = re.compile(rb" (/[^\n]*) ([0-9a-f]{32}|newconffile)((?: [a-z-]+)*)")
_MAX_CONFFILE = 8192  # bytes of a line; a path has at most 4096
_SOURCE = re.compile(rb"(\S+)(?: \((\S+)\))?")
_NOT_THERE = (b"config-files", b"not-installed")
_DIVERSION_LINES = 3


def parse_status(data: bytes) -> list[Package]:
    """/var/lib/dpkg/status: what is installed, or at least unpacked.

    Raises:
        ValueError: it is damaged; with the line number.
    """
    return _parse(data, status=True)


def parse_control(data: bytes) -> list[Package]:
    """A file of /var/lib/dpkg/status.d, as images without dpkg have it.

    Raises:
        ValueError: it is damaged; with the line number.
    """
    return _parse(data if data.endswith(b"\n") else data + b"\n", status=False)


def _parse(data: bytes, *, status: bool) -> list[Package]:
    text.check(data)
    found: dict[tuple[str, str], Package] = {}
    for offset, stanza in text.paragraphs(data):
        try:
            fields = _fields(stanza)
            package = None if status and not _is_there(fields) else _package(fields)
        except ValueError as error:
            raise text.in_paragraph(data, offset, error) from error
        if package is None:
            continue
        if (package.name, package.arch) in found:
            line = text.line_at(data, offset)
            raise ValueError(
                f"line {line}: package {package.name} of {package.arch} appears twice"
            )
        found[package.name, package.arch] = package
        if len(found) > text.MAX_PACKAGES:
            raise ValueError(f"it has more than {text.MAX_PACKAGES} packages")
    return list(found.values())


def _fields(stanza: bytes) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for name, value in _FIELD.findall(stanza):
        if name in fields:
            raise ValueError(f"the field {name.decode()} appears twice")
        fields[name] = value.strip()
    return fields


def _is_there(fields: Mapping[bytes, bytes]) -> bool:
    words = fields.get(b"Status", b"").split()
    if len(words) != 3:
        raise ValueError("the field Status is not three words")
    return words[2] not in _NOT_THERE


def _package(fields: Mapping[bytes, bytes]) -> Package:
    name = text.word(fields.get(b"Package", b""), "Package")
    version = text.word(fields.get(b"Version", b""), f"{name}: Version")
    source = _SOURCE.fullmatch(fields.get(b"Source", name.encode()))
    if not source:
        raise ValueError(f"{name}: Source is not a name, or a name and (version)")
    source_version = text.word(source[2], f"{name}: Source") if source[2] else version
    size = fields.get(b"Installed-Size")  # in KiB
    arch = fields.get(b"Architecture")
    return Package(
        name=name,
        version=version,
        source=text.word(source[1], f"{name}: Source"),
        arch=text.word(arch, f"{name}: Architecture") if arch else "",
        size=text.number(size, f"{name}: Installed-Size") * 1024 if size else None,
        family="dpkg",
        source_version=None if source_version == version else source_version,
    )


def conffiles(data: bytes) -> Iterator[tuple[bytes, Conffile]]:
    """The configuration files that a status file names, of removed packages as well.

    Raises:
        ValueError: it is damaged; with the line number.
    """
    text.check(data)
    for _, stanza in text.paragraphs(data):
        start = stanza.find(_CONFFILES)
        if start < 0:
            continue
        start += len(_CONFFILES)
        end = _NEXT_FIELD.search(stanza, start)
        name = _fields(stanza).get(b"Package", b"").decode("utf-8", "replace")
        for line in stanza[start : end.start() if end else None].split(b"\n"):
            if len(line) > _MAX_CONFFILE:
                raise ValueError(f"a conffile of {name} has over {_MAX_CONFFILE} bytes")
            if told := _CONFFILE.fullmatch(line):
                yield (
                    told[1].lstrip(b"/"),
                    Conffile(
                        package=name,
                        md5=None if told[2] == b"newconffile" else told[2].decode(),
                        obsolete=b"obsolete" in told[3].split(),
                    ),
                )


def listed_by(path: bytes) -> str | None:
    """The package whose files are listed at this path of the database."""
    if path.startswith(INFO) and path.endswith(b".list"):
        stem = path[len(INFO) : -len(b".list")].partition(b":")[0]
    elif path.startswith(STATUS_D) and path.endswith(b".md5sums"):
        stem = path[len(STATUS_D) : -len(b".md5sums")]
    else:
        return None
    return stem.decode("utf-8", "backslashreplace")


def listed(path: bytes, data: bytes) -> list[bytes]:
    """The paths in a file list (`.list`), or in one of checksums (`.md5sums`)."""
    text.check(data)
    lines = data.split(b"\n")
    if path.endswith(b".md5sums"):
        lines = [line.partition(b"  ")[2] for line in lines]
        return [line.removeprefix(b"./").lstrip(b"/") for line in lines if line]
    return [line[1:] for line in lines if line.startswith(b"/") and line != b"/."]


def diversions(data: bytes) -> list[tuple[bytes, bytes, str]]:
    """Path, where the file of any other package lies instead, and the diverting one.

    Raises:
        ValueError: it is damaged; with the line number.
    """
    text.check(data)
    lines = data.split(b"\n")[:-1]
    if len(lines) % _DIVERSION_LINES:
        raise ValueError(f"line {len(lines)}: a diversion has three lines; it is cut")
    return [
        (path[1:], aside[1:], package.decode("utf-8", "replace"))
        for path, aside, package in zip(
            lines[::3], lines[1::3], lines[2::3], strict=True
        )
    ]
