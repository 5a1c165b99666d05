"""The order of versions, held to what the package systems' own tests say."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.version_cases import CHAINS, pairs

from updater.core.packages import order

CASES = [(family, *pair) for family in CHAINS for pair in pairs(family)]


@pytest.mark.parametrize(("family", "left", "right", "expected"), CASES)
def test_versions_have_the_order_of_their_system(family, left, right, expected):
    assert order.compare(family, left, right) == expected
    assert order.compare(family, right, left) == -expected


@pytest.mark.parametrize("family", ["dpkg", "rpm", "apk"])
def test_a_chain_is_ordered_from_end_to_end(family):
    for line in CHAINS[family].strip().splitlines():
        for first, last in itertools.combinations(re.split(r" [<=] ", line), 2):
            assert order.compare(family, first, last) <= 0, line


def test_systems_disagree_about_letters_at_the_end():
    assert order.compare("rpm", "1.0rc", "1.0") == 1
    assert order.compare("dpkg", "1.0rc", "1.0") == 1
    assert order.compare("pacman", "1.0rc", "1.0") == -1


def test_an_unknown_system_has_the_order_of_dpkg():
    assert order.compare("", "1.0~rc1", "1.0") == -1
    assert order.compare("portage", "10", "9") == 1


def test_the_epoch_can_be_left_out():
    assert order.without_epoch("1:9.2p1-2") == "9.2p1-2"
    assert order.without_epoch("9.2p1-2") == "9.2p1-2"
    assert order.without_epoch("2024a:x") == "2024a:x"


versions = st.text("0129abAz.~^+-:_rp ", max_size=12)


@given(st.sampled_from(["dpkg", "rpm", "pacman", "apk"]), versions, versions, st.text())
def test_any_two_texts_compare_and_the_other_way_round(family, a, b, c):
    for left, right in ((a, b), (a, c), (b, c)):
        assert order.compare(family, left, right) == -order.compare(family, right, left)
    assert order.compare(family, a, a) == 0


@given(st.sampled_from(["dpkg", "rpm", "apk"]), versions, versions, versions)
def test_three_versions_are_never_in_a_circle(family, a, b, c):
    one, two, three = sorted((a, b, c), key=lambda v: order.key(family, v))
    assert order.compare(family, one, two) <= 0
    assert order.compare(family, two, three) <= 0
    assert order.compare(family, one, three) <= 0


def test_a_version_of_a_million_digits_takes_no_time_and_has_a_place():
    huge = "9" * 1_000_000
    for family in ("dpkg", "rpm", "pacman", "apk"):
        assert order.compare(family, "1", huge) == -1
