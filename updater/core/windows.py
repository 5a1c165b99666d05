"""Windows: the weekly stretches of time in which a machine may switch or reboot.

A window opens on its days at the first second at which a clock on the wall shows its
start or more, and closes when its length has passed. So when clocks are put forward
over the start it opens at that moment; when they are put back it opens once, at the
first time; and it is never longer or shorter than it says. Windows may overlap, and
lead over midnight and over the end of the week.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from msgspec import Struct

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
DAY = 86400
WEEK = 7 * DAY
HORIZON = 5 * WEEK  # seconds; what is open for longer does not close
_LONGEST_SHIFT = 2 * DAY  # a zone's offset, and the days that it may leave out


class Weekly(Struct, frozen=True):
    """One window: `days` by name, `start` as `03:00`, `length` in seconds."""

    days: tuple[str, ...]
    start: str
    length: int


class Schedule(Struct, frozen=True):
    """Every window of a machine, and the time zone of their starts."""

    windows: tuple[Weekly, ...]
    zone: tzinfo = UTC


class Stretch(Struct, frozen=True):
    """A time in which a window is open; `closes` is None when it does not close."""

    opens: int
    closes: int | None


def open_at(schedule: Schedule, now: int) -> bool:
    """Whether a window is open at this second."""
    return any(
        opening <= now < opening + window.length
        for window in schedule.windows
        for opening in _openings(window, schedule.zone, now - window.length, now)
    )


def closes_at(schedule: Schedule, now: int) -> int | None:
    """When what is open now closes, windows that follow without a gap united.

    None when nothing is open, and when it does not close within the horizon.
    """
    for stretch in _stretches(schedule, now, now + HORIZON):
        if stretch.opens <= now and (stretch.closes is None or now < stretch.closes):
            return stretch.closes
    return None


def plan(schedule: Schedule, now: int, count: int) -> tuple[Stretch, ...]:
    """The next stretches that open after this second, at most `count` of them."""
    found = []
    for stretch in _stretches(schedule, now, now + (count + 1) * WEEK + HORIZON):
        if stretch.opens > now:
            found.append(stretch)
    return tuple(found[:count])


def _stretches(schedule: Schedule, begin: int, end: int) -> list[Stretch]:
    """What is open between two seconds, united, in order."""
    spans = sorted(
        (opening, opening + window.length)
        for window in schedule.windows
        for opening in _openings(window, schedule.zone, begin - window.length, end)
    )
    united: list[list[int]] = []
    for opens, closes in spans:
        if united and opens <= united[-1][1]:
            united[-1][1] = max(united[-1][1], closes)
        else:
            united.append([opens, closes])
    return [
        Stretch(opens, closes if closes <= end - WEEK else None)
        for opens, closes in united
        if closes > begin
    ]


def _openings(window: Weekly, zone: tzinfo, begin: int, end: int) -> Iterator[int]:
    """The seconds from `begin` to `end`, both included, at which it opens."""
    hour, minute = map(int, window.start.split(":"))
    day = _local(begin - _LONGEST_SHIFT, zone).date()
    last = _local(end + _LONGEST_SHIFT, zone).date()
    while day <= last:
        if DAYS[day.weekday()] in window.days:
            opening = _first(day, time(hour, minute), zone)
            if begin <= opening <= end:
                yield opening
        day += timedelta(days=1)


def _first(day: date, at: time, zone: tzinfo) -> int:
    """The first second at which a clock on the wall shows this or more."""
    wanted = datetime.combine(day, at)
    found = int(wanted.replace(tzinfo=zone).timestamp())
    if _local(found, zone) == wanted:
        return found
    # It is left out: one reading of it lies before the jump, the other behind it.
    before = int(wanted.replace(tzinfo=zone, fold=1).timestamp())
    while found - before > 1:
        middle = (before + found) // 2
        if _local(middle, zone) < wanted:
            before = middle
        else:
            found = middle
    return found


def _local(at: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at, zone).replace(tzinfo=None, fold=0)
