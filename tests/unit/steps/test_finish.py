from support.fake_agent import record

from updater.model import Phase, State
from updater.steps.finish import finish_good, went_back

TRIAL = State(
    phase=Phase.TRIAL, target="t", origin="o", security_floor=40, version_floor=41
)


def test_floors_follow_the_release_that_proved_itself():
    done = finish_good(TRIAL, record(number=42, security_floor=41))
    assert (done.version_floor, done.security_floor) == (42, 41)
    assert done.phase is Phase.IDLE


def test_the_security_floor_never_sinks():
    done = finish_good(TRIAL, record(number=42, security_floor=7))
    assert done.security_floor == 40


def test_a_release_that_a_person_went_down_to_is_the_floor_from_then_on():
    assert finish_good(TRIAL, record(number=40)).version_floor == 40


def test_going_back_lowers_no_floor():
    reverting = State(
        phase=Phase.REVERTING, target="o", security_floor=40, version_floor=42
    )
    back = went_back(reverting, record())
    assert (back.version_floor, back.security_floor) == (42, 40)
