"""The configuration: fragments, then one merged table, then a frozen Settings.

Places, later wins: `config.d/*.toml` in /usr/lib/osupdate, /run/osupdate, then
/etc/osupdate, and last `/etc/osupdate/config.toml`. A file of the same name in a later
place replaces the earlier one; a link to /dev/null masks it. Every mistake of every
file is reported at once, with its file, line and key.
"""

import json
import os
import re
import tomllib
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from updater.core.text import safe
from updater.core.times import parse_duration
from updater.errors import ConfigError
from updater.settings import UNSUPPORTED, AbsolutePath, Duration, Settings

DROP_INS = (
    "usr/lib/osupdate/config.d",
    "run/osupdate/config.d",
    "etc/osupdate/config.d",
)
MAIN = "etc/osupdate/config.toml"

_KEY = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_TABLE_LINE = re.compile(rf"\s*\[+\s*({_DOTTED})\s*\]+")
_KEY_LINE = re.compile(rf"\s*({_DOTTED})\s*=")
_WORDS = {int: "a whole number", str: "a string", bool: "true or false"}
_AT_LINE = re.compile(r"\s*\(at line (\d+), column \d+\)")


class Origin(Struct, frozen=True):
    """Where a value was written; `file` is None for a default."""

    file: str | None
    line: int = 0


class Fragment(Struct, frozen=True):
    """One file as it was read: its tables, and the line of each dotted key."""

    path: str
    tables: dict[str, Any]
    lines: dict[str, int]


class Loaded(Struct, frozen=True):
    """What the files say: complete settings, and where each value came from.

    `warnings` are the mistakes that a tolerant load passed over.
    """

    settings: Settings
    origins: dict[str, Origin]
    files: tuple[str, ...]
    warnings: tuple[str, ...]


def load(root: str = "/", only: str | None = None, *, strict: bool = True) -> Loaded:
    """Read the configuration of the machine below `root`.

    Args:
        root: directory that stands for /.
        only: read this one file in place of all others.
        strict: refuse unknown keys; else warn, so that an older osupdate works with
            what a newer one was configured with.

    Raises:
        ConfigError: every mistake of every file, a line each.
    """
    paths = [only] if only is not None else find_files(root)
    fragments: list[Fragment] = []
    mistakes: list[str] = []
    for path in paths:
        try:
            fragments.append(_read(path))
        except ConfigError as error:
            mistakes.append(str(error))
    merged: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    unknown: list[str] = []
    for fragment in fragments:
        for key, value in _known(fragment, unknown):
            merged[key] = value
            origins[key] = Origin(fragment.path, fragment.lines.get(key, 0))
    settings = _convert(merged, origins, mistakes)
    if strict:
        mistakes = _in_order(mistakes + unknown, paths)
    if mistakes or settings is None:
        raise _several(mistakes)
    return Loaded(settings, origins, tuple(paths), () if strict else tuple(unknown))


def find_files(root: str) -> list[str]:
    """The files that count, in the order in which they are read."""
    chosen: dict[str, str] = {}
    for place in DROP_INS:
        directory = os.path.join(root, place)
        try:
            names = os.listdir(directory)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ConfigError(f"{directory}: {error.strerror}") from error
        for name in sorted(names):
            if name.endswith(".toml"):
                # Popped first: a replacement is read in its own place's turn.
                chosen.pop(name, None)
                chosen[name] = os.path.join(directory, name)
    main = os.path.join(root, MAIN)
    paths = [*chosen.values(), *([main] if os.path.lexists(main) else [])]
    return [path for path in paths if not _masked(path)]


def _masked(path: str) -> bool:
    return os.path.islink(path) and os.readlink(path) == "/dev/null"


def _read(path: str) -> Fragment:
    try:
        with open(path, "rb") as file:
            text = file.read().decode()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from error
    try:
        return Fragment(path, tomllib.loads(text), _lines_of_keys(text))
    except tomllib.TOMLDecodeError as error:
        reason = str(error)
        match = _AT_LINE.search(reason)
        line = int(match[1]) if match else text.count("\n") + 1
        reason = _AT_LINE.sub("", reason).removesuffix(" (at end of document)")
        reason = reason[:1].lower() + reason[1:]
        raise ConfigError(f"{path}:{line}: not TOML: {safe(reason, 200)}") from error


