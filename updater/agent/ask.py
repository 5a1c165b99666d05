"""Asking the remote what this machine should run. Without libgit2: `check` is quick."""

import secrets

from msgspec.structs import replace

from updater.agent.room import Room
from updater.errors import OsupdateError, UsageError
from updater.model import Check, Offer, State, TrustMode
from updater.steps.check import check, require_url


def find_offer(room: Room, state: State, wanted: str | None) -> tuple[State, Offer]:
    """Ask the remote, and remember how that went.

    Raises:
        OsupdateError: remembered too.
    """
    room.require_network()
    try:
        if room.mode is TrustMode.SIGNED:
            state, offer = _ask_log(room, state, _as_remote_name(wanted))
        else:
            offer = ask_by_name(room, state, _as_remote_name(wanted))
    except OsupdateError as error:
        if not isinstance(error, UsageError):
            failed = Check(room.now(), str(error))
            # Trust may have been accepted before the rest failed.
            room.save(replace(room.load(), last_check=failed))
        raise
    known = state.offer
    if known is not None and known.commit == offer.commit and offer.number is None:
        offer = replace(offer, number=known.number)
    if _as_remote_name(wanted) is None:
        # Only this tells what is newest; a release that was named does not.
        now = room.now()
        state = replace(state, last_check=Check(now), last_success_at=now, offer=offer)
    room.save(state)
    return state, offer


def _ask_log(room: Room, state: State, wanted: str | None) -> tuple[State, Offer]:
    """What the channel proposes; a release that a person named is not asked of it.

    The log is looked at in any case: it may tell that a key or the release is no good.
    """
    from updater.agent import signed  # noqa: PLC0415 - loads libgit2

    require_url(room.settings.remote)
    if room.node(state) is None:
        state = replace(state, node=secrets.token_hex(16))
        room.save(replace(room.load(), node=state.node))
    found = signed.look(room, state)
    offer = found.offer
    names = (offer.version, offer.tag_name, offer.commit, f"number:{offer.number}")
    if wanted is None or wanted in names:
        return found.state, offer
    return found.state, ask_by_name(room, found.state, wanted)


def ask_by_name(room: Room, state: State, wanted: str | None) -> Offer:
    """Ask the refs of the remote; None is the tip of the channel's branch."""
    return check(
        room.remote(state),
        room.mode,
        wanted,
        allow_plain=room.allow_plain,
        sleep=room.sleep,
        secrets_dir=room.secrets,
    )


def _as_remote_name(wanted: str | None) -> str | None:
    return None if wanted in (None, "available") else wanted
