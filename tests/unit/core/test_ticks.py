import pytest

from updater.core.ticks import LONGEST, SOONEST, is_due, next_check
from updater.model import Check

HOUR = 3600
NOW = 1_778_940_131


def test_a_machine_that_never_asked_asks_at_once():
    assert is_due(None, None, HOUR, "web3", NOW)


def test_the_next_look_is_an_interval_later_and_at_most_a_tenth_more():
    nodes = [f"web{n}" for n in range(200)]
    found = [next_check(Check(NOW), NOW, HOUR, node) - NOW for node in nodes]
    assert min(found) >= HOUR
    assert max(found) <= HOUR * 1.1
    assert len(set(found)) > 100
    assert not is_due(Check(NOW), NOW, HOUR, "web3", NOW + HOUR - 1)
    assert is_due(Check(NOW), NOW, HOUR, "web3", NOW + HOUR * 11 // 10)


@pytest.mark.parametrize(
    ("trouble", "wait"),
    [(0, SOONEST), (1000, 1000), (3 * HOUR, 3 * HOUR), (99 * HOUR, LONGEST * HOUR)],
)
def test_a_remote_in_trouble_is_asked_less_and_less(trouble, wait):
    failed = Check(NOW, "no answer")
    found = next_check(failed, NOW - trouble, HOUR, "web3") - NOW
    assert wait <= found <= wait * 1.1


def test_a_clock_that_was_put_back_does_not_stop_the_looks():
    assert is_due(Check(NOW + 99), NOW + 99, HOUR, "web3", NOW)
