"""Lays files out below a directory descriptor, and tells whether they still are so.

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
from collections.abc import Iterable, Iterator, Mapping, Sequence

from updater.core.index import Row, Stat
from updater.core.manifest import XATTRS
from updater.core.plan import Attributes, Special
from updater.errors import HostError
from updater.model import LocalChange
from updater.system import fs

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_CHUNK = 1 << 20
# The file is immutable or somebody else's, has all its links, lies on another mount.
NO_LINK = (errno.EPERM, errno.EMLINK, errno.EXDEV)
_WORTH_STARTING = 1 << 18  # bytes; below that the call costs more than it gains


class Directories:
    """Directory descriptors below one root, the last one kept open."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._path: bytes | None = None
        self._fd = -1

    def open(self, path: bytes) -> int:
        """A descriptor of `path`, valid until the next call.

        Raises:
            OSError: a part of the path is missing, or not a directory.
        """
        if path != self._path:
            self.close()
            self._fd = fs.open_beneath(self._root, path)
            self._path = path
        return self._fd

    def close(self) -> None:
        """Close what is open."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._path = -1, None


def make_directories(root: int, paths: Iterable[bytes]) -> None:
    """Create directories, parents first, for the owner alone until they are done."""
    for path in paths:
        if path:
            parent, _, name = path.rpartition(b"/")
            directory = fs.open_beneath(root, parent)
            try:
                os.mkdir(name, 0o700, dir_fd=directory)
            finally:
                os.close(directory)


def write_file(
    directory: int, name: bytes, content: bytes | memoryview, look: Attributes
) -> None:
    """Create a file or symlink with its content and attributes.

    Raises:
        OSError: also when the name exists.
    """
    if stat.S_ISLNK(look.mode):
        os.symlink(bytes(content), name, dir_fd=directory)
        _dress_link(directory, name, look)
        return
    fd = os.open(name, _CREATE, 0o600, dir_fd=directory)
    try:
        fs.write_all(fd, content)
        if len(content) >= _WORTH_STARTING:
            fs.start_writeback(fd)
        _dress(fd, look)
    finally:
        os.close(fd)


def replace_file(
    directory: int, name: bytes, content: bytes | memoryview, look: Attributes
) -> None:
    """Put a file in place of whatever has its name, by one rename.

    Raises:
        OSError: what was there is still there.
    """
    temporary = b".osupdate-repair"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=directory)
    write_file(directory, temporary, content, look)
    if not stat.S_ISLNK(look.mode):
        fd = os.open(temporary, _READ, dir_fd=directory)
        try:
            fs.sync_file(fd)
        finally:
            os.close(fd)
    fs.rename_at(directory, temporary, name)


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
        write_file(directory, name, os.readlink(name, dir_fd=base), look)
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
    """Set owners, modes and times of finished directories, the deepest first."""
    for path, look in sorted(directories, reverse=True):
        fd = fs.open_beneath(root, path)
        try:
            _dress(fd, look)
        finally:
            os.close(fd)


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
    found = os.lstat(name, dir_fd=directory)
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


def changed(
    root: int,
    rows: Mapping[bytes, Row],
    linked_at: Sequence[tuple[int, int]] = (),
) -> tuple[list[LocalChange], dict[bytes, Stat]]:
    """The files that do not look as the index remembers them; nothing is read.

    link(2) and unlink(2) change the ctime of a file that stays as it is. A file whose
    ctime and number of links changed, and nothing else, at a time when we were linking,
    was linked, not written.

    Args:
        root: descriptor of the deployment's directory.
        rows: its index.
        linked_at: when we were, from and to in nanoseconds.

    Returns:
        Changes of kind missing, metadata (mode or owner) or modified (perhaps only
        touched: hashing tells), sorted by path; and how linked files look now.
    """
    found: list[LocalChange] = []
    linked: dict[bytes, Stat] = {}
    directories = Directories(root)
    unreachable: bytes | None = None
    last = None
    fd = -1
    for path in sorted(rows, key=lambda path: path.rpartition(b"/")[0]):
        parent, _, name = path.rpartition(b"/")
        if parent != last:
            last = parent
            try:
                fd, unreachable = directories.open(parent), None
            except OSError:
                unreachable = parent
        if unreachable == parent:
            found.append(LocalChange(path, "missing"))
            continue
        expected = rows[path].stat
        now = _lstat(fd, name)
        if now is None:
            found.append(LocalChange(path, "missing"))
        elif now != expected:
            if _only_linked(now, expected, linked_at):
                linked[path] = now
            else:
                found.append(LocalChange(path, _kind(now, expected)))
    directories.close()
    return sorted(found, key=lambda change: change.path), linked


def _only_linked(
    now: Stat, expected: Stat, linked_at: Sequence[tuple[int, int]]
) -> bool:
    if now != expected._replace(ctime=now.ctime, links=now.links):
        return False
    return any(begin <= now.ctime <= end for begin, end in linked_at)


def _lstat(directory: int, name: bytes) -> Stat | None:
    try:
        return stat_entry(directory, name)
    except OSError:
        return None


def _kind(now: Stat, expected: Stat) -> str:
    looks = (now.mode, now.uid, now.gid)
    same = looks == (expected.mode, expected.uid, expected.gid)
    return "modified" if same else "metadata"


def strays(root: int, known: Iterable[bytes]) -> list[LocalChange]:
    """What lies in a deployment without being in its release; directories collapsed."""
    present = set(known)
    parents = {b""}
    for path in present:
        parent = path.rpartition(b"/")[0]
        while parent not in parents:
            parents.add(parent)
            parent = parent.rpartition(b"/")[0]
    found: list[LocalChange] = []
    for directory in sorted(parents):
        try:
            fd = fs.open_beneath(root, directory)
        except OSError:
            continue
        try:
            for name in map(os.fsencode, os.listdir(fd)):
                path = directory + b"/" + name if directory else name
                if path not in present and path not in parents:
                    found.append(LocalChange(path, "extra"))
        finally:
            os.close(fd)
    return sorted(found, key=lambda change: change.path)


def can_clone(directory: str) -> bool:
    """Whether files in this directory can share extents (btrfs, xfs, bcachefs)."""
    source, target = (os.path.join(directory, f".clone-{end}") for end in "ab")
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fds = []
    try:
        for path in (source, target):
            fds.append(os.open(path, flags, 0o600))
        os.write(fds[0], bytes(4096))
        return fs.clone(fds[0], fds[1])
    except OSError:
        return False
    finally:
        for fd, path in zip(fds, (source, target), strict=False):
            os.close(fd)
            os.unlink(path)
