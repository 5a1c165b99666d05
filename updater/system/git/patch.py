"""Differences of files in the words of `git diff`, without a repository.

Blobs and trees live in memory. What mail or `git am` would spoil (NUL, lines that end
in CR LF) is told as a binary patch, which git applies to the byte.
"""

from collections.abc import Mapping

import pygit2
from msgspec import Struct
from pygit2.enums import DiffOption, ObjectType

from updater.core import tree
from updater.model import GitMode
from updater.system.git.objects import configure

MAX_TEXT = 4 << 20  # bytes; larger files are told as binary


class File(Struct, frozen=True):
    """One side of one path."""

    mode: GitMode
    content: bytes


class _Memory(pygit2.OdbBackend):
    """An object database that is a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self._objects: dict[bytes, tuple[int, bytes]] = {}

    def add(self, kind: ObjectType, content: bytes) -> bytes:
        name = "tree" if kind is ObjectType.TREE else "blob"
        raw = tree.object_id(name, content, "sha1")
        self._objects[raw] = (int(kind), content)
        return raw

    def exists_cb(self, oid: pygit2.Oid) -> bool:
        return oid.raw in self._objects

    def read_cb(self, oid: pygit2.Oid) -> tuple[int, bytes]:
        if oid.raw not in self._objects:
            raise KeyError(oid)
        return self._objects[oid.raw]

    def read_header_cb(self, oid: pygit2.Oid) -> tuple[int, int]:
        kind, content = self.read_cb(oid)
        return kind, len(content)

    def read_prefix_cb(self, prefix: str) -> tuple[int, bytes, pygit2.Oid]:
        oid = pygit2.Oid(hex=prefix)
        return (*self.read_cb(oid), oid)

    def exists_prefix_cb(self, prefix: str) -> pygit2.Oid:
        raise KeyError(prefix)

    def refresh_cb(self) -> None:
        pass


def difference(old: Mapping[bytes, File], new: Mapping[bytes, File]) -> bytes:
    """A patch from some files to others, as `git diff --binary --full-index` has it.

    Args:
        old: path -> file; a path on one side only comes or goes.
        new: the same for the other side.
    """
    configure()
    paths = old.keys() | new.keys()
    binary = {p for p in paths if _is_binary(old.get(p)) or _is_binary(new.get(p))}
    plain = _patch(_without(old, binary), _without(new, binary), DiffOption.FORCE_TEXT)
    rest = paths - binary
    return plain + _patch(
        _without(old, rest), _without(new, rest), DiffOption.FORCE_BINARY
    )


def _without(files: Mapping[bytes, File], left: set[bytes]) -> dict[bytes, File]:
    return {path: file for path, file in files.items() if path not in left}


def _is_binary(file: File | None) -> bool:
    if file is None or file.mode is GitMode.SYMLINK:
        return False
    content = file.content
    return b"\0" in content or b"\r\n" in content or len(content) > MAX_TEXT


def _patch(
    old: Mapping[bytes, File], new: Mapping[bytes, File], option: DiffOption
) -> bytes:
    if not old and not new:
        return b""
    memory = _Memory()
    roots = [pygit2.Oid(raw=_tree(memory, side)) for side in (old, new)]
    odb = pygit2.Odb()
    odb.add_backend(memory, 1)
    repository = pygit2.Repository()
    repository.set_odb(odb)
    before, after = (repository[root].peel(pygit2.Tree) for root in roots)
    found = before.diff_to_tree(after, flags=option | DiffOption.SHOW_BINARY)
    return b"".join(patch.data for patch in found if patch is not None)


def _tree(memory: _Memory, files: Mapping[bytes, File]) -> bytes:
    entries = [
        (path, file.mode, memory.add(ObjectType.BLOB, file.content))
        for path, file in files.items()
    ]
    root, trees = tree.build(entries)
    for content in trees.values():
        memory.add(ObjectType.TREE, content)
    return root
