"""A short run of the fleet in virtual time; the long one is `make fleet`."""

import asyncio

import pytest
from fleet.simulator import Fleet, TooManyDownError
from fleet.world import Faults
from msgspec.structs import replace

from updater.core import semaphore
from updater.core.fleet import Group

TROUBLED = Faults(
    lost=0.1,
    answer_lost=0.1,
    duplicate=0.3,
    crash_waiting=0.01,
    dies_down=0.02,
    bad_release=0.1,
    cancels=0.1,
    server_crash_every=2000,
    clock_jump_every=2000,
    partition_every=3000,
)


def simulate(tmp_path, seed, nodes=120, slots=4, faults=TROUBLED, modern=0.8):
    fleet = Fleet(seed, nodes, slots, tmp_path, faults, modern)
    asyncio.run(fleet.run())
    return fleet


@pytest.mark.parametrize("seed", range(4))
def test_never_too_many_are_down_and_nobody_waits_for_ever(tmp_path, seed):
    fleet = simulate(tmp_path, seed)
    found = fleet.figures
    assert 0 < found.most_down <= 4
    assert min(found.lost, found.duplicates, found.restarts, found.jumps) > 0
    assert min(found.crashes, found.failed, found.cancelled, found.partitions) > 0
    text = "\n".join(fleet.report(1.0))
    assert "120 nodes, 4 slots" in text
    assert "every reboot has its own" in text


@pytest.mark.parametrize("modern", [0.0, 1.0])
def test_fleets_of_one_kind_are_done_as_well(tmp_path, modern):
    assert simulate(tmp_path, 9, modern=modern).figures.reboots >= 100


def test_the_simulator_sees_a_slot_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(Group, "free", property(lambda g: 5 - len(g.holders)))
    with pytest.raises(TooManyDownError):
        simulate(tmp_path, 0)


def test_the_simulator_sees_that_late_copies_are_taken_for_new(tmp_path, monkeypatch):
    monkeypatch.setattr(semaphore, "_is_stale", lambda *args: False)
    monkeypatch.setattr("fleet.simulator.HORIZON", 86_400)
    faults = Faults(duplicate=1.0, bad_release=0.3)
    with pytest.raises(AssertionError, match=r"of 4 down|gave back"):
        simulate(tmp_path, 0, faults=faults)


def test_late_copies_of_everything_take_and_free_nothing(tmp_path):
    simulate(tmp_path, 0, faults=Faults(duplicate=1.0, bad_release=0.3))


def test_the_simulator_sees_a_reboot_without_an_entry(tmp_path, monkeypatch):
    grant = semaphore._grant

    def silent(*args):
        step = grant(*args)
        return replace(step, entries=()) if args[2].id == "n00007" else step

    monkeypatch.setattr(semaphore, "_grant", silent)
    with pytest.raises(AssertionError, match="n00007"):
        simulate(tmp_path, 0)


def test_the_simulator_sees_that_somebody_waits_for_ever(tmp_path, monkeypatch):
    is_next = semaphore._is_next

    def unfair(group, wanted, moment):
        return wanted != "n00007" and is_next(group, wanted, moment)

    monkeypatch.setattr(semaphore, "_is_next", unfair)
    monkeypatch.setattr("fleet.simulator.HORIZON", 86_400)
    with pytest.raises(AssertionError, match="1 wait for ever"):
        simulate(tmp_path, 0)
