"""What the channel tells of releases that are not here: offline, after a check."""

import itertools
from typing import TYPE_CHECKING

from updater.agent import public, recall
from updater.agent.room import Room
from updater.core import channel
from updater.errors import OsupdateError
from updater.model import Accepted, ObjectId, Offer, State
from updater.steps import heard
from updater.steps.heard import Heard
from updater.system.git.logs import LogStore
from updater.system.git.objects import Objects, open_objects
from updater.system.seen import LIMIT

if TYPE_CHECKING:
    from updater.report.snapshot import Snapshot


def note(room: Room, state: State) -> None:
    """Remember what the channel said of its releases, and what the offer changes.

    It cannot fail a check: what is not remembered is only told of less.
    """
    log = room.accepted(state)
    if log is None:
        return
    try:
        objects = _objects(room)
        _remember(room, log, objects)
        offer, running = state.offer, room.running(state)
        if offer is None or running is None or offer.commit == running.commit:
            return
        if not public.read_brief(room.layout, running.commit, offer.commit):
            from updater.agent import between  # noqa: PLC0415 - once an offer

            compared = between.offered_report(room, state, offer)
            public.show_report(room.layout, compared.for_everybody())
    except (OsupdateError, KeyError, OSError) as error:
        room.watcher.notice(f"What the channel tells is not remembered: {error}")


def _objects(room: Room) -> Objects:
    return open_objects([LogStore(room.layout.channels).objects])


def snapshot(room: Room, offer: Offer, since: int) -> "Snapshot | None":
    """A release as its channel tells it; None when no entry here does.

    Args:
        room: this machine.
        offer: what the channel proposed.
        since: the number after which changelogs are told.

    Raises:
        UntrustedError: it is not what its formats say.
    """
    from updater.report.snapshot import from_metadata  # noqa: PLC0415 - check is quick

    objects = _objects(room)
    told = heard.that_tells(offer, objects)
    if told is None:
        return None
    return from_metadata(
        "available",
        offer.commit,
        files=heard.content(told, b"files", objects),
        manifest=heard.content(told, b"manifest", objects),
        release=heard.content(told, b"release.toml", objects),
        packages=heard.content(told, b"packages.json", objects) or b"[]",
        changes=heard.changes_since(told, since, objects),
    )


def _remember(room: Room, log: Accepted, objects: Objects) -> None:
    """Every release of a channel's log that is not remembered yet."""
    seen = recall.store(room)
    known = seen.channels().get(log.channel)
    if known is not None and known.tip == log.tip:
        return
    there = seen.commits()
    listed = _releases(log.tip, objects)
    commits = [one.tag.commit for one in listed]
    for place, one in enumerate(listed):
        if one.tag.commit in there:
            continue
        room.watcher.progress(place, len(listed), "releases")
        before = commits[place + 1] if place + 1 < len(commits) else None
        told = heard.known(one, before, objects, verified=one.commit == log.tip)
        number = listed[place + 1].tag.number if before else one.tag.number - 1
        seen.add(
            told,
            heard.notes_of(one, objects),
            heard.packages_of(one, objects),
            heard.changes_since(one, number, objects),
            None,
        )
    seen.set_channel(log.channel, log.tip, commits, log.at)


def _releases(tip: ObjectId, objects: Objects) -> list[Heard]:
    """The newest entry of each release, newest first; not more than are remembered."""
    found: dict[ObjectId, Heard] = {}
    for one in itertools.islice(heard.entries(tip, objects), channel.MAX_FILES):
        found.setdefault(one.tag.commit, one)
        if len(found) == LIMIT // 2:
            break
    return list(found.values())
