import pytest
from msgspec.structs import replace
from support.keys import tag_payload

from updater.core import policy, statements
from updater.errors import UntrustedError
from updater.model import (
    DeploymentId,
    GitMode,
    Hold,
    MachineFacts,
    Mark,
    Metadata,
    Offer,
    Record,
    State,
    TreeEntry,
)

NEW, OLD = "c" * 40, "d" * 40
SIGNATURE = statements.BEGIN + b"\n" + statements.END + b"\n"


def tag(**options):
    return statements.parse_tag(tag_payload(**options) + SIGNATURE)


def offer(**changes):
    fields = {
        "url": "https://os.example.org/acme.git",
        "channel": "stable",
        "ref": "refs/heads/stable",
        "commit": NEW,
        "tag": "e" * 40,
        "tag_name": "release/2026.05.1",
        "version": "2026.05.1",
    }
    return Offer(**fields | changes)


def refused(check, call, *arguments):
    with pytest.raises(UntrustedError) as caught:
        call(*arguments)
    assert caught.value.check == check
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_device_time_never_goes_back_before_what_is_known():
    assert policy.device_time(30, 20, 10) == 30
    assert policy.device_time(10, 20, 15) == 20
    assert policy.device_time(10, 20, 25) == 25


def test_the_release_that_was_asked_for_is_taken():
    policy.check_identity(tag(), offer(), "acme-gw", "amd64")


def test_product_and_architecture_are_not_compared_where_the_machine_names_none():
    policy.check_identity(tag(Product="other", Arch="arm64"), offer(), None, None)


def test_a_tag_under_another_ref_name_is_refused():
    message = refused(
        "R3",
        policy.check_identity,
        tag(),
        offer(tag_name="release/2026.06.1", version=None),
        None,
        None,
    )
    assert "expected release/2026.06.1, got release/2026.05.1" in message


@pytest.mark.parametrize(
    "name", ["2026.05.1", "release/2026.05.2", "refs/tags/release/2026.05.1", "v1"]
)
def test_a_tag_whose_inner_name_is_not_its_version_is_refused(name):
    message = refused(
        "R3", policy.check_identity, tag(name=name), offer(tag_name=name), None, None
    )
    assert "expected release/2026.05.1" in message


def test_a_tag_of_another_version_than_offered_is_refused():
    message = refused(
        "R3", policy.check_identity, tag(), offer(version="2026.05.2"), None, None
    )
    assert "expected 2026.05.2, got 2026.05.1" in message


def test_another_product_is_refused():
    message = refused("R3", policy.check_identity, tag(), offer(), "acme-tv", None)
    assert "wrong product: expected acme-tv, got acme-gw" in message


def test_another_architecture_is_refused():
    message = refused("R3", policy.check_identity, tag(), offer(), None, "arm64")
    assert "wrong architecture: expected arm64, got amd64" in message


RUNNING = MachineFacts(running_number=42, running_commit=OLD, security_floor=40)


def order(number, facts=RUNNING, commit=NEW, floor=0):
    return ("v", number, floor, commit, facts)


def test_a_newer_release_is_taken():
    policy.check_order(*order(43))


def test_a_machine_without_a_release_takes_any():
    policy.check_order(*order(1, MachineFacts()))


def test_an_older_release_is_refused_and_the_hint_says_how_to_go_back():
    with pytest.raises(UntrustedError) as caught:
        policy.check_order(*order(41))
    assert caught.value.check == "R4"
    assert "number 41) is older than the running one (number 42)" in str(caught.value)
    assert caught.value.hint == (
        "To go back on purpose: osupdate apply v --allow-downgrade"
    )


def test_an_older_release_is_taken_when_a_person_allows_it():
    facts = MachineFacts(running_number=42, running_commit=OLD, allow_downgrade=True)
    policy.check_order(*order(41, facts))


def test_nothing_goes_below_the_security_floor_even_when_allowed():
    facts = MachineFacts(running_number=42, security_floor=40, allow_downgrade=True)
    policy.check_order(*order(40, facts))
    assert "security floor" in refused("R4", policy.check_order, *order(39, facts))


def test_the_floor_counts_on_a_machine_that_forgot_what_it_runs():
    facts = MachineFacts(security_floor=40)
    assert "security floor" in refused("R4", policy.check_order, *order(39, facts))


def test_a_release_below_its_own_floor_is_refused():
    refused("R4", policy.check_order, *order(43, floor=44))
    policy.check_order(*order(43, floor=43))


def test_the_running_release_may_be_laid_out_again():
    policy.check_order(*order(42, commit=OLD))
    policy.check_number_is_new("v", 42, OLD, RUNNING)


def test_a_second_release_with_the_running_number_is_refused():
    message = refused("R4", policy.check_number_is_new, "v", 42, NEW, RUNNING)
    assert "expected a larger number" in message
    policy.check_number_is_new("v", 43, NEW, RUNNING)


HELD = Hold(version="2026.05.1", commit=OLD, number=42, reason="nginx failed", at=0)


@pytest.mark.parametrize(
    ("version", "commit"), [("2026.05.1", NEW), ("other", OLD), ("2026.05.1", OLD)]
)
def test_a_held_release_is_refused_by_its_version_and_by_its_commit(version, commit):
    facts = MachineFacts(holds=(HELD,))
    assert "is held: nginx failed" in refused(
        "R5", policy.check_holds, version, commit, facts
    )


def test_another_release_than_the_held_one_is_taken():
    policy.check_holds("2026.05.2", NEW, MachineFacts(holds=(HELD,)))


