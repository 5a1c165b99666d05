"""Text from outside, made safe for where it is shown."""

import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def safe(text: str | bytes, limit: int = 4096) -> str:
    r"""One line for a terminal or journal: control, format and bidi characters escaped.

    Bytes are read as UTF-8; what is not UTF-8 becomes `\xNN`. Longer text than
    `limit` characters ends in `...`.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    shown = text[: limit + 1]
    if not shown.isascii() or not shown.isprintable():
        shown = "".join(map(_visible, shown))
    return shown[:limit] + "..." if len(shown) > limit else shown


def safe_lines(text: str, limit: int = 65536) -> str:
    """Several lines, each made safe; line feeds stay and tabs become spaces."""
    lines = text[:limit].replace("\t", "    ").split("\n")
    return "\n".join(safe(line) for line in lines)


def _visible(char: str) -> str:
    if unicodedata.category(char) not in _HIDDEN:
        return char
    return char.encode("unicode_escape").decode("ascii")


def show_path(path: bytes) -> str:
    """A release path as people write it, with its leading slash."""
    return "/" + safe(path)


def size(count: int) -> str:
    """Bytes for people, decimal units as disks and downloads are sold: `18.4 MB`."""
    if abs(count) < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if abs(value) < 999.95:  # what rounds up to the next unit
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def plural(count: int, noun: str, many: str | None = None) -> str:
    """`1 file`, `2 files`, `25,013 files`."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"
