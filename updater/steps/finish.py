"""Finish: what the verdict on a trial makes of the state. Floors rise only here."""

from msgspec.structs import replace

from updater.core import machine
from updater.model import Hold, Phase, Record, State


def finish_good(state: State, record: Record) -> State:
    """The trial ended well: the release stays, and the one before is for `revert`.

    The floors follow it: no older release is taken from now on, unless a person asks
    for it, and none below the security floor whoever asks.
    """
    done = machine.move(state, Phase.IDLE)
    return replace(
        done,
        previous=state.origin or state.previous,
        security_floor=max(state.security_floor, record.security_floor),
        version_floor=record.number,
        going_down=False,
    )


def holding(state: State, hold: Hold | None) -> State:
    """The state with one more hold, when there is one and it is new."""
    if hold is None or machine.is_held(state, hold.commit):
        return state
    return replace(state, holds=(*state.holds, hold))


def went_back(state: State, left: Record | None) -> State:
    """Another deployment runs again; `left` is the one that ran until now."""
    done = machine.move(state, Phase.IDLE)
    return replace(done, previous=left.id if left else state.previous)
