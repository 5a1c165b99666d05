"""Which releases of a site are compared with which: bounded, and useful."""

from collections.abc import Sequence
from itertools import pairwise

ALL_UP_TO = 12  # releases; of more, not every pair is compared
LAST = 10  # of many releases, those that are compared with each other


def of(
    versions: Sequence[str], channels: Sequence[Sequence[str]] = ()
) -> list[tuple[str, str]]:
    """Older and newer version of every comparison, the newest first.

    Args:
        versions: newest first.
        channels: what each offered, newest first: machines go from one to the next.
    """
    near = len(versions) if len(versions) <= ALL_UP_TO else LAST
    steps = {pair for offered in channels for pair in pairwise(offered)}
    place = {version: number for number, version in enumerate(versions)}
    found = []
    for position, new in enumerate(versions):
        last = max(near, position + 2) if position < near else position + 2
        olds = set(versions[position + 1 : last])
        olds |= {
            old for to, old in steps if to == new and place.get(old, -1) > position
        }
        found += [(old, new) for old in sorted(olds, key=place.__getitem__)]
    return found
