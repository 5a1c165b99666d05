from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from updater.core.windows import (
    DAYS,
    HORIZON,
    Schedule,
    Stretch,
    Weekly,
    closes_at,
    open_at,
    plan,
)

MINUTE, HOUR, DAY = 60, 3600, 86400


def at(text, zone="UTC"):
    """Seconds of a local time; fold=1 is written with a trailing `'`."""
    found = datetime.fromisoformat(text.rstrip("'")).replace(tzinfo=ZoneInfo(zone))
    return int(found.replace(fold=int(text.endswith("'"))).timestamp())


def schedule(*windows, zone="UTC"):
    made = tuple(Weekly(tuple(days.split()), start, n) for days, start, n in windows)
    return Schedule(made, ZoneInfo(zone))


NIGHT = schedule(("Sat Sun", "03:00", 2 * HOUR))


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        ("2026-05-16 02:59:59", False),
        ("2026-05-16 03:00:00", True),
        ("2026-05-16 04:59:59", True),
        ("2026-05-16 05:00:00", False),
        ("2026-05-18 03:30:00", False),
    ],
)
def test_a_window_is_open_from_its_start_until_before_its_end(now, is_open):
    assert open_at(NIGHT, at(now)) is is_open


def test_a_window_leads_over_midnight_and_over_the_end_of_the_week():
    late = schedule(("Sun", "23:00", 3 * HOUR))
    assert open_at(late, at("2026-05-18 01:59"))  # a Monday
    assert closes_at(late, at("2026-05-17 23:30")) == at("2026-05-18 02:00")
    assert not open_at(late, at("2026-05-17 01:00"))


def test_windows_that_touch_close_together():
    both = schedule(("Sat", "03:00", HOUR), ("Sat", "04:00", HOUR))
    assert closes_at(both, at("2026-05-16 03:10")) == at("2026-05-16 05:00")


def test_what_is_closed_has_no_end():
    assert closes_at(NIGHT, at("2026-05-14 12:00")) is None


def test_what_is_always_open_does_not_close():
    always = schedule((" ".join(DAYS), "00:00", 24 * HOUR))
    assert open_at(always, at("2026-05-14 12:00"))
    assert closes_at(always, at("2026-05-14 12:00")) is None
    assert plan(always, at("2026-05-14 12:00"), 3) == ()


def test_without_a_window_nothing_ever_opens():
    never = schedule()
    assert not open_at(never, at("2026-05-14 12:00"))
    assert plan(never, at("2026-05-14 12:00"), 3) == ()


def test_the_plan_names_the_next_openings_in_order():
    assert plan(NIGHT, at("2026-05-16 03:00"), 2) == (
        Stretch(at("2026-05-17 03:00"), at("2026-05-17 05:00")),
        Stretch(at("2026-05-23 03:00"), at("2026-05-23 05:00")),
    )


def test_a_start_that_clocks_leap_over_is_the_moment_of_the_leap():
    berlin = schedule(("Sun", "02:30", HOUR), zone="Europe/Berlin")
    leap = at("2026-03-29 01:00")  # UTC: 02:00 becomes 03:00
    assert plan(berlin, leap - DAY, 1) == (Stretch(leap, leap + HOUR),)


def test_a_start_that_comes_twice_opens_at_the_first_and_is_no_longer():
    berlin = schedule(("Sun", "02:30", HOUR), zone="Europe/Berlin")
    first = at("2026-10-25 02:30", "Europe/Berlin")
    second = at("2026-10-25 02:30'", "Europe/Berlin")
    assert second - first == HOUR
    assert plan(berlin, first - DAY, 1) == (Stretch(first, first + HOUR),)
    assert not open_at(berlin, second)


def test_a_leap_over_midnight_opens_at_the_leap():
    # Saturday 23:00 becomes Sunday 00:00.
    nuuk = schedule(("Sat", "23:30", HOUR), zone="America/Nuuk")
    leap = at("2026-03-29 01:00")
    assert plan(nuuk, leap - DAY, 1) == (Stretch(leap, leap + HOUR),)


ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Nuuk",
    "America/Havana",  # leaps at midnight
    "Australia/Lord_Howe",  # by half an hour
    "Asia/Kathmandu",
    "Pacific/Apia",
)
NEAR = ("2026-03-08", "2026-03-29", "2026-04-05", "2026-10-25", "2026-11-01")
weekly = st.builds(
    Weekly,
    days=st.sets(st.sampled_from(DAYS), min_size=1).map(tuple),
    start=st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59)),
    length=st.integers(1, 7 * 24 * 60).map(lambda minutes: minutes * MINUTE),
)
schedules = st.builds(
    lambda windows, zone: Schedule(tuple(windows), ZoneInfo(zone)),
    st.lists(weekly, max_size=3),
    st.sampled_from(ZONES),
)
moments = st.builds(
    lambda day, minutes: at(day) + minutes * MINUTE,
    st.sampled_from(NEAR),
    st.integers(-2 * 24 * 60, 2 * 24 * 60),
)


def minute_by_minute(schedule, begin, end):
    """The minutes from `begin` to `end` at which a window is open, by looking."""
    opened = set()
    for window in schedule.windows:
        seen = {}  # the wanted wall time -> whether it was reached
        hour, minute = map(int, window.start.split(":"))
        until = 0
        for now in range(begin - 9 * DAY, end, MINUTE):
            wall = datetime.fromtimestamp(now, schedule.zone).replace(tzinfo=None)
            # Yesterday too: a leap over midnight may have skipped its start.
            for day in (wall.toordinal() - 1, wall.toordinal()):
                wanted = datetime.fromordinal(day).replace(hour=hour, minute=minute)
                if wall >= wanted and wanted not in seen:
                    seen[wanted] = True
                    if DAYS[wanted.weekday()] in window.days and now > begin - 9 * DAY:
                        until = max(until, now + window.length)
            if begin <= now < until:
                opened.add(now)
    return opened


@settings(max_examples=40, deadline=None)
@given(schedules, moments)
def test_it_is_open_when_looking_minute_by_minute_says_so(schedule, now):
    end = now + 2 * DAY
    expected = minute_by_minute(schedule, now, end)
    got = {m for m in range(now, end, 13 * MINUTE) if open_at(schedule, m)}
    assert got == expected & set(range(now, end, 13 * MINUTE))


@settings(max_examples=60, deadline=None)
@given(schedules, moments)
def test_the_end_and_the_next_opening_are_where_open_changes(schedule, now):
    closes = closes_at(schedule, now)
    if closes is not None:
        assert open_at(schedule, closes - 1)
        assert not open_at(schedule, closes)
        assert now < closes < now + HORIZON
    for stretch in plan(schedule, now, 3):
        assert stretch.opens > now
        assert open_at(schedule, stretch.opens)
        assert not open_at(schedule, stretch.opens - 1)


def test_a_time_zone_of_utc_needs_no_database():
    assert open_at(Schedule(NIGHT.windows, UTC), at("2026-05-16 03:00"))
