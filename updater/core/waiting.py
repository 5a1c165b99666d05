"""A queue of nodes: first come, first served; each knows its rank in O(log n).

Tickets only grow, so that the order of the places is the order of their tickets.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace


class Place(Struct, frozen=True):
    """A node that waits.

    `interval` is how often it asks: what it was told, or as seldom as it was seen to.
    """

    id: str
    ticket: int
    since: int
    seen: int
    interval: int
    name: str = ""
    why: str = ""
    origin: str = ""
    target: str = ""

    def is_late(self, silence: int) -> bool:
        """Whether it missed one poll: a slot is then not kept for it."""
        return silence > self.interval + max(5, self.interval // 5)


class Queue(Struct, frozen=True):
    """Places in order. A change makes a new queue."""

    places: Mapping[str, Place]
    tickets: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.tickets)

    def __iter__(self) -> Iterator[Place]:
        return iter(self.places.values())

    def get(self, wanted: str) -> Place | None:
        """The place of a node, or None."""
        return self.places.get(wanted)

    def rank(self, place: Place) -> int:
        """How many are before a place that is in the queue."""
        return bisect_left(self.tickets, place.ticket)

    @property
    def next_ticket(self) -> int:
        """A ticket behind all others."""
        return self.tickets[-1] + 1 if self.tickets else 1

    def put(self, place: Place) -> "Queue":
        """With a place more, at its end, or with a known one changed.

        Raises:
            ValueError: a new place whose ticket is not behind all others.
        """
        places = dict(self.places)
        known = places.get(place.id)
        places[place.id] = place
        if known is not None:
            if known.ticket != place.ticket:
                raise ValueError(f"the ticket of {place.id} changed")
            return replace(self, places=places)
        if place.ticket < self.next_ticket:
            raise ValueError(f"ticket {place.ticket} is not behind the others")
        return Queue(places, (*self.tickets, place.ticket))

    def without(self, wanted: str) -> "Queue":
        """Without the place of a node; the same when it has none."""
        gone = self.places.get(wanted)
        if gone is None:
            return self
        at = self.rank(gone)
        places = dict(self.places)
        del places[wanted]
        return Queue(places, self.tickets[:at] + self.tickets[at + 1 :])


EMPTY = Queue({}, ())


def from_places(places: list[Place]) -> Queue:
    """A queue of places in any order, each ticket once."""
    ordered = sorted(places, key=lambda place: place.ticket)
    return Queue({p.id: p for p in ordered}, tuple(p.ticket for p in ordered))
