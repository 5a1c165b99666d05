"""Times as people read them."""

import pytest

from updater.core import times

MAY_16 = 1778940131  # 2026-05-16 14:02:11 UTC, by date(1)


def test_times_are_utc_and_say_so():
    assert times.rfc3339(MAY_16) == "2026-05-16T14:02:11Z"
    assert times.minute(MAY_16) == "2026-05-16 14:02 UTC"
    assert times.day(MAY_16) == "2026-05-16"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59, "59s"),
        (60, "1m"),
        (3599, "59m"),
        (3600, "1h"),
        (33120, "9h 12m"),
        (86400, "1d"),
        (273600, "3d 4h"),
    ],
)
def test_a_stretch_shows_its_two_largest_units(seconds, text):
    assert times.short(seconds) == text


def test_a_time_ahead_of_the_clock_is_not_called_past():
    assert times.ago(MAY_16, MAY_16 + 720) == "12m ago"
    assert times.ago(MAY_16 + 720, MAY_16) == "12m ahead of the clock"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5min", 300), ("1h 30min", 5400), ("3d", 259200), ("1w", 604800)],
)
def test_durations_are_read(text, seconds):
    assert times.parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1s"), (90, "90s"), (5400, "90min"), (7200, "2h"), (259200, "3d")],
)
def test_durations_are_written_as_they_are_read(seconds, text):
    assert times.duration_text(seconds) == text
    assert times.parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5m", "-1h", "1h30min", "0s", "1 h", "h"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="a duration such as"):
        times.parse_duration(text)
