"""Which channel this machine follows: shown, and changed."""

import re

from msgspec.structs import replace

from updater.agent import standing
from updater.agent.room import Room
from updater.core.channel import is_channel
from updater.core.text import safe
from updater.errors import OsupdateError, UsageError
from updater.model import Followed, State, TrustMode

_BRANCH = re.compile(r"[0-9A-Za-z][0-9A-Za-z._/+-]{0,200}\Z")


def show(room: Room, state: State) -> Followed:
    """The channel, and what it said last."""
    return Followed(
        channel=room.remote(state).channel,
        configured=room.settings.remote.channel,
        log=room.accepted(state),
        before=None,
        checked=None,
    )


def follow(
    room: Room, state: State, name: str, *, allow_downgrade: bool = False
) -> Followed:
    """Follow another channel from now on, once it passed its checks.

    A channel that offers an older release than the one that runs is waited for, unless
    `allow_downgrade`: then the next update leads there, and what the channel said here
    before is forgotten.

    Raises:
        UsageError: no channel can be called so.
        OsupdateError: it cannot be had; the machine follows the one it followed.
    """
    signed = room.mode is TrustMode.SIGNED
    if not (is_channel(name) if signed else _BRANCH.match(name)) or ".." in name:
        raise UsageError(f'"{safe(name, 80)}" cannot be the name of a channel')
    before = room.remote(state).channel
    chosen = None if name == room.settings.remote.channel else name
    trial = replace(state, channel=chosen, going_down=allow_downgrade)
    if name != before:
        trial = replace(trial, offer=None)
    if allow_downgrade:
        kept = tuple(log for log in trial.accepted if log.channel != name)
        trial = replace(trial, accepted=kept)
    try:
        checked = standing.check_now(room, trial)
    except OsupdateError:
        # It says nothing about the channel that is followed on.
        room.save(replace(room.load(), last_check=state.last_check))
        raise
    state = room.load()
    how = ", down to an older release if need be" if allow_downgrade else ""
    room.tell("channel", f"{name} (was {safe(before, 80)}){how}")
    found = show(room, state)
    return replace(found, before=before, checked=checked)
