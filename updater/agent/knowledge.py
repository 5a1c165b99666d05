"""The releases that a question is asked about: those known here, or of a repository.

Both answer alike, so that `log`, `when` and `notes` need not know which it is.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

from msgspec import Struct

from updater.agent import public, recall
from updater.agent.room import Room
from updater.core import chronicle, history
from updater.core.changes import Changes
from updater.core.chronicle import Known
from updater.errors import HostError, UntrustedError
from updater.model import CHANGES_PATH, ObjectId, Package, State

BRANCH = "refs/heads/releases"
_TAGS = "refs/tags/release/"
_CHANNELS = "refs/heads/channel/"


class Channel(Struct, frozen=True):
    """The releases that a channel had, and when that was; None: that is now."""

    releases: frozenset[ObjectId]
    at: int | None


class Knowledge(Protocol):
    """What is known of releases, newest first."""

    @property
    def name(self) -> str:
        """Of the channel or branch that they come from."""

    @property
    def releases(self) -> tuple[Known, ...]:
        """All of them, newest first."""

    @property
    def roles(self) -> dict[str, ObjectId]:
        """running, staged, previous, available -> commit."""

    @property
    def channels(self) -> Mapping[str, Channel]:
        """Those whose logs were read, by name."""

    def notes(self, release: Known) -> str | None:
        """notes.md; None when it is not known."""

    def packages(self, release: Known) -> tuple[Package, ...] | None:
        """The packages; None when they are not known."""

    def touched(self, release: Known, paths: Sequence[bytes]) -> bool | None:
        """Whether it changed one of the paths, or below; None when not known."""

    def paths(self, release: Known) -> Sequence[bytes] | None:
        """What it changed since its base, or parent; None when not known."""

    def changes(self, release: Known) -> Changes | None:
        """What changelogs say of it; None when nobody told."""

    def names(self, release: Known, cve: str) -> bool:
        """Whether its message, notes or changelogs name a vulnerability."""

    def brief(self, release: Known) -> tuple[str, ...]:
        """What it changes, a line and warnings; empty when no report was kept."""


class Here:
    """What this machine knows. It needs no privileges, and no libgit2."""

    def __init__(self, room: Room, state: State) -> None:
        self._seen = recall.store(room)
        self._layout = room.layout
        self.name = room.remote(state).channel
        self.channels = {
            name: Channel(frozenset(known.releases), known.at)
            for name, known in self._seen.channels().items()
        }
        self.releases = recall.releases(room, state)
        self.roles = recall.roles(room, state)

    def notes(self, release: Known) -> str | None:
        """notes.md; None when it is not known."""
        return self._seen.notes(release.commit)

    def packages(self, release: Known) -> tuple[Package, ...] | None:
        """The packages; None when they are not known."""
        return self._seen.packages(release.commit)

    def touched(self, release: Known, paths: Sequence[bytes]) -> bool | None:
        """Whether it changed one of the paths, or below; None when not known."""
        told = self._seen.paths(release.commit)
        if told is None:
            return None
        return any(is_among(path, told) for path in paths)

    def paths(self, release: Known) -> Sequence[bytes] | None:
        """What it changed since its base; None when not known."""
        told = self._seen.paths(release.commit)
        return None if told is None else told[1:].split(b"\0")[:-1]

    def changes(self, release: Known) -> Changes | None:
        """What changelogs say of it; None when nobody told."""
        return self._seen.changes(release.commit)

    def names(self, release: Known, cve: str) -> bool:
        """Whether its message, notes or changelogs name a vulnerability."""
        return cve in release.cves or self._seen.changes_name(release.commit, cve)

    def brief(self, release: Known) -> tuple[str, ...]:
        """What it changes, a line and warnings; empty when no report was kept."""
        base = release.base or self.roles.get("running", ObjectId(""))
        return public.read_brief(self._layout, base, release.commit)


class Repository:
    """A whole repository of releases: the publisher's, or any clone with history."""

    roles: dict[str, ObjectId]

    def __init__(self, path: str) -> None:
        from updater.system.git.reading import Reading  # noqa: PLC0415 - loads libgit2

        git = Reading(path)
        self.name = BRANCH.removeprefix("refs/heads/")
        self.roles = {}
        self._git = git
        self._read = git.objects.read
        tip = git.refs.get(BRANCH)
        if tip is None:
            raise HostError(f"{path} has no branch {self.name}: nothing was published")
        tags = {}
        for name, oid in git.refs.items():
            if name.startswith(_TAGS):
                tags[name.removeprefix(_TAGS)] = oid
        self._trees: dict[ObjectId, ObjectId] = {}
        found = []
        for commit in (tip, *history.ancestors(tip, self._read)):
            told = history.tell(commit, self._read)
            known = told.known
            tag = tags.get(known.version)
            if tag is not None:
                known = history.with_tag(known, tag, self._read)
            self._trees[commit] = told.tree
            found.append(known)
        self.releases = chronicle.newest_first(found)

    @cached_property
    def channels(self) -> Mapping[str, Channel]:
        """Those whose logs are here, by name; their words are not verified."""
        from updater.steps import heard  # noqa: PLC0415 - only `when` pays for it

        found = {}
        for name, tip in self._git.refs.items():
            if name.startswith(_CHANNELS):
                entries = heard.entries(tip, self._git.objects)
                commits = frozenset(one.tag.commit for one in entries)
                found[name.removeprefix(_CHANNELS)] = Channel(commits, None)
        return found

    def notes(self, release: Known) -> str | None:
        """notes.md; None when it has none."""
        return history.tell(release.commit, self._read).notes

    def packages(self, release: Known) -> tuple[Package, ...] | None:
        """The packages; None when it does not tell."""
        return history.packages_of(self._trees[release.commit], self._read)

    def touched(self, release: Known, paths: Sequence[bytes]) -> bool | None:
        """Whether it changed one of the paths, or below; None when not known."""
        new = self._trees[release.commit]
        if release.parent is None:
            return any(history.entry_at(new, path, self._read) for path in paths)
        old = self._trees.get(release.parent)
        if old is None:
            return None
        try:
            return any(history.touched(old, new, path, self._read) for path in paths)
        except (KeyError, UntrustedError):
            return None

    def paths(self, release: Known) -> Sequence[bytes] | None:
        """What it changed since its parent; None when not known."""
        old = self._trees.get(release.parent or ObjectId(""))
        if old is None:
            return None
        return history.changed_paths(old, self._trees[release.commit], self._read)

    def changes(self, release: Known) -> Changes | None:
        """What changelogs say of it; None when nobody told."""
        told = history.tell(release.commit, self._read).changes
        return None if told is None else chronicle.brought(told, None, release)

    def names(self, release: Known, cve: str) -> bool:
        """Whether its message, notes or changelogs name a vulnerability."""
        if cve in release.cves:
            return True
        data = history.content(self._trees[release.commit], CHANGES_PATH, self._read)
        if data is None or f'"{cve}"'.encode() not in data:
            return False
        told = self.changes(release)
        every = told.sources.values() if told else ()
        return any(cve in change.cves for found in every for change in found)

    def brief(self, release: Known) -> tuple[str, ...]:
        """Nothing: a repository keeps no reports."""
        del release
        return ()


def is_among(path: bytes, told: bytes) -> bool:
    """Whether a path, or what is below it, is among paths between NULs.

    A path that ends in a slash is a closed directory: anything in it may be meant.
    """
    if b"\0" + path + b"\0" in told or b"\0" + path + b"/" in told:
        return True
    parent = path.rpartition(b"/")[0]
    while parent:
        if b"\0" + parent + b"/\0" in told:
            return True
        parent = parent.rpartition(b"/")[0]
    return False
