"""What a fetching child is given: credentials, a home of its own, somebody to be."""

import contextlib
import os
import pwd
from collections.abc import Iterator

from updater.core.text import safe
from updater.core.urls import Location, parse_remote
from updater.errors import HostError
from updater.model import RemoteSettings
from updater.system.git import credentials, wire
from updater.system.git.failures import RejectedError
from updater.system.git.home import private_home

_USERS = ("_osupdate", "nobody")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextlib.contextmanager
def prepared(
    remote: RemoteSettings, *, allow_plain: bool, secrets_dir: str | None
) -> Iterator[wire.Request]:
    """A request with credentials and a private home, which goes away afterwards."""
    location = parse_remote(remote.url, allow_plain=allow_plain)
    given = credentials.load(remote, location, secrets_dir)
    proxy = credentials.check_proxy(remote.proxy, location)
    user = unprivileged_user()
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(private_home(user))
        repository = None
        if location.scheme == "file":
            repository = _open_local(location)
            stack.callback(os.close, repository)
        yield wire.Request(
            url=location.path if location.scheme == "file" else remote.url,
            home=home,
            parent=os.getpid(),
            user=user,
            proxy=proxy,
            repository=repository,
            credentials=given,
        )


def _open_local(location: Location) -> int:
    try:
        return os.open(location.path, _DIRECTORY)
    except OSError as error:
        raise RejectedError(
            f"cannot open the repository {safe(location.path, 200)}: {error.strerror}"
        ) from error


def unprivileged_user() -> tuple[int, int] | None:
    """Whom the child becomes: nobody in particular, when there is a choice.

    Raises:
        HostError: root has no choice.
    """
    if os.geteuid() != 0:
        return None
    for name in _USERS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    raise HostError(
        f"neither user {' nor user '.join(_USERS)} exists; fetching needs one of them"
    )
