"""Lines of text that fit a terminal. What comes in is safe already.

Columns are not characters: East Asian and emoji characters take two, combining ones
none (Unicode Standard Annex 11; as wcwidth(3) counts them).
"""

import unicodedata
from itertools import accumulate

from updater.core.text import size

LABEL = 11  # columns of PACKAGES, CONFIG and so on
_COMBINING = {"Mn", "Me"}


def columns(text: str) -> int:
    """How many columns a terminal gives to a text."""
    return len(text) if text.isascii() else sum(map(_column, text))


def pad(text: str, width: int) -> str:
    """`text` with spaces up to `width` columns."""
    return text + " " * (width - columns(text))


def signed(count: int) -> str:
    """`+2.1 MB`, `-12 B`; `+0 B` when nothing changes."""
    return f"{'-' if count < 0 else '+'}{size(abs(count))}"


def labelled(label: str, words: str, width: int) -> list[str]:
    """A heading: the label, and words that go on below themselves."""
    lines = wrap(words, " " * LABEL, width)
    return [f"{label:<{LABEL}}{lines[0].strip()}", *lines[1:]]


def wrap(words: str, indent: str, width: int) -> list[str]:
    """Lines of at most `width` columns; a longer word is cut."""
    room = width - len(indent)
    lines: list[str] = []
    for word in (clip(word, room) for word in words.split()):
        if lines and columns(lines[-1]) + 1 + columns(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(f"{indent}{word}")
    return lines or [indent]


def clip(text: str, room: int) -> str:
    """The start and the end of a text that is too long."""
    if columns(text) <= room:
        return text
    end = room // 2
    return f"{_start(text, room - end - 3)}...{_start(text[::-1], end)[::-1]}"


def cut(text: str, room: int) -> str:
    """The start of a sentence that is too long."""
    return text if columns(text) <= room else f"{_start(text, room - 3)}..."


def flush(left: str, right: str, width: int) -> str:
    """`right` at the right edge."""
    if not right:
        return left
    return f"{left}{' ' * (width - columns(left) - columns(right))}{right}"


def _start(text: str, room: int) -> str:
    """As many characters of the start as fit."""
    if text.isascii():
        return text[: max(0, room)]
    fits = [total <= room for total in accumulate(map(_column, text))]
    return text[: fits.index(False)] if False in fits else text


def _column(char: str) -> int:
    if unicodedata.category(char) in _COMBINING:
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
