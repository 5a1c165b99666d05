"""The drawing: in order, inside of its frame, and without names upon names."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from updater.site import timeline
from updater.site.timeline import MARGIN, NAME, WIDTH, draw

DAY = 86400
MAY = 1_777_593_600  # 2026-05-01 00:00:00 UTC, by date(1)


def releases(*days):
    return [(f"v{day}", MAY + day * DAY) for day in days]


def test_one_release_stands_in_the_middle():
    [lane] = draw([("releases", releases(0))]).lanes
    [point] = lane.points
    assert point.x == WIDTH / 2
    assert point.newest
    assert point.named


def test_first_and_last_stand_at_the_edges_and_the_rest_by_time():
    [lane] = draw([("releases", releases(100, 50, 0))]).lanes
    assert [point.x for point in lane.points] == [WIDTH - MARGIN, WIDTH / 2, MARGIN]
    assert [point.newest for point in lane.points] == [True, False, False]


def test_months_are_marked_where_they_begin():
    drawing = draw([("releases", releases(40, 0))])
    assert [tick.word for tick in drawing.ticks] == ["2026-06"]
    assert drawing.ticks[0].x == round(MARGIN + 31 / 40 * (WIDTH - 2 * MARGIN), 1)


def test_years_of_months_are_thinned_out():
    drawing = draw([("releases", releases(3650, 0))])
    words = [tick.word for tick in drawing.ticks]
    assert len(words) <= timeline.TICKS
    assert words[0] == "2026-06"
    assert words == sorted(words)


def test_every_channel_has_its_lane():
    drawing = draw([("edge", releases(9, 0)), ("stable", releases(9))])
    assert [lane.name for lane in drawing.lanes] == ["edge", "stable"]
    assert drawing.lanes[0].y < drawing.lanes[1].y < drawing.height
    assert drawing.lanes[1].points[0].x == WIDTH - MARGIN


def test_points_are_smaller_where_there_are_many():
    many = draw([("releases", releases(*range(300, 0, -1)))])
    few = draw([("releases", releases(3, 2, 1))])
    assert (few.radius, many.radius) == (timeline.LARGE, timeline.SMALL)


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=60, unique=True))
def test_names_never_stand_upon_each_other(days):
    drawing = draw([("releases", releases(*sorted(days, reverse=True)))])
    points = drawing.lanes[0].points
    named = sorted(point.x for point in points if point.named)
    gaps = [right - left for left, right in pairwise(named)]
    assert all(gap >= NAME for gap in gaps)
    assert points[0].named
    assert all(MARGIN <= point.x <= WIDTH - MARGIN for point in points)
