"""The stat index of a deployment: what every file held and looked like.

It is a cache that can always be made again by hashing, so it is compact, not text:
columns, deflated. It answers three questions without reading a file: which blob is
here, has it changed since, and what is its SHA-256.
"""

import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from updater.errors import HostError

_MAGIC = b"osupdate-index 1\n"
_HEAD = struct.Struct("<QII")  # device, rows, bytes of paths
_STAT = struct.Struct("<QqqQIIII")  # the fields of Stat


class Stat(NamedTuple):
    """What lstat(2) says; times in nanoseconds."""

    size: int
    mtime: int
    ctime: int
    inode: int
    mode: int
    uid: int
    gid: int
    links: int


class Row(NamedTuple):
    """One file or symlink: raw ids of its blob, and how it looked when it was whole."""

    oid: bytes
    sha256: bytes
    stat: Stat


class Index:
    """path -> row of one deployment, and the device that it lies on."""

    def __init__(self, device: int, rows: dict[bytes, Row]) -> None:
        self.device = device
        self.rows = rows

    def to_bytes(self) -> bytes:
        """The index as a file."""
        rows = self.rows
        paths = b"\0".join(rows)
        body = b"".join(
            (
                _HEAD.pack(self.device, len(rows), len(paths)),
                paths,
                *(row.oid for row in rows.values()),
                *(row.sha256 for row in rows.values()),
                *(_STAT.pack(*row.stat) for row in rows.values()),
            )
        )
        return _MAGIC + struct.pack("<I", zlib.crc32(body)) + zlib.compress(body, 1)


def from_bytes(data: bytes) -> Index:
    """Read an index.

    Raises:
        HostError: damaged; the caller hashes everything again.
    """
    body = _open(data)
    try:
        return _parse(body)
    except (struct.error, ValueError) as error:
        raise HostError(f"the stat index is of another layout: {error}") from error


class Peek:
    """One index, asked about single paths: a tenth of the time of reading it all.

    Raises:
        HostError: damaged.
    """

    def __init__(self, data: bytes) -> None:
        self._body = _open(data)
        try:
            self.device, self._count, length = _HEAD.unpack_from(self._body)
        except struct.error as error:
            raise HostError(f"the stat index is of another layout: {error}") from error
        self._at = _HEAD.size + length
        self._paths = b"\0" + self._body[_HEAD.size : self._at] + b"\0"

    def row(self, path: bytes) -> Row | None:
        """The row of a file or symlink."""
        place = self._paths.find(b"\0" + path + b"\0")
        if place < 0 or not path:
            return None
        number = self._paths.count(b"\0", 0, place)
        sha256 = self._at + 20 * self._count
        stats = sha256 + 32 * self._count
        return Row(
            self._slice(self._at, number, 20),
            self._slice(sha256, number, 32),
            Stat(*_STAT.unpack_from(self._body, stats + _STAT.size * number)),
        )

    def _slice(self, start: int, number: int, width: int) -> bytes:
        at = start + width * number
        return self._body[at : at + width]

    def has_below(self, path: bytes) -> bool:
        """Whether the release has files below this directory."""
        return not path or b"\0" + path + b"/" in self._paths


def _open(data: bytes) -> bytes:
    start = len(_MAGIC) + 4
    try:
        body = zlib.decompress(data[start:])
    except zlib.error as error:
        raise HostError(f"the stat index is damaged: {error}") from error
    seal = _MAGIC + struct.pack("<I", zlib.crc32(body))
    if data[:start] != seal:
        raise HostError("the stat index is damaged: its checksum is wrong")
    return body


def _parse(body: bytes) -> Index:
    device, count, length = _HEAD.unpack_from(body)
    at = _HEAD.size
    paths = body[at : at + length].split(b"\0") if count else []
    at += length
    oids = [body[i : i + 20] for i in range(at, at + 20 * count, 20)]
    at += 20 * count
    digests = [body[i : i + 32] for i in range(at, at + 32 * count, 32)]
    at += 32 * count
    stats = map(Stat._make, _STAT.iter_unpack(body[at : at + _STAT.size * count]))
    rows = map(Row._make, zip(oids, digests, stats, strict=True))
    return Index(device, dict(zip(paths, rows, strict=True)))


class Columns:
    """An index of which a few paths are asked: no row is made for the others."""

    def __init__(self, data: bytes) -> None:
        body = _open(data)
        _, count, length = _HEAD.unpack_from(body)
        start = _HEAD.size
        paths = body[start : start + length].split(b"\0") if count else []
        self._places = {path: place for place, path in enumerate(paths)}
        self._body = body
        self._oids = start + length
        self._stats = self._oids + 52 * count  # a SHA-1 and a SHA-256 each
        if len(body) < self._stats + _STAT.size * count or len(paths) != count:
            raise HostError("the stat index is of another layout: it is too short")

    def size(self, path: bytes, oid: bytes) -> int | None:
        """Bytes of the blob with this raw id at `path`; None when it is not there."""
        place = self._places.get(path)
        if place is None:
            return None
        at = self._oids + 20 * place
        if self._body[at : at + 20] != oid:
            return None
        found = Stat(*_STAT.unpack_from(self._body, self._stats + _STAT.size * place))
        return found.size if found.inode else None  # no inode: it was not right


def blobs(indexes: Sequence[Mapping[bytes, Row]]) -> dict[bytes, tuple[int, bytes]]:
    """Raw blob id -> (position in `indexes`, path) of one place that holds it."""
    found: dict[bytes, tuple[int, bytes]] = {}
    for position, rows in enumerate(indexes):
        for path, row in rows.items():
            found.setdefault(row.oid, (position, path))
    return found
