"""What is said between osupdate and its fetching child: one request, JSON lines back.

The request comes on the child's stdin, where neither the process list nor a log sees
the credentials in it. This module is read by both sides and imports no libgit2.
"""

from msgspec import Struct, json

from updater.errors import OsupdateError
from updater.model import ObjectId, Progress, RemoteHead

LARGEST_LINE = 1 << 16


class Credentials(Struct, frozen=True):
    """Contents, not paths: the child may read nobody's files. Absent is None."""

    ca: str | None = None
    known_hosts: str | None = None
    ssh_key: str | None = None
    token: str | None = None


class Request(Struct, frozen=True):
    """What the child is to do. Descriptors are numbers that it inherits.

    Attributes:
        url: checked by `core.urls`; a path for a local repository.
        home: a directory for this child, which may write to `work` in it.
        parent: process id of who asks.
        user: (uid, gid) to become before the first byte from outside, or None.
        repository: descriptor of a local repository's directory, or None.
        ref: the ref to fetch, or a full commit id.
        commit: what must arrive.
        tag: the annotated tag object that must arrive, or None.
        depth: 1 for the newest commit only, 0 for all.
        haves: commits that are here completely; the shallow ends of what is here.
        incoming: descriptor of the directory for the new objects, or None to list.
        objects: descriptors of object directories that deltas may build on.
        deployments: descriptors of (directory, index file), for the same.
        size: bytes that may be received.
        logs: branches to fetch with all their history, instead of `ref`; `haves` are
            then tips that are here with all of theirs.
    """

    url: str
    home: str
    parent: int
    user: tuple[int, int] | None = None
    proxy: str | None = None
    repository: int | None = None
    ref: str = ""
    commit: ObjectId = ObjectId("")
    tag: ObjectId | None = None
    depth: int = 1
    haves: tuple[ObjectId, ...] = ()
    incoming: int | None = None
    objects: tuple[int, ...] = ()
    deployments: tuple[tuple[int, int], ...] = ()
    size: int = 1 << 33
    logs: tuple[str, ...] = ()
    credentials: Credentials = Credentials()


class Heads(Struct, frozen=True, tag="heads"):
    """Some of the refs that the remote advertises."""

    heads: tuple[RemoteHead, ...]


class Step(Struct, frozen=True, tag="progress"):
    """A sign of life."""

    progress: Progress


class Done(Struct, frozen=True, tag="done"):
    """The last line of a request that went well; `heads` answers `Request.logs`."""

    commit: ObjectId | None = None
    tag: ObjectId | None = None
    received: int = 0
    heads: tuple[RemoteHead, ...] = ()


class Failure(Struct, frozen=True, tag="error"):
    """The last line of one that did not.

    `kind`: transport (try again), rejected (the answer will not change), refused (this
    side does not accept it), memory (nor has room for it), size, untrusted (`check`
    names which), bases (a delta's base is missing), host, space.
    """

    kind: str
    message: str
    check: str = "F1"


class FailedError(OsupdateError):
    """Inside the child: becomes a `Failure` of that kind."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


Event = Heads | Step | Done | Failure
encode = json.encode
decode_event = json.Decoder(Event).decode
decode_request = json.Decoder(Request).decode
