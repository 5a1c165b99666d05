"""Which paths of a root filesystem become part of the release.

A pattern is a path from the root, in which `*`, `?` and `[...]` match within one name;
it stands for the path and everything below it. `DIR/*` is the content of a directory,
`DIR/**` its files at any depth, while its directories stay. A pattern without a slash
is a name, anywhere.
"""

import re
from collections.abc import Mapping, Sequence

from updater.core.rootfs import Kind, Node, with_parents
from updater.errors import UsageError

_TOKEN = re.compile(rb"\*+|\?|\[[^]]+\]|.", re.DOTALL)
_WILDCARDS = {b"*": b"[^/]*", b"?": b"[^/]"}
_ANY_NAME = b"\n" * 255  # what only a `*` matches


class Selection:
    """What is kept of a root filesystem.

    Args:
        excludes: patterns of what is left out.
        includes: patterns of what is kept although a pattern excludes it.

    Raises:
        UsageError: a pattern is empty, or has `.`, `..` or `**` where none can be.
    """

    def __init__(self, excludes: Sequence[str], includes: Sequence[str] = ()) -> None:
        self._excluded, self._files_excluded = _compile(excludes)
        self._included, self._files_included = _compile(includes)
        self._above = _above(includes)

    def enter(self, path: bytes) -> bool:
        """Whether anything below this directory may be kept."""
        below = path + b"/" + _ANY_NAME
        if not self._excluded.match(below):
            return True
        return bool(self._included.match(below) or self._above.match(path + b"/"))

    def keeps(self, node: Node) -> bool:
        """Whether a path is kept for its own sake."""
        if not _matches(node, self._excluded, self._files_excluded):
            return True
        return _matches(node, self._included, self._files_included)

    def select(self, nodes: Mapping[bytes, Node]) -> dict[bytes, Node]:
        """The kept paths, with every directory above them."""
        kept = {path: node for path, node in nodes.items() if self.keeps(node)}
        with_parents(kept, nodes)
        return kept


def _matches(node: Node, either: re.Pattern[bytes], files: re.Pattern[bytes]) -> bool:
    if either.match(node.path):
        return True
    return node.kind is not Kind.DIRECTORY and bool(files.match(node.path))


def _compile(patterns: Sequence[str]) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    either, files = [], []
    for pattern in patterns:
        parts = _parts(pattern)
        if parts[-1] == b"**":
            files.append(b"/".join(map(_part, parts[:-1])) + b"/.")
        elif "/" in pattern:
            either.append(b"/".join(map(_part, parts)) + b"(?:/|\\Z)")
        else:
            either.append(b"(?:.*/)?" + _part(parts[0]) + b"(?:/|\\Z)")
    return _union(either), _union(files)


def _above(patterns: Sequence[str]) -> re.Pattern[bytes]:
    """Directories that an include may reach into."""
    found = []
    for pattern in patterns:
        parts = _parts(pattern)
        if "/" not in pattern:
            return re.compile(b"")
        found += [
            b"/".join(map(_part, parts[:count])) + b"/\\Z"
            for count in range(1, len(parts))
        ]
    return _union(found)


def _union(expressions: Sequence[bytes]) -> re.Pattern[bytes]:
    nothing = b"(?!)"
    return re.compile(b"|".join(expressions) or nothing, re.DOTALL)


def _parts(pattern: str) -> list[bytes]:
    raw = pattern.encode("utf-8", "surrogateescape").strip(b"/")
    parts = raw.split(b"/")
    wrong = any(part in (b"", b".", b"..") for part in parts)
    if wrong or b"**" in parts[:-1] or parts == [b"**"]:
        raise UsageError(f'"{pattern}" is not a pattern of paths; see publish --help')
    return parts


def _part(part: bytes) -> bytes:
    """One name of a pattern as an expression."""
    return b"".join(
        _WILDCARDS.get(token, token if token.startswith(b"[") else re.escape(token))
        for token in _TOKEN.findall(part)
    )
