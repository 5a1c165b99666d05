"""The directory that the fetching child fills: empty before it, looked at after it."""

import os
import re
import stat

from updater.errors import UntrustedError
from updater.system import fs

_PACK = re.compile(r"pack-[0-9a-f]{40}\.(pack|idx)\Z")


def empty_store(unfinished: str) -> None:
    """A directory that the child may fill, below one that only we may enter."""
    fs.remove_tree(unfinished)
    objects = os.path.join(unfinished, "objects")
    try:
        os.mkdir(unfinished, 0o700)
        os.mkdir(objects, 0o755)
    except OSError as error:
        raise fs.host_error(error, f"cannot create {objects}") from error


def has_packs(objects: str) -> bool:
    """The child was exposed to hostile bytes: it may have left packs, nothing else.

    Returns:
        Whether there are any.
    """
    left = os.listdir(objects)
    if not left:
        return False
    for name in left:
        if name != "pack":
            raise _unexpected(name)
    pack = os.path.join(objects, "pack")
    if not stat.S_ISDIR(os.lstat(pack).st_mode):
        raise _unexpected("pack")
    names = os.listdir(pack)
    for name in names:
        facts = os.lstat(os.path.join(pack, name))
        whole = stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1
        if not _PACK.match(name) or not whole:
            raise _unexpected(f"pack/{name}")
    return bool(names)


def _unexpected(name: str) -> UntrustedError:
    return UntrustedError(
        "F1", f"the fetching process left {name!r} behind; expected packs only"
    )
