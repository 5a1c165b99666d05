import pytest

from updater.core import promotion
from updater.core.promotion import Change, Offered
from updater.errors import RefusedError
from updater.model import Mark, Rollout

NOW = 1_790_000_000
OLD = Offered("1.0", 1, "a" * 40, "acme-gw")
NEW = Offered("1.1", 2, "b" * 40, "acme-gw")


def begun(**kw):
    return promotion.next_entry(None, None, "stable", Change(release=OLD, **kw), NOW)


def after(old, offered=1, now=NOW + 3600, **kw):
    return promotion.next_entry(old, offered, "stable", Change(**kw), now)


def test_a_channel_begins_with_a_release():
    entry = begun()
    assert (entry.number, entry.release, entry.tag) == (1, "1.0", "a" * 40)
    assert entry.expires == NOW + 30 * 86400
    assert entry.rollout == Rollout(NOW, 0, 1.0)
    with pytest.raises(RefusedError, match="no channel stable yet"):
        promotion.next_entry(None, None, "stable", Change(), NOW)


def test_what_is_not_mentioned_stays():
    old = begun(hours=24, barrier=True, reason="x")
    entry = after(old)
    assert (entry.rollout, entry.barriers) == (old.rollout, old.barriers)
    assert (entry.number, entry.created) == (2, NOW + 3600)


def test_another_release_begins_a_rollout_of_its_own():
    entry = after(begun(hours=24), release=NEW)
    assert entry.rollout == Rollout(NOW + 3600, 0, 1.0)
    assert after(begun(hours=24), release=OLD).rollout == Rollout(NOW, 24, 1.0)


def test_an_entry_is_never_dated_before_the_one_it_follows():
    assert after(begun(), now=NOW - 999).created == NOW


def test_a_barrier_is_the_release_that_is_offered():
    assert begun(barrier=True, reason="x").barriers == (Mark(1, "x"),)
    assert after(begun(), barrier=True, reason="y").barriers == (Mark(1, "y"),)
    both = after(begun(barrier=True), release=NEW, barrier=True)
    assert [mark.number for mark in both.barriers] == [1, 2]


def test_a_mark_that_is_made_again_has_the_newer_reason():
    old = begun(withdrawn=(7, 8), reason="x")
    entry = after(old, withdrawn=(7, 7), reason="y")
    assert entry.withdrawn == (Mark(8, "x"), Mark(7, "y"))


def test_a_withdrawn_release_is_not_offered_again():
    old = after(begun(), withdrawn=(2,), reason="eats disks")
    with pytest.raises(RefusedError, match="was withdrawn from channel stable: eats"):
        after(old, release=NEW)


def test_a_release_of_another_product_is_not_offered():
    with pytest.raises(RefusedError, match="is of acme-ap"):
        after(begun(), release=Offered("1.1", 2, "b" * 40, "acme-ap"))


def test_a_message_says_what_is_new():
    old = begun()
    entry = after(old, release=NEW, hours=24, withdrawn=(9,), reason="eats disks")
    assert promotion.describe(entry, 2, old, NOW + 3600 + 6 * 3600) == (
        "stable: 1.1 (number 2)\n\n"
        "It offered 1.0 until now.\n"
        "The rollout takes 24 hours from 2026-09-21 15:13 UTC; 25 % now.\n"
        "Number 9 is withdrawn: eats disks\n"
        "It expires 2026-10-21 15:13 UTC.\n"
    )
    assert "The channel begins.\nEvery machine may have it at once." in (
        promotion.describe(old, 1, None, NOW)
    )
