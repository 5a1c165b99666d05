"""Patience with a network: a few tries, further and further apart."""

import random
from collections.abc import Callable
from typing import TypeVar

from updater.errors import TransportError
from updater.system.git.failures import MissingBasesError, RejectedError

TRIES = 3
_FIRST = 2.0  # seconds before the second try
_T = TypeVar("_T")


def patiently(
    attempt: Callable[[], _T],
    sleep: Callable[[float], None],
    jitter: Callable[[], float] = random.random,
) -> _T:
    """Call `attempt` until it does not fail for the network's sake.

    Args:
        attempt: what to do; a refusal or a rejection ends it at once.
        sleep: waits that many seconds.
        jitter: 0.0 to 1.0, so that a fleet does not come back in one moment.

    Raises:
        TransportError: of the last try.
    """
    for number in range(TRIES):
        try:
            return attempt()
        except (RejectedError, MissingBasesError):
            raise
        except TransportError:
            if number == TRIES - 1:
                raise
        sleep(_FIRST * 3**number * (0.5 + jitter()))
    raise AssertionError("unreachable")
