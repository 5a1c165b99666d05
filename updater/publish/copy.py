"""Where a repository that was published to is on this machine."""

import os

from updater.errors import RefusedError
from updater.publish.place import cache_for
from updater.system.git.publishing import redact


def local_path(base: str, repo: str) -> str:
    """The repository on this machine: a directory itself, or the copy of a remote.

    Args:
        base: where a publisher keeps copies.
        repo: a directory or URL, as `publish --repo` takes it.

    Raises:
        RefusedError: nothing was published to that URL from here.
    """
    path = repo.removeprefix("file://")
    if "://" not in path:
        return path
    copy = os.path.join(cache_for(base, repo), "copy.git")
    if not os.path.isdir(copy):
        raise RefusedError(
            f"there is no copy of {redact(repo)} here",
            hint="Clone it, and name the clone: git clone --bare URL DIR",
        )
    return copy
