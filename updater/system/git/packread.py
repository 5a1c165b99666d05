"""Reads whole objects out of packs by windows: a large file is never in memory.

Pack version 2 and index version 2, as in git's gitformat-pack document. Objects that
are deltas, and packs that are not as the document says, are left to libgit2. Nothing is
held to its id here: the caller hashes what it gets.
"""

import mmap
import os
import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property

from msgspec import Struct

from updater.errors import UntrustedError
from updater.model import ObjectId
from updater.system.git import deflate

_KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_HEAD, _FANOUT, _TRAILER = 8, 1024, 20
_PACK_HEAD = 12
_LARGE_OFFSET = 0x80000000
_ENTRY_HEAD = 16  # bytes; a size of 64 bits takes ten
_WINDOW = 1 << 18
_PIECE = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Opened:
    """A descriptor, closed with the last who holds this."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


class Entry(Struct, frozen=True):
    """A whole object in a pack.

    Attributes:
        oid: its id.
        kind: commit, tree, blob or tag.
        size: bytes of its content, as the pack says.
        pack: open as long as somebody has this.
        start: where its header begins.
        content: where its deflated content begins.
        end: where the next one begins.
        crc: of all its bytes in the pack, as the index says.
    """

    oid: ObjectId
    kind: str
    size: int
    pack: Opened
    start: int
    content: int
    end: int
    crc: int


class Packs:
    """The packs of object directories, opened when first asked."""

    def __init__(self, directories: Sequence[str]) -> None:
        self._directories = directories

    @cached_property
    def _packs(self) -> list["_Pack"]:
        found = []
        for directory in self._directories:
            place = os.path.join(directory, "pack")
            for name in sorted(os.listdir(place)) if os.path.isdir(place) else ():
                if name.endswith(".idx"):
                    pack = _open_pack(os.path.join(place, name.removesuffix(".idx")))
                    found += [pack] if pack else []
        return found

    def find(self, oid: ObjectId) -> Entry | None:
        """Where an object lies whole; None when libgit2 has to be asked for it."""
        raw = bytes.fromhex(oid)
        for pack in self._packs:
            position = pack.find(raw)
            if position is not None:
                return pack.entry(position, oid)
        return None


def encoded(entry: Entry) -> Iterator[bytes]:
    """An object as it stands in its pack, header and all, for another pack.

    Raises:
        UntrustedError: F2: it is not what the index of its pack remembers.
    """
    crc, at = 0, entry.start
    while at < entry.end:
        piece = os.pread(entry.pack.descriptor, min(_PIECE, entry.end - at), at)
        if not piece:
            raise _damaged(entry)
        crc = zlib.crc32(piece, crc)
        at += len(piece)
        yield piece
    if crc != entry.crc:
        raise _damaged(entry)


def inflated(entry: Entry) -> Iterator[bytes]:
    """An object's content in pieces.

    Raises:
        UntrustedError: F2: it is damaged, or not as long as its header says.
    """
    inflater = deflate.decompressobj()
    at, left = entry.content, entry.size
    window = min(_WINDOW, entry.size + 64)
    data = b""
    while not inflater.eof:
        if not data:
            data = os.pread(entry.pack.descriptor, min(window, entry.end - at), at)
            at += len(data)
            window = _WINDOW
        if not data and not left:
            raise _damaged(entry)
        try:
            piece = inflater.decompress(data, min(_PIECE, left + 1))
        except deflate.Damaged as error:
            raise _damaged(entry) from error
        if not piece and not data:
            raise _damaged(entry)
        left -= len(piece)
        if left < 0:
            raise _damaged(entry)
        data = inflater.unconsumed_tail
        if piece:
            yield piece
    if left:
        raise _damaged(entry)


class _Pack:
    """One pack and its index, both mapped or read by offset only."""

    def __init__(self, file: Opened, index: mmap.mmap) -> None:
        self._file = file
        self._end = os.fstat(file.descriptor).st_size - _TRAILER
        self._index = index
        self._fanout: tuple[int, ...] = struct.unpack_from(">256I", index, _HEAD)
        self._count = self._fanout[255]

    @property
    def is_sound(self) -> bool:
        """Whether the index is as long as its own count of objects asks for."""
        ids = _HEAD + _FANOUT
        least = ids + self._count * 28 + 2 * _TRAILER
        return (
            self._index[:_HEAD] == b"\377tOc\0\0\0\2"
            and list(self._fanout) == sorted(self._fanout)
            and len(self._index) >= least
        )

    def find(self, raw: bytes) -> int | None:
        """The position of an id in the index."""
        low = self._fanout[raw[0] - 1] if raw[0] else 0
        high = self._fanout[raw[0]]
        while low < high:
            middle = (low + high) // 2
            at = _HEAD + _FANOUT + 20 * middle
            found = self._index[at : at + 20]
            if found == raw:
                return middle
            if found < raw:
                low = middle + 1
            else:
                high = middle
        return None

    def entry(self, position: int, oid: ObjectId) -> Entry | None:
        """The object at a position; None when it is a delta, or makes no sense."""
        start = self._offset(position)
        end = self._end_of(start)
        if not _PACK_HEAD <= start < end <= self._end:
            return None
        head = os.pread(self._file.descriptor, min(_ENTRY_HEAD, end - start), start)
        parsed = _parse_head(head)
        if parsed is None:
            return None
        kind, size, length = parsed
        crc = self._number(">I", self._crcs + 4 * position)
        content = start + length
        return Entry(oid, kind, size, self._file, start, content, end, crc)

    @property
    def _crcs(self) -> int:
        return _HEAD + _FANOUT + 20 * self._count

    @property
    def _offsets(self) -> int:
        return self._crcs + 4 * self._count

    def _offset(self, position: int) -> int:
        offset = self._number(">I", self._offsets + 4 * position)
        if not offset & _LARGE_OFFSET:
            return offset
        at = self._offsets + 4 * self._count + 8 * (offset & ~_LARGE_OFFSET)
        fits = at + 8 <= len(self._index) - 2 * _TRAILER
        return self._number(">Q", at) if fits else 0

    def _number(self, layout: str, at: int) -> int:
        return int(struct.unpack_from(layout, self._index, at)[0])

    def _end_of(self, start: int) -> int:
        """Where the object after the one that begins at `start` does."""
        following = bisect_right(self._starts, start)
        return self._starts[following] if following < self._count else self._end

    @cached_property
    def _starts(self) -> "array[int]":
        return array("Q", sorted(map(self._offset, range(self._count))))


def _open_pack(stem: str) -> _Pack | None:
    try:
        with open(os.open(f"{stem}.idx", _READ), "rb") as index:
            mapped = mmap.mmap(index.fileno(), 0, access=mmap.ACCESS_READ)
        pack = _Pack(Opened(os.open(f"{stem}.pack", _READ)), mapped)
    except (OSError, ValueError, struct.error):
        return None
    return pack if pack.is_sound else None


def _parse_head(head: bytes) -> tuple[str, int, int] | None:
    """Kind, size and length of an entry's header; None for deltas and nonsense."""
    kind = _KINDS.get(head[0] >> 4 & 7) if head else None
    if kind is None:
        return None
    size, shift, at = head[0] & 15, 4, 0
    while head[at] & 0x80:
        at += 1
        if at == len(head):
            return None
        size |= (head[at] & 0x7F) << shift
        shift += 7
    return kind, size, at + 1


def _damaged(entry: Entry) -> UntrustedError:
    return UntrustedError("F2", f"object {entry.oid} is damaged")
