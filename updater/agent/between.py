"""Comparing what is here: which two releases a person means, and how they differ."""

import os
from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from updater.agent import public
from updater.agent.room import Room
from updater.agent.sides import Deployed, Library, Named
from updater.core import commits, machine, names
from updater.core.treediff import Browser
from updater.errors import RefusedError, UsageError
from updater.model import Download, Offer, Record, Release, State
from updater.report import compare, patch, redact
from updater.report.diff import Report, Side
from updater.report.snapshot import Blobs, Snapshot
from updater.system.git.objects import Objects
from updater.system.git.textdiff import hunks

OFFERED = ("offered", "available")
_HEX = set("0123456789abcdef")


class Asked(Struct, frozen=True):
    """What a person wants to see compared; None is what is most likely meant.

    `local`: what this machine changed, instead of another release.
    """

    left: str | None = None
    right: str | None = None
    paths: Sequence[bytes] = ()
    local: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """The same, as it is typed."""
        if self.local:
            return ("--local",)
        if self.right is not None:
            return (f"{self.left or ''}..{self.right}",)
        return () if self.left is None else (self.left,)


class Compared(Struct, frozen=True):
    """A report, and the two sides of it while their content is at hand."""

    report: Report
    old: Snapshot | None
    new: Snapshot | None

    def for_everybody(self) -> Report:
        """The report without what only root may read."""
        closed = redact.closed_directories((self.old, self.new))
        return redact.redact(self.report, closed)

    def patch(self) -> Iterator[bytes]:
        """The content of what differs, as a patch.

        Raises:
            RefusedError: only root may see content.
        """
        if self.new is None:
            raise RefusedError(
                "only root can see what differs inside files",
                hint="sudo osupdate diff --patch",
            )
        return patch.lines(self.report, self.old, self.new, hunks)


def diff(room: Room, state: State, asked: Asked) -> Compared:
    """What changes between two releases that are here, or what was changed here.

    Raises:
        UsageError: one of them is not, or there is only one.
        RefusedError: only root may see it.
    """
    closed = not os.access(room.layout.repository, os.X_OK)
    library = Library(room, state)
    if asked.local:
        if closed:
            raise RefusedError(
                "only root can compare this machine with its release",
                hint="sudo osupdate diff --local",
            )
        return _local(room, state, asked, library)
    old, new = _pair(room, state, asked, library, closed=closed)
    if closed and old is not None:
        report = public.read_report(room.layout, old.side.commit, new.side.commit)
        return Compared(redact.narrow(report, asked.paths), None, None)
    since = 0 if old is None or old.record is None else old.record.number
    after = _snapshot(room, state.offer, library, new, since)
    before = None if old is None else _snapshot(room, state.offer, library, old, 0)
    report = compare.compare(
        before,
        after,
        paths=asked.paths,
        is_local=is_local(room, library, old),
        asked=asked.words,
    )
    return Compared(report, before, after)


def _snapshot(
    room: Room, offer: Offer | None, library: Library, named: Named, since: int
) -> Snapshot:
    """A release to compare: itself, or else what its channel tells."""
    if not named.heard or offer is None:
        return library.snapshot(named)
    from updater.agent import heard  # noqa: PLC0415 - what is here does without it

    found = heard.snapshot(room, offer, since)
    if found is None:
        raise _not_downloaded()
    return found


def release_report(
    room: Room, state: State, release: Release, objects: Objects, received: int
) -> Compared:
    """What changes from what runs to a release that is not laid out yet."""
    library = Library(room, state)
    side = Side("", release.version, release.commit, release.created)
    tree = Browser(release.tree, objects.read_tree)
    content = Blobs(objects.read_blob, objects.sizes({}))
    new = Snapshot(side, tree, release.metadata, content)
    running = room.running(state)
    return _with_running(room, library, running, new, received)


def kept_report(room: Room, state: State, target: Record) -> Compared:
    """What changes from what runs to a release that is laid out already.

    Raises:
        HostError: its commit is not here.
    """
    library = Library(room, state)
    new = library.snapshot(Named(_side("", target), target))
    return _with_running(room, library, room.running(state), new, None)


def offered_report(room: Room, state: State, offer: Offer) -> Compared:
    """What changes from what runs to what is offered, as its channel tells.

    Raises:
        UsageError: its channel does not tell.
    """
    library, running = Library(room, state), room.running(state)
    since = running.number if running else 0
    new = _snapshot(room, offer, library, _heard(offer), since)
    return _with_running(room, library, running, new, None)


def _with_running(
    room: Room,
    library: Library,
    running: Record | None,
    new: Snapshot,
    received: int | None,
) -> Compared:
    if running is None or running.commit not in library.objects:
        return Compared(compare.compare(None, new, download=received), None, new)
    named = Named(_side("running", running), running)
    old = library.snapshot(named)
    report = compare.compare(
        old, new, download=received, is_local=is_local(room, library, named)
    )
    return Compared(report, old, new)


