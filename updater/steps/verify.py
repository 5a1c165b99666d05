"""Candidate -> Release: checks R1 to F4 of DESIGN section 3.6, in their order.

The only maker of a `Release`. It reads, and writes nothing: after a refusal everything
is as it was. Check S1 needs the bytes on disk and belongs to `steps.stage`.
"""

from collections.abc import Callable, Collection, Mapping

from msgspec import Struct

from updater.core import (
    channel,
    commits,
    manifest,
    policy,
    release_toml,
    statements,
    told,
    tree,
)
from updater.core.text import plural, safe, show_path
from updater.core.times import day
from updater.errors import UntrustedError
from updater.model import (
    MANIFEST_PATH,
    RELEASE_TOML_PATH,
    Candidate,
    GitMode,
    MachineFacts,
    Metadata,
    ObjectId,
    Offer,
    Release,
    Tag,
    TreeEntry,
    TrustMode,
    TrustSettings,
)
from updater.system import signature
from updater.system.git.objects import Objects

MAX_TARGET = 4095  # bytes of a symlink's target
MAX_TREE = 64 << 20  # bytes of one tree object
MAX_MANIFEST = 256 << 20  # bytes
MAX_LIST = 256 << 20  # bytes of a channel's list of files
MAX_VERSION = 200  # characters of a tag in a plain repository
NAMED = 3  # paths that a notice names


class _Known(Struct, frozen=True):
    """Of blobs that deployments hold: bytes of each, and which are symlinks there."""

    sizes: Mapping[ObjectId, int]
    links: Collection[ObjectId]


def verify(
    candidate: Candidate,
    objects: Objects,
    trust: TrustSettings,
    facts: MachineFacts,
    now: int,
    *,
    root: str = "/",
    sizes: Mapping[ObjectId, int] | None = None,
    links: Collection[ObjectId] = (),
) -> Release:
    """Decide whether these bytes are a release for this machine.

    Args:
        candidate: what was fetched.
        objects: holds the candidate's objects, and those that were here before.
        trust: how much is demanded.
        facts: what this machine runs, holds and refuses.
        now: device time, seconds (`policy.device_time`).
        root: the directory that stands for `/`; the trusted keys are below it.
        sizes: of blobs that deployments hold already, in bytes; they are not asked of
            the object database again.
        links: of these, what deployments hold as symlinks: targets that a filesystem
            took.

    Raises:
        UntrustedError: a check failed; `check` names it.
        ConfigError: the trusted keys are missing or malformed.
        HostError: ssh-keygen could not decide.
    """
    known = _Known(sizes or {}, links)
    match trust.mode:
        case TrustMode.TAG | TrustMode.SIGNED:
            return _verify_tagged(candidate, objects, trust, facts, now, root, known)
        case TrustMode.UNSIGNED:
            return _verify_plain(candidate, objects, facts, known)


def verify_tag(
    offer: Offer,
    objects: Objects,
    trust: TrustSettings,
    facts: MachineFacts,
    now: int,
    *,
    root: str = "/",
) -> Tag:
    """The checks that need only the tag object: R1 to R5.

    Raises:
        UntrustedError: R1 to R5.
        ConfigError: as `verify`.
        HostError: as `verify`.
    """
    tag = statements.parse_tag(_read_tag(offer, objects))
    role = signature.load_role(root, "release")
    signature.verify(tag.payload, tag.signature, role, now)
    policy.check_identity(tag, offer, trust.product, facts.arch)
    policy.check_order(tag.version, tag.number, tag.security_floor, tag.commit, facts)
    policy.check_number_is_new(tag.version, tag.number, tag.commit, facts)
    policy.check_way(tag.version, tag.number, facts)
    policy.check_holds(tag.version, tag.commit, facts)
    return tag


