"""apk's database: `K:value` lines, an empty line between packages.

Source of the format: apk-tools, "Apk spec", section "Installed database".
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import translate

from updater.core.packages import text
from updater.core.packages.owners import Conffile
from updater.model import Package

INSTALLED = (b"lib/apk/db/installed", b"usr/lib/apk/db/installed")
PROTECTED = b"etc/apk/protected_paths.d/"

MAX_RULES = 1000

Rule = tuple[int, re.Pattern[str], str]
"""Depth, pattern and mark of protected paths; the last one that matches decides."""

_PROTECTED = b"+etc\n@etc/init.d\n!etc/apk\n"  # built into apk
_KEEPING = "+!"  # of the marks - + @ !, those that keep a changed file


def parse(data: bytes) -> list[Package]:
    """The installed packages.

    Raises:
        ValueError: it is damaged; with the line number.
    """
    text.check(data)
    found: dict[str, Package] = {}
    for offset, stanza in text.paragraphs(data):
        try:
            package = _package(_fields(stanza))
        except ValueError as error:
            raise text.in_paragraph(data, offset, error) from error
        if package.name in found:
            line = text.line_at(data, offset)
            raise ValueError(f"line {line}: package {package.name} appears twice")
        found[package.name] = package
        if len(found) > text.MAX_PACKAGES:
            raise ValueError(f"it has more than {text.MAX_PACKAGES} packages")
    return list(found.values())


def _fields(stanza: bytes) -> dict[bytes, bytes]:
    """The package's own fields; those of its files come after the first `F:`."""
    fields: dict[bytes, bytes] = {}
    for line in stanza.split(b"\n"):
        key, _, value = line.partition(b":")
        if key == b"F":
            break
        if key in fields and key in (b"P", b"V"):
            raise ValueError(f"the field {key.decode()} appears twice")
        fields.setdefault(key, value)
    return fields


def _package(fields: Mapping[bytes, bytes]) -> Package:
    name = text.word(fields.get(b"P", b""), "P")
    size = fields.get(b"I")
    arch, origin = fields.get(b"A"), fields.get(b"o")
    return Package(
        name=name,
        version=text.word(fields.get(b"V", b""), f"{name}: V"),
        source=text.word(origin, f"{name}: o") if origin else name,
        arch=text.word(arch, f"{name}: A") if arch else "",
        size=text.number(size, f"{name}: I") if size else None,
        family="apk",
    )


def listed(data: bytes) -> dict[str, list[bytes]]:
    """Package -> its files and directories.

    Raises:
        ValueError: it is damaged; with the line number.
    """
    text.check(data)
    found: dict[str, list[bytes]] = {}
    for offset, stanza in text.paragraphs(data):
        name, paths = _files(stanza)
        try:
            found[text.word(name, "P")] = paths
        except ValueError as error:
            raise text.in_paragraph(data, offset, error) from error
    return found


def _files(stanza: bytes) -> tuple[bytes, list[bytes]]:
    paths: list[bytes] = []
    name = directory = b""
    for line in stanza.split(b"\n"):
        key, value = line[:2], line[2:]
        if key == b"R:":
            paths.append(directory + b"/" + value if directory else value)
        elif key == b"F:":
            directory = value.strip(b"/")
            if directory:
                paths.append(directory)
        elif key == b"P:" and not name:
            name = value
    return name, paths


def is_rules(path: bytes) -> bool:
    """Whether a list of protected paths is at this path."""
    directory, _, name = path.rpartition(b"/")
    inside = directory + b"/" == PROTECTED
    return inside and name.endswith(b".list") and not name.startswith(b".")


def parse_rules(data: bytes) -> list[Rule]:
    """A list below /etc/apk/protected_paths.d."""
    found = []
    for line in map(str.strip, data.decode("utf-8", "surrogateescape").split("\n")):
        if line and not line.startswith("#"):
            mark = line[0] if line[0] in "-+@!" else "+"
            pattern = line.lstrip("-+@!").strip("/")
            found.append((pattern.count("/"), re.compile(translate(pattern)), mark))
    return found


def conffiles(
    files: Mapping[str, Iterable[bytes]], rules: Iterable[Rule]
) -> Iterator[tuple[bytes, Conffile]]:
    """The files whose changes apk keeps.

    Args:
        files: package -> its files and directories.
        rules: of the release, beside those that are built in.
    """
    every = sorted([*parse_rules(_PROTECTED), *rules], key=lambda rule: rule[0])
    deepest = every[-1][0]
    for package, paths in files.items():
        for path in paths:
            words = path.decode("utf-8", "surrogateescape").split("/", deepest + 1)
            if _mark(words, every) in _KEEPING:
                yield path, Conffile(package)


def _mark(words: Sequence[str], rules: Iterable[Rule]) -> str:
    """What the rules say of the nearest directory, or the path itself, that has one."""
    mark = "-"
    for depth, pattern, kind in rules:
        if depth < len(words) and pattern.match("/".join(words[: depth + 1])):
            mark = kind
    return mark
