"""Several requests to one group, one after the other, to be stored as one change."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from updater.core.fleet import Answer, Entry, Group, Holder, Node, Step
from updater.core.waiting import Place

Rule = Callable[[Group, Node | None], Step]

HEARD_AGAIN = 60  # seconds: a younger sign of life is not worth a write


class Job(Struct, frozen=True):
    """A rule, and the node that it is about; "" is none."""

    node: str
    rule: Rule


class Folded(Struct, frozen=True):
    """What became of a group; `nodes` are the ones to be remembered anew."""

    group: Group
    answers: tuple[Answer, ...]
    entries: tuple[Entry, ...]
    nodes: Mapping[str, Node]


def fold(group: Group, nodes: Mapping[str, Node], jobs: Sequence[Job]) -> Folded:
    """Apply every job to what the ones before it made."""
    answers: list[Answer] = []
    entries: list[Entry] = []
    changed: dict[str, Node] = {}
    for job in jobs:
        known = changed.get(job.node) or nodes.get(job.node)
        step = job.rule(group, known)
        group = step.group
        answers.append(step.answer)
        entries += step.entries
        if step.node is not None and _is_news(known, step.node):
            changed[job.node] = step.node
    return Folded(group, tuple(answers), tuple(entries), changed)


class Changes(Struct, frozen=True):
    """What must be written of a group: signs of life alone must not.

    `lost` are the ids of places that are gone.
    """

    group: bool
    places: tuple[Place, ...]
    lost: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.group or bool(self.places) or bool(self.lost)


def changes(before: Group, after: Group) -> Changes:
    """The difference between what is stored and what is now."""
    old, new = before.queue.places, after.queue.places
    if old is new:
        return Changes(_group_differs(before, after), (), ())
    places = tuple(
        place
        for place in new.values()
        if old.get(place.id) is not place and _place_differs(old.get(place.id), place)
    )
    lost = tuple(name for name in old if name not in new)
    return Changes(_group_differs(before, after), places, lost)


def _group_differs(before: Group, after: Group) -> bool:
    if before.holders is not after.holders:
        olds = {holder.id: holder for holder in before.holders}
        if len(olds) != len(after.holders):
            return True
        if any(_holder_differs(olds.get(h.id), h) for h in after.holders):
            return True
    bare = replace(after, holders=before.holders, queue=before.queue)
    return bare != before


def _holder_differs(old: Holder | None, new: Holder) -> bool:
    if old is None or new.seen - old.seen >= HEARD_AGAIN:
        return True
    return replace(new, seen=old.seen) != old


def _place_differs(old: Place | None, new: Place) -> bool:
    if old is None:
        return True
    return replace(new, seen=old.seen, interval=old.interval) != old


def _is_news(old: Node | None, new: Node) -> bool:
    return old is None or replace(new, seen=old.seen) != old
