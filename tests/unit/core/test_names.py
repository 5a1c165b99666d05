"""How people call a release."""

import pytest
from msgspec.structs import replace
from support.records import record

from updater.core import names
from updater.errors import UsageError
from updater.model import State

OLD = record("1.0", 1, "abcdef0" + "1" * 33, tag="f" * 40)
NEW = record("1.1", 2, "abcdef0" + "2" * 33)
STATE = State(deployments=(OLD, NEW), target=NEW.id)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("running", OLD),
        ("staged", NEW),
        ("1.0", OLD),
        ("release/1.1", NEW),
        ("number:2", NEW),
        (OLD.id, OLD),
        (OLD.commit, OLD),
        (OLD.commit.upper(), OLD),
        (OLD.commit[:8], OLD),
        ("f" * 40, OLD),
        ("number:3", None),
        ("abcdef", None),
        ("1", None),
        ("", None),
        ("available", None),
    ],
)
def test_a_release_is_found_by_what_people_call_it(wanted, found):
    assert names.find_record(STATE, OLD.id, wanted) == found


def test_the_previous_one_is_neither_running_nor_staged():
    assert names.find_record(STATE, OLD.id, "previous") is None
    idle = replace(STATE, target=None)
    assert names.find_record(idle, NEW.id, "previous") == OLD


def test_an_id_that_two_releases_begin_with_is_not_enough():
    with pytest.raises(UsageError, match=r"may be any of 1\.0 .*, 1\.1 .*: say more"):
        names.find_record(STATE, OLD.id, "abcdef0")


def test_two_deployments_of_one_release_are_no_riddle():
    again = replace(NEW, id="2-abcdef0.1")
    state = replace(STATE, deployments=(OLD, NEW, again))
    assert names.find_record(state, OLD.id, "1.1") == again


def test_an_unknown_name_gets_the_known_ones():
    with pytest.raises(UsageError, match=r'no release "2\\x1b" is deployed') as caught:
        names.require(None, "2\x1b", STATE.deployments)
    assert caught.value.hint == "Deployed are: 1.0, 1.1."
    assert names.require(OLD, "x", ()) == OLD
