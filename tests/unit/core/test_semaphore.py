"""The rules of the reboot lock, by table."""

import pytest
from msgspec.structs import replace

from updater.core.fleet import (
    Ask,
    Group,
    GroupSettings,
    Kind,
    Moment,
    Node,
    Phase,
    Proof,
    Verdict,
)
from updater.core.lapses import shift, sweep
from updater.core.outlook import expected
from updater.core.overrides import configure, drain, force_release, resume, set_slots
from updater.core.semaphore import MOST_WAITING, lock, unlock
from updater.core.waiting import Place, from_places

T = 1_780_000_000
NOW = Moment(T)


def at(seconds, awake=0):
    return Moment(T + seconds, awake)


def group(slots=1, **kw):
    return Group("web", GroupSettings(slots=slots, **kw))


def granted(made, *names, when=NOW, **kw):
    for name in names:
        step = lock(made, None, Ask(name, **kw), when)
        assert step.answer.kind is Kind.OK
        made = step.group
    return made


def waiting(made, *names, when=NOW, **kw):
    for name in names:
        step = lock(made, None, Ask(name, **kw), when)
        assert step.answer.kind is not Kind.OK
        made = step.group
    return made


def holders(made):
    return [holder.id for holder in made.holders]


def queued(made):
    return [place.id for place in made.queue]


def events(step):
    return [entry.event for entry in step.entries]


def test_a_free_slot_is_granted_and_written_down_with_its_reason():
    ask = Ask("a", "web1", "update", "1.0", "2.0", actor="token a")
    step = lock(group(), None, ask, NOW)
    assert step.answer.kind is Kind.OK
    [entry] = step.entries
    assert (entry.event, entry.reason, entry.actor) == ("granted", "update", "token a")
    assert (entry.origin, entry.target, entry.seconds) == ("1.0", "2.0", 0)
    assert step.node == Node("a", T, "web1", "1.0")


def test_asking_again_while_holding_is_granted_without_a_second_slot_or_entry():
    made = granted(group(2), "a")
    step = lock(made, None, Ask("a", phase=Phase.REBOOTING), at(9))
    assert step.answer.kind is Kind.OK
    assert holders(step.group) == ["a"]
    assert step.entries == ()
    assert step.group.holders[0].phase is Phase.REBOOTING
    assert (step.group.holders[0].since, step.group.holders[0].seen) == (T, T + 9)


def test_holders_are_sorted_by_id():
    assert holders(granted(group(3), "c", "a", "b")) == ["a", "b", "c"]


def test_a_full_group_gives_a_place_a_reason_and_a_time_to_ask_again():
    made = granted(group(), "a", name="web1")
    step = lock(made, None, Ask("b"), at(60))
    answer = step.answer
    assert answer.kind is Kind.LOCK_HELD
    assert answer.text == "1 slot held by web1"
    assert (answer.position, answer.waiting) == (1, 1)
    assert (answer.expected, answer.retry_after) == (240, 120)
    assert events(step) == ["waiting"]
    again = lock(step.group, None, Ask("b"), at(120))
    assert again.entries == ()
    assert again.answer.position == 1


def test_who_waited_longest_is_next():
    made = waiting(granted(group(), "a"), "b", "c")
    made = unlock(made, None, Proof("a"), at(10)).group
    late = lock(made, None, Ask("c"), at(11))
    assert late.answer.kind is Kind.LOCK_HELD
    assert late.answer.text == "a slot is kept for a node that waited longer"
    first = lock(late.group, None, Ask("b"), at(12))
    assert first.answer.kind is Kind.OK
    assert first.entries[0].seconds == 12
    assert queued(first.group) == ["c"]


