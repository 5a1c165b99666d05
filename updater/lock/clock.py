"""The clock of the lock service: seconds since the epoch, and whether it jumped."""

import time
from collections.abc import Callable

JUMP = 30  # seconds against the monotonic clock that are no drift


class Clock:
    """Reads the wall clock and watches it.

    Args:
        wall: seconds since the epoch.
        monotonic: seconds that only grow.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def now(self) -> int:
        """Seconds since the epoch, as the machine has it."""
        return int(self._wall())

    def jumped(self) -> int:
        """Seconds by which the clock was put forward since the last call; often 0."""
        offset = self._wall() - self._monotonic()
        jump = offset - self._offset
        self._offset = offset
        return round(jump) if abs(jump) > JUMP else 0