def _local(room: Room, state: State, asked: Asked, library: Library) -> Compared:
    from updater.agent import local  # noqa: PLC0415 - no other comparison pays for it

    record = room.running(state)
    if asked.left is not None and asked.right is None:
        found = names.find_record(state, room.booted(), asked.left)
        record = names.require(found, asked.left, state.deployments)
    if record is None or asked.right is not None:
        raise UsageError("--local compares one release that is laid out here")
    release, here, problems = local.snapshot(room, record, library)
    report = compare.compare(
        release, here, paths=asked.paths, asked=asked.words, local=True
    )
    found_problems = (*report.problems, *problems)
    return Compared(replace(report, problems=found_problems), release, here)


def is_local(room: Room, library: Library, old: Named | None) -> compare.IsLocal:
    """Whether the file of what runs is not its release's any more."""
    if old is None or old.record is None or old.record.id != room.booted():
        return compare.nobody_knows
    return Deployed(library, room, old.record).is_changed


def _pair(
    room: Room, state: State, asked: Asked, library: Library, *, closed: bool
) -> tuple[Named | None, Named]:
    left, right = asked.left, asked.right
    if left is None and right is None:
        return _usual(room, state)

    def named(wanted: str) -> Named:
        return _named(room, state, library, wanted, closed=closed)

    running = room.running(state)
    before = None if running is None else Named(_side("running", running), running)
    if right is None:
        assert left is not None
        return before, named(left)
    return (before if left is None else named(left)), named(right)


def _usual(room: Room, state: State) -> tuple[Named | None, Named]:
    """From what runs to what is to come; else from what ran before to what runs."""
    running = room.running(state)
    now = None if running is None else Named(_side("running", running), running)
    if target := machine.find(state, state.target):
        return now, Named(_side(_role(room, state, target), target), target)
    if state.download and _is_here(room, state.download):
        return now, _downloaded(state.download)
    if now is not None and _is_news(room, state):
        assert state.offer is not None
        return now, _heard(state.offer)
    booted = room.booted()
    before = machine.find(state, state.previous) or machine.previous(state, booted)
    if now is None or before is None:
        if state.offer is not None:
            raise _not_downloaded()
        raise UsageError(
            "there is only one release here: nothing to compare it with",
            hint="To see what the channel offers: osupdate apply --dry-run",
        )
    return Named(_side("", before), before), now


def _named(
    room: Room, state: State, library: Library, wanted: str, *, closed: bool
) -> Named:
    download = state.download
    if download and _is_here(room, download) and _is_called(download.offer, wanted):
        return _downloaded(download)
    record = names.find_record(state, room.booted(), wanted)
    if record is not None:
        return Named(_side(_role(room, state, record), record), record)
    told = state.offer
    if told is not None and told.entry is not None and _is_called(told, wanted):
        return _heard(told)
    if wanted in OFFERED:
        raise _not_downloaded()
    if not closed and (found := _commit(library, wanted)):
        return found
    names.require(None, wanted, state.deployments)
    raise AssertionError(wanted)


def _is_called(offer: Offer, wanted: str) -> bool:
    return wanted in (*OFFERED, offer.version, offer.commit, offer.tag_name)


def _commit(library: Library, wanted: str) -> Named | None:
    """A commit that is kept although nothing here is laid out from it."""
    if len(wanted) < names.LEAST_COMMIT or not set(wanted.lower()) <= _HEX:
        return None
    oid = library.objects.find(wanted.lower())
    if oid is None or library.objects.header(oid)[0] != "commit":
        return None
    committed = commits.parse(library.objects.read(oid)[1]).committed
    return Named(Side("", oid[: names.LEAST_COMMIT], oid, committed))


def _downloaded(download: Download) -> Named:
    """Its time is in the commit, which is read when it is compared."""
    offer = download.offer
    return Named(Side("available", offer.version or offer.commit[:7], offer.commit, 0))


def _heard(offer: Offer) -> Named:
    version = offer.version or offer.commit[:7]
    return Named(Side("available", version, offer.commit, 0), heard=True)


def _is_news(room: Room, state: State) -> bool:
    """Whether the channel told of a release that is newer than what runs."""
    offer, running = state.offer, room.running(state)
    if offer is None or offer.entry is None or running is None:
        return False
    return offer.number is not None and offer.number > running.number


def _side(role: str, record: Record) -> Side:
    return Side(role, record.version, record.commit, record.created)


def _not_downloaded() -> UsageError:
    return UsageError(
        "what the channel offers is not downloaded yet: its content is unknown",
        hint="Download and verify it: osupdate apply --download-only",
    )


def _is_here(room: Room, download: Download) -> bool:
    return os.path.isdir(room.layout.download(download))


def _role(room: Room, state: State, record: Record) -> str:
    if record.id == room.booted():
        return "running"
    return "staged" if record.id == state.target else ""
