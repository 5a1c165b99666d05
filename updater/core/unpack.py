"""Compressed files, unpacked as far as asked: gzip, xz, bzip2."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

_GZIP = 31  # window bits of zlib for a gzip stream
_MEMORY = 64 << 20  # bytes that an xz stream may make its reader need


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def _gzip() -> _Decompressor:
    return zlib.decompressobj(_GZIP)


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(memlimit=_MEMORY)


def _bzip2() -> _Decompressor:
    return bz2.BZ2Decompressor()


_FORMATS: dict[bytes, Callable[[], _Decompressor]] = {
    b"\x1f\x8b": _gzip,
    b"\xfd7zXZ\0": _xz,
    b"BZh": _bzip2,
}
ZSTD = b"\x28\xb5\x2f\xfd"


def is_packed(data: bytes) -> bool:
    """Whether these are the first bytes of a compressed file."""
    return data.startswith((*_FORMATS, ZSTD))


def unpack(data: bytes, limit: int) -> tuple[bytes, bool]:
    """The content of a compressed file, or the file itself when it is not one.

    Args:
        data: the file.
        limit: bytes; what is longer is cut.

    Returns:
        The content, and whether it is whole.

    Raises:
        ValueError: it is damaged, or zstd, which `system.zstd` reads.
    """
    if data.startswith(ZSTD):
        raise ValueError("zstd is not read here")
    make = next((m for magic, m in _FORMATS.items() if data.startswith(magic)), None)
    if make is None:
        return data[:limit], len(data) <= limit
    stream = make()
    try:
        found = stream.decompress(data, limit + 1)
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise ValueError(f"it is damaged: {error}") from error
    if len(found) <= limit and not stream.eof:
        raise ValueError("it is damaged: it ends early")
    return found[:limit], len(found) <= limit
