"""When the next look at the remote is due: jitter when it goes well, patience when not.

A fleet that was installed at one moment would else ask at one moment for ever.
"""

import hashlib

from updater.model import Check

SOONEST = 300  # seconds between two tries
LONGEST = 4  # intervals that a failing remote is left alone, at most


def next_check(
    last: Check | None, success_at: int | None, interval: int, node: str
) -> int:
    """The second from which on the remote may be asked; 0 is at once.

    After a failure the wait is as long as the trouble has lasted, so that it doubles.

    Args:
        last: how the last look ended.
        success_at: when one last went well.
        interval: seconds between two looks that go well.
        node: this machine's name, which the jitter is made of.
    """
    if last is None:
        return 0
    wait = interval
    if last.error is not None:
        trouble = last.at - (success_at if success_at is not None else last.at)
        wait = min(max(trouble, SOONEST), max(LONGEST * interval, SOONEST))
    return last.at + wait + int(wait * _share(node, last.at) / 10)


def is_due(
    last: Check | None, success_at: int | None, interval: int, node: str, now: int
) -> bool:
    """Whether to ask now; a look that lies ahead of the clock does not count."""
    if last is not None and last.at > now:
        return True
    return now >= next_check(last, success_at, interval, node)


def _share(node: str, at: int) -> float:
    digest = hashlib.sha256(f"{node}\0{at}".encode()).digest()
    return int.from_bytes(digest[:4]) / (1 << 32)
