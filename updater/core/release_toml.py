"""`release.toml`: what a release says of itself, from inside its tree (DESIGN 3.1)."""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import Struct

from updater.core.text import safe
from updater.core.times import rfc3339
from updater.errors import UntrustedError
from updater.model import Tag

MAX_SIZE = 1 << 20  # bytes
_RFC3339 = "%Y-%m-%dT%H:%M:%SZ"


class ReleaseToml(Struct, frozen=True):
    """The keys of format 1 that machines use; others are ignored.

    `source` is the URL of the recipe, perhaps with `#` and its commit.
    """

    product: str
    arch: str
    version: str
    number: int
    security_floor: int
    created: int
    source: str = ""


def parse(data: bytes) -> ReleaseToml:
    """Read release.toml; unknown keys are ignored.

    Raises:
        UntrustedError: F3: not TOML, another format, a key is missing or of another
            type.
    """
    if len(data) > MAX_SIZE:
        raise _bad(f"it has {len(data):,} bytes; at most {MAX_SIZE:,} are read")
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _bad(f"it is not TOML: {safe(str(error), 200)}") from error
    if (number := _number(table, "format")) != 1:
        raise _bad(f"format {number}; expected 1")
    return ReleaseToml(
        product=_text(table, "product"),
        arch=_text(table, "arch"),
        version=_text(table, "version"),
        number=_number(table, "number"),
        security_floor=_number(table, "security_floor"),
        created=_time(_text(table, "created")),
        source=_source(table),
    )


def check_against_tag(release: ReleaseToml, tag: Tag) -> None:
    """Hold the release's own words to those that were signed.

    Raises:
        UntrustedError: F3.
    """
    for name in ("product", "arch", "version", "number", "security_floor"):
        signed, told = getattr(tag, name), getattr(release, name)
        if signed != told:
            raise _bad(
                f"{name} is {safe(str(told), 100)}; the signed tag says {signed}"
            )


def _text(table: Mapping[str, object], name: str) -> str:
    value = table.get(name)
    if isinstance(value, str):
        return value
    raise _bad(f"{name}: expected a string, got {_shown(value)}")


def _number(table: Mapping[str, object], name: str) -> int:
    value = table.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _bad(f"{name}: expected a number, got {_shown(value)}")


def _source(table: Mapping[str, object]) -> str:
    """Nothing depends on it, so it may be missing."""
    value = table.get("source", "")
    return value if isinstance(value, str) else ""


def _shown(value: object) -> str:
    return "nothing" if value is None else safe(repr(value), 100)


def _time(text: str) -> int:
    expected = f'created "{safe(text, 40)}" is not like 2026-05-16T14:02:11Z'
    try:
        at = int(datetime.strptime(text, _RFC3339).replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise _bad(expected) from error
    if rfc3339(at) != text or at < 0:
        raise _bad(expected)
    return at


def _bad(reason: str) -> UntrustedError:
    return UntrustedError("F3", f"/usr/lib/osupdate/release.toml is refused: {reason}")
