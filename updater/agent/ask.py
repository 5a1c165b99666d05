"""Asking the remote what this machine should run. Without libgit2: `check` is quick."""

from msgspec.structs import replace

from updater.agent.room import Room
from updater.core.text import safe
from updater.errors import OsupdateError
from updater.model import Check, Offer, State
from updater.steps.check import check


def find_offer(room: Room, state: State, wanted: str | None) -> tuple[State, Offer]:
    """Ask the remote, and remember how that went.

    Raises:
        OsupdateError: remembered too.
    """
    room.require_network()
    room.watcher.stage(1, room.stages, "check")
    try:
        offer = check(
            room.settings.remote,
            room.mode,
            _as_remote_name(wanted),
            allow_plain=True,
            sleep=room.sleep,
            secrets_dir=room.secrets,
        )
    except OsupdateError as error:
        failed = Check(room.now(), str(error))
        room.save(replace(state, last_check=failed))
        raise
    now = room.now()
    state = replace(state, last_check=Check(now), last_success_at=now)
    if wanted is None:
        state = replace(state, offer=offer)
    room.save(state)
    room.watcher.done(f"{_called(offer)} from {safe(offer.channel, 60)}")
    return state, offer


def _as_remote_name(wanted: str | None) -> str | None:
    return None if wanted in (None, "available") else wanted


def _called(offer: Offer) -> str:
    return f"{safe(offer.version or 'commit', 60)} ({offer.commit[:7]})"
