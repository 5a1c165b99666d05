"""channel.toml: what a channel says, parsed strictly, and if it may be believed.

Format 1 (DESIGN section 3.4). Unknown keys are ignored within a format, so that an
older machine understands a newer publisher. The checks C4 to C6 are here, as rules; C1
to C3 need a repository and ssh-keygen, and are in `steps.channel`.
"""

import json
import math
import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime

from updater.core.statements import MAX_NUMBER
from updater.core.text import safe
from updater.core.times import minute, rfc3339
from updater.core.versions import is_version
from updater.errors import UntrustedError
from updater.model import Entry, Mark, ObjectId, Rollout

BRANCH = "channel/"
FILE = b"channel.toml"
TAG_FILE = b"release.tag"
BARRIERS = b"tags"  # a directory: one raw tag object a barrier, named by its number
MAX_SIZE = 1 << 20  # bytes
MAX_FILES = 10_000  # of an entry
MAX_HOURS = 24 * 366
MAX_REASON = 500  # characters
AHEAD = 86400  # seconds that a statement may be dated ahead of the clock

_OID = re.compile(r"[0-9a-f]{40}\Z")
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,63}\Z")
_RFC3339 = "%Y-%m-%dT%H:%M:%SZ"


def is_channel(text: str) -> bool:
    """Whether a channel may be called so; it is then a valid ref name."""
    return is_version(text)


def branch(channel: str) -> str:
    """The name of a channel's branch: `channel/stable`."""
    return BRANCH + channel


def parse(data: bytes) -> Entry:
    """Read channel.toml.

    Raises:
        UntrustedError: C5: not TOML, another format, or a key is missing or not what it
            should be.
    """
    if len(data) > MAX_SIZE:
        raise _bad(f"it has {len(data):,} bytes; at most {MAX_SIZE:,} are read")
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _bad(f"it is not TOML: {safe(str(error), 200)}") from error
    if (found := table.get("format")) != 1 or isinstance(found, bool):
        raise _bad(f"format {_shown(found)}; expected 1")
    created, expires = _time(table, "created"), _time(table, "expires")
    if expires <= created:
        raise _bad("it expires before it was created")
    return Entry(
        channel=_matching(table, "channel", _NAME, "a plain name"),
        product=_matching(table, "product", _NAME, "a plain name"),
        number=_integer(table, "number", 1),
        created=created,
        expires=expires,
        release=_version(table),
        tag=ObjectId(_matching(table, "tag", _OID, "40 hex digits")),
        rollout=_rollout(table),
        barriers=_marks(table, "barriers"),
        dead_ends=_marks(table, "dead_ends"),
        withdrawn=_marks(table, "withdrawn"),
    )


def write(entry: Entry) -> bytes:
    """channel.toml of an entry; `parse` reads it back."""
    lines = [
        "format = 1",
        f"channel = {_quoted(entry.channel)}",
        f"product = {_quoted(entry.product)}",
        f"number = {entry.number}",
        f"created = {_quoted(rfc3339(entry.created))}",
        f"expires = {_quoted(rfc3339(entry.expires))}",
        f"release = {_quoted(entry.release)}",
        f"tag = {_quoted(entry.tag)}",
        "",
        "[rollout]",
        f"start = {_quoted(rfc3339(entry.rollout.start))}",
        f"hours = {entry.rollout.hours}",
        f"limit = {float(entry.rollout.limit)!r}",
    ]
    for name in ("barriers", "dead_ends", "withdrawn"):
        for mark in getattr(entry, name):
            lines += ["", f"[[{name}]]", f"number = {mark.number}"]
            lines.append(f"reason = {_quoted(mark.reason)}")
    return ("\n".join(lines) + "\n").encode("utf-8")


def check_content(entry: Entry, channel: str, product: str | None) -> None:
    """Hold an entry to the channel and product of this machine; None is not compared.

    Raises:
        UntrustedError: C5.
    """
    if entry.channel != channel:
        raise _other("channel", channel, entry.channel)
    if product is not None and entry.product != product:
        raise _other("product", product, entry.product)


def check_number(entry: Entry, place: int) -> None:
    """Hold an entry's number to its place in the log, which leaves no room for a leap.

    Args:
        entry: the tip's.
        place: counted from the first entry of the log, or on from the accepted one.

    Raises:
        UntrustedError: C4.
    """
    if entry.number != place:
        kind = "a leap" if entry.number > place else "not larger than the one before"
        raise UntrustedError(
            "C4",
            f"channel {safe(entry.channel, 100)}: its newest entry has number "
            f"{entry.number}, which is {kind}; expected {place}, its place in the log",
        )


