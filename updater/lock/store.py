"""Where the reboot lock is kept: one Protocol, so that the service does not care."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from updater.core.batch import Job
from updater.core.fleet import Answer, Entry, Group, Kind, Node
from updater.core.text import safe
from updater.errors import HostError


class StoreError(HostError):
    """The store cannot be read or written now. Nothing was granted or released."""


class Trouble(Struct, frozen=True):
    """Since when a store fails, and why."""

    since: int
    reason: str


class Line(Struct, frozen=True):
    """An entry of the ledger and its place in it; `seq` only grows."""

    seq: int
    entry: Entry


class View(Struct, frozen=True):
    """Everything that can be looked at: groups by name, and their nodes by id."""

    groups: Mapping[str, Group]
    nodes: Mapping[str, Mapping[str, Node]]


class Store(Protocol):
    """Keeps groups, nodes and the ledger.

    `batch` is how many jobs one change may hold; `alone` whether no other service may
    use it at the same time.
    """

    batch: int
    alone: bool

    async def open(self) -> None:
        """Make it ready.

        Raises:
            StoreError, BusyError.
        """

    async def close(self) -> None:
        """Let go of it."""

    async def run(
        self, group: str, jobs: Sequence[Job], *, create: bool = False
    ) -> Sequence[Answer]:
        """Apply jobs to a group, durably, all or none of them.

        Returns:
            An answer for each; unknown_group when there is none and `create` is not
            set.

        Raises:
            StoreError: no job has happened, or a repeated one will show that it did.
        """

    async def view(self) -> View:
        """What there is, at most a second old.

        Raises:
            StoreError.
        """

    async def log(self, *, after: int | None = None, limit: int) -> list[Line]:
        """Entries of the ledger in their order: the last ones, or those behind `after`.

        Raises:
            StoreError.
        """


def unknown_group(name: str) -> Answer:
    """The answer to who asks for a group that does not exist."""
    return Answer(
        Kind.UNKNOWN_GROUP,
        f'there is no group "{safe(name, 100)}"; an administrator makes one with: '
        "osupdate lock slots GROUP N",
    )
