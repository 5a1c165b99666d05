"""A root filesystem as values, from wherever it was read, and what git cannot say.

`describe` is the publisher's side of the manifest (DESIGN section 3.2).
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

from msgspec import Struct

from updater.core.index import Stat
from updater.model import GitMode, Metadata

_DIRECTORY_MODE = 0o755
_OWNER_MAY_EXECUTE = 0o100


class Kind(StrEnum):
    """What a path is; the values of special ones are those of the manifest."""

    FILE = "file"
    DIRECTORY = "dir"
    SYMLINK = "symlink"
    CHAR = "char"
    BLOCK = "block"
    FIFO = "fifo"


class Node(Struct, frozen=True):
    """One path of a root filesystem.

    Attributes:
        mode: permission bits with setuid, setgid and sticky.
        link: equal for the names of one file with several; None for a single name.
        target: of a symlink.
        stat: how a file on disk looked; None for a member of an archive.
        pieces: of an archive member: (offset in the file, offset in the archive,
            length), everything between them being zeros.
    """

    path: bytes
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int = 0
    target: bytes = b""
    dev: tuple[int, int] | None = None
    xattrs: tuple[tuple[str, bytes], ...] = ()
    link: tuple[int, int] | None = None
    stat: Stat | None = None
    pieces: tuple[tuple[int, int, int], ...] = ()

    @property
    def git_mode(self) -> GitMode | None:
        """As git stores it; None for what git cannot hold."""
        if self.kind is Kind.SYMLINK:
            return GitMode.SYMLINK
        if self.kind is not Kind.FILE:
            return None
        return GitMode.EXECUTABLE if self.mode & _OWNER_MAY_EXECUTE else GitMode.FILE


def describe(nodes: Mapping[bytes, Node]) -> dict[bytes, Metadata]:
    """The exceptions of a tree: what the manifest says of it."""
    links = _hardlinks(nodes.values())
    held = _directories_of(path for path, node in nodes.items() if node.git_mode)
    found: dict[bytes, Metadata] = {}
    for path, node in nodes.items():
        meta = Metadata(hardlink=links[path]) if path in links else _one(node, held)
        if meta != Metadata():
            found[path] = meta
    return found


def _one(node: Node, held: set[bytes]) -> Metadata:
    kind: str | None = None
    mode: int | None = node.mode
    if node.kind is Kind.SYMLINK:
        mode = None
    elif node.kind is Kind.DIRECTORY:
        kind = None if node.path in held else "dir"
        mode = None if node.mode == _DIRECTORY_MODE else node.mode
    elif node.kind is Kind.FILE:
        usual = 0o755 if node.git_mode is GitMode.EXECUTABLE else 0o644
        mode = None if node.mode == usual else node.mode
    else:
        kind = node.kind.value
    return Metadata(
        type=kind,
        dev=node.dev,
        mode=mode,
        uid=node.uid,
        gid=node.gid,
        xattrs=tuple(sorted(node.xattrs)),
    )


def _hardlinks(nodes: Iterable[Node]) -> dict[bytes, bytes]:
    """Path -> the first name of its file, for every other name of it."""
    groups: dict[tuple[int, int], list[bytes]] = {}
    for node in nodes:
        if node.kind is Kind.FILE and node.link is not None:
            groups.setdefault(node.link, []).append(node.path)
    found: dict[bytes, bytes] = {}
    for names in groups.values():
        first = min(names)
        found.update({name: first for name in names if name != first})
    return found


def _directories_of(paths: Iterable[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    for path in paths:
        parent = path.rpartition(b"/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition(b"/")[0]
    return found


def with_parents(nodes: dict[bytes, Node], known: Mapping[bytes, Node]) -> None:
    """Add the directories above every node: as `known` has them, else plain ones."""
    for path in list(nodes):
        parent = path.rpartition(b"/")[0]
        while parent and parent not in nodes:
            plain = Node(parent, Kind.DIRECTORY, _DIRECTORY_MODE, 0, 0)
            nodes[parent] = known.get(parent, plain)
            parent = parent.rpartition(b"/")[0]


def resolve(
    path: bytes, lookup: Callable[[bytes], Node | None], links: int = 8
) -> Node | None:
    """The file at a path of a root filesystem, through symlinks, never out of it.

    Args:
        path: relative, without a leading slash.
        lookup: gives what is at a path itself.
        links: how many symlinks may be on the way.
    """
    parts = path.split(b"/")
    here: list[bytes] = []
    while parts:
        part = parts.pop(0)
        if part in (b"", b"."):
            continue
        if part == b"..":
            here = here[:-1]
            continue
        node = lookup(b"/".join([*here, part]))
        if node is None:
            return None
        if node.kind is Kind.SYMLINK:
            links -= 1
            if links < 0:
                return None
            here = [] if node.target.startswith(b"/") else here
            parts = [*node.target.split(b"/"), *parts]
        elif not parts:
            return node if node.kind is Kind.FILE else None
        else:
            here.append(part)
    return None
