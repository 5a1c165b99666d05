"""Reads single files out of Debian packages, without dpkg.

Source of the format: deb(5): an ar archive whose member data.tar may be compressed.
"""

import io
import tarfile
from collections.abc import Callable
from io import BufferedReader
from typing import BinaryIO, Self, cast

from updater.errors import HostError, RefusedError
from updater.system.archive.compression import DAMAGED, decompressed

MAX_FILE = 1 << 24  # bytes of a file that is wanted
_MAX_EXTENSION = 1 << 20  # bytes of a long name or a pax header
_MAX_MEMBERS = 1 << 18  # of an archive, with its extensions

_MAGIC = b"!<arch>\n"
_HEADER = 60  # bytes: name 16, date 12, uid 6, gid 6, mode 8, size 10, end 2
_SIZE = slice(48, 58)


def read_files(path: str, directory: str, names: tuple[str, ...]) -> dict[str, bytes]:
    """The files of these names in one directory of a package.

    Args:
        path: of the package.
        directory: inside it, with a slash at its end and none at its start.
        names: of the files; what is no file, or over MAX_FILE, is passed over.

    Raises:
        RefusedError: it is no Debian package, or damaged.
        HostError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return _wanted(_Plain(_data_of(file)), directory, names)
    except (*DAMAGED, tarfile.TarError) as error:
        raise _damaged(path, error) from error
    except OSError as error:
        if error.errno is None:  # gzip and bz2 speak of damage in this class
            raise _damaged(path, error) from error
        raise HostError(f"cannot read {path}: {error.strerror}") from error


def _damaged(path: str, error: Exception) -> RefusedError:
    return RefusedError(f"{path} is not a whole Debian package: {error}")


def _data_of(file: BufferedReader) -> BufferedReader:
    """The stream at the start of data.tar; nothing but padding follows in it."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("it is not an ar archive")
    while len(header := file.read(_HEADER)) == _HEADER:
        size = int(header[_SIZE])
        if size < 0:
            raise ValueError("a member has no size")
        if header.startswith(b"data.tar"):
            return file
        file.seek(size + size % 2, io.SEEK_CUR)
    raise EOFError("it has no member data.tar")


class _Plain:
    """What tarfile reads a stream from."""

    def __init__(self, stream: BufferedReader) -> None:
        self.read: Callable[[int], bytes] = decompressed(stream)


class _Bounded(tarfile.TarInfo):
    """A member whose long names and pax headers are small.

    tarfile reads these into memory whole, as large as the archive says they are.
    """

    _EXTENSIONS = frozenset(
        (
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
        )
    )

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """The member of a header."""
        member = super().frombuf(buf, encoding, errors)
        if member.type in cls._EXTENSIONS and not 0 <= member.size <= _MAX_EXTENSION:
            raise ValueError(f"a long name has over {_MAX_EXTENSION} bytes")
        return member


def _wanted(stream: _Plain, directory: str, names: tuple[str, ...]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tarfile.open(
        fileobj=cast("BinaryIO", stream), mode="r|", tarinfo=_Bounded
    ) as archive:
        for count, member in enumerate(archive):
            if count >= _MAX_MEMBERS:
                raise ValueError(f"it has over {_MAX_MEMBERS} members")
            place = member.name.removeprefix("./")
            if not place.startswith(directory):
                if found:
                    break  # a directory's files stand together
                continue
            name = place.removeprefix(directory)
            if name in names and member.isreg() and member.size <= MAX_FILE:
                content = archive.extractfile(member)
                assert content is not None
                found[name] = content.read()
    return found
