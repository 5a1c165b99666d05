"""The values of the fleet's reboot lock: who may be down, who waits, and why.

Times are whole seconds since the epoch. Texts come from nodes and from people; they
are bounded when they enter (`lock/wire.py`) and made safe when they are shown.
"""

from enum import StrEnum
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from updater.core.waiting import EMPTY, Queue

KNOWN_HOLDS = 9  # the latest lengths of holds that an expectation is made of


class Phase(StrEnum):
    """Where a holder is, as it says itself."""

    GRANTED = "granted"
    REBOOTING = "rebooting"
    TRIAL = "trial"


class Verdict(StrEnum):
    """How a holder's reboot ended, as it says itself."""

    GOOD = "good"
    FAILED = "failed"
    UNCHANGED = "unchanged"


class Moment(Struct, frozen=True):
    """The time, and since when nodes could have been heard.

    A poll that came while the service was down was not missed, so silence counts from
    `awake` at the earliest.
    """

    now: int
    awake: int = 0

    def silence(self, seen: int) -> int:
        """Seconds since a node could have been heard and was not."""
        return max(0, self.now - max(seen, self.awake))


class Holder(Struct, frozen=True):
    """A node that may be down. A non-empty `target` asks for proof when it releases."""

    id: str
    since: int
    seen: int
    name: str = ""
    why: str = ""
    origin: str = ""
    target: str = ""
    phase: Phase = Phase.GRANTED
    request: int | None = None
    overdue: bool = False


class Node(Struct, frozen=True):
    """What is remembered of a node: the release it said it runs, and how that went.

    `request` is the number of its last finished request: older ones are replays.
    """

    id: str
    seen: int
    name: str = ""
    release: str = ""
    verdict: str = ""
    request: int | None = None


class Drain(Struct, frozen=True):
    """Why nobody is granted anything in a group, and who said so."""

    since: int
    reason: str
    actor: str


class GroupSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What a configuration says of a group; durations in seconds.

    `poll` is how often a client asks that was not told otherwise, or does not listen.
    """

    slots: int = 1
    overdue: Literal["halt", "free"] = "halt"
    overdue_after: int = 3600
    poll: int = 330


class Group(Struct, frozen=True):
    """One semaphore. `configured` is what the configuration last said of it."""

    name: str
    settings: GroupSettings = GroupSettings()
    configured: GroupSettings | None = None
    drain: Drain | None = None
    holders: tuple[Holder, ...] = ()
    queue: Queue = EMPTY
    holds: tuple[int, ...] = ()

    def holder(self, wanted: str) -> Holder | None:
        """The holder of this id, or None."""
        return next((holder for holder in self.holders if holder.id == wanted), None)

    @property
    def free(self) -> int:
        """Slots that are not held; negative after their number was lowered."""
        return self.settings.slots - len(self.holders)


class Ask(Struct, frozen=True):
    """A node wants to go down. All but `id` is beyond the protocol, and may be empty.

    `request` is a number that its sender uses for this one reboot and its release, and
    that only grows.
    """

    id: str
    name: str = ""
    why: str = ""
    origin: str = ""
    target: str = ""
    phase: Phase = Phase.GRANTED
    request: int | None = None
    actor: str = ""


class Proof(Struct, frozen=True):
    """A node is up: what it booted and how that went, when it says so."""

    id: str
    name: str = ""
    booted: str = ""
    verdict: Verdict | None = None
    request: int | None = None
    actor: str = ""


class Kind(StrEnum):
    """Every answer of the rules, by the name in the body of an error."""

    OK = "ok"
    LOCK_HELD = "lock_held"
    DRAINING = "group_draining"
    QUEUE_FULL = "queue_full"
    NOT_PROVED = "not_proved"
    STALE = "stale_request"
    UNKNOWN_GROUP = "unknown_group"
    UNKNOWN_HOLDER = "unknown_holder"


class Answer(Struct, frozen=True):
    """What a node or a person is told.

    `position` counts from 1 among `waiting`; `expected` is seconds until a slot, None
    when that cannot be told.
    """

    kind: Kind
    text: str = ""
    retry_after: int | None = None
    position: int | None = None
    waiting: int | None = None
    expected: int | None = None


class Entry(Struct, frozen=True, omit_defaults=True):
    """One line of the ledger. `seconds` is how long a hold or a wait was."""

    at: int
    event: str
    group: str
    id: str = ""
    name: str = ""
    reason: str = ""
    actor: str = ""
    origin: str = ""
    target: str = ""
    booted: str = ""
    verdict: str = ""
    seconds: int | None = None


class Step(Struct, frozen=True):
    """What a rule made of a group: to be stored before the answer is given."""

    group: Group
    answer: Answer
    entries: tuple[Entry, ...] = ()
    node: Node | None = None


def without_holder(group: Group, wanted: str) -> Group:
    """Without this holder; its slot is free."""
    rest = tuple(holder for holder in group.holders if holder.id != wanted)
    return replace(group, holders=rest)
