"""The queue, against a list that does the same slowly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.core.waiting import EMPTY, Place, from_places


def place(name, ticket, **kw):
    return Place(name, ticket, 1, 1, 300, **kw)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcdefgh"))))
def test_it_is_a_list_without_the_waiting_for_it(steps):
    queue, model = EMPTY, []
    for add, name in steps:
        if add and name not in model:
            queue = queue.put(place(name, queue.next_ticket))
            model.append(name)
        elif not add:
            queue = queue.without(name)
            model = [other for other in model if other != name]
        assert [one.id for one in queue] == model
        assert [queue.rank(one) for one in queue] == [*range(len(model))]
        assert len(queue) == len(model)
    assert from_places(list(queue)[::-1]) == queue


def test_a_changed_place_keeps_its_rank_and_an_old_queue_its_places():
    first = EMPTY.put(place("a", 1)).put(place("b", 2))
    second = first.put(place("a", 1, why="new"))
    assert [one.id for one in second] == ["a", "b"]
    assert first.get("a").why == ""
    assert second.get("a").why == "new"


def test_a_ticket_out_of_order_is_a_mistake():
    queue = EMPTY.put(place("a", 5))
    with pytest.raises(ValueError, match="not behind"):
        queue.put(place("b", 5))
    with pytest.raises(ValueError, match="changed"):
        queue.put(place("a", 6))


@pytest.mark.parametrize(
    ("silence", "late"), [(0, False), (300, False), (360, False), (361, True)]
)
def test_a_place_is_late_after_one_missed_poll(silence, late):
    assert place("a", 1).is_late(silence) is late
