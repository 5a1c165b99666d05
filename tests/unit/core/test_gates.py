from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from updater.core.gates import (
    Facts,
    Inhibitor,
    Logins,
    Name,
    Person,
    Policy,
    evaluate,
    first_closed,
)
from updater.core.windows import Schedule, Weekly

SATURDAY = int(datetime(2026, 5, 16, 3, 30, tzinfo=UTC).timestamp())
HOUR = 3600
POLICY = Policy(
    enabled=True,
    strategy="window",
    schedule=Schedule((Weekly(("Sat",), "03:00", 2 * HOUR),)),
    needs_clock=True,
    users="wait",
    users_grace=600,
)
FACTS = Facts(now=SATURDAY, synchronised=True)
ANNA = Logins(people=(Person("anna", "pts/0"),))


def closed(policy=POLICY, facts=FACTS):
    return first_closed(evaluate(policy, facts))


def test_everything_is_open_on_a_quiet_machine_in_its_window():
    assert closed() is None
    assert [gate.name for gate in evaluate(POLICY, FACTS)] == [
        name for name in Name if name is not Name.LOCK
    ]


@pytest.mark.parametrize(
    ("policy", "facts", "name", "word", "until"),
    [
        ({"enabled": False}, {}, Name.ENABLED, "enabled is false", None),
        ({"strategy": "manual"}, {}, Name.ENABLED, "manual", None),
        ({}, {"synchronised": False}, Name.CLOCK, "not synchronised", None),
        ({}, {"synchronised": None}, Name.CLOCK, "does not say", None),
        ({}, {"held": "fair", "held_until": 9}, Name.HOLD, "fair", 9),
        (
            {},
            {"held_release": "1.1 is held", "held_command": "osupdate unhold 1.1"},
            Name.HOLD,
            "1.1 is held",
            None,
        ),
        (
            {},
            {"now": SATURDAY + 2 * HOUR},
            Name.WINDOW,
            "2026-05-23 03:00 UTC",
            SATURDAY - HOUR // 2 + 7 * 24 * HOUR,
        ),
        ({"schedule": Schedule(())}, {}, Name.WINDOW, "names none", None),
        ({}, {"logins": ANNA}, Name.USERS, "anna on pts/0", SATURDAY + 600),
        (
            {},
            {"logins": ANNA, "people_since": SATURDAY - 599},
            Name.USERS,
            "anna",
            SATURDAY + 1,
        ),
        ({}, {"logins": Logins(failure="no answer")}, Name.USERS, "no answer", None),
        ({}, {"logins": Logins(absent=True)}, Name.USERS, "no logind", None),
        (
            {"users": "ignore"},
            {"logins": Logins(failure="no answer")},
            Name.INHIBITORS,
            "no answer",
            None,
        ),
        (
            {},
            {"logins": Logins(inhibitors=(Inhibitor("dnf", "installing"),))},
            Name.INHIBITORS,
            "dnf (installing)",
            None,
        ),
        ({}, {"hooks": ("backup exit code 1",)}, Name.HOOKS, "backup", None),
    ],
)
def test_a_gate_is_closed_and_says_why_and_until_when(policy, facts, name, word, until):
    gate = closed(replace(POLICY, **policy), replace(FACTS, **facts))
    assert (gate.name, gate.until) == (name, until)
    assert word in gate.why
    assert gate.command


@pytest.mark.parametrize(
    ("policy", "facts"),
    [
        ({"needs_clock": False}, {"synchronised": False}),
        ({"strategy": "immediate"}, {"now": SATURDAY + 5 * HOUR}),
        ({"users": "ignore"}, {"logins": ANNA}),
        ({"users": "ignore"}, {"logins": Logins(absent=True)}),
        ({}, {"logins": ANNA, "people_since": SATURDAY - 600}),
    ],
)
def test_what_is_set_otherwise_is_open(policy, facts):
    assert closed(replace(POLICY, **policy), replace(FACTS, **facts)) is None


def test_the_first_closed_gate_in_order_is_the_answer():
    facts = replace(FACTS, synchronised=False, held="x", hooks=("y",))
    assert closed(facts=facts).name is Name.CLOCK


def test_a_hostile_name_is_made_safe():
    logins = Logins(people=(Person("an\x1b[31mna\n", "pts/0"),))
    assert "\x1b" not in closed(facts=replace(FACTS, logins=logins)).why
