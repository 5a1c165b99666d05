"""What is remembered, and told, of updates without a person."""

from msgspec import Struct

from updater.model.ids import DeploymentId, ObjectId


class Claim(Struct, frozen=True):
    """A reboot lock that was asked for, and perhaps is held.

    It is remembered before the first question and until the service took it back.
    `origin` and `name` are what ran and what waits, as the service was told. `request`
    is the number of this one switch; `answer` what the service said last.
    """

    target: DeploymentId
    commit: ObjectId
    name: str
    origin: str
    request: int
    since: int
    answer: str = "not asked yet"
    alarmed: bool = False


class Waited(Struct, frozen=True):
    """What a staged release waited for at the last tick, as the ledger has it.

    `people_since` is when people first were what it waited for.
    """

    gate: str
    text: str
    until: int | None = None
    people_since: int | None = None


class Waiting(Struct, frozen=True):
    """The first closed gate, for `status`."""

    gate: str
    text: str
    command: str | None


class Ticked(Struct, frozen=True):
    """The outcome of `auto`: nothing, disabled, busy, waiting, switched.

    `gate` is what it waits for, `alarm` what somebody has to look at.
    """

    outcome: str
    text: str
    gate: str | None = None
    until: int | None = None
    alarm: str | None = None
