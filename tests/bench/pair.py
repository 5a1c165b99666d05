"""The pair of root filesystems that everything is measured on."""

import filecmp
import os
import stat
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
CACHED = ROOT / ".cache" / "debian-pair"

LEFT_OUT = ("dev", "proc", "run", "sys", "tmp", "var/tmp", "var/log", "var/cache/apt")
LEFT_OUT += ("var/lib/apt/lists", "var/cache/man", "var/cache/ldconfig")
"""What `osupdate publish` leaves out by itself; the peers are told to."""


class Pair(NamedTuple):
    """Two root filesystems, the older one first, and what they are like.

    Attributes:
        old: of the first release.
        new: of the update.
        files: files and symlinks of `new`.
        size: bytes in them.
        changed: files of `new` that `old` does not have just so.
        largest: bytes of the largest file of both.
    """

    old: Path
    new: Path
    files: int
    size: int
    changed: int
    largest: int


def find(given=None):
    """The pair below a directory, in the order of names; None is the cached one.

    Raises:
        SystemExit: there are not just two.
    """
    if given is None and not (CACHED / "with-updates/var/lib/dpkg/status").exists():
        script = ROOT / "fixtures/debian-pair.sh"
        subprocess.run([script, CACHED], check=True)
    place = Path(given or CACHED)
    trees = sorted(path for path in place.iterdir() if (path / "usr").is_dir())
    if len(trees) != 2:
        raise SystemExit(f"{place} has {len(trees)} root filesystems; expected two")
    old, new = (facts(path) for path in trees)
    return Pair(
        *trees,
        files=len(new),
        size=sum(size for size, _ in new.values()),
        changed=sum(not _same(trees, path, old, new) for path in new),
        largest=max(size for found in (old, new) for size, _ in found.values()),
    )


def facts(root):
    """Size and mode of each file and symlink that a release has."""
    found = {}
    for directory, names, files in os.walk(root):
        inside = os.path.relpath(directory, root)
        names[:] = [
            n for n in names if os.path.normpath(f"{inside}/{n}") not in LEFT_OUT
        ]
        for name in files + names:
            path = os.path.normpath(f"{inside}/{name}")
            status = os.lstat(f"{root}/{path}")
            if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                found[path] = (status.st_size, status.st_mode)
    return found


def _same(trees, path, old, new):
    if old.get(path) != new[path]:
        return False
    left, right = (tree / path for tree in trees)
    if left.is_symlink():
        return left.readlink() == right.readlink()
    return filecmp.cmp(left, right, shallow=False)
