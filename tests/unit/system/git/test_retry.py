"""Network trouble is retried, with growing pauses and an end; refusals are not."""

import pytest

from updater.errors import RefusedError, TransportError, UntrustedError
from updater.system.git.failures import MissingBasesError, RejectedError
from updater.system.git.retry import TRIES, patiently


class Attempts:
    def __init__(self, *errors):
        self.errors = list(errors)
        self.calls = 0

    def __call__(self):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_the_second_try_may_succeed():
    attempt, waits = Attempts(TransportError("gone")), []
    assert patiently(attempt, waits.append, lambda: 0.5) == "done"
    assert waits == [2.0]


def test_the_last_error_is_raised_after_the_last_try():
    attempt, waits = Attempts(*(TransportError(str(n)) for n in range(9))), []
    with pytest.raises(TransportError, match=str(TRIES - 1)):
        patiently(attempt, waits.append, lambda: 0.5)
    assert attempt.calls == TRIES == 3
    assert waits == [2.0, 6.0]


@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_jitter_spreads_a_fleet(jitter):
    waits = []
    patiently(Attempts(TransportError("gone")), waits.append, lambda: jitter)
    assert waits == [2.0 * (0.5 + jitter)]


@pytest.mark.parametrize(
    "error",
    [
        UntrustedError("F1", "moved"),
        RefusedError("certificate"),
        RejectedError("404"),
        MissingBasesError("thin"),
    ],
)
def test_what_will_not_change_is_not_tried_again(error):
    attempt, waits = Attempts(error), []
    with pytest.raises(type(error)):
        patiently(attempt, waits.append)
    assert (attempt.calls, waits) == (1, [])
