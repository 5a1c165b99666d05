"""The story of a look at a signed channel: trust, then its log, then what it offers.

Each part is remembered after all of its own checks passed, and not before: the keys
after T1, the log after C1 to R3.
"""

from msgspec import Struct
from msgspec.structs import replace

from updater.agent.room import Room
from updater.core import channel, machine, trust
from updater.core.policy import find_mark
from updater.core.text import safe
from updater.core.trust import TrustSet
from updater.core.urls import parse_remote
from updater.errors import OsupdateError, UntrustedError
from updater.model import Accepted, Hold, ObjectId, Offer, Phase, RemoteSettings, State
from updater.steps.channel import (
    Fetched,
    Proposal,
    fetch_logs,
    forget,
    offer_of,
    read_log,
)
from updater.steps.finish import holding
from updater.steps.trust import walk
from updater.system import signature
from updater.system.git.logs import LogStore
from updater.system.git.objects import Objects, open_objects

ROLES = ("channel", "release")


class Look(Struct, frozen=True):
    """What a look at the channel found: the state as saved, and what to take next."""

    state: State
    log: Accepted
    offer: Offer


def look(room: Room, state: State) -> Look:
    """Ask the channel, and believe what passes.

    Raises:
        UntrustedError: T1 to R3: nothing of what failed is remembered.
        ConfigError: a trusted key is missing, or a trust file malformed.
        TransportError, RefusedError, HostError.
    """
    remote = room.remote(state)
    store = LogStore(room.layout.channels)
    store.make()
    branches = [channel.branch(remote.channel)]
    current = None if room.is_pinned() else signature.load_trust(room.layout.root)
    if current is not None:
        branches.append(trust.BRANCH)
    else:
        for role in ROLES:
            signature.load_role(room.layout.root, role)
    fetched = _fetch(room, state, store, branches)
    before = current
    try:
        objects = open_objects([store.objects, fetched.objects])
        if before is not None:
            state, current = _rotate(room, state, fetched, objects, before)
        proposal = _read(room, state, fetched, objects)
        offer = offer_of(
            proposal,
            remote,
            _running_number(room, state),
            objects,
            signature.load_role(room.layout.root, "release"),
            room.device_time(state),
        )
        store.adopt(fetched.objects)
    except OsupdateError as error:
        if current is not before:
            error.unchanged = "The trusted keys changed, and nothing else."
        raise
    finally:
        forget(fetched)
    state, log = _accept(room, state, proposal)
    return Look(_drop_withdrawn(room, state, log), log, offer)


def log_url(remote: RemoteSettings) -> str:
    """Where the channel and trust branches are."""
    return remote.channels or remote.url


def _log_remote(remote: RemoteSettings) -> RemoteSettings:
    """Where logs are fetched from; a token is for the host of releases alone."""
    if remote.channels is None:
        return remote
    there, here = parse_remote(remote.channels), parse_remote(remote.url)
    token = remote.token_file if there.origin == here.origin else None
    return replace(remote, url=remote.channels, token_file=token)


def _fetch(room: Room, state: State, store: LogStore, branches: list[str]) -> Fetched:
    remote = room.remote(state)
    known = room.accepted(state)
    tips = [known.tip] if known else []
    if trusted := state.trusted.get(log_url(remote)):
        tips.append(trusted)
    return fetch_logs(
        branches,
        _log_remote(remote),
        _complete(store, tips),
        store.objects,
        room.layout.incoming,
        allow_plain=room.allow_plain,
        sleep=room.sleep,
        secrets_dir=room.secrets,
    )


def _complete(store: LogStore, tips: list[ObjectId]) -> list[ObjectId]:
    """The tips that are here; a store that lost one is begun anew."""
    objects = open_objects([store.objects])
    try:
        here = [tip for tip in tips if tip in objects and objects.read(tip)]
    except UntrustedError:
        here = []
        store.set_aside()
    return here


def _rotate(
    room: Room, state: State, fetched: Fetched, objects: Objects, current: TrustSet
) -> tuple[State, TrustSet]:
    """Walk the trust branch; every version that passes T1 counts from then on.

    Returns:
        The state, and the version that counts now.
    """
    signature.sweep_trust(room.layout.root)
    url = log_url(room.remote(state))
    tip = fetched.heads.get(trust.BRANCH)
    if tip is None:
        if url in state.trusted:
            raise UntrustedError(
                "T1", f"the branch {trust.BRANCH} is gone, and it was here before"
            )
        return state, current
    revoked = signature.load_revoked(room.layout.root)
    steps = walk(tip, objects, current, revoked, room.device_time(state))
    before = current
    for step in steps:
        signature.store_trust(room.layout.root, step)
        text = f"trust version {step.version} counts"
        room.tell("trust", text, version=step.version)
        room.watcher.notice(f"The trusted keys changed: {text} from now on")
        if trust.lost_keys(before, step, "channel"):
            # What a lost key may have said is no floor for the new ones.
            state = replace(state, accepted=())
        before = step
    state = replace(state, trusted=state.trusted | {url: tip})
    saved = room.load()
    if steps or saved.trusted != state.trusted:
        kept = state.accepted if steps else saved.accepted
        room.save(replace(saved, trusted=state.trusted, accepted=kept))
    return state, before


def _read(room: Room, state: State, fetched: Fetched, objects: Objects) -> Proposal:
    remote = room.remote(state)
    root = room.layout.root
    return read_log(
        fetched.heads.get(channel.branch(remote.channel)),
        objects,
        {role: signature.load_role(root, role) for role in ROLES},
        remote,
        room.accepted(state),
        product=room.settings.trust.product,
        now=room.device_time(state),
        clock=room.synchronised_clock(),
    )


def _running_number(room: Room, state: State) -> int | None:
    running = room.running(state)
    return running.number if running else None


def _accept(room: Room, state: State, proposal: Proposal) -> tuple[State, Accepted]:
    remote = room.remote(state)
    log = Accepted(
        url=log_url(remote),
        channel=remote.channel,
        tip=proposal.tip,
        entry=proposal.entry,
        release_number=proposal.tag.number,
        at=room.now(),
        signers=proposal.signers,
    )
    others = tuple(
        known
        for known in state.accepted
        if (known.url, known.channel) != (log.url, log.channel)
    )
    return replace(state, accepted=(*others, log)), log


def _drop_withdrawn(room: Room, state: State, log: Accepted) -> State:
    """Give up a staged release that nobody is to take any more.

    It is held, so that going back does not lead to what never ran.
    """
    target = machine.find(state, state.target)
    if state.phase is not Phase.STAGED or target is None:
        return state
    mark = find_mark(log.entry.withdrawn, target.number)
    if mark is None:
        return state
    text = f"{safe(target.version)} was withdrawn: {safe(mark.reason, 500)}"
    room.tell("drop", text, deployment=target.id)
    room.watcher.notice(f"{text}; it was staged, and is given up")
    reason = f"withdrawn: {mark.reason}"
    hold = Hold(target.version, target.commit, target.number, reason, room.now())
    return machine.move(holding(state, hold), Phase.IDLE)
