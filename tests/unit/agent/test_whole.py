"""When a deployment that lost files is still worth running."""

import pytest

from updater.agent.whole import can_run

PROGRAMS = [b"usr/bin/sh", b"usr/bin/ls"]
OTHERS = [b"usr/lib/libc.so", b"usr/share/a", b"usr/share/b", b"etc/motd"]


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        ([], True),
        (PROGRAMS[:1], True),
        (OTHERS[:2], True),
        ([PROGRAMS[0], OTHERS[0]], True),
        (PROGRAMS, False),
        (OTHERS[:3], False),
        (PROGRAMS + OTHERS, False),
    ],
)
def test_half_of_it_or_every_program_is_too_much_to_lose(lost, expected):
    rows = dict.fromkeys(PROGRAMS + OTHERS)
    assert can_run(rows, lost) is expected


def test_a_system_without_programs_may_lose_what_it_has_not():
    rows = dict.fromkeys(OTHERS)
    assert can_run(rows, OTHERS[:1])
    assert not can_run(rows, OTHERS[:2])
