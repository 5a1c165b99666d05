"""channels.git: the logs of channels, and of trust, with all of their history.

A bare repository without refs, which stock git reads: what was accepted is in
state.json, and `git --git-dir=channels.git log -p <that commit>` shows it. Packs come
from the fetching child; libgit2 holds every object that is read to its id.
"""

import gc
import os
from collections.abc import Sequence

import pygit2

from updater.model import ObjectId
from updater.system import fs
from updater.system.git.objects import configure

MAX_PACKS = 24  # with more, `repack` makes one of them
_CONFIG = b"[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
_HEAD = b"ref: refs/heads/none\n"
_PACK = (".pack", ".idx")


class LogStore:
    """channels.git at `path`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.objects = os.path.join(path, "objects")
        self._packs = os.path.join(self.objects, "pack")

    def make(self) -> None:
        """Create what is missing, and delete what an interrupted run left.

        Raises:
            HostError.
        """
        fs.make_directories(self._packs, 0o755)
        os.chmod(self._path, 0o700)
        fs.make_directories(os.path.join(self._path, "refs"), 0o755)
        for name, content in (("HEAD", _HEAD), ("config", _CONFIG)):
            if not os.path.exists(os.path.join(self._path, name)):
                fs.write_durably(os.path.join(self._path, name), content)
        names = set(os.listdir(self._packs))
        for name in names:
            stem, kind = os.path.splitext(name)
            if kind not in _PACK or not {stem + end for end in _PACK} <= names:
                fs.remove_tree(os.path.join(self._packs, name))

    def set_aside(self) -> None:
        """Move a broken repository out of the way, and begin an empty one."""
        aside = f"{self._path}.broken"
        fs.remove_tree(aside)
        fs.rename(self._path, aside)
        gc.collect()  # libgit2 knows packs by path while anybody has them open
        self.make()

    def adopt(self, incoming: str) -> None:
        """Copy the packs of a download whose content passed its checks.

        Raises:
            HostError.
        """
        directory = os.path.join(incoming, "pack")
        if not os.path.isdir(directory):
            return
        # An index is what makes a pack seen, and sorts before it.
        for name in sorted(os.listdir(directory), reverse=True):
            target = os.path.join(self._packs, name)
            if not os.path.exists(target):
                with open(os.path.join(directory, name), "rb") as file:
                    fs.write_durably(target, file.read(), 0o644)

    def repack(self, tips: Sequence[ObjectId]) -> None:
        """Make one pack of many, with deltas, and leave out what no tip needs."""
        old = set(os.listdir(self._packs)) if os.path.isdir(self._packs) else set()
        if len(old) <= 2 * MAX_PACKS:
            return
        configure()
        repository = pygit2.Repository(self._path)
        builder = pygit2.PackBuilder(repository)
        seen: set[str] = set()
        for tip in tips:
            if tip not in repository:
                continue  # accepted, and lost since; the next check brings it
            for commit in repository.walk(pygit2.Oid(hex=tip)):
                if str(commit.id) not in seen:
                    seen.add(str(commit.id))
                    builder.add_recur(commit.id)
        builder.write(self._packs)
        fs.fsync_dir(self._packs)
        if set(os.listdir(self._packs)) - old:
            for name in sorted(old):
                fs.remove_tree(os.path.join(self._packs, name))
            fs.fsync_dir(self._packs)
