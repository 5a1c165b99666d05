"""Which releases of a site are compared with which: bounded, and useful."""

from collections.abc import Sequence

ALL_UP_TO = 12  # releases; of more, not every pair is compared
LAST = 10  # of many releases, those that are compared with each other


def of(versions: Sequence[str]) -> list[tuple[str, str]]:
    """Older and newer version of every comparison, the newest first.

    Args:
        versions: newest first.
    """
    near = len(versions) if len(versions) <= ALL_UP_TO else LAST
    found = []
    for position, new in enumerate(versions):
        last = max(near, position + 2) if position < near else position + 2
        found += [(old, new) for old in versions[position + 1 : last]]
    return found
