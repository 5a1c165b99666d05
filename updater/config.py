"""The configuration: fragments, then one merged table, then a frozen Settings.

Places, later wins: `config.d/*.toml` in /usr/lib/osupdate, /run/osupdate, then
/etc/osupdate, and last `/etc/osupdate/config.toml`. A file of the same name in a later
place replaces the earlier one; a link to /dev/null masks it. Every mistake of every
file is reported at once, with its file, line and key.

A command that people need in trouble goes on with mistakes: a key that cannot be read
has its default, and is in doubt (`Loaded.doubts`); what a doubt means is for whoever
acts on the key to decide.
"""

import errno
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from updater.core import urls
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
_URLS: dict[str, Callable[[str], object]] = {
    "remote.url": urls.parse_remote,
    "remote.channels": urls.parse_remote,
    "remote.proxy": urls.check_proxy,
    "lock.url": urls.check_no_password,
    "lock.proxy": urls.check_no_password,
}
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

    `warnings` are the mistakes that a tolerant load passed over, `doubts` the dotted
    keys that may have been meant otherwise than the settings say, each with its reason.
    """

    settings: Settings
    origins: dict[str, Origin]
    files: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    doubts: dict[str, str] = {}


class _Found(Struct):
    """What the fragments say, while they are read.

    Attributes:
        values: dotted key -> value, as written.
        origins: dotted key -> where.
        mistakes: sentences, each with file and line.
        doubts: dotted key -> the mistake that leaves it open.
        unknown: sentences about keys without a meaning.
    """

    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    mistakes: list[str] = []
    doubts: dict[str, str] = {}
    unknown: list[str] = []

    def lose(self, keys: Iterable[str], mistake: str) -> None:
        """Leave keys open, because of a mistake."""
        self.doubts.update(dict.fromkeys(keys, mistake))


def load(root: str = "/", only: str | None = None, *, strict: bool = True) -> Loaded:
    """Read the configuration of the machine below `root`.

    Args:
        root: directory that stands for /.
        only: read this one file in place of all others.
        strict: refuse mistakes; else warn and go on, so that an older osupdate works
            with what a newer one was configured with, and a slip of the pen does not
            stop a revert.

    Raises:
        ConfigError: every mistake of every file, a line each; without `strict` only
            when `only` does not exist.
    """
    found = _Found()
    paths = _find(root, only, found)
    for path in paths:
        _add(path, found)
    made = _convert(found)
    if strict and (found.mistakes or found.unknown):
        raise _several(_in_order(found.mistakes + found.unknown, paths))
    for dotted in found.doubts:
        table, _, key = dotted.partition(".")
        made[table].pop(key, None)
        found.origins.pop(dotted, None)
    types = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    settings = Settings(**{name: types[name](**made[name]) for name in types})
    warnings = _in_order(found.mistakes + found.unknown, paths)
    doubts = {key: found.doubts[key] for key in _all_keys() if key in found.doubts}
    return Loaded(settings, found.origins, tuple(paths), tuple(warnings), doubts)


def _find(root: str, only: str | None, found: _Found) -> list[str]:
    if only is not None:
        if not os.path.exists(only):
            raise ConfigError(f"{only}: {os.strerror(errno.ENOENT)}")
        return [only]
    try:
        return find_files(root)
    except ConfigError as error:
        found.mistakes.append(str(error))
        found.lose(_all_keys(), str(error))
        return []


def _add(path: str, found: _Found) -> None:
    try:
        fragment = _read(path)
    except ConfigError as error:
        found.mistakes.append(str(error))
        found.lose(_all_keys(), str(error))
        return
    for key, value in _known(fragment, found):
        found.values[key] = value
        found.origins[key] = Origin(fragment.path, fragment.lines.get(key, 0))
        found.doubts.pop(key, None)


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


def _known(fragment: Fragment, found: _Found) -> Iterator[tuple[str, Any]]:
    """The pairs of a fragment that have a meaning.

    The others are unknown; what one of them looks like, and is not here, is in doubt.
    """
    sections = _sections()
    for name, table in fragment.tables.items():
        if name not in sections:
            mistake = f"{_where(fragment, name)}: unknown table"
            found.unknown.append(mistake)
            if (close := _nearest(name, sections)) and close not in fragment.tables:
                found.lose((f"{close}.{key}" for key in sections[close]), mistake)
        elif not isinstance(table, dict):
            mistake = f"{_where(fragment, name)}: expected a table, [{name}]"
            found.mistakes.append(mistake)
            found.lose((f"{name}.{key}" for key in sections[name]), mistake)
        else:
            yield from _known_keys(fragment, name, table, found)


def _known_keys(
    fragment: Fragment, name: str, table: dict[str, Any], found: _Found
) -> Iterator[tuple[str, Any]]:
    section = _sections()[name]
    for key, value in table.items():
        if key in section:
            yield f"{name}.{key}", value
            continue
        mistake = f"{_where(fragment, f'{name}.{key}', name)}: unknown key"
        close = _nearest(key, section)
        if close:
            mistake += f"; did you mean {close}?"
        found.unknown.append(mistake)
        if close and close not in table:
            found.lose([f"{name}.{close}"], mistake)


@cache
def _sections() -> dict[str, dict[str, msgspec.structs.FieldInfo]]:
    return {
        section.name: {f.name: f for f in msgspec.structs.fields(section.type)}
        for section in msgspec.structs.fields(Settings)
    }


def _all_keys() -> Iterator[str]:
    for name, section in _sections().items():
        yield from (f"{name}.{key}" for key in section)


def _nearest(word: str, known: Iterable[str]) -> str | None:
    import difflib  # noqa: PLC0415 - only for a mistake; status does not pay for it

    close = difflib.get_close_matches(word.lower(), list(known), 1)
    return close[0] if close else None


def _where(fragment: Fragment, key: str, table: str = "") -> str:
    line = fragment.lines.get(key) or fragment.lines.get(table) or 1
    return f"{fragment.path}:{line}: {safe(key, 100)}"


def _convert(found: _Found) -> dict[str, dict[str, Any]]:
    """Table -> key -> value of the right type; the others become mistakes."""
    made: dict[str, dict[str, Any]] = {name: {} for name in _sections()}
    for dotted, value in found.values.items():
        name, _, key = dotted.partition(".")
        try:
            made[name][key] = _value(dotted, value, _sections()[name][key].type)
        except ValueError as error:
            origin = found.origins[dotted]
            mistake = f"{origin.file}:{origin.line or 1}: {dotted}: {error}"
            found.mistakes.append(mistake)
            found.lose([dotted], mistake)
    return made


def _value(key: str, value: Any, wanted: Any) -> Any:  # noqa: ANN401 - any TOML value
    """One value of the wanted type.

    Raises:
        ValueError: expected and got, as a person writes them.
    """
    got = safe(urls.shown(json.dumps(value, default=str)), 80)
    if isinstance(value, str) and (key, value) in UNSUPPORTED:
        instead = json.dumps(UNSUPPORTED[key, value])
        raise ValueError(f"{got} is not supported by this version; expected {instead}")
    try:
        made = msgspec.convert(value, wanted, dec_hook=_hook)
    except msgspec.ValidationError as error:
        expected = str(error.__cause__ or "") or _in_words(wanted)
        reason = f"expected {expected}, got {got}" if expected else str(error)
        raise ValueError(reason) from error
    if made and key in _URLS:
        _check_url(key, made)
    return made


def _check_url(key: str, url: str) -> None:
    try:
        _URLS[key](url)
    except ConfigError as error:
        reason = str(error).removeprefix(key).removeprefix(":").strip()
        hint = f". {error.hint}" if error.hint else ""
        raise ValueError(f"{reason}{hint}") from error


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
