"""When a waiting node may expect its slot."""

from updater.core.fleet import Group

SOON = 5  # seconds: nothing is expected sooner
USUAL_HOLD = 300  # seconds, until some are known


def usual_hold(group: Group) -> int:
    """Seconds that a node is usually down: the median of the latest."""
    if not group.holds:
        return USUAL_HOLD
    return max(1, sorted(group.holds)[len(group.holds) // 2])


def expected(group: Group, rank: int, now: int) -> int | None:
    """Seconds until the node at `rank` gets a slot; None when nobody can tell."""
    slots = group.settings.slots
    if group.drain is not None or slots < 1:
        return None
    usual = usual_hold(group)
    left = [
        max(SOON, usual - (now - holder.since))
        for holder in group.holders
        if not holder.overdue
    ]
    stuck = len(group.holders) - len(left)
    usable = slots - stuck
    if usable < 1:
        return None
    ends = sorted([0] * max(0, usable - len(left)) + left)[-usable:]
    return ends[rank % usable] + usual * (rank // usable)
