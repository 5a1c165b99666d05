r"""Paths as the line-based files of a release write them.

A leading slash; bytes outside `!`..`~`, and the backslash, are `\xNN`. There is one way
to write a path, so that equal files are equal bytes.
"""

import re
from collections.abc import Callable

from updater.core.text import safe
from updater.core.tree import safe_name

MAX_PATH = 4095

_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")
_PLAIN = re.compile(rb"[!-\[\]-~]+")


def escape(raw: bytes) -> bytes:
    """Any bytes as one word."""
    if _PLAIN.fullmatch(raw):
        return raw
    return b"".join(
        bytes((c,)) if 0x21 <= c <= 0x7E and c != 0x5C else b"\\x%02x" % c for c in raw
    )


def plain(word: bytes) -> bytes:
    """What a word stands for, however it is written."""
    return _ESCAPE.sub(lambda m: bytes.fromhex(m[1].decode("ascii")), word)


def unescape(word: bytes, written: Callable[[bytes], bytes] = escape) -> bytes | None:
    """What `written` made this of; None when it would have written it differently."""
    raw = plain(word)
    return raw if written(raw) == word else None


def parse_path(word: bytes) -> bytes:
    """A path of a release.

    Raises:
        ValueError: it is not written as the format says, or not one a release has.
    """
    if not word.startswith(b"/"):
        raise ValueError(f'path "{safe(word, 80)}" does not start with /')
    path = unescape(word[1:])
    if path is None:
        raise ValueError(f'path "{safe(word, 80)}" is not escaped as the format says')
    if not all(map(safe_name, path.split(b"/"))):
        raise ValueError(f'path "{safe(word, 80)}" has a part that is not a safe name')
    if len(path) > MAX_PATH:
        raise ValueError(f'path "{safe(word, 80)}" is over {MAX_PATH} bytes')
    return path