def test_a_pinned_machine_takes_only_what_it_is_pinned_to():
    facts = MachineFacts(pin="2026.05.1")
    policy.check_holds("2026.05.1", NEW, facts)
    assert "pinned to 2026.05.1" in refused(
        "R5", policy.check_holds, "2026.05.2", NEW, facts
    )
    policy.check_holds("x", NEW, MachineFacts(pin=NEW))


@pytest.mark.parametrize(
    "path", [b".osupdate-etc", b".osupdate-etc/passwd", b"boot/osupdate/slot.cfg"]
)
def test_the_updaters_own_places_are_not_a_releases(path):
    entry = TreeEntry(path, GitMode.FILE, NEW)
    refused("F4", policy.check_places, [entry], {})
    refused("F4", policy.check_places, [], {path: Metadata(type="dir")})


def test_a_similar_name_is_a_releases():
    entries = [
        TreeEntry(path, GitMode.FILE, NEW)
        for path in (b".osupdate-etc2", b"boot/osupdated", b"etc/osupdate/config.toml")
    ]
    policy.check_places(entries, {})


# --- what can be told before the content is here


def record(number=41, commit=OLD):
    return Record(
        DeploymentId(f"{number}-{commit[:7]}.0"), commit, "2026.04.1", number, None,
        0, 0, 0, "", signed=True,
    )  # fmt: skip


def state(**changes):
    return State(deployments=(record(),), **changes)


HOLD = Hold("2026.05.1", NEW, 42, "breaks the printer", 0)


def test_nothing_known_against_an_offer_is_no_obstacle():
    assert policy.obstacle(state(), record(), offer()) is None
    assert policy.obstacle(State(), None, offer()) is None


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"paused": "trade fair"}, "paused", "updates are on hold here: trade fair"),
        ({"holds": (HOLD,)}, "held", "release 2026.05.1 is held: breaks the printer"),
        (
            {"pin": "2026.04.1"},
            "pinned",
            "this machine is pinned to 2026.04.1; 2026.05.1 is another release",
        ),
    ],
)
def test_what_stands_in_the_way_of_an_offer_is_told_with_the_way_out(
    changes, kind, text
):
    found = policy.obstacle(state(**changes), record(), offer())
    assert (found.kind, found.text) == (kind, text)
    assert "osupdate " in found.hint


def test_a_pin_to_the_offer_is_no_obstacle():
    for pin in ("2026.05.1", NEW):
        assert policy.obstacle(state(pin=pin), record(), offer()) is None


def test_an_offer_without_a_version_may_be_the_pinned_one():
    """In a plain repository only the content tells the date in the name."""
    unnamed = offer(version=None, tag=None, tag_name=None)
    mine, other = f"2026-05-01-{NEW[:7]}", f"2026-05-01-{OLD[:7]}"
    assert policy.obstacle(state(pin=mine), record(), unnamed) is None
    assert policy.obstacle(state(pin=other), record(), unnamed).kind == "pinned"


@pytest.mark.parametrize("number", [1, 40, 41])
def test_an_offer_whose_number_is_known_not_to_be_newer_is_told(number):
    found = policy.obstacle(state(), record(), offer(number=number))
    assert found.kind == "older"
    assert policy.obstacle(state(), record(), offer(number=42)) is None


def test_an_offer_that_is_still_here_has_a_known_number():
    here = State(deployments=(record(), record(40, NEW)))
    found = policy.obstacle(here, record(), offer())
    assert "(number 40) is older than the running one (number 41)" in found.text
    assert "--allow-downgrade" in found.hint


def test_an_offer_below_the_security_floor_has_no_way_out():
    found = policy.obstacle(state(security_floor=42), record(), offer(number=41))
    assert (found.kind, found.hint) == ("older", None)
    assert "below the security floor" in found.text


def test_what_is_foreseen_may_be_overruled_as_after_the_download():
    allowed = policy.facts_of(state(), record(), allow_downgrade=True)
    policy.foresee(offer(), 40, allowed)
    refused("R4", policy.foresee, offer(), 40, policy.facts_of(state(), record()))


# --- R5: what the channel says of releases


ROAD = MachineFacts(
    running_number=10,
    barriers=(Mark(20, "partition table"), Mark(15, "boot loader")),
    dead_ends=(Mark(9, "reinstall"),),
    withdrawn=(Mark(30, "eats disks"),),
)


def test_a_release_on_a_free_way_is_taken():
    policy.check_way("v", 14, ROAD)
    policy.check_way("v", 15, ROAD)


def test_a_withdrawn_release_is_refused_with_its_reason():
    facts = replace(ROAD, running_number=29)
    with pytest.raises(UntrustedError, match=r"withdrawn: eats disks \(check R5\)"):
        policy.check_way("v", 30, facts)


def test_a_barrier_on_the_way_comes_first():
    with pytest.raises(UntrustedError, match="number 15 is to be taken first"):
        policy.check_way("v", 21, ROAD)
    assert policy.barrier_on_the_way(ROAD.barriers, 15, 21).number == 20
    assert policy.barrier_on_the_way(ROAD.barriers, 20, 21) is None


def test_nothing_leads_from_a_dead_end_but_back():
    facts = replace(ROAD, running_number=9)
    with pytest.raises(UntrustedError, match="dead end: no update leads from it: rein"):
        policy.check_way("v", 14, facts)
    policy.check_way("v", 8, facts)


def test_a_release_below_the_version_floor_is_refused_after_going_back():
    facts = MachineFacts(running_number=10, version_floor=13)
    with pytest.raises(UntrustedError, match="version floor"):
        policy.check_order("v", 12, 0, "a" * 40, facts)
    policy.check_order("v", 13, 0, "a" * 40, facts)
    policy.check_order("v", 12, 0, "a" * 40, replace(facts, allow_downgrade=True))
