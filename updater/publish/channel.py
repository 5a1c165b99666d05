"""The story of `osupdate promote`: a channel says something new, as a signed commit.

One entry is one commit of the branch `channel/<name>` with one small tree. Everything
is judged, and signed, before the branch moves, and only from where it was found.
"""

from msgspec import Struct
from msgspec.structs import replace

from updater.core import (
    changes,
    channel,
    commits,
    files,
    packages,
    promotion,
    statements,
)
from updater.core.changes import Changes
from updater.core.promotion import Change, Offered
from updater.core.text import plural, safe, size
from updater.core.times import minute
from updater.core.told import CHANGES, FILES, SAME
from updater.core.tree import flatten
from updater.core.versions import is_version
from updater.errors import RefusedError, UntrustedError, UsageError
from updater.model import CHANGES_PATH, Entry, GitMode, ObjectId
from updater.publish.place import HEADS, Place, cache_for, write_tree
from updater.publish.target import MANY_TAGS
from updater.system import signing
from updater.system.git.publishing import TAGS

_LONGEST = 3660  # days until a statement expires


class PromoteRequest(Struct, frozen=True, kw_only=True):
    """What a channel is to say, and where.

    Attributes:
        repo: where the releases are; a directory or URL.
        channels: where the channel's log is, when not in `repo`.
        channel: its name.
        version: the release to offer; None leaves the one that is offered.
        change: what else is new.
        cache: directory of the copies of remotes.
        now: seconds since the epoch.
        key: signs the entry, for the role `channel`.
        agent: socket of an ssh-agent.
    """

    repo: str
    channel: str
    change: Change
    cache: str
    now: int
    key: str
    version: str | None = None
    channels: str | None = None
    agent: str | None = None


class Promoted(Struct, frozen=True):
    """The outcome: the entry, its commit, what it offers, and how large it is."""

    entry: Entry
    commit: ObjectId
    release_number: int
    size: int
    name: str
    notices: tuple[str, ...]
    text: str


class _Log(Struct, frozen=True):
    """A channel's log as it was found; None and empty when there is none yet."""

    tip: ObjectId | None
    entry: Entry | None
    files: dict[bytes, bytes]
    offered: int | None


def promote(request: PromoteRequest) -> Promoted:
    """Write the next entry of a channel.

    Raises:
        UsageError, RefusedError, HostError, TransportError, BusyError: the channel says
            what it said.
    """
    _check(request)
    releases = Place(request.repo, cache_for(request.cache, request.repo))
    place = releases
    try:
        if request.channels is not None:
            cache = cache_for(request.cache, request.channels)
            place = Place(request.channels, cache)
        return _promote(request, releases, place)
    except BaseException:
        releases.undo()
        place.undo()
        raise


def current(request: PromoteRequest) -> Entry | None:
    """What the channel says now."""
    where = request.channels or request.repo
    return _read(request, Place(where, cache_for(request.cache, where))).entry


def _check(request: PromoteRequest) -> None:
    change = request.change
    if not channel.is_channel(request.channel):
        raise UsageError(f'"{safe(request.channel)}" cannot be the name of a channel')
    if request.version is not None and not is_version(request.version):
        raise UsageError(f'"{safe(request.version)}" is not a version')
    if change.hours is not None and not 0 <= change.hours <= channel.MAX_HOURS:
        raise UsageError(f"--rollout is not in 0..{channel.MAX_HOURS} hours")
    if not 1 <= change.expires <= _LONGEST:
        raise UsageError(f"--expires is not in 1..{_LONGEST} days")
    if safe(change.reason, channel.MAX_REASON) != change.reason or not change.reason:
        raise UsageError(
            f"--reason is not one line of at most {channel.MAX_REASON} characters"
        )
    if change.pause and change.resume:
        raise UsageError("--pause and --resume contradict each other")
    numbers = (*change.dead_ends, *change.withdrawn)
    if not all(1 <= number <= statements.MAX_NUMBER for number in numbers):
        raise UsageError(f"a release number is not in 1..{statements.MAX_NUMBER}")


def _promote(request: PromoteRequest, releases: Place, place: Place) -> Promoted:
    log = _read(request, place)
    change, told, tag = request.change, log.files, None
    if request.version is not None:
        fresh, tag = _find(request.version, releases)
        change = replace(change, release=fresh)
        told = _tell(fresh, releases) | _barriers(log.files)
    entry = promotion.next_entry(
        log.entry, log.offered, request.channel, change, request.now
    )
    number = change.release.number if change.release else log.offered
    assert number is not None
    told = told | {channel.FILE: channel.write(entry)}
    channel.parse(told[channel.FILE])
    if change.barrier:
        told[b"%s/%d" % (channel.BARRIERS, number)] = tag or told[channel.TAG_FILE]
    with place.writing() as pack:
        text = promotion.describe(entry, number, log.entry, request.now)
        payload = _payload(write_tree(pack, told), log.tip, entry, text)
        armor = signing.sign(payload, request.key, agent=request.agent)
        raw = commits.add_signature(payload, armor)
        commits.split_signature(raw)
        commit = pack.add("commit", raw)
    place.move(HEADS + channel.branch(request.channel), commit)
    weight = sum(map(len, told.values()))
    return _outcome(request, place, log, entry, commit, number, weight)


