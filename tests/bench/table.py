"""A table for people: measured, beside a peer, against a budget."""

from typing import NamedTuple

_HEAD = ("what", "osupdate", "peer", "ratio", "budget", "")
_MEGABYTE = 1e6


class Row(NamedTuple):
    """One line.

    Attributes:
        what: was measured.
        unit: s, %, and kB or MB, where the numbers are bytes.
        median: of osupdate.
        least: the smallest measured.
        peer: (name, median, smallest), or None.
        budget: `<= NUMBER UNIT`, where the unit x is the ratio to the peer; or empty.
    """

    what: str
    unit: str
    median: float
    least: float
    peer: tuple[str, float, float] | None
    budget: str


def render(rows):
    """The table as lines of text."""
    cells = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]


def _cells(row):
    peer = ratio = verdict = ""
    if row.peer is not None:
        name, median, least = row.peer
        peer = f"{_pair(median, least, row.unit)} {name}"
        ratio = f"{row.median / median:.2f}"
    if row.budget:
        _, limit, unit = row.budget.split()
        shown = ratio if unit == "x" else _number(row.median, row.unit)
        verdict = "ok" if float(shown) <= float(limit) else "OVER"
    ours = _pair(row.median, row.least, row.unit)
    return (row.what, ours, peer, ratio, row.budget, verdict)


def _pair(median, least, unit):
    return f"{_number(median, unit)} {unit} ({_number(least, unit)})"


def _number(value, unit):
    if unit == "MB":
        return f"{value / _MEGABYTE:.1f}"
    if unit == "kB":
        value /= 1000
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"
