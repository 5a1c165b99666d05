"""Lays files out below a directory descriptor, and reads back what is there.

No path is ever followed through a symlink: directories are opened part by part, files
are created with O_EXCL, and what is set is set by descriptor. Per file: create 0600,
write, chown, chmod, xattrs, mtime. The caller syncs once for all (`sync_filesystem`),
before anything counts.
"""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence

from updater.core.index import Stat
from updater.core.manifest import XATTRS
from updater.core.plan import Attributes, Special
from updater.errors import HostError
from updater.system import fs
from updater.system.checkout.directories import Directories

_CREATE_AND_READ = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_CHUNK = 1 << 20
# The file is immutable or somebody else's, has all its links, lies on another mount.
NO_LINK = (errno.EPERM, errno.EMLINK, errno.EXDEV)
_STEP = 1 << 23  # bytes of a large file after which the disk begins
_WORTH_STARTING = 1 << 18  # bytes; below that the call costs more than it gains


def write_file(
    directory: int, name: bytes, content: Iterable[bytes | memoryview], look: Attributes
) -> None:
    """Create a file or symlink with its content, given in pieces, and attributes.

    Raises:
        OSError: also when the name exists.
    """
    if stat.S_ISLNK(look.mode):
        _write_link(directory, name, content, look)
        return
    fd = os.open(name, _CREATE, 0o600, dir_fd=directory)
    try:
        _fill(fd, content)
        _dress(fd, look)
    finally:
        os.close(fd)


def write_checked(
    directory: int,
    name: bytes,
    content: Iterable[bytes | memoryview],
    look: Attributes,
    algorithms: Sequence[str],
) -> tuple[list[bytes], Stat]:
    """As `write_file`; then it is read back from where it was written.

    Returns:
        The ids that git gives to what was read, one for each algorithm; and how the
        file looks now.

    Raises:
        HostError: less or more was read than was written. OSError.
    """
    if stat.S_ISLNK(look.mode):
        _write_link(directory, name, content, look)
        target = os.readlink(name, dir_fd=directory)
        return _ids(target, algorithms), stat_entry(directory, name)
    fd = os.open(name, _CREATE_AND_READ, 0o600, dir_fd=directory)
    try:
        size = _fill(fd, content)
        _dress(fd, look)
        found = _stat(os.fstat(fd))
        if found.size != size:
            raise HostError(f"it has {found.size:,} bytes; {size:,} were written")
        if size > _CHUNK:
            return _read_back(fd, size, algorithms), found
        data = os.pread(fd, size, 0)
        if len(data) != size:
            raise HostError(f"read {len(data):,} bytes back; expected {size:,}")
        return _ids(data, algorithms), found
    finally:
        os.close(fd)


def _write_link(
    directory: int, name: bytes, content: Iterable[bytes | memoryview], look: Attributes
) -> None:
    os.symlink(b"".join(content), name, dir_fd=directory)
    _dress_link(directory, name, look)


def _fill(fd: int, content: Iterable[bytes | memoryview]) -> int:
    """Write all pieces, and let the disk begin with a large file; its bytes."""
    size = begun = 0
    for piece in content:
        fs.write_all(fd, piece)
        size += len(piece)
        if size - begun >= _STEP:
            fs.start_writeback(fd, begun, size - begun)
            begun = size
    if size - begun >= _WORTH_STARTING:
        fs.start_writeback(fd, begun, size - begun)
    return size


def _ids(content: bytes, algorithms: Sequence[str]) -> list[bytes]:
    whole = b"blob %d\0%b" % (len(content), content)
    return [hashlib.new(a, whole, usedforsecurity=False).digest() for a in algorithms]


def _read_back(fd: int, size: int, algorithms: Sequence[str]) -> list[bytes]:
    header = b"blob %d\0" % size
    digests = [hashlib.new(a, header, usedforsecurity=False) for a in algorithms]
    buffer = memoryview(bytearray(_CHUNK))
    at = 0
    while at < size and (count := os.preadv(fd, [buffer], at)):
        for digest in digests:
            digest.update(buffer[:count])
        at += count
    if at != size:
        raise HostError(f"read {at:,} bytes back; expected {size:,}")
    return [digest.digest() for digest in digests]


def replace_file(
    directory: int, name: bytes, content: Iterable[bytes | memoryview], look: Attributes
) -> None:
    """Put a file in place of whatever has its name, by one rename.

    Until then it has a name that nobody can guess and be in the way with.

    Raises:
        OSError: what was there is still there.
    """
    temporary = b".osupdate-" + os.urandom(16).hex().encode()
    try:
        write_file(directory, temporary, content, look)
        if not stat.S_ISLNK(look.mode):
            fd = os.open(temporary, _READ, dir_fd=directory)
            try:
                fs.sync_file(fd)
            finally:
                os.close(fd)
        fs.rename_at(directory, temporary, name)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise


def keep_file(
    base: int, directory: int, name: bytes, look: Attributes, *, clones: bool
) -> None:
    """Share a file with the base deployment: by cloning its extents, or as a hardlink.

    Raises:
        OSError.
    """
    if not clones or stat.S_ISLNK(look.mode):
        os.link(
            name, name, src_dir_fd=base, dst_dir_fd=directory, follow_symlinks=False
        )
        return
    source = os.open(name, _READ, dir_fd=base)
    try:
        fd = os.open(name, _CREATE, 0o600, dir_fd=directory)
        try:
            if not fs.clone(source, fd):
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
            _dress(fd, look)
        finally:
            os.close(fd)
    finally:
        os.close(source)


