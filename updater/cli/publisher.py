"""What the verbs of publishers need of the environment: a cache, a key, an agent."""

import os

from updater.errors import HostError

_CACHE = "/var/cache"


def cache() -> str:
    """Where indexes and copies of remotes are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    base = _CACHE if os.geteuid() == 0 else home
    return os.path.join(base, "osupdate", "publish")


def key(path: str) -> str:
    """The path of a key that exists.

    Raises:
        HostError.
    """
    if not os.path.isfile(path):
        raise HostError(f"there is no key {path}")
    return path


def agent() -> str | None:
    """The socket of an ssh-agent."""
    return os.environ.get("SSH_AUTH_SOCK")
