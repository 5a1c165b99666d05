"""All durability in one place: who renames or syncs, does it here.

A durable replacement is: a temporary file in the same directory, write, fsync,
rename, fsync of the directory. A cut at any moment leaves the old or the new.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import stat
import threading
from collections.abc import Iterator

from updater.core.text import size
from updater.errors import HostError, NoSpaceError

RESERVE = 1 << 16  # bytes: a state.json, lines of the ledger, and a link
_FICLONE = 0x40049409  # linux/fs.h; the clone shares extents with its source
_WRITE_NOW = 2  # SYNC_FILE_RANGE_WRITE
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_libc = ctypes.CDLL(None, use_errno=True)


def write_durably(path: str, data: bytes, mode: int = 0o644) -> None:
    """Replace a file so that a crash leaves the old content or the new, never a part.

    Raises:
        NoSpaceError, HostError: the old content is still there.
    """
    temporary = f"{path}.tmp"
    try:
        _write_synced(temporary, data, mode)
        rename(temporary, path)
    except OSError as error:
        failed = host_error(error, f"cannot write {path}", len(data), temporary)
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise failed from error


def _write_synced(path: str, data: bytes, mode: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, 0o600)
    try:
        write_all(fd, data)
        os.fchmod(fd, mode)
        os.fsync(fd)
    finally:
        os.close(fd)


def append_durably(path: str, data: bytes, mode: int = 0o644) -> None:
    """Add to the end of a file and wait until it is on disk.

    Raises:
        NoSpaceError, HostError.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        new = not os.path.lexists(path)
        fd = os.open(path, flags, mode)
        try:
            write_all(fd, data)
            os.fsync(fd)
        finally:
            os.close(fd)
        if new:
            fsync_dir(os.path.dirname(path))
    except OSError as error:
        raise host_error(error, f"cannot append to {path}", len(data), path) from error


def truncate_durably(path: str, length: int) -> None:
    """Cut a file's end off, and wait until that is on disk."""
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.ftruncate(fd, length)
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write everything, however many calls it takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def rename(source: str, target: str) -> None:
    """Replace the target in one step that is on disk when this returns."""
    os.rename(source, target)
    fsync_dir(os.path.dirname(target))


def rename_at(directory: int, source: bytes, target: bytes) -> None:
    """Replace one entry of an open directory by another, on disk when this returns."""
    os.rename(source, target, src_dir_fd=directory, dst_dir_fd=directory)
    os.fsync(directory)


def replace_link(target: str, link: str) -> None:
    """Make `link` a symlink to `target` by one rename: the commit point of a switch."""
    temporary = f"{link}.tmp"
    try:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        os.symlink(target, temporary)
        rename(temporary, link)
    except OSError as error:
        what = f"cannot point {link} at {target}"
        raise host_error(error, what, len(target), os.path.dirname(link)) from error


def sync_file(fd: int) -> None:
    """Wait until an open file's content is on disk."""
    os.fsync(fd)


def fsync_dir(path: str) -> None:
    """Wait until a directory's entries are on disk."""
    fd = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def syncing(fd: int) -> Iterator[None]:
    """`sync_filesystem` while the block runs: the disk and we work at the same time.

    Raises:
        OSError: of the sync, when the block has ended.
    """
    failed: list[OSError] = []

    def sync() -> None:
        try:
            sync_filesystem(fd)
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=sync)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if failed:
        raise failed[0]


def start_writeback(fd: int, start: int, count: int) -> None:
    """Let the disk begin with so many bytes of a file, so that a later sync has less.

    Only a hint: sync_file_range(2) promises nothing, and may be missing.
    """
    _libc.sync_file_range(fd, ctypes.c_int64(start), ctypes.c_int64(count), _WRITE_NOW)


def sync_filesystem(fd: int) -> None:
    """Write everything of one filesystem to disk; a failed write since is an error.

    One syncfs(2) in place of an fsync for each of thousands of files: the same
    promise once nothing counts before it returned.

    Raises:
        OSError: also for write-back that failed before the call (Linux 5.8).
    """
    if _libc.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def make_directories(path: str, mode: int = 0o755) -> None:
    """Create a directory and what is missing above it, durably.

    Raises:
        HostError.
    """
    try:
        if os.path.isdir(path):
            return
        parent = os.path.dirname(path)
        make_directories(parent)
        os.mkdir(path, mode)
        os.chmod(path, mode)
        fsync_dir(parent)
    except OSError as error:
        raise host_error(error, f"cannot create {path}") from error


def open_beneath(root: int, path: bytes) -> int:
    """Open a directory below `root`, following no symlink in any part of the path.

    Returns:
        A descriptor that the caller closes.

    Raises:
        OSError: ENOTDIR or ELOOP where a part is not a directory.
    """
    current = os.dup(root)
    try:
        for part in path.split(b"/") if path else ():
            following = os.open(part, DIRECTORY, dir_fd=current)
            os.close(current)
            current = following
    except OSError:
        os.close(current)
        raise
    return current


