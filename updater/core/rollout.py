"""Who gets a release when: a place in the line for every machine and release.

position = first 8 bytes of SHA-256(node id, NUL, tag id) / 2^64, so that it is below 1
fraction = min(limit, elapsed / hours), or the limit at once when hours is 0

The release is this machine's when position < fraction. Nobody is asked, and a machine
has another place for every release.
"""

import hashlib

from msgspec.structs import replace

from updater.core.times import clock_time, minute
from updater.model import Entry, ObjectId, Rollout

HOUR = 3600


def position(node: str, tag: ObjectId) -> float:
    """A machine's place in the line for a release, 0 <= place < 1."""
    digest = hashlib.sha256(f"{node}\0{tag}".encode()).digest()
    # A double has 53 bits; rounding the other 11 could give 1, which is nobody's turn.
    return (int.from_bytes(digest[:8]) >> 11) / (1 << 53)


def fraction(rollout: Rollout, now: int) -> float:
    """How much of the fleet may have the release at a time."""
    elapsed = now - rollout.start
    if elapsed < 0:
        return 0.0
    if rollout.hours == 0:
        return rollout.limit
    return min(rollout.limit, elapsed / (rollout.hours * HOUR))


def is_turn(rollout: Rollout, place: float, now: int) -> bool:
    """Whether a machine at this place may have the release."""
    return place < fraction(rollout, now)


def due(rollout: Rollout, place: float) -> int | None:
    """When it is the turn of a machine at this place; None while the limit is below."""
    if place >= rollout.limit:
        return None
    if rollout.hours == 0:
        return rollout.start
    return rollout.start + int(place * rollout.hours * HOUR) + 1


def paused(rollout: Rollout, now: int) -> Rollout:
    """The rollout, stopped at the fraction that it has reached."""
    return replace(rollout, limit=round(fraction(rollout, now), 6))


def resumed(rollout: Rollout, now: int) -> Rollout:
    """The rollout, going on at the same speed from where it was stopped."""
    passed = int(rollout.limit * rollout.hours * HOUR)
    begun = max(0, now - passed) if rollout.limit < 1 else rollout.start
    return replace(rollout, start=begun, limit=1.0)


def sentence(entry: Entry, place: float, now: int) -> str | None:
    """Why it is not this machine's turn, in a sentence; None when it is."""
    if is_turn(entry.rollout, place, now):
        return None
    share = f"{100 * fraction(entry.rollout, now):.0f} % now"
    at = due(entry.rollout, place)
    if at is None:
        return f"the rollout is stopped below this machine's place ({share})"
    return f"this machine's turn is at {clock_time(at, now)}; {share}"


def speed(rolled: Rollout, now: int) -> str | None:
    """How fast a release reaches the fleet; None when everybody may have it."""
    if rolled.hours == 0 and rolled.limit >= 1 and now >= rolled.start:
        return None
    share = f"{100 * fraction(rolled, now):.0f} % now"
    if rolled.limit < 1:
        return f"stopped, {share}"
    return f"{rolled.hours} h from {minute(rolled.start)}, {share}"
