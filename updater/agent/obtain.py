"""Getting a release: download and verify. Nothing is believed before `verify`."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from msgspec.structs import replace

from updater.agent import look
from updater.agent.room import Room, Surveyed, directories, links_of, sizes_of
from updater.core import commits, policy, statements
from updater.core.plan import own_blobs
from updater.core.text import plural, safe, show_path, size
from updater.errors import ConfigError, HostError, NoSpaceError, UntrustedError
from updater.model import (
    Candidate,
    ObjectId,
    Offer,
    Progress,
    Release,
    State,
    TrustMode,
)
from updater.steps.fetch import fetch
from updater.steps.verify import verify
from updater.system import fs, signature
from updater.system.git.child import FetchLimits, ObjectSources
from updater.system.git.failures import TooLargeError
from updater.system.git.keeper import Keeper, Kept
from updater.system.git.objects import DeploymentBlobs, Objects, open_objects

RESERVE = 16 << 20  # bytes that a download leaves free
LEAST_FREE = 64 << 20  # bytes without which no download is begun
_NAMED = 3  # paths in a sentence


def download(
    room: Room,
    state: State,
    offer: Offer,
    surveyed: Sequence[Surveyed],
    *,
    complete: bool,
) -> Candidate:
    """Fetch an offer, unless its bytes are here already.

    Args:
        room: this machine.
        state: as saved.
        offer: what to fetch.
        surveyed: what a difference can build on.
        complete: fetch everything anew.

    Raises:
        NoSpaceError, TransportError, UntrustedError, HostError.
    """
    room.watcher.stage(2, room.stages, "fetch")
    here = _downloaded(room, state, offer)
    if here is not None and not complete:
        room.watcher.done("here already")
        return here
    sources = ObjectSources()
    if not complete:
        if offer.commit in look.open_kept(room):
            # libgit2 does not ask for a commit that it finds, complete or not.
            prune(room, state)
        sources = _sources(room, surveyed)
    limits = FetchLimits(size=_room_for_download(room, state))
    started = room.now()
    try:
        candidate = fetch(
            offer,
            room.remote(state),
            sources,
            room.layout.incoming,
            limits,
            _progress(room),
            allow_plain=room.allow_plain,
            announce=room.watcher.notice,
            sleep=room.sleep,
            secrets_dir=room.secrets,
        )
    except TooLargeError as error:
        raise _out_of_room(room, limits, error) from error
    took = max(1, room.now() - started)
    speed = size(candidate.received // took)
    room.watcher.done(f"{size(candidate.received)} in {took}s ({speed}/s)")
    return candidate


def require_judge(room: Room) -> None:
    """Refuse to fetch what nobody here could decide on afterwards.

    Raises:
        ConfigError: a trusted key is missing, a trust file malformed, or pinned keys
            would not be asked.
        HostError: ssh-keygen is missing.
    """
    pinned = f"{signature.PINNED}/release"
    if room.mode is not TrustMode.UNSIGNED:
        signature.load_role(room.layout.root, "release")
        signature.require_program()
    elif os.path.exists(room.layout.below(pinned)):
        raise ConfigError(
            f'trust.mode is "unsigned", but /{pinned} says whose signatures count',
            hint='Remove that file, or set trust.mode to "tag" or "signed".',
        )


def _progress(room: Room) -> Callable[[Progress], None]:
    def show(step: Progress) -> None:
        if step.phase == "receiving":
            room.watcher.progress(step.received, None, "bytes")
        else:
            room.watcher.progress(step.indexed, step.total or None, "objects")

    return show


def _out_of_room(
    room: Room, limits: FetchLimits, error: TooLargeError
) -> NoSpaceError | TooLargeError:
    """The limit was the disk's, or everybody's."""
    if limits == FetchLimits():
        return error
    return NoSpaceError(
        f"the download needs more than the {size(limits.size)} that it may take of the "
        f"{size(fs.free_bytes(room.layout.incoming))} free in {room.layout.incoming}",
        hint="Free some: osupdate gc",
    )


def _downloaded(room: Room, state: State, offer: Offer) -> Candidate | None:
    if state.download is None or state.download.offer.commit != offer.commit:
        return None
    objects = room.layout.download(state.download)
    return Candidate(offer, objects) if os.path.isdir(objects) else None


def _sources(room: Room, surveyed: Sequence[Surveyed]) -> ObjectSources:
    """What a fetch may build on: releases of which every blob is here unchanged."""
    keeper = Keeper(room.layout.repository)
    stored = open_objects([keeper.objects])
    present = {row.oid for one in surveyed for row in one.rows.values()}
    haves: list[ObjectId] = []
    for one in surveyed:
        if one.record.commit not in stored:
            continue
        lost = [
            change.path
            for change in one.changes
            if (oid := one.index.rows[change.path].oid) not in present
            and ObjectId(oid.hex()) not in stored
        ]
        if not lost:
            haves.append(one.record.commit)
            continue
        room.watcher.notice(
            f"{plural(len(lost), 'file')} of {safe(one.record.version)} changed here "
            f"({_some(lost)}), so the download cannot build on it and may be complete: "
            f"about {size(one.record.size)} before compression"
        )
    return ObjectSources(
        haves=tuple(dict.fromkeys(haves)),
        directories=(keeper.objects,),
        deployments=tuple((one.path, one.index_path) for one in surveyed),
    )


def _room_for_download(room: Room, state: State) -> int:
    largest = max((record.size for record in state.deployments), default=0)
    needed = max(LEAST_FREE, largest // 20)
    free = free_with_spare(room, room.layout.incoming, needed)
    if free < needed:
        raise NoSpaceError(
            f"a download needs at least {size(needed)} free in {room.layout.incoming}; "
            f"{size(free)} are",
            hint="Free some: osupdate gc",
        )
    return min(FetchLimits().size, free - RESERVE)


def free_with_spare(room: Room, place: str, needed: int) -> int:
    """Bytes free at a place; the spare directories go where they are too few."""
    free = fs.free_bytes(place)
    if free < needed and os.path.isdir(room.layout.spare):
        with suppress(HostError):
            fs.remove_tree(room.layout.spare)
        free = fs.free_bytes(place)
    return free


@contextmanager
def opened(
    room: Room, candidate: Candidate, surveyed: Sequence[Surveyed]
) -> Iterator[Objects]:
    """Everything that is here and the download, as one database."""
    keeper = Keeper(room.layout.repository)
    logs = os.path.join(room.layout.channels, "objects")
    stores = [keeper.objects, *([candidate.objects] if candidate.objects else [])]
    if candidate.offer.entry is not None and os.path.isdir(logs):
        stores.append(logs)
    with directories([one.path for one in surveyed]) as fds:
        sources = [
            DeploymentBlobs(fd, one.rows) for fd, one in zip(fds, surveyed, strict=True)
        ]
        yield open_objects(stores, sources)


def check_release(
    room: Room,
    state: State,
    candidate: Candidate,
    objects: Objects,
    surveyed: Sequence[Surveyed],
    *,
    allow_downgrade: bool,
) -> Release:
    """Verify a download; one that is not what it should be is deleted.

    Raises:
        UntrustedError, ConfigError, HostError.
    """
    room.watcher.stage(3, room.stages, "verify")
    try:
        release = verify(
            candidate,
            objects,
            room.settings.trust,
            policy.facts_of(
                state,
                room.running(state),
                allow_downgrade=allow_downgrade,
                log=room.accepted(state),
            ),
            room.device_time(state),
            root=room.layout.root,
            sizes=sizes_of(surveyed),
            links=links_of(surveyed),
        )
    except UntrustedError as error:
        room.tell("refused", str(error), commit=candidate.offer.commit)
        if error.check == "R4":
            room.save(_knowing_number(state, candidate.offer, objects))
        elif error.check != "R5":
            discard(candidate)
            room.save(replace(state, download=None))
        raise
    for notice in release.notices:
        room.watcher.notice(notice)
    signed = (
        "UNSIGNED" if room.mode is TrustMode.UNSIGNED else "signed by a release key"
    )
    room.watcher.done(f"{safe(release.version, 60)} {signed}, tree {release.tree[:7]}")
    return release


def _knowing_number(state: State, offer: Offer, objects: Objects) -> State:
    """Remember an offer's number, so that `check` does not offer it as newer again.

    Its signature, or in an unsigned repository its commit, has been checked before.
    """
    if state.offer is None or state.offer.commit != offer.commit:
        return state
    if offer.tag is not None:
        number = statements.parse_tag(objects.read(offer.tag)[1]).number
    else:
        number = commits.parse(objects.read(offer.commit)[1]).committed
    return replace(state, offer=replace(state.offer, number=number))


def make_store(room: Room) -> None:
    """Have an objects.git that works; one that is broken is made anew, empty."""
    if Keeper(room.layout.repository).make():
        _tell_made_anew(room)


def heal_store(room: Room) -> bool:
    """Begin objects.git anew when an object in it is damaged.

    Nothing that a remote sends can bring this about: only our own copy is read.

    Returns:
        Whether it was damaged.
    """
    keeper = Keeper(room.layout.repository)
    if not keeper.is_damaged():
        return False
    keeper.set_aside()
    keeper.make()
    _tell_made_anew(room)
    return True


def _tell_made_anew(room: Room) -> None:
    text = f"{room.layout.repository} was broken and is made anew"
    room.tell("repaired", text)
    room.watcher.notice(text)


def keep_objects(room: Room, release: Release, objects: Objects) -> None:
    """Put into objects.git what a verified release needs there."""
    Keeper(room.layout.repository).keep(kept_of(room, release), objects)


def kept_of(room: Room, release: Release) -> Kept:
    """What objects.git stores of a release."""
    blobs = own_blobs(release.entries, release.metadata, room.persistent)
    return Kept(
        release.commit, release.tag, release.version, tuple(release.trees), blobs
    )


def _some(paths: Sequence[bytes]) -> str:
    named = ", ".join(show_path(path) for path in paths[:_NAMED])
    rest = len(paths) - _NAMED
    return f"{named} and {rest:,} more" if rest > 0 else named


def prune(room: Room, state: State) -> None:
    """Leave in objects.git what the deployments need, in one pack.

    Raises:
        HostError, UntrustedError: nothing was forgotten.
    """
    objects = look.open_kept(room)
    kept = []
    for record in state.deployments:
        if record.commit in objects:
            laid = look.lay_open(record.commit, objects)
            blobs = own_blobs(laid.entries, laid.metadata, room.persistent)
            trees = tuple(laid.trees)
            kept.append(Kept(record.commit, record.tag, record.version, trees, blobs))
    Keeper(room.layout.repository).prune(kept)


def discard(candidate: Candidate) -> None:
    """Delete a download."""
    if candidate.objects:
        fs.remove_tree(os.path.dirname(candidate.objects))
