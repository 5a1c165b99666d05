"""What a channel says (DESIGN section 3.4), and what a machine remembers of it."""

from msgspec import Struct

from updater.model.ids import ObjectId


class Mark(Struct, frozen=True):
    """A release that the channel says something about, by its number, and why."""

    number: int
    reason: str


class Rollout(Struct, frozen=True):
    """How a release reaches a fleet: from `start`, over `hours`, up to `limit` (0..1).

    `hours` 0 is everybody at once.
    """

    start: int
    hours: int = 0
    limit: float = 1.0


class Entry(Struct, frozen=True):
    """channel.toml: one statement of a channel.

    `number` is the entry's place in the log, from 1. `release` is a version, `tag` the
    id of its tag object. The marks are cumulative and name releases.
    """

    channel: str
    product: str
    number: int
    created: int
    expires: int
    release: str
    tag: ObjectId
    rollout: Rollout
    barriers: tuple[Mark, ...] = ()
    dead_ends: tuple[Mark, ...] = ()
    withdrawn: tuple[Mark, ...] = ()


class Signer(Struct, frozen=True):
    """Who signed what: `what` is channel, release or trust, `until` the key's end."""

    what: str
    key: str
    until: int | None = None


class Accepted(Struct, frozen=True):
    """The newest entry of a channel that passed every check here.

    `url` and `channel` say of which log; `tip` is its commit, `at` when it was taken.
    `release_number` is that of the release which it offers.
    """

    url: str
    channel: str
    tip: ObjectId
    entry: Entry
    release_number: int
    at: int
    signers: tuple[Signer, ...] = ()


class TrustedKey(Struct, frozen=True):
    """A key that counts here, or is revoked: for what, from which file, and when."""

    role: str
    name: str
    where: str
    after: int | None
    before: int | None


class Trusted(Struct, frozen=True):
    """The keys of a machine or a repository.

    `version` is None without root keys: then nothing rotates. `missing` are roles
    without a key, `signers` who signed what was accepted last.
    """

    version: int | None
    threshold: int | None
    pinned: bool
    keys: tuple[TrustedKey, ...]
    revoked: tuple[TrustedKey, ...]
    missing: tuple[str, ...]
    signers: tuple[Signer, ...]
    now: int