def test_a_slot_is_not_kept_for_a_node_that_missed_its_poll():
    made = waiting(granted(group(poll=60), "a"), "b", "c")
    made = unlock(made, None, Proof("a"), at(10)).group
    interval = made.queue.get("b").interval
    assert lock(made, None, Ask("c"), at(interval)).answer.kind is Kind.LOCK_HELD
    step = lock(made, None, Ask("c"), at(interval * 2))
    assert step.answer.kind is Kind.OK
    assert queued(step.group) == ["b"], "it keeps its place"


def test_one_quick_poll_does_not_make_a_slow_node_late():
    made = granted(group(), "a")
    for second in (0, 300, 305):
        made = lock(made, None, Ask("slow"), at(second)).group
    assert made.queue.get("slow").interval >= 225


def test_silence_while_the_service_was_down_is_no_missed_poll():
    made = waiting(granted(group(), "a"), "b", "c")
    made = unlock(made, None, Proof("a"), at(10)).group
    back = 100_000
    assert queued(sweep(made, at(back, awake=T + back)).group) == ["b", "c"]
    step = lock(made, None, Ask("c"), at(back, awake=T + back - 10))
    assert step.answer.kind is Kind.LOCK_HELD


def test_a_place_lapses_after_three_missed_polls():
    made = waiting(granted(group(poll=100), "a"), "b")
    interval = max(100, made.queue.get("b").interval)
    assert queued(sweep(made, at(3 * interval)).group) == ["b"]
    step = sweep(made, at(3 * interval + 1))
    assert queued(step.group) == []
    assert events(step) == ["lapsed"]


@pytest.mark.parametrize(
    ("proof", "kind"),
    [
        (Proof("a"), Kind.NOT_PROVED),
        (Proof("a", booted="2.0"), Kind.NOT_PROVED),
        (Proof("a", verdict=Verdict.GOOD), Kind.NOT_PROVED),
        (Proof("a", booted="1.0", verdict=Verdict.GOOD), Kind.NOT_PROVED),
        (Proof("a", booted="2.0", verdict=Verdict.UNCHANGED), Kind.NOT_PROVED),
        (Proof("a", booted="2.0", verdict=Verdict.GOOD), Kind.OK),
        (Proof("a", booted="1.0", verdict=Verdict.FAILED), Kind.OK),
        (Proof("a", booted="2.0", verdict=Verdict.FAILED), Kind.OK),
        (Proof("a", booted="1.0", verdict=Verdict.UNCHANGED), Kind.OK),
    ],
)
def test_who_announced_a_release_gives_the_lock_back_only_with_proof(proof, kind):
    made = granted(group(), "a", origin="1.0", target="2.0")
    step = unlock(made, None, proof, at(40))
    assert step.answer.kind is kind
    freed = kind is Kind.OK
    assert holders(step.group) == ([] if freed else ["a"])
    assert events(step) == (["released"] if freed else ["refused"])
    if freed:
        assert step.entries[0].verdict == proof.verdict
        assert step.node.release == proof.booted


def test_what_was_announced_cannot_be_taken_back_by_asking_without_it():
    made = granted(group(), "a", target="2.0")
    made = granted(made, "a", when=at(5))
    assert unlock(made, None, Proof("a"), at(9)).answer.kind is Kind.NOT_PROVED


def test_a_newer_target_takes_the_place_of_the_announced_one():
    made = granted(group(), "a", target="2.0")
    made = granted(made, "a", target="2.1")
    proof = Proof("a", booted="2.1", verdict=Verdict.GOOD)
    assert unlock(made, None, proof, at(9)).answer.kind is Kind.OK


def test_who_announced_nothing_releases_by_the_bare_call():
    step = unlock(granted(group(), "a"), None, Proof("a"), at(30))
    assert step.answer.kind is Kind.OK
    assert step.entries[0].seconds == 30
    assert step.group.holds == (30,)


def test_releasing_what_is_not_held_is_fine_and_takes_nothing_from_others():
    made = granted(group(), "a")
    step = unlock(made, None, Proof("b"), NOW)
    assert step.answer.kind is Kind.OK
    assert holders(step.group) == ["a"]
    assert step.entries == ()