def remove_tree(path: str) -> None:
    """Delete a directory and everything below it, or a file; absent is fine.

    Directories without write permission are opened up first, as an owner may. What
    cannot be deleted stops nothing else from being.

    Raises:
        HostError: something is left; the message names one.
    """
    if mounted := mounts_below(path):
        raise HostError(
            f"{path} is not deleted: {mounted[0]} is mounted there",
            hint=f"umount {mounted[0]}",
        )
    removal = _Removal()
    removal.remove(path)
    if not removal.stuck:
        return
    (name, error), *others = removal.stuck.items()
    more = f", and {len(others)} more" if others else ""
    failed = host_error(error, f"cannot delete {name}{more}")
    if isinstance(error, PermissionError):
        failed.hint = f"Is it immutable? lsattr -d {name}; chattr -i {name}"
    raise failed from error


class _Removal:
    """Deletes what can be deleted; `stuck` is what could not, and why."""

    def __init__(self) -> None:
        self.stuck: dict[str, OSError] = {}
        self._opened: set[str] = set()

    def remove(self, path: str) -> None:
        try:
            if stat.S_ISDIR(os.lstat(path).st_mode):
                shutil.rmtree(path, onerror=lambda _, name, info: self._on(name, info))
            else:
                os.unlink(path)
        except OSError as error:
            self._note(path, error)

    def _on(self, name: str, info: tuple[object, BaseException, object]) -> None:
        error = info[1]
        if not isinstance(error, OSError):
            raise error
        if not isinstance(error, PermissionError) or name in self._opened:
            self._note(name, error)
            return
        self._opened.add(name)
        try:
            os.chmod(os.path.dirname(name), 0o700)
            if stat.S_ISDIR(os.lstat(name).st_mode):
                os.chmod(name, 0o700)
        except OSError:
            self._note(name, error)
        else:
            self.remove(name)

    def _note(self, name: str, error: OSError) -> None:
        consequence = error.errno == errno.ENOTEMPTY and self.stuck
        if not isinstance(error, FileNotFoundError) and not consequence:
            self.stuck.setdefault(name, error)


def mounts_below(path: str) -> list[str]:
    """Mount points at or below a path: what lies behind them is somebody else's."""
    top = os.path.realpath(path)
    found = []
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                point = _unescape(line.split(" ")[4])
                if point == top or point.startswith(top + "/"):
                    found.append(point)
    except FileNotFoundError:
        return []
    return found


def _unescape(text: str) -> str:
    for code, char in (("040", " "), ("011", "\t"), ("012", "\n"), ("134", "\\")):
        text = text.replace(f"\\{code}", char)
    return text


def free_bytes(path: str) -> int:
    """Bytes that anybody may still write on the filesystem of `path`."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    facts = os.statvfs(path)
    return facts.f_bavail * facts.f_frsize


def keep_reserve(path: str) -> None:
    """Hold a little of the disk for worse days, while there is plenty."""
    if os.path.lexists(path) or free_bytes(path) < 16 * RESERVE:
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        fd = os.open(path, flags, 0o600)
        try:
            os.posix_fallocate(fd, 0, RESERVE)
        finally:
            os.close(fd)


def use_reserve(path: str) -> None:
    """Give the reserve up where the disk has less than that, or no inode."""
    facts = os.statvfs(os.path.dirname(path))
    full = facts.f_bavail * facts.f_frsize < RESERVE
    if full or (facts.f_files and not facts.f_favail):
        with contextlib.suppress(OSError):
            os.unlink(path)
            fsync_dir(os.path.dirname(path))


def clone(source: int, target: int) -> bool:
    """Make `target` share the extents of `source`; False where that cannot be done."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL):
            return False
        raise
    return True


def can_clone(directory: str) -> bool:
    """Whether files in this directory can share extents (btrfs, xfs, bcachefs)."""
    source, target = (os.path.join(directory, f".clone-{end}.tmp") for end in "ab")
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fds = []
    try:
        for path in (source, target):
            fds.append(os.open(path, flags, 0o600))
        os.write(fds[0], bytes(4096))
        return clone(fds[0], fds[1])
    except OSError:
        return False
    finally:
        for fd, path in zip(fds, (source, target), strict=False):
            os.close(fd)
            os.unlink(path)


def host_error(
    error: OSError, what: str, needed: int | None = None, place: str | None = None
) -> HostError:
    """The sentence for a failed system call; a full disk has its own class.

    Args:
        error: of the call.
        what: could not be done.
        needed: bytes, for the sentence about a full disk.
        place: a path on that disk.
    """
    message = f"{what}: {error.strerror}"
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return HostError(message)
    if needed is not None:
        message += f"; {size(needed)} were to be written"
    if place is not None:
        message += f", {size(free_bytes(place))} are free there"
    return NoSpaceError(message, hint="Free some: osupdate gc")


def exposed_file(path: str) -> str | None:
    """How others may change a file, or replace it; None when they cannot.

    A symlink counts with the directory that it is in and with what it points to.
    """
    real = os.path.realpath(path)
    places = (os.path.dirname(path), os.path.dirname(real), real)
    return next(filter(None, map(exposure, places)), None)


def exposure(path: str) -> str | None:
    """How others than root and this process's user may change what is at `path`.

    Returns:
        What is wrong, with owner or mode; None when nothing is. Group and mode count
        for root only: others may share a group as they like.
    """
    try:
        found = os.stat(path)
    except OSError as error:
        return f"{path}: {error.strerror}"
    user = os.geteuid()
    if found.st_uid not in (0, user):
        return f"{path} belongs to uid {found.st_uid}; expected {user}"
    if user == 0 and found.st_mode & 0o022:
        mode = stat.S_IMODE(found.st_mode)
        return f"{path} has mode {mode:04o}; expected that only root may write"
    return None