def check_time(entry: Entry, now: int, clock: int | None) -> None:
    """Refuse a statement that has expired, or that comes from the future.

    Args:
        entry: the tip's.
        now: device time.
        clock: the time of a synchronised clock; None when it is not.

    Raises:
        UntrustedError: C6.
    """
    name = f"channel {safe(entry.channel, 100)}: its newest entry ({entry.number})"
    if now >= entry.expires:
        raise UntrustedError(
            "C6",
            f"{name} expired {minute(entry.expires)}, and it is {minute(now)} here: "
            "nobody can tell whether its release is still the newest",
            hint="Its publisher signs it again with: osupdate promote --refresh",
        )
    if clock is not None and entry.created > clock + AHEAD:
        raise UntrustedError(
            "C6",
            f"{name} is dated {minute(entry.created)}, over a day ahead of the clock "
            f"({minute(clock)})",
        )


def _rollout(table: Mapping[str, object]) -> Rollout:
    value = table.get("rollout")
    if not isinstance(value, dict):
        raise _bad(f"rollout: expected a table, got {_shown(value)}")
    limit = value.get("limit")
    if not isinstance(limit, int | float) or isinstance(limit, bool):
        raise _bad(f"rollout.limit: expected a number, got {_shown(limit)}")
    if not math.isfinite(limit) or not 0 <= limit <= 1:
        raise _bad(f"rollout.limit: expected 0 to 1, got {limit}")
    hours = _integer(value, "hours", 0)
    if hours > MAX_HOURS:
        raise _bad(f"rollout.hours: {hours} is more than {MAX_HOURS}")
    return Rollout(start=_time(value, "start"), hours=hours, limit=float(limit))


def _marks(table: Mapping[str, object], name: str) -> tuple[Mark, ...]:
    value = table.get(name, [])
    if not isinstance(value, list):
        raise _bad(f"{name}: expected a list, got {_shown(value)}")
    marks = tuple(_mark(item, name) for item in value)
    if len({mark.number for mark in marks}) != len(marks):
        raise _bad(f"{name}: a number is there twice")
    return marks


def _mark(value: object, name: str) -> Mark:
    if not isinstance(value, dict):
        raise _bad(f"{name}: expected number and reason, got {_shown(value)}")
    reason = value.get("reason")
    if not isinstance(reason, str) or safe(reason, MAX_REASON) != reason:
        raise _bad(f"{name}: reason: expected a line of text, got {_shown(reason)}")
    return Mark(_integer(value, "number", 1), reason)


def _integer(table: Mapping[str, object], name: str, least: int) -> int:
    value = table.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        if least <= value <= MAX_NUMBER:
            return value
        raise _bad(f"{name}: {value} is not in {least}..{MAX_NUMBER}")
    raise _bad(f"{name}: expected a number, got {_shown(value)}")


def _matching(
    table: Mapping[str, object], name: str, pattern: re.Pattern[str], expected: str
) -> str:
    value = table.get(name)
    if not isinstance(value, str) or not pattern.match(value):
        raise _bad(f"{name}: expected {expected}, got {_shown(value)}")
    return value


def _version(table: Mapping[str, object]) -> str:
    value = table.get("release")
    if not isinstance(value, str) or not is_version(value):
        raise _bad(f"release: expected a version, got {_shown(value)}")
    return value


def _time(table: Mapping[str, object], name: str) -> int:
    value = table.get(name)
    expected = f"{name}: expected a time as 2026-05-16T14:02:11Z, got {_shown(value)}"
    if not isinstance(value, str):
        raise _bad(expected)
    try:
        at = int(datetime.strptime(value, _RFC3339).replace(tzinfo=UTC).timestamp())
    except ValueError as error:
        raise _bad(expected) from error
    if rfc3339(at) != value or at < 0:
        raise _bad(expected)
    return at


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are a part of TOML's."""
    return json.dumps(text, ensure_ascii=False)


def _shown(value: object) -> str:
    return "nothing" if value is None else safe(repr(value), 100)


def _other(what: str, expected: str, got: str) -> UntrustedError:
    return UntrustedError(
        "C5",
        f"the channel log is of another {what}: expected {safe(expected, 100)}, got "
        f"{safe(got, 100)}",
    )


def _bad(reason: str) -> UntrustedError:
    return UntrustedError("C5", f"channel.toml is refused: {reason}")
