"""A channel's log -> what it proposes: checks C1 to R3 of DESIGN section 3.6.

In their order, and before any content of a release is fetched. R4 and R5 depend on what
runs here and on what people want; they are asked where somebody would act on them.
"""

import os
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from updater.core import channel, commits, policy, statements, tree
from updater.core.signers import Key
from updater.core.text import safe
from updater.core.tree import object_id
from updater.core.urls import parse_remote
from updater.errors import UntrustedError
from updater.model import (
    Accepted,
    Entry,
    GitMode,
    ObjectId,
    Offer,
    RemoteSettings,
    Signer,
    Tag,
)
from updater.system import fs, signature
from updater.system.git import child, incoming
from updater.system.git.child import FetchLimits, ObjectSources
from updater.system.git.failures import MemoryLimitError, MissingBasesError
from updater.system.git.objects import Objects
from updater.system.git.retry import patiently
from updater.system.signature import Role

HEADS = "refs/heads/"
MAX_LOG = 100_000  # entries
LIMITS = FetchLimits(size=1 << 28)
_NAME = "logs"
_PARTIAL = ".part"


class Fetched(Struct, frozen=True):
    """What a remote has of some branches; trusted by nobody.

    `heads` are branch -> tip of those that it advertises. `objects` is an object
    directory with what was not here, `received` counts its bytes.
    """

    heads: dict[str, ObjectId]
    objects: str
    received: int


class Proposal(Struct, frozen=True):
    """An entry that passed C1 to R3, and the release that it offers."""

    tip: ObjectId
    entry: Entry
    tag: Tag
    signers: tuple[Signer, ...]


def fetch_logs(
    branches: Sequence[str],
    remote: RemoteSettings,
    haves: Sequence[ObjectId],
    stored: str,
    incoming_dir: str,
    *,
    allow_plain: bool,
    sleep: Callable[[float], None],
    secrets_dir: str | None = None,
) -> Fetched:
    """Bring branches with all their history; only what is new travels.

    Args:
        branches: their names, without `refs/heads/`.
        remote: where from.
        haves: tips that are in `stored`, with all of their history.
        stored: the object directory of channels.git.
        incoming_dir: where the download's directory goes; the caller holds the lock.
        allow_plain: whether http and git are acceptable.
        sleep: waits that many seconds between two tries.
        secrets_dir: where credential names are looked up.

    Raises:
        TransportError, RefusedError, HostError, NoSpaceError.
    """
    directory = os.path.join(incoming_dir, _NAME + _PARTIAL)
    objects = os.path.join(directory, "objects")

    def attempt(sources: ObjectSources) -> Fetched:
        incoming.empty_store(directory)
        heads, received = child.fetch_logs(
            [HEADS + branch for branch in branches],
            remote,
            sources,
            objects,
            LIMITS,
            allow_plain=allow_plain,
            secrets_dir=secrets_dir,
        )
        incoming.has_packs(objects)
        found = {name.removeprefix(HEADS): oid for name, oid in heads.items()}
        return Fetched(found, objects, received)

    sources = ObjectSources(haves=tuple(haves), directories=(stored,))
    try:
        return patiently(lambda: attempt(sources), sleep)
    except (MissingBasesError, MemoryLimitError):
        return patiently(lambda: attempt(ObjectSources()), sleep)


def forget(fetched: Fetched) -> None:
    """Delete a download."""
    fs.remove_tree(os.path.dirname(fetched.objects))


def read_log(
    tip: ObjectId | None,
    objects: Objects,
    roles: Mapping[str, Role],
    remote: RemoteSettings,
    accepted: Accepted | None,
    *,
    product: str | None,
    now: int,
    clock: int | None,
) -> Proposal:
    """Decide whether a channel's newest entry may be believed, and what it offers.

    Args:
        tip: of its branch; None when the remote has no such branch.
        objects: have the log.
        roles: the keys of `channel` and `release`.
        remote: names the channel.
        accepted: the last entry that was accepted here.
        product: of this machine; None is not compared.
        now: device time.
        clock: the time of a synchronised clock; None when it is not.

    Raises:
        UntrustedError: C1 to C6, R1 to R3; R4 for a tag that contradicts itself.
        HostError: ssh-keygen could not decide.
    """
    name = safe(channel.branch(remote.channel), 100)
    if tip is None:
        raise UntrustedError(
            "C1",
            f"{_where(remote)} has no branch {name}",
            hint="The channel is remote.channel in the configuration.",
        )
    raw = _read(objects, tip, "commit", commits.MAX_COMMIT, "C2")
    payload, armor = commits.split_signature(raw)
    key = signature.verify(payload, armor, roles["channel"], now, "C2")
    place = _place(tip, objects, accepted, name)
    files = _files(commits.parse(raw).tree, objects)
    entry = channel.parse(_blob(files, channel.FILE, channel.MAX_SIZE, objects, "C5"))
    channel.check_number(entry, place)
    channel.check_content(entry, remote.channel, product)
    channel.check_time(entry, now, clock)
    data = _blob(files, channel.TAG_FILE, statements.MAX_TAG, objects, "R1")
    tag, signed_by = _verify_tag(data, entry.tag, roles["release"], entry.product, now)
    if tag.version != entry.release:
        raise UntrustedError(
            "R3",
            f"the channel offers {entry.release}, and its tag is for {tag.version}",
        )
    signers = (_signer("channel", key), _signer("release", signed_by))
    return Proposal(tip, entry, tag, signers)


