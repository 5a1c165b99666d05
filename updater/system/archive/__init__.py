"""Reads a root filesystem from a tar archive, compressed or not, without unpacking it.

The archive is spooled once, decompressed, to an unnamed file; workers then read members
from it by offset. tar's own rules hold: the last member of a name wins, `./` and `/` in
front are dropped; `..` is refused.
"""

import os
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable
from io import BufferedRandom, BufferedReader

from msgspec import structs

from updater.core import manifest
from updater.core.rootfs import Kind, Node
from updater.core.text import safe, show_path
from updater.errors import HostError, RefusedError
from updater.system import fs
from updater.system.archive.compression import DAMAGED, decompressed

_CHUNK = 1 << 20
_PREAD = 1 << 30  # what one pread(2) can give is a little less than 2 GiB
_BLOCK = 512  # bytes; an archive ends in blocks of zeros
_XATTR = "SCHILY.xattr."
_ACL = "SCHILY.acl."
_KINDS = {
    tarfile.DIRTYPE: Kind.DIRECTORY,
    tarfile.SYMTYPE: Kind.SYMLINK,
    tarfile.CHRTYPE: Kind.CHAR,
    tarfile.BLKTYPE: Kind.BLOCK,
    tarfile.FIFOTYPE: Kind.FIFO,
}


class Archive:
    """A root filesystem in a tar archive.

    Args:
        stream: the archive, at its start.
        spool: directory for the decompressed copy.

    Attributes:
        sockets: always empty: tar has none.
        unrecorded: names of extended attributes that were left out, counted.

    Raises:
        RefusedError: it is not a tar archive, or has members that cannot be published.
        HostError, NoSpaceError: it cannot be spooled.
    """

    def __init__(self, stream: BufferedReader, spool: str) -> None:
        self.sockets: list[bytes] = []
        self.unrecorded: Counter[str] = Counter()
        self._file = _spool(stream, spool)
        try:
            self._nodes = self._read_members()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let the decompressed copy go."""
        self._file.close()

    def walk(self, enter: Callable[[bytes], bool]) -> dict[bytes, Node]:
        """Every path of the archive; `enter` is not needed to save work here."""
        del enter
        return dict(self._nodes)

    def lookup(self, path: bytes) -> Node | None:
        """What is at a path, whether it is part of the release or not."""
        return self._nodes.get(path)

    def read(self, node: Node) -> bytes | memoryview:
        """A member's content."""
        fd = self._file.fileno()
        if len(node.pieces) == 1 and node.pieces[0][2] == node.size:
            return _pread(fd, node.pieces[0][1], node.size)
        content = bytearray(node.size)
        for offset, place, length in node.pieces:
            content[offset : offset + length] = _pread(fd, place, length)
        return bytes(content)

    def _read_members(self) -> dict[bytes, Node]:
        found: dict[bytes, Node] = {}
        try:
            with tarfile.open(
                fileobj=self._file,
                mode="r:",
                encoding="utf-8",
                errors="surrogateescape",
            ) as archive:
                for serial, member in enumerate(archive, 1):
                    self._add(found, member, serial)
        except tarfile.TarError as error:
            raise RefusedError(
                f"the input is not a whole tar archive: {error}"
            ) from error
        _check_parents(found)
        return _single_links(found)

    def _add(
        self, found: dict[bytes, Node], member: tarfile.TarInfo, serial: int
    ) -> None:
        path = _path(member.name)
        if not path:
            return
        if member.islnk():
            node = _link(path, _path(member.linkname), found)
        else:
            node = self._node(path, member, serial)
        earlier = found.get(path)
        directory = node.kind is Kind.DIRECTORY
        if earlier and (earlier.kind is Kind.DIRECTORY) != directory:
            _drop(found, path)
        found[path] = node

    def _node(self, path: bytes, member: tarfile.TarInfo, serial: int) -> Node:
        kind = Kind.FILE if member.isreg() else _KINDS.get(member.type)
        if kind is None:
            raise RefusedError(
                f"tar member {show_path(path)} has type {safe(member.type, 8)}, "
                "which no root filesystem has"
            )
        special = kind in (Kind.CHAR, Kind.BLOCK)
        target = _bytes(member.linkname) if kind is Kind.SYMLINK else b""
        return Node(
            path=path,
            kind=kind,
            mode=member.mode & 0o7777,
            uid=member.uid,
            gid=member.gid,
            size=member.size if kind is Kind.FILE else len(target),
            target=target,
            dev=(member.devmajor, member.devminor) if special else None,
            xattrs=self._xattrs(path, member, kind),
            link=(0, serial) if kind is Kind.FILE else None,
            pieces=_pieces(member) if kind is Kind.FILE else (),
        )

    def _xattrs(
        self, path: bytes, member: tarfile.TarInfo, kind: Kind
    ) -> tuple[tuple[str, bytes], ...]:
        found = []
        for key, value in member.pax_headers.items():
            if key.startswith(_ACL):
                raise RefusedError(
                    f"tar member {show_path(path)} has an ACL as text ({safe(key)})",
                    hint="Publish the directory itself, or pack it with "
                    "tar --xattrs --xattrs-include='*' and without --acls.",
                )
            if not key.startswith(_XATTR):
                continue
            name = key.removeprefix(_XATTR)
            if kind is not Kind.SYMLINK and manifest.XATTRS.match(name):
                found.append((name, _bytes(value)))
            else:
                self.unrecorded[name] += 1
        return tuple(found)


