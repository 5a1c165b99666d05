"""The lock file: one osupdate at a time changes this machine, and says who it is.

The lock is flock(2), which the kernel drops with its holder; the JSON inside is only
for the person who has to wait. The file stays, because a lock on a file that another
process has just unlinked protects nothing. It is the owner's alone, because whoever can
read a file can lock it.
"""

import contextlib
import fcntl
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
from msgspec import Struct

from updater.core.text import safe
from updater.core.times import minute
from updater.errors import BusyError, HostError


class Holder(Struct, frozen=True):
    """Who holds the lock: the verb, its process, the user's id, since when."""

    command: str
    pid: int
    uid: int
    since: int


@contextmanager
def locked(path: str, command: str, now: int) -> Iterator[None]:
    """Hold the lock for the length of a `with` block.

    Args:
        path: of the lock file; its directory exists.
        command: the verb, for the message that others get.
        now: seconds since the epoch.

    Raises:
        BusyError: another osupdate holds it; the message names it.
        HostError: the file cannot be opened.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        hint = "Run it as root." if isinstance(error, PermissionError) else None
        text = f"cannot open the lock {path}: {error.strerror}"
        raise HostError(text, hint=hint) from error
    try:
        with contextlib.suppress(
            PermissionError
        ):  # it is somebody else's, such as root's
            os.fchmod(fd, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _busy(fd, path) from error
        os.ftruncate(fd, 0)
        holder = Holder(command, os.getpid(), os.getuid(), now)
        with contextlib.suppress(OSError):  # gc must work on a full disk
            os.pwrite(fd, msgspec.json.encode(holder) + b"\n", 0)
        try:
            yield
        finally:
            os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def is_held(path: str) -> bool:
    """Whether somebody holds the lock, as far as the kernel shows it (proc(5))."""
    try:
        found = os.stat(path)
        with open("/proc/locks", encoding="ascii") as file:
            held = file.read()
    except OSError:
        return False
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    return f" {device}:{found.st_ino} " in held


def _busy(fd: int, path: str) -> BusyError:
    try:
        holder = msgspec.json.decode(os.pread(fd, 4096, 0), type=Holder)
    except msgspec.DecodeError:
        return BusyError(f"another osupdate is at work; it holds {path}")
    return BusyError(
        f"another osupdate is at work: {safe(holder.command, 80)}, "
        f"process {holder.pid} of {_user(holder.uid)}, since {minute(holder.since)}",
        hint="Wait until it is done, then run this again.",
    )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