def offer_of(
    proposal: Proposal,
    remote: RemoteSettings,
    running: int | None,
    objects: Objects,
    role: Role,
    now: int,
) -> Offer:
    """What this machine should take next: the release, or a barrier on the way to it.

    Args:
        proposal: from `read_log`.
        remote: where the release is fetched from.
        running: the number of the release that runs here, or None.
        objects: have the log.
        role: the keys of `release`.
        now: device time.

    Raises:
        UntrustedError: R1 to R3, of a barrier.
    """
    entry, tag, oid = proposal.entry, proposal.tag, proposal.entry.tag
    mark = None
    if running is not None:
        mark = policy.barrier_on_the_way(entry.barriers, running, tag.number)
    if mark is not None:
        files = _files(_tree_of(proposal.tip, objects), objects)
        path = b"%s/%d" % (channel.BARRIERS, mark.number)
        data = _blob(files, path, statements.MAX_TAG, objects, "R1")
        oid = ObjectId(object_id("tag", data, "sha1").hex())
        tag, _ = _verify_tag(data, oid, role, entry.product, now)
        if tag.number != mark.number:
            raise UntrustedError(
                "R3", f"barrier {mark.number} has the tag of number {tag.number}"
            )
    return Offer(
        url=remote.url,
        channel=remote.channel,
        ref=f"refs/tags/{tag.name}",
        commit=tag.commit,
        tag=oid,
        tag_name=tag.name,
        version=tag.version,
        number=tag.number,
        entry=proposal.tip,
        headline=tag.headline,
    )


def _verify_tag(
    raw: bytes, oid: ObjectId, role: Role, product: str, now: int
) -> tuple[Tag, Key | None]:
    tag = statements.parse_tag(raw)
    key = signature.verify(tag.payload, tag.signature, role, now)
    if object_id("tag", raw, "sha1").hex() != oid:
        raise UntrustedError("R3", f"the release tag here is not {oid}, which is named")
    named = Offer("", "", "", tag.commit, tag_name=tag.name, version=tag.version)
    policy.check_identity(tag, named, product, None)
    if tag.security_floor > tag.number:
        raise UntrustedError(
            "R4", f"the security floor of {safe(tag.version, 100)} is above itself"
        )
    return tag, key


def _place(
    tip: ObjectId, objects: Objects, accepted: Accepted | None, name: str
) -> int:
    """The tip's place in the log, which leads to the accepted tip or to the beginning.

    Raises:
        UntrustedError: C3.
    """
    known = accepted.tip if accepted else None
    steps = 0
    oid = tip
    while oid != known:
        raw = _read(objects, oid, "commit", commits.MAX_COMMIT, "C3")
        parents = commits.parse(raw).parents
        steps += 1
        if len(parents) > 1:
            raise UntrustedError("C3", f"commit {oid} of {name} is a merge: no log")
        if steps > MAX_LOG:
            raise UntrustedError("C3", f"{name} has over {MAX_LOG:,} entries")
        if not parents:
            if accepted is not None:
                raise UntrustedError(
                    "C3",
                    f"{name} does not contain entry {accepted.entry.number} "
                    f"({accepted.tip[:12]}), which was accepted here: it was rolled "
                    "back, or begun anew",
                    hint="If its publisher did that: osupdate channel "
                    f"{safe(accepted.channel, 100)} --allow-downgrade",
                )
            return steps
        oid = parents[0]
    return steps + (accepted.entry.number if accepted else 0)


def _tree_of(commit: ObjectId, objects: Objects) -> ObjectId:
    raw = _read(objects, commit, "commit", commits.MAX_COMMIT, "C3")
    return commits.parse(raw).tree


def _files(root: ObjectId, objects: Objects) -> dict[bytes, ObjectId]:
    """Path -> blob of an entry's small tree."""

    def read(oid: ObjectId) -> bytes:
        return _read(objects, oid, "tree", channel.MAX_SIZE, "C5")

    flat = tree.flatten(root, read, max_entries=channel.MAX_FILES)
    return {e.path: e.oid for e in flat.entries if e.mode is GitMode.FILE}


def _blob(
    files: Mapping[bytes, ObjectId],
    path: bytes,
    limit: int,
    objects: Objects,
    check: str,
) -> bytes:
    if path not in files:
        raise UntrustedError(check, f"the channel's entry has no {path.decode()}")
    return _read(objects, files[path], "blob", limit, check)


def _read(objects: Objects, oid: ObjectId, kind: str, limit: int, check: str) -> bytes:
    """An object's content, its kind and size looked at before it is inflated."""
    try:
        found, size = objects.header(oid)
        if found != kind:
            raise UntrustedError(check, f"object {oid} is a {found}; expected a {kind}")
        if size > limit:
            raise UntrustedError(
                check, f"{kind} {oid} has {size:,} bytes; at most {limit:,} are read"
            )
        return objects.read(oid)[1]
    except KeyError as error:
        raise UntrustedError(
            check, f"{kind} {oid} is missing from what was fetched"
        ) from error


def _signer(what: str, key: Key | None) -> Signer:
    return Signer(what, key.name if key else "unknown", key.before if key else None)


def _where(remote: RemoteSettings) -> str:
    return safe(parse_remote(remote.url).host or remote.url, 200)