def _spool(stream: BufferedReader, directory: str) -> BufferedRandom:
    """The decompressed archive, as a file that can be read by offset."""
    try:
        spooled = BufferedRandom(
            tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115 - `close` does
        )
        try:
            _fill(spooled, stream)
        except BaseException:
            spooled.close()
            raise
    except DAMAGED as error:
        raise RefusedError(f"the archive is damaged: {error}") from error
    except OSError as error:
        if error.errno is None:  # gzip and bz2 speak of damage in this class
            raise RefusedError(f"the archive is damaged: {error}") from error
        raise fs.host_error(
            error, f"cannot spool the archive in {directory}"
        ) from error
    return spooled


def _fill(spooled: BufferedRandom, stream: BufferedReader) -> None:
    read = decompressed(stream)
    while chunk := read(_CHUNK):
        spooled.write(chunk)
    spooled.flush()
    _check_end(spooled)
    spooled.seek(0)


def _check_end(spooled: BufferedRandom) -> None:
    """Refuse a cut archive, which tarfile takes for a short one."""
    end = spooled.seek(0, os.SEEK_END)
    if end < _BLOCK or os.pread(spooled.fileno(), _BLOCK, end - _BLOCK).strip(b"\0"):
        raise EOFError("it is not tar, or ends before its end")


def _path(name: str) -> bytes:
    raw = _bytes(name)
    parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise RefusedError(f'tar member "{safe(raw)}" leads out of the archive')
    return b"/".join(parts)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _pieces(member: tarfile.TarInfo) -> tuple[tuple[int, int, int], ...]:
    holes: list[tuple[int, int]] | None = member.sparse  # type: ignore[assignment]
    found: list[tuple[int, int, int]] = []
    place = member.offset_data
    for offset, length in [(0, member.size)] if holes is None else holes:
        found.append((offset, place, length))
        place += length
    return tuple(found)


def _link(path: bytes, target: bytes, found: dict[bytes, Node]) -> Node:
    node = found.get(target)
    if node is None or node.kind is Kind.DIRECTORY:
        raise RefusedError(
            f"tar member {show_path(path)} is a hardlink of {show_path(target)}, "
            "which is not a file before it in the archive"
        )
    return structs.replace(node, path=path)


def _drop(found: dict[bytes, Node], path: bytes) -> None:
    """Forget a directory's content when something else takes its name, as tar does."""
    below = path + b"/"
    for other in [name for name in found if name.startswith(below)]:
        del found[other]


def _check_parents(found: dict[bytes, Node]) -> None:
    for path in found:
        parent = path.rpartition(b"/")[0]
        holder = found.get(parent)
        if holder is not None and holder.kind is not Kind.DIRECTORY:
            raise RefusedError(
                f"tar member {show_path(path)} lies below {show_path(parent)}, "
                f"which is a {holder.kind.value}"
            )


def _single_links(found: dict[bytes, Node]) -> dict[bytes, Node]:
    """Drop the link identity of files that have one name only."""
    names = Counter(node.link for node in found.values() if node.link)
    return {
        path: structs.replace(node, link=None)
        if node.link and names[node.link] == 1
        else node
        for path, node in found.items()
    }


def _pread(fd: int, offset: int, length: int) -> bytes:
    parts = []
    while length > 0:
        part = os.pread(fd, min(length, _PREAD), offset)
        if not part:
            raise HostError("the spooled archive is shorter than it was")
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
