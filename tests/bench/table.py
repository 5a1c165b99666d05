"""The table of budgets: what was measured, beside the peer of the same run."""

from typing import NamedTuple

_HEAD = ("what", "osupdate", "peer", "ratio", "budget", "")
_MEGABYTE = 1e6


class Row(NamedTuple):
    """One line.

    Attributes:
        what: was measured.
        unit: s, MB, % or x.
        measured: median of osupdate, in that unit.
        least: the smallest measured, or None.
        peer: (name, median in the same unit, smallest), or None.
        limit: what `measured` may be, or None for a line that only informs.
        budget: the limit in words.
    """

    what: str
    unit: str
    measured: float
    least: float | None = None
    peer: tuple[str, float, float] | None = None
    limit: float | None = None
    budget: str = ""


def render(rows):
    """The table as lines of text."""
    cells = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join(padded).rstrip())
    return lines


def _cells(row):
    peer = ratio = verdict = ""
    if row.peer is not None:
        name, median, least = row.peer
        peer = f"{_number(median, row.unit)} ({_bare(least, row.unit)}) {name}"
        ratio = f"{row.measured / median:.2f}"
    if row.limit is not None:
        verdict = "ok" if row.measured <= row.limit else "OVER"
    ours = _number(row.measured, row.unit)
    if row.least is not None:
        ours += f" ({_bare(row.least, row.unit)})"
    return (row.what, ours, peer, ratio, row.budget, verdict)


def _bare(value, unit):
    if unit == "MB":
        return f"{value / _MEGABYTE:.1f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _number(value, unit):
    return f"{_bare(value, unit)} {unit}"
