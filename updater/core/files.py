"""The file list of a release: `mode id owner path` a line (format 1, DESIGN 3.4).

It stands in for the tree where only the channel is here. Paths are written as in the
manifest; the owner is a package, or `-`.
"""

import re
from collections.abc import Callable, Iterable

from msgspec import Struct

from updater.core.escape import escape, parse_path, unescape
from updater.core.text import safe
from updater.core.tree import MAX_ENTRIES
from updater.errors import UntrustedError
from updater.model import GitMode, ObjectId, TreeEntry

HEADER = b"osupdate-files 1"
MAX_OWNER = 512  # bytes
NO_OWNER = b"-"

_MODES = {
    mode.value.encode("ascii"): mode for mode in GitMode if mode is not GitMode.TREE
}
_ID = re.compile(rb"[0-9a-f]{40}")


class Files(Struct, frozen=True):
    """What a file list tells; `owners` has no entry for a path of no package."""

    entries: tuple[TreeEntry, ...]
    owners: dict[bytes, str]


def write(
    entries: Iterable[TreeEntry], owner_of: Callable[[bytes], str | None]
) -> bytes:
    """The file list of a tree; `parse` reads it back."""
    lines = [HEADER]
    for entry in sorted(entries, key=lambda entry: entry.path):
        owner = owner_of(entry.path)
        lines.append(
            b"%s %s %s /%s"
            % (
                entry.mode.value.encode("ascii"),
                entry.oid.encode("ascii"),
                NO_OWNER if owner is None else escape(owner.encode("utf-8")),
                escape(entry.path),
            )
        )
    return b"\n".join(lines) + b"\n"


def parse(data: bytes) -> Files:
    """Read a file list.

    Raises:
        UntrustedError: F3, with the line number.
    """
    if not data.endswith(b"\n"):
        raise _bad(data.count(b"\n") + 1, "the last line does not end in a line feed")
    if data.count(b"\n") > MAX_ENTRIES + 1:
        raise _bad(MAX_ENTRIES + 2, f"it has more than {MAX_ENTRIES} files")
    lines = data[:-1].split(b"\n")
    if lines[0] != HEADER:
        raise _bad(1, f'expected "{HEADER.decode()}", got "{safe(lines[0], 80)}"')
    found: list[TreeEntry] = []
    owners: dict[bytes, str] = {}
    last = b""
    for number, line in enumerate(lines[1:], 2):
        try:
            entry, owner = _parse_line(line)
        except ValueError as error:
            raise _bad(number, str(error)) from error
        if found and entry.path <= last:
            raise _bad(number, f"/{safe(entry.path)} is not sorted after the one above")
        last = entry.path
        found.append(entry)
        if owner is not None:
            owners[entry.path] = owner
    return Files(tuple(found), owners)


def _parse_line(line: bytes) -> tuple[TreeEntry, str | None]:
    words = line.split(b" ")
    if len(words) != 4:
        raise ValueError(f'expected "mode id owner path", got "{safe(line, 80)}"')
    mode = _MODES.get(words[0])
    if mode is None:
        raise ValueError(f'mode "{safe(words[0], 40)}" is none of a file or symlink')
    if not _ID.fullmatch(words[1]):
        raise ValueError(f'id "{safe(words[1], 60)}" is not 40 hexadecimal digits')
    entry = TreeEntry(parse_path(words[3]), mode, ObjectId(words[1].decode("ascii")))
    return entry, _parse_owner(words[2])


def _parse_owner(word: bytes) -> str | None:
    if word == NO_OWNER:
        return None
    owner = unescape(word)
    if not owner or len(owner) > MAX_OWNER:
        raise ValueError(f'owner "{safe(word, 80)}" is not a package or -')
    return owner.decode("utf-8")


def _bad(line: int, reason: str) -> UntrustedError:
    return UntrustedError("F3", f"files line {line}: {reason}")