def _lines_of_keys(text: str) -> dict[str, int]:
    """Dotted key -> line number, by looking: the parser does not tell."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.split("\n"), 1):
        if header := _TABLE_LINE.match(line):
            table = _plain(header[1])
            found.setdefault(table, number)
        elif match := _KEY_LINE.match(line):
            key = _plain(match[1])
            found.setdefault(f"{table}.{key}" if table else key, number)
    return found


def _plain(dotted: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in dotted.split("."))


def _known(fragment: Fragment, unknown: list[str]) -> Iterator[tuple[str, Any]]:
    """The pairs of a fragment that have a meaning; the others go to `unknown`."""
    sections = _sections()
    for name, table in fragment.tables.items():
        if name not in sections:
            unknown.append(f"{_where(fragment, name)}: unknown table")
        elif not isinstance(table, dict):
            unknown.append(f"{_where(fragment, name)}: expected a table, [{name}]")
        else:
            for key, value in table.items():
                if key in sections[name]:
                    yield f"{name}.{key}", value
                else:
                    where = _where(fragment, f"{name}.{key}", name)
                    unknown.append(f"{where}: unknown key{_nearest(key, name)}")


@cache
def _sections() -> dict[str, dict[str, msgspec.structs.FieldInfo]]:
    return {
        section.name: {f.name: f for f in msgspec.structs.fields(section.type)}
        for section in msgspec.structs.fields(Settings)
    }


def _nearest(key: str, section: str) -> str:
    import difflib  # noqa: PLC0415 - only for a mistake; status does not pay for it

    close = difflib.get_close_matches(key, _sections()[section], 1)
    return f"; did you mean {close[0]}?" if close else ""


def _where(fragment: Fragment, key: str, table: str = "") -> str:
    line = fragment.lines.get(key) or fragment.lines.get(table) or 1
    return f"{fragment.path}:{line}: {safe(key, 100)}"


def _convert(
    merged: dict[str, Any], origins: dict[str, Origin], mistakes: list[str]
) -> Settings | None:
    made: dict[str, dict[str, Any]] = {name: {} for name in _sections()}
    for dotted, value in merged.items():
        name, _, key = dotted.partition(".")
        try:
            made[name][key] = _value(dotted, value, _sections()[name][key].type)
        except ValueError as error:
            origin = origins[dotted]
            mistakes.append(f"{origin.file}:{origin.line or 1}: {dotted}: {error}")
    if mistakes:
        return None
    types = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    return Settings(**{name: types[name](**made[name]) for name in types})


def _value(key: str, value: Any, wanted: Any) -> Any:  # noqa: ANN401 - any TOML value
    """One value of the wanted type.

    Raises:
        ValueError: expected and got, as a person writes them.
    """
    got = safe(json.dumps(value, default=str), 80)
    if isinstance(value, str) and (key, value) in UNSUPPORTED:
        instead = json.dumps(UNSUPPORTED[key, value])
        raise ValueError(f"{got} is not supported by this version; expected {instead}")
    try:
        return msgspec.convert(value, wanted, dec_hook=_hook)
    except msgspec.ValidationError as error:
        expected = str(error.__cause__ or "") or _in_words(wanted)
        reason = f"expected {expected}, got {got}" if expected else str(error)
        raise ValueError(reason) from error


def _hook(wanted: type, value: Any) -> Any:  # noqa: ANN401 - called by msgspec
    if wanted is Duration:
        return Duration(parse_duration(value if isinstance(value, str) else ""))
    parts = value.split("/") if isinstance(value, str) else []
    if parts[:1] != [""] or ".." in parts or "\0" in value:
        raise ValueError("an absolute path without ..")
    return AbsolutePath("/" + "/".join(part for part in parts if part not in ("", ".")))


def _in_words(wanted: Any) -> str:  # noqa: ANN401 - any annotation
    """What a value of this type is called in a message; empty: msgspec's own words."""
    for kind in (wanted, *get_args(wanted)):
        if isinstance(kind, msgspec.Meta):
            return kind.description or ""
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return "one of " + ", ".join(f'"{member}"' for member in kind)
        if get_origin(kind) is Annotated:
            return _in_words(get_args(kind)[1])
        if kind in _WORDS:
            return _WORDS[kind]
    if get_origin(wanted) is Literal:
        return "one of " + ", ".join(f'"{word}"' for word in get_args(wanted))
    return ""


def _in_order(mistakes: list[str], paths: list[str]) -> list[str]:
    """By file in reading order, then by line."""

    def position(mistake: str) -> tuple[int, int]:
        for index, path in enumerate(paths):
            if mistake.startswith(f"{path}:"):
                line = mistake[len(path) + 1 :].partition(":")[0]
                return index, int(line) if line.isdigit() else 0
        return len(paths), 0

    return sorted(mistakes, key=position)


def _several(mistakes: list[str]) -> ConfigError:
    if len(mistakes) == 1:
        return ConfigError(mistakes[0])
    return ConfigError("\n".join([f"{len(mistakes)} mistakes:", *mistakes]))
