"""Where a release goes: the repository, and the release that is its newest now."""

import contextlib
import os
from collections.abc import Callable

from msgspec import Struct

from updater.core import release_toml
from updater.core.index import Index, from_bytes
from updater.core.release_toml import ReleaseToml
from updater.core.text import plural, safe
from updater.errors import HostError, RefusedError
from updater.model import NOTES_PATH, RELEASE_TOML_PATH, ObjectId
from updater.publish.place import Place, digest
from updater.system import fs
from updater.system.git.publishing import BRANCH, TAGS, Repository

MANY_TAGS = 300  # protocol v0 sends every ref to every machine at every check


class Previous(Struct, frozen=True):
    """The newest release of a repository."""

    commit: ObjectId
    tree: ObjectId
    release: ReleaseToml


class Target(Place):
    """A repository to publish releases to.

    Attributes:
        previous: its newest release, or None.
    """

    def __init__(self, repo: str, cache: str) -> None:
        super().__init__(repo, cache)
        if self._remote is not None and self.bring(BRANCH) is None:
            self.repository.set_ref(BRANCH, None)
        self.previous = _previous(self.repository, self.refs.get(BRANCH), self.name)

    def announce(
        self,
        tag_ref: str,
        tag: ObjectId,
        commit: ObjectId,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Make a release visible: its tag first, the branch last, nothing overwritten.

        Raises:
            BusyError: the branch moved meanwhile.
            RefusedError, TransportError: the remote did not take it.
        """
        if self._remote is not None:
            self._remote.push({tag_ref: tag, BRANCH: commit}, progress)
            self.repository.set_ref(tag_ref, tag)
            self.repository.set_ref(BRANCH, commit)
            return
        if self.refs.get(tag_ref) != tag:
            self.repository.create_ref(tag_ref, tag)
        old = self.previous.commit if self.previous else None
        self.repository.move_ref(BRANCH, old, commit)

    def notices(self) -> list[str]:
        """What a publisher should know about the repository."""
        count = sum(name.startswith(TAGS) for name in self.refs) + 1
        if count <= MANY_TAGS:
            return []
        return [
            f"{self.name} has {plural(count, 'tag')}; every check of every machine "
            "receives the whole list. Delete tags of releases that no machine needs."
        ]

    def index_path(self, rootfs: str) -> str:
        """Where the index of a root filesystem is kept for this target."""
        return os.path.join(self._cache, f"{digest(os.path.abspath(rootfs))}.index")


def load_index(path: str, device: int) -> Index | None:
    """The index of the run before; a damaged one is no index."""
    with contextlib.suppress(FileNotFoundError, HostError):
        with open(path, "rb") as file:
            index = from_bytes(file.read())
        return index if index.device == device else None
    return None


def filesystem_clock(directory: str) -> int:
    """The time that a file written now gets, in nanoseconds."""
    path = os.path.join(directory, "clock")
    fs.write_durably(path, b"")
    return os.stat(path).st_mtime_ns


def statements_of(repository: Repository, tree: ObjectId) -> dict[bytes, bytes]:
    """The content of the two files that differ between equal releases."""
    found = {}
    for path in (RELEASE_TOML_PATH, NOTES_PATH):
        data = repository.read(tree, path)
        if data is not None:
            found[path] = data
    return found


def _previous(
    repository: Repository, tip: ObjectId | None, name: str
) -> Previous | None:
    if tip is None:
        return None
    tree, _ = repository.commit(tip)
    data = repository.read(tree, RELEASE_TOML_PATH)
    if data is None:
        raise RefusedError(
            f"the tip of {BRANCH} in {name} is not a release: it has no "
            f"/{safe(RELEASE_TOML_PATH)}",
            hint="Publish to a repository of its own.",
        )
    return Previous(tip, tree, release_toml.parse(data))
