"""Widths are columns, as a terminal counts them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.report.layout import clip, columns, flush, labelled, pad, wrap

WIDE = "日本語"  # three characters, six columns
COMBINED = "e\u0301"  # two characters, one column


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("abc", 3), ("é", 1), (COMBINED, 1), (WIDE, 6), ("🎉", 2), ("ｱ", 1)],
)
def test_columns_are_what_a_terminal_gives(text, count):
    assert columns(text) == count


def test_a_column_of_names_is_straight():
    assert [columns(pad(name, 8)) for name in ("abc", WIDE, COMBINED)] == [8, 8, 8]


def test_the_right_edge_is_straight():
    lines = [flush(left, "+2.1 MB", 40) for left in ("abc", WIDE, COMBINED)]
    assert {columns(line) for line in lines} == {40}
    assert flush("abc", "", 40) == "abc"


def test_what_is_clipped_has_its_start_and_its_end():
    assert clip("abcdefghij", 10) == "abcdefghij"
    assert clip("abcdefghijk", 9) == "ab...hijk"
    assert clip("日本語日本語", 9) == "日...本語"


@given(st.text(st.characters(exclude_categories=["C", "Z"])), st.integers(8, 40))
def test_nothing_is_wider_than_its_room(text, room):
    assert columns(clip(text, room)) <= room
    assert all(columns(line) <= room for line in wrap(text, "  ", room))


def test_words_go_on_below_themselves():
    assert labelled("CONFIG", "one two three", 20) == [
        "CONFIG     one two",
        "           three",
    ]