def _verify_tagged(
    candidate: Candidate,
    objects: Objects,
    trust: TrustSettings,
    facts: MachineFacts,
    now: int,
    root: str,
    known: _Known,
) -> Release:
    offer = candidate.offer
    tag = verify_tag(offer, objects, trust, facts, now, root=root)
    if tag.commit != offer.commit:
        raise UntrustedError(
            "F1",
            f"the signed tag names commit {tag.commit}; fetched was {offer.commit}",
        )
    commit = _read_commit(tag.commit, objects)
    flat = tree.flatten(commit.tree, _tree_reader(objects), max_entries=tag.files)
    if flat.empty:
        raise UntrustedError(
            "F2", f"{show_path(flat.empty[0])} is an empty tree, which git never writes"
        )
    size = _check_blobs(flat.entries, objects, known)
    _check_count("files", tag.files, len(flat.entries))
    _check_count("bytes", tag.size, size)
    own = _read_release_toml(flat.entries, objects)
    release_toml.check_against_tag(own, tag)
    if offer.entry is not None:
        _check_told(offer.entry, tag, flat.entries, objects)
    return Release(
        version=tag.version,
        number=tag.number,
        commit=tag.commit,
        tree=commit.tree,
        tag=offer.tag,
        created=own.created,
        product=tag.product,
        arch=tag.arch,
        security_floor=tag.security_floor,
        tree_sha256=tag.tree_sha256,
        files=len(flat.entries),
        size=size,
        headline=tag.headline,
        entries=flat.entries,
        trees=flat.trees,
        metadata=_read_manifest(flat.entries, objects, required=True),
    )


def _verify_plain(
    candidate: Candidate,
    objects: Objects,
    facts: MachineFacts,
    known: _Known,
) -> Release:
    offer = candidate.offer
    commit = _read_commit(offer.commit, objects)
    version = _plain_version(offer, commit)
    policy.check_order(version, commit.committed, 0, offer.commit, facts)
    policy.check_holds(version, offer.commit, facts)
    flat = tree.flatten(
        commit.tree,
        _tree_reader(objects),
        submodules=True,
        max_entries=tree.MAX_ENTRIES,
    )
    if not flat.entries:
        raise UntrustedError("F2", f"commit {offer.commit} holds no file")
    size = _check_blobs(flat.entries, objects, known)
    return Release(
        version=version,
        number=commit.committed,
        commit=offer.commit,
        tree=commit.tree,
        tag=None,
        created=commit.committed,
        product=None,
        arch=None,
        security_floor=0,
        tree_sha256=None,
        files=len(flat.entries),
        size=size,
        headline=commit.headline,
        entries=flat.entries,
        trees=flat.trees,
        metadata=_read_manifest(flat.entries, objects, required=False),
        notices=_notices(flat),
    )


def _check_told(
    oid: ObjectId, tag: Tag, entries: tuple[TreeEntry, ...], objects: Objects
) -> None:
    """Hold a release to what the channel's entry told of it; of a barrier it does not.

    Raises:
        UntrustedError: F3.
    """
    raw = _read(oid, "commit", commits.MAX_COMMIT, objects, "F3")
    if raw is None:
        raise UntrustedError("F3", f"the channel's entry {oid} is not here any more")
    flat = tree.flatten(
        commits.parse(raw).tree, _tree_reader(objects), max_entries=channel.MAX_FILES
    )
    told_ids = {entry.path: entry.oid for entry in flat.entries}

    def read(name: bytes, limit: int) -> bytes:
        data = None
        if name in told_ids:
            data = _read(told_ids[name], "blob", limit, objects, "F3")
        if data is None:
            raise UntrustedError("F3", f"the channel's entry has no {name.decode()}")
        return data

    if read(channel.TAG_FILE, statements.MAX_TAG) == tag.payload + tag.signature:
        told.check(told_ids, read(told.FILES, MAX_LIST), entries)


def _read_tag(offer: Offer, objects: Objects) -> bytes:
    name = safe(offer.tag_name or offer.ref, 100)
    if offer.tag is None:
        raise UntrustedError(
            "R1", f"tag {name} is not signed: it is lightweight, only a name"
        )
    raw = _read(offer.tag, "tag", statements.MAX_TAG, objects, "R1")
    if raw is None:
        raise UntrustedError("R1", f"the object {offer.tag} of tag {name} is missing")
    return raw


def _read_commit(oid: ObjectId, objects: Objects) -> commits.Commit:
    raw = _read(oid, "commit", commits.MAX_COMMIT, objects, "F1")
    if raw is None:
        raise UntrustedError("F1", f"commit {oid} is missing from what was fetched")
    return commits.parse(raw)


def _read(
    oid: ObjectId, kind: str, limit: int, objects: Objects, check: str
) -> bytes | None:
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
    except KeyError:
        return None


def _tree_reader(objects: Objects) -> Callable[[ObjectId], bytes]:
    def read(oid: ObjectId) -> bytes:
        raw = _read(oid, "tree", MAX_TREE, objects, "F2")
        if raw is None:
            raise UntrustedError("F2", f"tree {oid} is missing from what was fetched")
        return raw

    return read