def _read(request: PromoteRequest, place: Place) -> _Log:
    tip = place.head(channel.branch(request.channel))
    if tip is None:
        return _Log(None, None, {}, None)
    repository = place.repository
    root, _ = repository.commit(tip)
    flat = flatten(root, repository.objects.read_tree)
    told = {e.path: repository.objects.read_blob(e.oid) for e in flat.entries}
    try:
        entry = channel.parse(told.get(channel.FILE, b""))
        tag = statements.parse_tag(told.get(channel.TAG_FILE, b""))
    except UntrustedError as error:
        raise RefusedError(
            f"branch {channel.branch(request.channel)} of {place.name} is not a "
            f"channel log: {error.reason}"
        ) from error
    return _Log(tip, entry, told, tag.number)


def _barriers(told: dict[bytes, bytes]) -> dict[bytes, bytes]:
    below = channel.BARRIERS + b"/"
    return {path: data for path, data in told.items() if path.startswith(below)}


def _find(version: str, releases: Place) -> tuple[Offered, bytes]:
    """A published release, and its raw tag.

    Raises:
        RefusedError: there is none, or it is not signed.
    """
    ref = TAGS + statements.TAG_PREFIX + version
    oid = releases.bring(ref)
    if oid is None:
        prefix = TAGS + statements.TAG_PREFIX
        known = [n.removeprefix(prefix) for n in releases.refs if n.startswith(prefix)]
        few = ", ".join(sorted(known)[-5:]) or "none at all"
        raise RefusedError(
            f"{releases.name} has no release {version}; it has {safe(few, 400)}",
            hint="Publish it first: osupdate publish",
        )
    raw = releases.repository.objects.read(oid)[1]
    what = f"release {version} of {releases.name} cannot be offered by a channel"
    try:
        tag = statements.parse_tag(raw)
    except UntrustedError as error:
        raise RefusedError(f"{what}: {error.reason}") from error
    if tag.name != statements.TAG_PREFIX + version or tag.version != version:
        raise RefusedError(f"{what}: its tag says that it is {safe(tag.name, 100)}")
    return Offered(version, tag.number, oid, tag.product), raw


def _tell(fresh: Offered, releases: Place) -> dict[bytes, bytes]:
    """What an entry tells of a release: its own files, and the list of all."""
    repository = releases.repository
    raw = repository.objects.read(fresh.tag)[1]
    tag = statements.parse_tag(raw)
    root, _ = repository.commit(tag.commit)
    flat = flatten(root, repository.objects.read_tree, max_entries=tag.files)
    entries = {entry.path: entry for entry in flat.entries}

    def read(path: bytes) -> bytes:
        return repository.objects.read_blob(entries[path].oid)

    def link(path: bytes) -> bytes | None:
        entry = entries.get(path)
        if entry is None or entry.mode is not GitMode.SYMLINK:
            return None
        return read(path)

    told = {name: read(path) for name, path in SAME.items() if path in entries}
    told[channel.TAG_FILE] = raw
    owners = packages.find_owners(entries, read, link)
    told[FILES] = files.write(flat.entries, owners.owner_of)
    told[CHANGES] = (
        read(CHANGES_PATH)
        if CHANGES_PATH in entries
        else changes.write(Changes(since=fresh.number))
    )
    return told


def _payload(
    tree: ObjectId, parent: ObjectId | None, entry: Entry, message: str
) -> bytes:
    name = entry.product
    who = f"{name} <releases@{name}.invalid> {entry.created} +0000"
    lines = [f"tree {tree}", *([f"parent {parent}"] if parent else [])]
    return "\n".join(
        [*lines, f"author {who}", f"committer {who}", "", message]
    ).encode()


def _outcome(
    request: PromoteRequest,
    place: Place,
    log: _Log,
    entry: Entry,
    commit: ObjectId,
    number: int,
    weight: int,
) -> Promoted:
    notices = []
    if log.offered is not None and number < log.offered:
        notices.append(
            f"{safe(entry.release)} (number {number}) is older than number "
            f"{log.offered}: machines that have that one wait, and do not go back"
        )
    count = sum(name.startswith(TAGS) for name in place.refs)
    if count > MANY_TAGS:
        notices.append(
            f"{place.name} has {plural(count, 'tag')}; every check of every machine "
            "receives the whole list: keep channels in a repository of their own "
            "(--channels)"
        )
    lines = [
        f"{entry.channel} offers {entry.release} (number {number}) of {entry.product}",
        f"  entry    {entry.number}, commit {commit[:12]} of "
        f"{channel.branch(request.channel)} in {place.name}, {size(weight)}",
        f"  signed   with {request.key}",
        f"  expires  {minute(entry.expires)}; sign it again before: osupdate promote "
        f"--refresh --to {entry.channel} --repo {request.repo} --key ...",
    ]
    text = promotion.describe(entry, number, log.entry, request.now)
    lines += [f"  {line}" for line in text.split("\n")[2:-2]]
    return Promoted(
        entry, commit, number, weight, place.name, tuple(notices), "\n".join(lines)
    )
