"""Streams that may be compressed: gzip, bzip2, xz, zstd, told by their first bytes."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from io import BufferedReader

from updater.errors import HostError

DAMAGED = (EOFError, lzma.LZMAError, zlib.error, ValueError)
"""What reading damaged data raises, beside an OSError without a number."""

_MAGIC = 6  # bytes that tell compressions apart


def decompressed(stream: BufferedReader) -> Callable[[int], bytes]:
    """A `read` of the plain bytes.

    Raises:
        HostError: the package for this compression is not installed.
    """
    magic = stream.peek(_MAGIC)[:_MAGIC]
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream).read
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(stream).read
    if magic.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(stream).read
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return _zstd(stream)
    return stream.read


def _zstd(stream: BufferedReader) -> Callable[[int], bytes]:
    try:
        import zstandard  # noqa: PLC0415 - only publishers of .tar.zst need it
    except ImportError as error:
        raise HostError(
            "the archive is compressed with zstd, and the Python package zstandard "
            "is missing",
            hint="pip install zstandard, or: zstd -dc FILE | osupdate publish - ...",
        ) from error
    reader = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)

    def read(size: int) -> bytes:
        try:
            return reader.read(size)
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error

    return read
