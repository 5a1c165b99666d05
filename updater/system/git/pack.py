"""Writes packs of whole objects: one sequential file where git would write thousands.

Pack version 2 and index version 2, as in git's gitformat-pack document. Any git reads
them. Deltas are left to the server that repacks.
"""

import contextlib
import hashlib
import os
import struct
import zlib
from collections.abc import Iterable, Iterator

from updater.core.tree import object_id
from updater.model import ObjectId
from updater.system import fs
from updater.system.git import deflate

_KINDS = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}
_COUNT_AT = 8
_LARGE_OFFSET = 0x80000000
_CHUNK = 1 << 20


class PackWriter:
    """A pack in the making; it exists under its name only after `finish`.

    Args:
        directory: an `objects/pack`; created when missing.
        level: zlib's, 0 (stored) to 9.
        durable: whether it must outlive a power cut; a download need not.
    """

    def __init__(
        self, directory: str, *, level: int = deflate.QUICK, durable: bool = True
    ) -> None:
        os.makedirs(directory, exist_ok=True)
        self._directory = directory
        self._level = level
        self._durable = durable
        self._rows: dict[bytes, tuple[int, int]] = {}
        self._temporary = os.path.join(
            directory, f"tmp_pack_{os.getpid()}_{id(self):x}"
        )
        self._file = open(self._temporary, "w+b", buffering=_CHUNK)  # noqa: SIM115 - closed in finish and abort
        self._file.write(struct.pack(">4sII", b"PACK", 2, 0))
        self._offset = self._file.tell()

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, oid: ObjectId) -> bool:
        return bytes.fromhex(oid) in self._rows

    def add(
        self, kind: str, content: bytes | memoryview, oid: ObjectId | None = None
    ) -> ObjectId:
        """Append an object; one that is in the pack already is not written again.

        Args:
            kind: commit, tree, blob or tag.
            content: without git's header.
            oid: its SHA-1 id where the caller has computed it.
        """
        raw = bytes.fromhex(oid) if oid else object_id(kind, content, "sha1")
        self._append(raw, self._encode(kind, content))
        return ObjectId(raw.hex())

    def copy(self, oid: ObjectId, parts: Iterable[bytes]) -> None:
        """Append an object as it stands in another pack, header and all.

        Raises:
            What `parts` raises; then this pack is worth nothing, and is aborted.
        """
        self._append(bytes.fromhex(oid), parts)

    def _append(self, raw: bytes, parts: Iterable[bytes]) -> None:
        if raw in self._rows:
            return
        start, crc = self._offset, 0
        for part in parts:
            crc = zlib.crc32(part, crc)
            self._file.write(part)
            self._offset += len(part)
        self._rows[raw] = (start, crc)

    def _encode(self, kind: str, content: bytes | memoryview) -> Iterator[bytes]:
        """Header and deflated content, in pieces: no second copy of a large file."""
        yield _object_header(_KINDS[kind], len(content))
        deflater = deflate.compressobj(self._level)
        view = memoryview(content)
        for start in range(0, len(view), _CHUNK):
            yield deflater.compress(view[start : start + _CHUNK])
        yield deflater.flush()

    def finish(self) -> str | None:
        """Sync the pack and its index, and give them their names.

        Returns:
            `pack-<id>`, or None when nothing was added.
        """
        if not self._rows:
            self.abort()
            return None
        checksum = self._seal()
        name = f"pack-{checksum.hex()}"
        final = os.path.join(self._directory, name)
        os.chmod(self._temporary, 0o444)
        fs.rename(self._temporary, f"{final}.pack")
        fs.write_durably(f"{final}.idx", _index(self._rows, checksum), 0o444)
        return name

    def abort(self) -> None:
        """Leave nothing behind, on a full disk too."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._temporary)

    def _seal(self) -> bytes:
        self._file.seek(_COUNT_AT)
        self._file.write(struct.pack(">I", len(self._rows)))
        self._file.seek(0)
        digest = hashlib.sha1(usedforsecurity=False)
        while chunk := self._file.read(_CHUNK):
            digest.update(chunk)
        self._file.write(digest.digest())
        self._file.flush()
        if self._durable:
            fs.sync_file(self._file.fileno())
        self._file.close()
        return digest.digest()


def _object_header(kind: int, size: int) -> bytes:
    first = (kind << 4) | (size & 15)
    size >>= 4
    out = bytearray()
    while size:
        out.append(first | 0x80)
        first = size & 0x7F
        size >>= 7
    out.append(first)
    return bytes(out)


def _index(rows: dict[bytes, tuple[int, int]], pack_checksum: bytes) -> bytes:
    ids = sorted(rows)
    fanout = [0] * 256
    for raw in ids:
        fanout[raw[0]] += 1
    total = 0
    for byte, count in enumerate(fanout):
        total += count
        fanout[byte] = total
    offsets, large = [], []
    for raw in ids:
        offset = rows[raw][0]
        if offset >= _LARGE_OFFSET:
            large.append(offset)
            offset = _LARGE_OFFSET | (len(large) - 1)
        offsets.append(offset)
    body = b"".join(
        (
            struct.pack(">4sI", b"\377tOc", 2),
            struct.pack(">256I", *fanout),
            *ids,
            struct.pack(f">{len(ids)}I", *(rows[raw][1] for raw in ids)),
            struct.pack(f">{len(ids)}I", *offsets),
            struct.pack(f">{len(large)}Q", *large),
            pack_checksum,
        )
    )
    return body + hashlib.sha1(body, usedforsecurity=False).digest()