def _check_blobs(
    entries: tuple[TreeEntry, ...], objects: Objects, known: _Known
) -> int:
    """Every entry names a blob that is here; the sum of their sizes."""
    sizes: dict[ObjectId, int] = {}
    targets = set(known.links)
    total = 0
    for entry in entries:
        size = known.sizes.get(entry.oid) or sizes.get(entry.oid)
        if size is None:
            size = sizes[entry.oid] = _blob_size(entry, objects)
        if entry.mode is GitMode.SYMLINK and entry.oid not in targets:
            _check_target(entry, size, objects)
            targets.add(entry.oid)
        total += size
    return total


def _blob_size(entry: TreeEntry, objects: Objects) -> int:
    try:
        kind, size = objects.header(entry.oid)
    except KeyError as error:
        raise UntrustedError(
            "F2", f"{show_path(entry.path)}: blob {entry.oid} is missing"
        ) from error
    if kind != "blob":
        raise UntrustedError(
            "F2", f"{show_path(entry.path)}: object {entry.oid} is a {kind}, not a blob"
        )
    return size


def _check_target(entry: TreeEntry, size: int, objects: Objects) -> None:
    where = f"{show_path(entry.path)}: the symlink's target"
    if not 1 <= size <= MAX_TARGET:
        raise UntrustedError(
            "F2", f"{where} has {size:,} bytes; expected 1 to {MAX_TARGET:,}"
        )
    if b"\0" in objects.read_blob(entry.oid):
        raise UntrustedError("F2", f"{where} has a NUL byte")


def _check_count(what: str, signed: int, found: int) -> None:
    if signed != found:
        raise UntrustedError(
            "F2", f"the tree has {found:,} {what}; the signed tag says {signed:,}"
        )


def _find(entries: tuple[TreeEntry, ...], path: bytes) -> TreeEntry | None:
    return next((entry for entry in entries if entry.path == path), None)


def _read_release_toml(
    entries: tuple[TreeEntry, ...], objects: Objects
) -> release_toml.ReleaseToml:
    data = _read_own(entries, RELEASE_TOML_PATH, release_toml.MAX_SIZE, objects, "F3")
    if data is None:
        raise UntrustedError("F3", f"{show_path(RELEASE_TOML_PATH)} is missing")
    return release_toml.parse(data)


def _read_manifest(
    entries: tuple[TreeEntry, ...], objects: Objects, *, required: bool
) -> dict[bytes, Metadata]:
    data = _read_own(entries, MANIFEST_PATH, MAX_MANIFEST, objects, "F4")
    if data is None and required:
        raise UntrustedError("F4", f"{show_path(MANIFEST_PATH)} is missing")
    metadata = {} if data is None else manifest.parse(data)
    manifest.check_against_tree(metadata, entries)
    policy.check_places(entries, metadata)
    return metadata


def _read_own(
    entries: tuple[TreeEntry, ...],
    path: bytes,
    limit: int,
    objects: Objects,
    check: str,
) -> bytes | None:
    entry = _find(entries, path)
    if entry is None:
        return None
    if entry.mode is GitMode.SYMLINK:
        raise UntrustedError(check, f"{show_path(path)} is a symlink; expected a file")
    return _read(entry.oid, "blob", limit, objects, check)


def _plain_version(offer: Offer, commit: commits.Commit) -> str:
    version = offer.version
    if version is None:
        return f"{day(commit.committed)}-{offer.commit[:7]}"
    if not version or safe(version, MAX_VERSION) != version:
        raise UntrustedError(
            "R3", f'the tag "{safe(version, 100)}" is not a name that can be shown'
        )
    return version


def _notices(flat: tree.Flat) -> tuple[str, ...]:
    found = []
    if flat.submodules:
        count = plural(len(flat.submodules), "submodule")
        found.append(f"{count} left out: {_some(flat.submodules)}")
    if flat.empty:
        count = plural(len(flat.empty), "empty tree")
        found.append(f"{count} left out: {_some(flat.empty)}")
    return tuple(found)


def _some(paths: tuple[bytes, ...]) -> str:
    named = ", ".join(show_path(path) for path in paths[:NAMED])
    rest = len(paths) - NAMED
    return f"{named} and {rest:,} more" if rest > 0 else named
