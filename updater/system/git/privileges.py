"""Gives up root for good, in the child, after its modules are loaded.

Not before the start: a Python below somebody's home could then not be read. Until here
the child has seen no byte from outside.
"""

import ctypes
import os
import signal

from updater.errors import HostError

_PR_SET_PDEATHSIG = 1


def drop(user: tuple[int, int] | None, parent: int) -> None:
    """Become (uid, gid) without any other group; None when nothing is to be given up.

    Args:
        user: whom to become.
        parent: its process id; when it dies, we do.

    Raises:
        HostError: this process could still act as root.
    """
    if user is not None:
        uid, gid = user
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        if 0 in os.getresuid() + os.getresgid():
            raise HostError("the fetching process could not give up root")
    # The kernel forgets this when credentials change.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise HostError("osupdate has ended")
