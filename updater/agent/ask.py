"""Asking the remote what this machine should run. Without libgit2: `check` is quick."""

from msgspec.structs import replace

from updater.agent.room import Room
from updater.errors import OsupdateError, UsageError
from updater.model import Check, Offer, State
from updater.steps.check import check


def find_offer(room: Room, state: State, wanted: str | None) -> tuple[State, Offer]:
    """Ask the remote, and remember how that went.

    Raises:
        OsupdateError: remembered too.
    """
    room.require_network()
    try:
        offer = check(
            room.settings.remote,
            room.mode,
            _as_remote_name(wanted),
            allow_plain=room.allow_plain,
            sleep=room.sleep,
            secrets_dir=room.secrets,
        )
    except OsupdateError as error:
        if not isinstance(error, UsageError):
            failed = Check(room.now(), str(error))
            room.save(replace(state, last_check=failed))
        raise
    now = room.now()
    state = replace(state, last_check=Check(now), last_success_at=now)
    if state.offer is not None and state.offer.commit == offer.commit:
        offer = replace(offer, number=state.offer.number)
    if wanted is None:
        state = replace(state, offer=offer)
    room.save(state)
    return state, offer


def _as_remote_name(wanted: str | None) -> str | None:
    return None if wanted in (None, "available") else wanted
