"""Times and durations as people read them; always UTC, always told where now is."""

import re
from datetime import UTC, datetime

_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = re.compile(r"([0-9]{1,9})(s|min|h|d|w)")


def rfc3339(at: int) -> str:
    """`2026-05-16T14:02:11Z`."""
    return _utc(at).strftime("%Y-%m-%dT%H:%M:%SZ")


def minute(at: int) -> str:
    """`2026-05-16 14:02 UTC`."""
    return _utc(at).strftime("%Y-%m-%d %H:%M UTC")


def day(at: int) -> str:
    """`2026-05-16`."""
    return _utc(at).strftime("%Y-%m-%d")


def clock_time(at: int, now: int) -> str:
    """`14:10 UTC` of today, else with its day."""
    return minute(at) if day(at) != day(now) else minute(at).partition(" ")[2]


def ago(at: int, now: int) -> str:
    """`12m ago`; a time ahead of the clock is said to be so."""
    if at > now:
        return f"{short(at - now)} ahead of the clock"
    return f"{short(now - at)} ago"


def short(seconds: int) -> str:
    """The two largest units: `41s`, `12m`, `9h 12m`, `3d 4h`."""
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m"
    large, small = (86400, 3600) if seconds >= 86400 else (3600, 60)
    names = "dh" if seconds >= 86400 else "hm"
    rest = seconds % large // small
    return f"{seconds // large}{names[0]}" + (f" {rest}{names[1]}" if rest else "")


def parse_duration(text: str) -> int:
    """Seconds of `90s`, `5min`, `1h`, `1h 30min`, `3d`.

    Raises:
        ValueError: it is not a duration, or is none at all.
    """
    parts = text.split()
    matches = [match for part in parts if (match := _PART.fullmatch(part))]
    total = sum(int(match[1]) * _UNITS[match[2]] for match in matches)
    if len(matches) != len(parts) or total == 0:
        raise ValueError('a duration such as "90s", "5min", "1h" or "3d"')
    return total


def duration_text(seconds: int) -> str:
    """The shortest way to write a duration; `parse_duration` reads it back."""
    unit = max(
        (unit for unit in _UNITS if seconds % _UNITS[unit] == 0), key=_UNITS.__getitem__
    )
    return f"{seconds // _UNITS[unit]}{unit}"


def _utc(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC)
