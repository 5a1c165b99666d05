"""The channels of a repository as their logs tell them: what was offered, and when.

What is read here was signed by people who may say it; whether it still is, machines
check. A site only repeats it, and says so.
"""

from collections.abc import Sequence

from msgspec import Struct

from updater.core import channel, commits
from updater.model import Entry, Mark, ObjectId
from updater.system.git.publishing import Repository

_HEADS = "refs/heads/"
MOST = 10_000  # entries of a log; it is linear, and a machine reads its tip alone


class Offered(Struct, frozen=True):
    """A release that a channel began to offer, in seconds."""

    version: str
    since: int


class Channel(Struct, frozen=True):
    """A channel: its newest entry, and its releases, newest first."""

    name: str
    entry: Entry
    offered: tuple[Offered, ...]

    def since(self, version: str) -> int | None:
        """When a release was offered last; None when it never was."""
        found = (one.since for one in self.offered if one.version == version)
        return next(found, None)

    def withdrawn(self, number: int) -> Mark | None:
        """Why nobody is to take a release any more."""
        return next((m for m in self.entry.withdrawn if m.number == number), None)


def find(repository: Repository) -> tuple[Channel, ...]:
    """Every channel of the repository, by name.

    Raises:
        UntrustedError: C5: an entry is not what it should be.
    """
    prefix = _HEADS + channel.BRANCH
    return tuple(
        _read(repository, ref.removeprefix(prefix), tip)
        for ref, tip in sorted(repository.refs().items())
        if ref.startswith(prefix)
    )


def _read(repository: Repository, name: str, tip: ObjectId) -> Channel:
    entries: list[Entry] = []
    at: ObjectId | None = tip
    while at is not None and at in repository.objects and len(entries) < MOST:
        commit = commits.parse(repository.objects.read(at)[1])
        data = repository.read(commit.tree, channel.FILE) or b""
        entries.append(channel.parse(data))
        at = commit.parents[0] if commit.parents else None
    channel.check_content(entries[0], name, None)
    return Channel(name, entries[0], _offered(entries))


def _offered(entries: Sequence[Entry]) -> tuple[Offered, ...]:
    """Where the offer changed; a refresh, a pause or a rollout offers nothing new."""
    found: list[Offered] = []
    for entry in reversed(entries):
        if not found or found[-1].version != entry.release:
            found.append(Offered(entry.release, entry.created))
    return tuple(reversed(found))
