"""What the text databases have in common: limits, and where a mistake is."""

import re
from collections.abc import Iterator

MAX_DATABASE = 1 << 25  # bytes of one text database; a full desktop has 1 << 23
MAX_LINES = 2_000_000  # of one text database
MAX_PACKAGES = 100_000
MAX_PATHS = 4_000_000  # that packages list, directories and all
MAX_WORD = 512  # bytes of a name, version or architecture
MAX_SIZE = 1 << 53

_GAP = re.compile(rb"\n\n+")
_WORD = re.compile(rb"[^\s\x00-\x20\x7f]+")


def check(data: bytes) -> None:
    """Refuse what no package manager wrote.

    Raises:
        ValueError: with the line number.
    """
    if len(data) > MAX_DATABASE:
        raise ValueError(f"it has {len(data)} bytes, more than {MAX_DATABASE}")
    if data.count(b"\n") > MAX_LINES:
        raise ValueError(f"it has more than {MAX_LINES} lines")
    if (nul := data.find(b"\0")) >= 0:
        raise ValueError(f"line {line_at(data, nul)} holds a NUL byte")
    if data and not data.endswith(b"\n"):
        raise ValueError(
            f"line {line_at(data, len(data))} does not end in a line feed: it is cut"
        )


def paragraphs(data: bytes) -> Iterator[tuple[int, bytes]]:
    """What empty lines separate, without them, and the offset of each."""
    start = 0
    for gap in _GAP.finditer(data):
        if gap.start() > start:
            yield start, data[start : gap.start()]
        start = gap.end()
    if start < len(data):
        yield start, data[start:]


def line_at(data: bytes, offset: int) -> int:
    """The number of the line that holds this byte."""
    return data.count(b"\n", 0, offset) + 1


def in_paragraph(data: bytes, offset: int, error: ValueError) -> ValueError:
    """The same mistake, with the line at which its paragraph begins."""
    return ValueError(f"in the paragraph at line {line_at(data, offset)}, {error}")


def word(value: bytes, what: str) -> str:
    """A name, version or architecture.

    Raises:
        ValueError: it is empty, too long, not UTF-8, or has spaces.
    """
    if not _WORD.fullmatch(value) or len(value) > MAX_WORD:
        shown = value[:40].decode("ascii", "backslashreplace")
        raise ValueError(f'{what} "{shown}" is not one word of 1..{MAX_WORD} bytes')
    return value.decode("utf-8")


def number(value: bytes, what: str) -> int:
    """A size in bytes or kibibytes.

    Raises:
        ValueError: it is no such number.
    """
    if len(value) > 16 or not value.isdigit() or int(value) > MAX_SIZE:
        shown = value[:40].decode("ascii", "backslashreplace")
        raise ValueError(f'{what} "{shown}" is not a number up to {MAX_SIZE}')
    return int(value)
