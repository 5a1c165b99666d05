"""Releases over time: a drawing for each page, made of numbers alone.

Values only; the template draws them, so that names are escaped where all are.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from msgspec import Struct

WIDTH, LANE, TOP = 960, 84, 24  # units of the drawing; a lane is a channel
MARGIN = 56  # so that the first and the last name fit
NAME = 92  # units that a name needs beside the one before
TICKS = 8  # of months, at most
LARGE, SMALL = 6, 2.5  # radius of a point, where there is room and where there is not


class Point(Struct, frozen=True):
    """A release on its lane. `named`: there is room for its name."""

    version: str
    x: float
    y: float
    created: int
    newest: bool
    named: bool


class Lane(Struct, frozen=True):
    """A channel, or the branch."""

    name: str
    y: float
    points: tuple[Point, ...]


class Tick(Struct, frozen=True):
    """The start of a month."""

    x: float
    word: str


class Drawing(Struct, frozen=True):
    """Everything, in units of its own width and height."""

    width: int
    height: int
    radius: float
    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]


def draw(lanes: Sequence[tuple[str, Sequence[tuple[str, int]]]]) -> Drawing:
    """Lay out channels: each a name and its releases (version, time), newest first."""
    times = [at for _, releases in lanes for _, at in releases]
    first, last = min(times), max(times)

    def x(at: int) -> float:
        span = last - first
        part = (at - first) / span if span else 0.5
        return round(MARGIN + part * (WIDTH - 2 * MARGIN), 1)

    drawn = []
    for number, (name, releases) in enumerate(lanes):
        y = TOP + number * LANE + LANE / 2
        places = [(version, at, x(at)) for version, at in releases]
        drawn.append(Lane(name, y, tuple(_points(places, y))))
    ticks = tuple(Tick(x(at), word) for at, word in _months(first, last))
    most = max(len(releases) for _, releases in lanes)
    radius = round(max(SMALL, min(LARGE, (WIDTH - 2 * MARGIN) / most / 2)), 1)
    return Drawing(WIDTH, TOP + len(lanes) * LANE, radius, tuple(drawn), ticks)


def _points(places: Sequence[tuple[str, int, float]], y: float) -> Iterator[Point]:
    """The newest always has its name; an older one where the next leaves room."""
    free = float(WIDTH + NAME)
    for position, (version, at, x) in enumerate(places):
        named = free - x >= NAME
        free = x if named else free
        yield Point(version, x, y, at, newest=position == 0, named=named)


def _months(first: int, last: int) -> list[tuple[int, str]]:
    """Starts of months between two times, evenly thinned out."""
    start = datetime.fromtimestamp(first, UTC)
    found = []
    year, month = start.year, start.month
    while True:
        month += 1
        if month > 12:
            year, month = year + 1, 1
        at = int(datetime(year, month, 1, tzinfo=UTC).timestamp())
        if at > last:
            break
        found.append((at, f"{year}-{month:02}"))
    step = -(-len(found) // TICKS) or 1
    return found[::step]
