"""What comes from a remote, before anybody has verified it."""

from msgspec import Struct

from updater.model.ids import ObjectId


class Tag(Struct, frozen=True):
    """The payload of a release tag, parsed strictly (DESIGN 3.3), and its signature."""

    commit: ObjectId
    name: str
    tagger_time: int
    headline: str
    text: str
    product: str
    arch: str
    version: str
    number: int
    security_floor: int
    tree_sha256: str
    files: int
    size: int
    payload: bytes
    signature: bytes


class RemoteHead(Struct, frozen=True):
    """One advertised ref. `peeled` is what an annotated tag points at."""

    name: str
    oid: ObjectId
    peeled: ObjectId | None = None


class Offer(Struct, frozen=True):
    """What the remote proposes; nothing of it is verified yet.

    `version` is None while only the content can tell (unsigned mode without a tag).
    `tag` is the id of the annotated tag object `tag_name`; for a lightweight tag it
    is None, and `ref` names what to fetch. `number` is None until its tag was read.
    `entry` is the commit of the channel log that proposes it, in signed mode, and
    `headline` what its verified tag says.
    """

    url: str
    channel: str
    ref: str
    commit: ObjectId
    tag: ObjectId | None = None
    tag_name: str | None = None
    version: str | None = None
    number: int | None = None
    entry: ObjectId | None = None
    headline: str | None = None


class Progress(Struct, frozen=True):
    """How far a download is.

    `phase`: connecting, preparing (the server works), receiving, indexing. `received`
    counts bytes; `total` is 0 until the server has told how many objects come.
    """

    phase: str
    received: int = 0
    objects: int = 0
    total: int = 0
    indexed: int = 0


class Candidate(Struct, frozen=True):
    """An offer whose bytes are here, trusted by nobody.

    `objects` is the path of a bare object database that belongs to the fetching
    child, or None when everything was here already. `received` counts bytes.
    """

    offer: Offer
    objects: str | None
    received: int = 0
