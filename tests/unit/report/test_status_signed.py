"""`status` of a machine in signed mode."""

from msgspec.structs import replace
from support.fake_agent import NEW, NOW, accepted, offer, record, status

from updater.model import Check, Phase, State
from updater.report import status as report
from updater.report.status import Condition

GOOD = State(last_check=Check(NOW), last_success_at=NOW)


def signed(state=GOOD, **kw):
    return status(state, **{"log": accepted(), "device_time": NOW} | kw)


def page(value):
    return "\n".join(report.text(value))


def test_what_the_channel_said_is_on_the_page():
    text = page(signed())
    assert "entry 17: 2026.05.1 (number 42), expires 2026-05-17 14:02 UTC" in text
    assert "Rollout   stopped, 4 % now; this machine may have it" in text
    assert "channel by SHA256:x (c@hq) until 2026-05-16 14:02 UTC" in text
    assert "release by SHA256:y\n" in text + "\n"


def test_an_expired_channel_is_the_first_line_and_an_exit_code():
    value = signed(log=accepted(expires=NOW))
    assert report.condition(value) is Condition.STALE
    assert report.EXIT_CODES[report.condition(value)] == 4
    assert report.summary(value) == (
        "STALE: what stable said expired 2026-05-16 14:02 UTC - cannot tell if "
        "2026.04.2 is current"
    )


def test_an_expired_channel_outweighs_an_offer_a_failure_and_what_is_staged():
    old = accepted(expires=NOW)
    failing = State(last_check=Check(NOW, "no answer"))
    staged = State(phase=Phase.STAGED, target=record("2", NEW, 42).id)
    for value in (
        signed(log=old, available=offer()),
        signed(failing, log=old),
        signed(staged, log=old, target=record("2", NEW, 42)),
    ):
        assert report.condition(value) is Condition.STALE
    trial = State(phase=Phase.TRIAL, target=record("2", NEW, 42).id)
    value = signed(trial, log=old, target=record("2", NEW, 42))
    assert report.condition(value) is Condition.TRIAL


def test_a_turn_that_has_not_come_is_no_hold():
    value = signed(
        available=offer(), turn="this machine's turn is at 14:10 UTC; 4 % now"
    )
    assert report.condition(value) is Condition.HELD
    assert report.summary(value) == (
        "Update on its way: 2026.05.1 (4be1a90) in stable; this machine's turn is at "
        "14:10 UTC; 4 % now"
    )
    assert "osupdate apply 2026.05.1 --reason TEXT" in page(value)


def test_pins_are_named():
    text = page(signed(pinned=True))
    assert "Trust     pinned in /etc/osupdate/trust: keys do not rotate" in text


def test_a_withdrawn_offer_says_why():
    value = signed(available=offer(), log=accepted())
    numbered = signed(available=offer_of(43), log=accepted())
    assert report.condition(value) is Condition.AVAILABLE
    assert report.condition(numbered) is Condition.HELD
    assert report.obstacle(numbered).kind == "withdrawn"
    assert "eats disks" in report.obstacle(numbered).text


def offer_of(number):
    return replace(offer(), number=number)
