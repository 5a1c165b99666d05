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
MAX_OWNER = 1024  # bytes
NO_OWNER = b"-"

_MODES = {
    mode.value.encode("ascii"): mode for mode in GitMode if mode is not GitMode.TREE
}
_NAME = re.compile(
    rb"[0-9A-FH-Za-fh-z_][0-9A-Za-z_.+:@~,=-]{0,199}"
)  # surely a safe one
_SHORT = 1000  # bytes of a path that is surely not too long
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
        word = NO_OWNER if owner is None else escape(owner.encode("utf-8"))
        mode, oid = entry.mode.value.encode("ascii"), entry.oid.encode("ascii")
        lines.append(b" ".join((mode, oid, word, b"/" + escape(entry.path))))
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
    names: dict[bytes, str | None] = {NO_OWNER: None}  # as written -> as meant
    tree = _Tree()
    for number, line in enumerate(lines[1:], 2):
        try:
            mode, oid, word, place = _words(line)
            path = tree.enter(place)
            if word not in names:
                names[word] = _parse_owner(word)
        except ValueError as error:
            raise _bad(number, str(error)) from error
        found.append(TreeEntry(path, mode, oid))
        owner = names[word]
        if owner is not None:
            owners[path] = owner
    return Files(tuple(found), owners)


class _Tree:
    """The paths so far: in order, and no file where a directory is."""

    def __init__(self) -> None:
        self._last = b""
        self._files: set[bytes] = set()
        self._directories: set[bytes] = {b""}

    def enter(self, word: bytes) -> bytes:
        """The path that a word stands for.

        Raises:
            ValueError: it is no path, or cannot stand here.
        """
        parent, _, name = word[1:].rpartition(b"/")
        plain = word[:1] == b"/" and b"\\" not in word and len(word) < _SHORT
        if plain and parent in self._directories and _NAME.fullmatch(name):
            path = word[1:]
        else:
            path = parse_path(word)
            self._enter_parents(path)
        if path <= self._last:
            raise ValueError(f"/{safe(path)} is not sorted after the one above")
        self._last = path
        self._files.add(path)
        return path

    def _enter_parents(self, path: bytes) -> None:
        parent = path.rpartition(b"/")[0]
        while parent not in self._directories:
            if parent in self._files:
                raise ValueError(f"/{safe(parent)} is a file, and not a directory")
            self._directories.add(parent)
            parent = parent.rpartition(b"/")[0]


def _words(line: bytes) -> tuple[GitMode, ObjectId, bytes, bytes]:
    words = line.split(b" ")
    if len(words) != 4:
        raise ValueError(f'expected "mode id owner path", got "{safe(line, 80)}"')
    mode = _MODES.get(words[0])
    if mode is None:
        raise ValueError(f'mode "{safe(words[0], 40)}" is none of a file or symlink')
    if not _ID.fullmatch(words[1]):
        raise ValueError(f'id "{safe(words[1], 60)}" is not 40 hexadecimal digits')
    return mode, ObjectId(words[1].decode("ascii")), words[2], words[3]


def _parse_owner(word: bytes) -> str:
    owner = unescape(word)
    if not owner or len(owner) > MAX_OWNER:
        raise ValueError(f'owner "{safe(word, 80)}" is not a package or -')
    return owner.decode("utf-8")


def _bad(line: int, reason: str) -> UntrustedError:
    return UntrustedError("F3", f"files line {line}: {reason}")