def test_a_waiting_node_that_says_it_is_up_gives_its_place_up():
    made = waiting(granted(group(), "a"), "b")
    step = unlock(made, None, Proof("b"), at(5))
    assert queued(step.group) == []
    assert events(step) == ["withdrawn"]


def test_a_replayed_release_does_not_end_a_later_hold():
    made = granted(group(), "a", request=7, target="2.0")
    old = Proof("a", booted="2.0", verdict=Verdict.GOOD, request=7)
    step = unlock(made, None, old, at(10))
    made = granted(step.group, "a", request=8, target="2.0", when=at(20))
    replayed = unlock(made, step.node, old, at(30))
    assert replayed.answer.kind is Kind.STALE
    assert holders(replayed.group) == ["a"]


def test_a_request_that_was_released_already_is_not_granted_again():
    made = granted(group(), "a", request=7)
    step = unlock(made, None, Proof("a", request=7), at(10))
    again = lock(step.group, step.node, Ask("a", request=7), at(11))
    assert again.answer.kind is Kind.STALE
    assert holders(again.group) == queued(again.group) == []
    newer = lock(step.group, step.node, Ask("a", request=8), at(11))
    assert newer.answer.kind is Kind.OK


def test_a_replayed_release_does_not_change_what_is_known_of_a_node():
    known = Node("a", T, release="2.0", request=7)
    old = Proof("a", booted="1.0", verdict=Verdict.FAILED, request=6)
    step = unlock(group(), known, old, at(10))
    assert step.answer.kind is Kind.OK
    assert step.node is None


def test_an_overdue_holder_keeps_its_slot_and_is_told_once():
    made = granted(group(overdue_after=600), "a")
    assert sweep(made, at(599)).entries == ()
    step = sweep(made, at(600))
    assert events(step) == ["overdue"]
    assert holders(step.group) == ["a"]
    assert step.group.holders[0].overdue
    assert sweep(step.group, at(700)).entries == ()


def test_an_overdue_holder_loses_its_slot_where_the_group_says_free():
    made = granted(group(overdue="free", overdue_after=600), "a")
    step = sweep(made, at(600))
    assert events(step) == ["freed"]
    assert holders(step.group) == []
    assert unlock(step.group, None, Proof("a"), at(700)).answer.kind is Kind.OK


def test_a_holder_can_release_for_a_while_after_the_service_came_back():
    made = granted(group(overdue="free", overdue_after=600, poll=60), "a")
    awake = T + 5000
    assert holders(sweep(made, Moment(awake + 59, awake)).group) == ["a"]
    assert holders(sweep(made, Moment(awake + 60, awake)).group) == []


def test_a_drained_group_grants_nothing_and_takes_nothing_away():
    made = granted(group(2), "a")
    made = drain(made, "freeze", "alice", NOW).group
    step = lock(made, None, Ask("b"), at(1))
    assert step.answer.kind is Kind.DRAINING
    assert step.answer.text == "no reboots in this group: freeze"
    assert step.answer.expected is None
    assert holders(step.group) == ["a"]
    assert lock(made, None, Ask("a"), at(2)).answer.kind is Kind.OK
    back = resume(step.group, "over", "alice", at(3))
    assert events(back) == ["resumed"]
    assert lock(back.group, None, Ask("b"), at(4)).answer.kind is Kind.OK


def test_fewer_slots_take_no_lock_away_and_grant_none_until_enough_are_back():
    made = granted(group(3), "a", "b", "c")
    step = set_slots(made, 1, "slow", "alice", NOW)
    assert step.answer.text == "2 nodes more than that may still be down"
    made = step.group
    assert holders(made) == ["a", "b", "c"]
    for name in ("a", "b"):
        made = waiting(made, "d")
        made = unlock(made, None, Proof(name), at(5)).group
    made = waiting(made, "d")
    made = unlock(made, None, Proof("c"), at(5)).group
    assert holders(granted(made, "d")) == ["d"]


