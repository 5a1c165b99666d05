"""Time, chance, and what the run found."""

import heapq
import itertools
import random
from dataclasses import dataclass, field

START = 1_780_000_000


class World:
    """Events in virtual time. `wall` is the clock of the servers, which may jump."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.now = 0.0
        self.wall_offset = float(START)
        self._events = []
        self._serial = itertools.count()

    def wall(self):
        return self.now + self.wall_offset

    def monotonic(self):
        return self.now

    def later(self, seconds, action):
        """Do something then; actions are coroutine functions."""
        at = self.now + max(0.0, seconds)
        heapq.heappush(self._events, (at, next(self._serial), action))

    async def run(self, until, done):
        while self._events and self.now < until and not done():
            self.now, _, action = heapq.heappop(self._events)
            await action()

    def chance(self, share):
        return self.random.random() < share

    def between(self, least, most):
        return self.random.uniform(least, most)


@dataclass
class Faults:
    """How often what happens: shares of messages or of reboots, and times."""

    lost: float = 0.02
    answer_lost: float = 0.02
    duplicate: float = 0.02
    late_duplicate: float = 3600.0  # seconds at most
    crash_waiting: float = 0.0005
    dies_down: float = 0.003
    bad_release: float = 0.02
    cancels: float = 0.01
    partition_every: float = 7200.0
    partition_share: float = 0.2
    server_crash_every: float = 5400.0
    clock_jump_every: float = 10_000.0


@dataclass
class Figures:
    """What is printed, and what must hold."""

    reboots: int = 0
    most_down: int = 0
    waits: list = field(default_factory=list)
    messages: int = 0
    lost: int = 0
    duplicates: int = 0
    crashes: int = 0
    deaths: int = 0
    forced: int = 0
    partitions: int = 0
    restarts: int = 0
    jumps: int = 0
    failed: int = 0
    cancelled: int = 0
    unavailable: int = 0
