"""A private home for one fetching child, gone when the fetch is over.

    /run/osupdate-fetch-<pid>-<random>/     locked with flock(2) while it is in use
    /run/osupdate-fetch-<pid>-<random>/work the only place that is the child's user's

What is put into the home for the child stays its maker's, who may be root: another
process of the child's user can neither change it nor plant links before it is written.

A home whose owner was killed has no lock any more, and the next fetch deletes it.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator

from updater.errors import HostError
from updater.system import fs

WORK = "work"
_PREFIX = "osupdate-fetch-"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def private_home(user: tuple[int, int] | None) -> Iterator[str]:
    """A directory of this process's user, with `work` in it for the child's user.

    Its parents must be open to that user, which /var/lib/osupdate need not be.

    Args:
        user: (uid, gid), or None for this process's own.

    Raises:
        HostError: none could be made.
    """
    base = "/run" if os.access("/run", os.W_OK) else tempfile.gettempdir()
    _sweep(base)
    try:
        home, lock = _make(base)
    except OSError as error:
        raise fs.host_error(error, f"cannot make a directory in {base}") from error
    try:
        work = os.path.join(home, WORK)
        os.mkdir(work, 0o700)
        if user:
            os.chown(work, *user)
            os.chmod(home, 0o711)  # noqa: S103 - to reach `work`
        yield home
    finally:
        with contextlib.suppress(HostError):  # what is left is swept next time
            fs.remove_tree(home)
        os.close(lock)


def _make(base: str) -> tuple[str, int]:
    """A new directory and its lock; another one when somebody swept it in between."""
    while True:
        home = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=base)
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(home, _DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.isdir(home):
                return home, lock
            os.close(lock)


def _sweep(base: str) -> None:
    for name in os.listdir(base):
        if not name.startswith(_PREFIX):
            continue
        path = os.path.join(base, name)
        with contextlib.suppress(OSError, HostError):  # in use, or somebody else's
            fd = os.open(path, _DIRECTORY)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fs.remove_tree(path)
            finally:
                os.close(fd)
