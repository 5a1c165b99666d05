"""The state machine, walked through from everywhere."""

import itertools

import pytest
from msgspec.structs import replace
from support.records import record

from updater.core import machine
from updater.core.machine import MOVES, Resume
from updater.errors import HostError
from updater.model import Hold, Phase, State

OLD, NEW = record("1.0", 1), record("1.1", 2)
BOTH = State(deployments=(OLD, NEW))


def at(phase, target=NEW.id, **kw):
    return replace(BOTH, phase=phase, target=target, origin=OLD.id, **kw)


@pytest.mark.parametrize(("start", "end"), [*itertools.product(Phase, Phase)])
def test_only_the_moves_of_the_table_are_possible(start, end):
    if end in MOVES[start]:
        moved = machine.move(at(start), end, NEW.id)
        assert moved.phase is end
        assert moved.target == (None if end is Phase.IDLE else NEW.id)
    else:
        with pytest.raises(HostError, match=f"from {start} to {end} is not possible"):
            machine.move(at(start), end, NEW.id)


def test_every_phase_is_in_the_table_and_leads_to_idle():
    assert set(MOVES) == set(Phase)
    reached = {Phase.IDLE}
    while more := {p for p in Phase if MOVES[p] & reached} - reached:
        reached |= more
    assert reached == set(Phase)


def test_a_move_keeps_the_target_unless_another_is_named():
    assert machine.move(at(Phase.STAGED), Phase.ARMED).target == NEW.id
    assert machine.move(at(Phase.STAGED), Phase.STAGED, OLD.id).target == OLD.id


@pytest.mark.parametrize(
    ("phase", "booted", "expected"),
    [
        (Phase.STAGED, OLD.id, Resume.NOTHING),
        (Phase.STAGED, NEW.id, Resume.TRY),
        (Phase.ARMED, OLD.id, Resume.ARM),
        (Phase.ARMED, NEW.id, Resume.TRY),
        (Phase.ARMED, None, Resume.ARM),
        (Phase.REBOOTING, NEW.id, Resume.TRY),
        (Phase.REBOOTING, OLD.id, Resume.ARM),
        (Phase.TRIAL, NEW.id, Resume.TRY),
        (Phase.TRIAL, OLD.id, Resume.FELL_BACK),
        (Phase.TRIAL, None, Resume.FELL_BACK),
        (Phase.REVERTING, NEW.id, Resume.WENT_BACK),
        (Phase.REVERTING, OLD.id, Resume.GO_BACK),
    ],
)
def test_what_really_runs_decides_after_a_crash(phase, booted, expected):
    assert machine.resume(at(phase), booted) is expected


@pytest.mark.parametrize("booted", [None, OLD.id, NEW.id, "gone"])
def test_nothing_is_resumed_from_idle(booted):
    assert machine.resume(BOTH, booted) is Resume.NOTHING


@pytest.mark.parametrize("phase", [*Phase][1:])
@pytest.mark.parametrize("target", [None, "9-gone.0"])
def test_a_transition_to_nowhere_is_dropped(phase, target):
    assert machine.resume(at(phase, target), OLD.id) is Resume.DROP


def test_the_previous_release_is_what_ran_before():
    third = record("1.2", 3)
    state = replace(BOTH, deployments=(OLD, NEW, third))
    assert machine.previous(state, third.id) == NEW
    assert machine.previous(replace(state, previous=OLD.id), third.id) == OLD
    assert machine.previous(replace(state, previous="gone"), third.id) == NEW
    assert machine.previous(replace(state, target=NEW.id), third.id) == OLD


def test_nobody_goes_back_to_what_is_newer_and_never_ran():
    third = record("1.2", 3)
    state = replace(BOTH, deployments=(OLD, NEW, third))
    assert machine.previous(state, NEW.id) == OLD
    assert machine.previous(state, OLD.id) is None
    assert machine.previous(replace(state, previous=third.id), OLD.id) == third
    state = replace(state, deployments=(third, NEW, OLD))
    assert machine.previous(state, NEW.id) == OLD


def test_a_held_release_is_not_gone_back_to():
    hold = Hold("1.0", OLD.commit, 1, "bad", 0)
    state = replace(BOTH, holds=(hold,), previous=OLD.id)
    assert machine.previous(state, NEW.id) is None
    assert machine.is_held(state, OLD.commit)
    assert not machine.is_held(state, NEW.commit)
