import hashlib

import pytest

from updater.core import rollout
from updater.model import Entry, Rollout

TAG = "ab" * 20
DAY = Rollout(start=1_790_000_000, hours=24)
ENTRY = Entry("stable", "p", 1, 0, 1, "1", TAG, DAY)


def test_the_position_is_that_of_sha256sum():
    text = hashlib.sha256(b"node\0" + TAG.encode()).hexdigest()
    expected = int(text[:16], 16) / 2**64
    assert rollout.position("node", TAG) == pytest.approx(expected, abs=2**-52)


def test_no_position_is_one(monkeypatch):
    class Digest:
        def digest(self):
            return b"\xff" * 32

    monkeypatch.setattr(rollout.hashlib, "sha256", lambda _: Digest())
    assert rollout.position("node", TAG) < 1


def test_positions_are_spread_evenly_and_differ_by_release():
    places = [rollout.position(f"node{i}", TAG) for i in range(2000)]
    for share in (0.1, 0.5, 0.9):
        assert sum(p < share for p in places) / 2000 == pytest.approx(share, abs=0.04)
    assert rollout.position("node1", TAG) != rollout.position("node1", "cd" * 20)


def test_a_release_spreads_evenly_over_its_hours():
    assert rollout.fraction(DAY, DAY.start - 1) == 0
    assert rollout.fraction(DAY, DAY.start + 6 * 3600) == 0.25
    assert rollout.fraction(DAY, DAY.start + 99 * 3600) == 1


@pytest.mark.parametrize("place", [0.0, 0.2499, 0.5, 0.9999999])
def test_the_turn_comes_in_the_second_it_was_told_for(place):
    at = rollout.due(DAY, place)
    assert rollout.is_turn(DAY, place, at)
    assert not rollout.is_turn(DAY, place, at - 1)


def test_without_hours_everybody_has_a_turn_at_once():
    now = Rollout(start=100)
    assert rollout.due(now, 0.99) == 100
    assert rollout.is_turn(now, 0.99, 100)
    assert not rollout.is_turn(now, 0.0, 99)


def test_a_pause_stops_where_it_is_and_a_resumption_goes_on_from_there():
    at = DAY.start + 6 * 3600
    stopped = rollout.paused(DAY, at)
    assert stopped.limit == 0.25
    assert rollout.fraction(stopped, at + 10**6) == 0.25
    assert rollout.due(stopped, 0.3) is None
    later = at + 7 * 86400
    going = rollout.resumed(stopped, later)
    assert rollout.fraction(going, later) == pytest.approx(0.25, abs=1e-4)
    assert rollout.fraction(going, later + 6 * 3600) == pytest.approx(0.5, abs=1e-4)
    assert going.limit == 1


def test_resuming_what_is_not_stopped_changes_nothing():
    assert rollout.resumed(DAY, DAY.start + 99) == DAY


def test_the_sentence_says_when_and_how_much():
    now = DAY.start + 7 * 3600 + 2500
    said = rollout.sentence(ENTRY, 0.5, now)
    assert said == "this machine's turn is at 2026-09-22 02:13 UTC; 32 % now"
    assert rollout.sentence(ENTRY, 0.3, now) is None
    same_day = rollout.sentence(ENTRY, 0.4, now)
    assert same_day == "this machine's turn is at 23:49 UTC; 32 % now"
