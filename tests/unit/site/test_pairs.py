"""Which releases are compared: every pair of few, the useful ones of many."""

from itertools import pairwise

import pytest

from updater.site import pairs


def versions(count):
    """Newest first, as a site has them."""
    return [f"{number:03}" for number in range(count, 0, -1)]


def test_few_releases_are_all_compared():
    assert pairs.of(["3", "2", "1"]) == [("2", "3"), ("1", "3"), ("1", "2")]
    for count in range(pairs.ALL_UP_TO + 1):
        assert len(pairs.of(versions(count))) == count * (count - 1) // 2


def test_machines_find_the_step_that_their_channel_takes():
    """Of many releases, a channel that skips some leads from one to another."""
    found = pairs.of(versions(40), [["040", "020", "003"], ["031", "030"], ["gone"]])
    assert ("020", "040") in found
    assert ("003", "020") in found
    assert ("003", "040") not in found
    assert len(found) == len(pairs.of(versions(40))) + 2
    # A channel that went back compares from older to newer, as every page does.
    assert ("009", "005") not in pairs.of(versions(40), [["005", "009"]])


@pytest.mark.parametrize("count", [13, 14, 40, 300])
def test_of_many_each_has_its_neighbour_and_the_last_have_each_other(count):
    found = pairs.of(versions(count))
    newest = versions(count)
    assert {(old, new) for new, old in pairwise(newest)} <= set(found)
    last = newest[: pairs.LAST]
    assert {(old, new) for old in last for new in last if old < new} <= set(found)
    assert len(found) == len(set(found)) == count - pairs.LAST + 45
    assert all(old < new for old, new in found)