def test_a_group_without_slots_grants_nothing():
    answer = lock(group(0), None, Ask("a"), NOW).answer
    assert (answer.kind, answer.expected) == (Kind.LOCK_HELD, None)


def test_a_person_can_take_a_slot_or_a_place_away():
    made = waiting(granted(group(), "a", target="2"), "b")
    step = force_release(made, "a", "disk died", "alice", at(50))
    assert holders(step.group) == []
    [entry] = step.entries
    assert (entry.event, entry.reason, entry.actor) == ("forced", "disk died", "alice")
    step = force_release(step.group, "b", "x", "alice", at(50))
    assert queued(step.group) == []
    step = force_release(step.group, "b", "x", "alice", at(50))
    assert step.answer.kind is Kind.UNKNOWN_HOLDER
    assert step.entries == ()


def test_the_configuration_counts_when_it_changes_and_an_override_until_then():
    made = configure(Group("web"), GroupSettings(slots=2), NOW).group
    assert made.settings.slots == 2
    made = set_slots(made, 5, "hurry", "alice", NOW).group
    step = configure(made, GroupSettings(slots=2), NOW)
    assert (step.group.settings.slots, step.entries) == (5, ())
    step = configure(made, GroupSettings(slots=3), NOW)
    assert step.group.settings.slots == 3
    assert events(step) == ["configured"]


@pytest.mark.parametrize(
    ("slots", "ages", "rank", "seconds"),
    [
        (1, [60], 0, 240),
        (1, [60], 1, 540),
        (2, [60, 0], 0, 240),
        (2, [60, 0], 1, 300),
        (2, [60, 0], 2, 540),
        (1, [900], 0, 5),
        (2, [60], 0, 0),
        (2, [60], 1, 240),
        (1, [0, 60, 100], 0, 300),
    ],
)
def test_the_expected_time_counts_rounds_of_the_slots(slots, ages, rank, seconds):
    made = group(9)
    for number, age in enumerate(ages):
        made = granted(made, f"n{number}", when=at(-age))
    made = set_slots(made, slots, "", "", NOW).group
    assert expected(made, rank, T) == seconds


def test_the_expected_time_learns_from_the_latest_holds():
    made = group()
    for length in (40, 50, 10_000):
        made = granted(made, "a")
        made = unlock(made, None, Proof("a"), at(length)).group
    assert expected(granted(made, "a"), 0, T) == 50


def test_nobody_can_tell_when_an_overdue_holder_blocks_the_only_slot():
    made = sweep(granted(group(), "a"), at(3600)).group
    assert expected(made, 0, T + 3600) is None


def test_the_queue_is_bounded():
    places = [Place(f"n{i}", i, T, T, 300) for i in range(1, MOST_WAITING + 1)]
    made = replace(granted(group(), "a"), queue=from_places(places))
    step = lock(made, None, Ask("one more"), NOW)
    assert step.answer.kind is Kind.QUEUE_FULL
    assert len(step.group.queue) == MOST_WAITING


def test_every_age_survives_a_jump_of_the_clock():
    made = waiting(granted(group(), "a"), "b")
    jumped = shift(made, 7200)
    later = at(7200)
    assert sweep(jumped, later).entries == ()
    assert jumped.holders[0].since == later.now
    assert shift(jumped, -7200) == made


@pytest.mark.parametrize("names", [["b", "c"], ["c"], ["b", "c", "d"]])
def test_leaving_the_queue_keeps_the_order_of_the_others(names):
    made = waiting(granted(group(), "a"), "b", "c", "d", "e")
    for name in names:
        made = unlock(made, None, Proof(name), NOW).group
    left = [name for name in "bcde" if name not in names]
    assert queued(made) == left
    assert [made.queue.rank(place) for place in made.queue] == [*range(len(left))]