def copy_file(base: int, directory: int, name: bytes, look: Attributes) -> None:
    """Write a file of the base deployment again, where it cannot be shared.

    Raises:
        OSError.
    """
    if stat.S_ISLNK(look.mode):
        write_file(directory, name, [os.readlink(name, dir_fd=base)], look)
        return
    fd = os.open(name, _CREATE, 0o600, dir_fd=directory)
    try:
        for chunk in content(base, name, os.lstat(name, dir_fd=base).st_size):
            fs.write_all(fd, chunk)
        _dress(fd, look)
    finally:
        os.close(fd)


def make_special(root: int, special: Special) -> None:
    """Create a device node or fifo.

    Raises:
        OSError.
    """
    parent, _, name = special.path.rpartition(b"/")
    directory = fs.open_beneath(root, parent)
    try:
        device = os.makedev(*special.device)
        os.mknod(
            name, stat.S_IFMT(special.attributes.mode) | 0o600, device, dir_fd=directory
        )
        _dress_special(directory, name, special.attributes)
    finally:
        os.close(directory)


def make_alias(root: int, path: bytes, target: bytes) -> None:
    """Give a file of the new deployment a second name."""
    source_parent, _, source = target.rpartition(b"/")
    parent, _, name = path.rpartition(b"/")
    source_fd = fs.open_beneath(root, source_parent)
    try:
        fd = fs.open_beneath(root, parent)
        try:
            os.link(
                source, name, src_dir_fd=source_fd, dst_dir_fd=fd, follow_symlinks=False
            )
        finally:
            os.close(fd)
    finally:
        os.close(source_fd)


def dress_directories(
    root: int, directories: Iterable[tuple[bytes, Attributes]]
) -> None:
    """Set owners, modes and times of finished directories, the deepest first.

    One that is missing is made: what is below it has been. One that looks right
    already, and is to have no xattrs, is left alone.
    """
    places = Directories(root, make=True)
    try:
        for path, look in sorted(directories, reverse=True):
            fd = places.open(path)
            if look.xattrs or not _looks_so(os.fstat(fd), look):
                _dress(fd, look)
    finally:
        places.close()


def _looks_so(found: os.stat_result, look: Attributes) -> bool:
    now = (found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns)
    return now == look[:4]


def _dress(fd: int, look: Attributes) -> None:
    if (look.uid, look.gid) != (os.geteuid(), os.getegid()):
        os.fchown(fd, look.uid, look.gid)
    os.fchmod(fd, stat.S_IMODE(look.mode))
    for name, value in look.xattrs:
        os.setxattr(fd, name, value)
    os.utime(fd, ns=(look.mtime, look.mtime))


def _dress_link(directory: int, name: bytes, look: Attributes) -> None:
    if (look.uid, look.gid) != (os.geteuid(), os.getegid()):
        os.chown(name, look.uid, look.gid, dir_fd=directory, follow_symlinks=False)
    times = (look.mtime, look.mtime)
    os.utime(name, ns=times, dir_fd=directory, follow_symlinks=False)


def _dress_special(directory: int, name: bytes, look: Attributes) -> None:
    os.chown(name, look.uid, look.gid, dir_fd=directory, follow_symlinks=False)
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:  # chmod(2) would follow a symlink that somebody put in its place
        os.chmod(f"/proc/self/fd/{fd}", stat.S_IMODE(look.mode))
    finally:
        os.close(fd)
    times = (look.mtime, look.mtime)
    os.utime(name, ns=times, dir_fd=directory, follow_symlinks=False)


def stat_entry(directory: int, name: bytes) -> Stat:
    """What lstat(2) says of one entry."""
    return _stat(os.lstat(name, dir_fd=directory))


def _stat(found: os.stat_result) -> Stat:
    return Stat(
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_ino,
        found.st_mode,
        found.st_uid,
        found.st_gid,
        found.st_nlink,
    )


def hash_entry(
    directory: int, name: bytes, size: int, algorithms: tuple[str, ...]
) -> tuple[bytes, ...]:
    """The ids that git gives to what is really on disk, read back from there.

    Args:
        directory: descriptor.
        name: of a file or symlink in it.
        size: bytes expected; anything else is an error.
        algorithms: sha1, sha256.

    Raises:
        HostError: the size or the type differs; then nothing is read. OSError.
    """
    header = b"blob %d\0" % size
    digests = [hashlib.new(name, header, usedforsecurity=False) for name in algorithms]
    count = 0
    for chunk in content(directory, name, size):
        count += len(chunk)
        for digest in digests:
            digest.update(chunk)
    if count != size:
        raise HostError(f"read {count:,} bytes back; expected {size:,}")
    return tuple(digest.digest() for digest in digests)


def content(directory: int, name: bytes, size: int) -> Iterator[bytes | memoryview]:
    """What a file or symlink holds, piece by piece; a piece is valid until the next.

    Raises:
        HostError: it has another size, or is neither. OSError.
    """
    try:
        fd = os.open(name, _READ, dir_fd=directory)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        yield os.readlink(name, dir_fd=directory)
        return
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise HostError("it is neither a file nor a symlink")
        if found.st_size != size:
            raise HostError(f"it has {found.st_size:,} bytes; expected {size:,}")
        buffer = memoryview(bytearray(_CHUNK))
        while size and (count := os.readv(fd, [buffer[:size]])):
            yield buffer[:count]
            size -= count
    finally:
        os.close(fd)


def read_xattrs(directory: int, name: bytes) -> tuple[tuple[str, bytes], ...]:
    """The xattrs of an entry that a release may set, sorted by name.

    Raises:
        OSError.
    """
    path = b"/proc/self/fd/%d/%s" % (directory, name)
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return ()
        raise
    return tuple(
        (key, os.getxattr(path, key, follow_symlinks=False))
        for key in sorted(names)
        if XATTRS.match(key)
    )
