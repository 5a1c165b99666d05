"""The story of `osupdate publish`: a root filesystem becomes a signed release.

Everything is judged before a byte is written; objects lie in quarantine until all of
them are there; refs are the last step, the branch the very last.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from io import BufferedReader

from msgspec import Struct

from updater.core import manifest, packages, statements, tree
from updater.core.release_toml import ReleaseToml
from updater.core.rootfs import Kind, Node
from updater.core.text import safe
from updater.errors import RefusedError, UsageError
from updater.model import (
    CHANGES_PATH,
    MANIFEST_PATH,
    NOTES_PATH,
    PACKAGES_PATH,
    RELEASE_TOML_PATH,
    ObjectId,
)
from updater.publish import blobs, changelogs, commit, content, refusals, target
from updater.publish.blobs import Blob
from updater.publish.content import Built, Source
from updater.publish.outcome import Made, Published, Statement, published, unchanged
from updater.publish.place import cache_for
from updater.publish.request import (
    PublishRequest,
    check,
    check_names,
    selection,
    tag_ref,
)
from updater.publish.target import Target
from updater.system import fs, signing
from updater.system.git.pack import PackWriter
from updater.system.rootfs import Directory

Progress = Callable[[str, int, int, int], None]
_ACCOUNTS = (b"etc/passwd", b"etc/group")


class _Rootfs(Struct, frozen=True):
    """A root filesystem that was read and found fit to publish."""

    source: Source
    nodes: dict[bytes, Node]
    known: dict[bytes, Blob]
    secrets: dict[bytes, str]
    started: int
    provenance: dict[bytes, bytes]


def publish(
    request: PublishRequest,
    *,
    stdin: BufferedReader | None = None,
    progress: Progress = lambda _what, _done, _of, _size: None,
) -> Published:
    """Publish one release.

    Args:
        request: what, where, and as what.
        stdin: the archive, where the request says `-`.
        progress: called with what is being done, how many of how many, and bytes.

    Raises:
        UsageError, RefusedError, HostError, TransportError, BusyError: nothing became
            visible.
    """
    check(request)
    goal = Target(request.repo, cache_for(request.cache, request.repo))
    try:
        return _publish_to(goal, request, stdin, progress)
    except BaseException:
        goal.undo()
        raise


class Draft(Struct, frozen=True):
    """A release beside the one before it, to be compared; nothing of it is written."""

    goal: Target
    made: Made
    read: Callable[[ObjectId], bytes]


@contextlib.contextmanager
def drafted(
    request: PublishRequest,
    *,
    stdin: BufferedReader | None = None,
    progress: Progress = lambda _what, _done, _of, _size: None,
) -> Iterator[Draft]:
    """What `publish` would make, for the length of a `with` block.

    Raises:
        UsageError, RefusedError, HostError, TransportError: as `publish`.
    """
    check_names(request)
    goal = Target(request.repo, cache_for(request.cache, request.repo))
    try:
        number = _next_number(request, goal)
        opened = content.open_source(request.rootfs, stdin, request.cache, _me())
        with contextlib.closing(opened) as source:
            rootfs = _read_rootfs(request, goal, source)
            made = _make(request, goal, rootfs, number, None, progress)
            yield Draft(goal, made, _reader(rootfs, made))
    finally:
        goal.undo()


def _reader(rootfs: _Rootfs, made: Made) -> Callable[[ObjectId], bytes]:
    """Gives the content of a file of a release that is in no repository."""
    places = {blob.oid: path for path, blob in made.hashed.items()}
    small = {tree.object_id("blob", c, "sha1"): c for c in made.small.values()}

    def read(oid: ObjectId) -> bytes:
        raw = bytes.fromhex(oid)
        if raw in small:
            return small[raw]
        return bytes(rootfs.source.read(rootfs.nodes[places[raw]]))

    return read


def _publish_to(
    goal: Target,
    request: PublishRequest,
    stdin: BufferedReader | None,
    progress: Progress,
) -> Published:
    number = _next_number(request, goal)
    opened = content.open_source(request.rootfs, stdin, request.cache, _me())
    with contextlib.closing(opened) as source:
        rootfs = _read_rootfs(request, goal, source)
        with goal.repository.quarantine() as packs:
            made = _make(request, goal, rootfs, number, packs, progress)
            statement = None if made.as_before else _write(request, goal, made, packs)
    _save_index(request, goal, rootfs, made.hashed)
    unprivileged = isinstance(source, Directory) and _me() is not None
    told = content.notices(source, unprivileged=unprivileged)
    told += [*made.notices, *goal.notices()]
    if statement is None:
        return unchanged(goal, made, told)
    goal.announce(
        tag_ref(request),
        statement.tag,
        statement.commit,
        lambda done, of: progress("send", done, of, 0),
    )
    return published(goal, made, statement, request.key, told)


def _next_number(request: PublishRequest, goal: Target) -> int:
    """The number of this release; refuses early what can be refused unread."""
    last = goal.previous.release if goal.previous else None
    again = last is not None and last.version == request.version
    if last is not None and last.product != request.product:
        raise RefusedError(
            f"{goal.name} holds releases of {last.product}; got --product "
            f"{request.product}"
        )
    if not again and (tag := goal.refs.get(tag_ref(request))):
        _check_leftover(request, goal, tag)
    number = request.number
    if number is None:
        return last.number + 1 if last else 1
    if last is not None and number <= last.number and not again:
        raise RefusedError(
            f"number {number} is not larger than {last.number}, which is "
            f"{last.version}; numbers only grow"
        )
    return number


def _check_leftover(request: PublishRequest, goal: Target, tag: ObjectId) -> None:
    """Let a publication that was cut between tag and branch be finished."""
    released = goal.repository.peel(tag)
    parents = (goal.previous.commit,) if goal.previous else ()
    if released is None or goal.repository.commit(released)[1] != parents:
        raise _exists(request, goal)


def _exists(request: PublishRequest, goal: Target) -> RefusedError:
    return RefusedError(
        f"version {request.version} exists in {goal.name}, with other content",
        hint="A version is published once: choose the next one.",
    )


def _read_rootfs(request: PublishRequest, goal: Target, source: Source) -> _Rootfs:
    started = target.filesystem_clock(request.cache)
    nodes = content.select(source, selection(request))
    refusals.check_names(nodes)
    provenance = content.provenance(nodes, source, request.provenance)
    index = None
    if isinstance(source, Directory):
        index = target.load_index(goal.index_path(request.rootfs), source.device)
    known = blobs.known(nodes, index)
    secrets = refusals.secrets(nodes, source.read, known)
    allowed = {os.fsencode(path).strip(b"/") for path in request.allow_secrets}
    refusals.check_secrets(secrets, allowed)
    if goal.previous is not None:
        tree = goal.previous.tree
        refusals.check_ids(
            {path: goal.repository.read(tree, path) for path in _ACCOUNTS},
            {p: bytes(source.read(nodes[p])) for p in _ACCOUNTS if _is_file(nodes, p)},
            request.allow_id_changes,
        )
    here = {
        path: blob
        for path, blob in known.items()
        if ObjectId(blob.oid.hex()) in goal.repository.objects
    }
    return _Rootfs(source, nodes, here, secrets, started, provenance)


def _is_file(nodes: dict[bytes, Node], path: bytes) -> bool:
    return path in nodes and nodes[path].kind is Kind.FILE


def _make(
    request: PublishRequest,
    goal: Target,
    rootfs: _Rootfs,
    number: int,
    packs: str | None,
    progress: Progress,
) -> Made:
    read: list[Node] = []

    def store(nodes: Sequence[Node]) -> dict[bytes, Blob]:
        read.extend(nodes)
        return blobs.store(
            nodes,
            rootfs.source,
            goal.repository.database,
            packs,
            lambda done, of, size: progress("hash", done, of, size),
        )

    hashed = content.hash_files(rootfs.nodes, rootfs.known, store)
    found, arch = content.find_packages(rootfs.nodes, rootfs.source)
    release = _release(request, goal, number, request.arch or arch or request.machine)
    told = changelogs.tell(
        goal, number, found, rootfs.source, request.changelogs, progress
    )
    own = {
        MANIFEST_PATH: content.write_manifest(rootfs.nodes),
        RELEASE_TOML_PATH: commit.write_release_toml(
            release, goal.previous.commit if goal.previous else "", request.source
        ),
        NOTES_PATH: (request.notes or "").encode("utf-8"),
        PACKAGES_PATH: packages.to_json(found),
        CHANGES_PATH: told.data,
        **rootfs.provenance,
    }
    small = {p: n.target for p, n in rootfs.nodes.items() if n.kind is Kind.SYMLINK}
    small.update(own)
    every = hashed | content.small_blobs(small)
    built = content.build(rootfs.nodes, every, own)
    manifest.check_against_tree(manifest.parse(own[MANIFEST_PATH]), built.entries)
    return Made(
        release=release,
        notes=request.notes or "",
        hashed=hashed,
        small=small,
        built=built,
        as_before=_as_before(goal, rootfs.nodes, every, own),
        read_files=len(read),
        read_bytes=sum(node.size for node in read),
        notices=told.notices,
    )


def _release(
    request: PublishRequest, goal: Target, number: int, arch: str
) -> ReleaseToml:
    last = goal.previous.release if goal.previous else None
    if last is not None and last.arch != arch:
        raise RefusedError(
            f"{goal.name} holds releases for {last.arch}; this rootfs is for {arch}",
            hint="Publish every architecture to a repository of its own.",
        )
    if not commit.is_name(arch):
        raise UsageError(f'architecture "{safe(arch)}" is not a plain name: use --arch')
    least = last.security_floor if last else 0
    floor = request.security_floor if request.security_floor is not None else least
    if not least <= floor <= number:
        raise RefusedError(
            f"security floor {floor} is not between {least}, that of the previous "
            f"release, and {number}, the number of this one"
        )
    return ReleaseToml(
        product=request.product,
        arch=arch,
        version=request.version,
        number=number,
        security_floor=floor,
        created=request.created,
    )


def _as_before(
    goal: Target,
    nodes: dict[bytes, Node],
    every: dict[bytes, Blob],
    own: dict[bytes, bytes],
) -> Built | None:
    """The previous release's trees, if only release.toml and notes.md differ."""
    if goal.previous is None:
        return None
    said = target.statements_of(goal.repository, goal.previous.tree)
    built = content.build(nodes, every | content.small_blobs(said), own)
    return built if built.root.hex() == goal.previous.tree else None


def _write(request: PublishRequest, goal: Target, made: Made, packs: str) -> Statement:
    """Write everything but the files: symlinks, own files, trees, commit, tag."""
    if goal.previous and goal.previous.release.version == request.version:
        raise _exists(request, goal)
    pack = PackWriter(packs)
    try:
        for data in made.small.values():
            pack.add("blob", data)
        for oid, data in made.built.objects.items():
            if ObjectId(oid.hex()) not in goal.repository.objects:
                pack.add("tree", data, ObjectId(oid.hex()))
        statement = _write_statement(request, goal, made, pack)
    except BaseException:
        pack.abort()
        raise
    pack.finish()
    return statement


def _write_statement(
    request: PublishRequest, goal: Target, made: Made, pack: PackWriter
) -> Statement:
    raw_commit = commit.write_commit(
        ObjectId(made.built.root.hex()),
        goal.previous.commit if goal.previous else None,
        made.release,
        made.notes,
    )
    released = pack.add("commit", raw_commit)
    raw_tag = commit.write_tag(
        released,
        made.release,
        made.notes,
        tree_sha256=made.built.sha256,
        files=len(made.built.entries),
        size=made.built.size,
    )
    if request.key is not None:
        raw_tag += signing.sign(raw_tag, request.key, agent=request.agent)
        statements.parse_tag(raw_tag)
    tag = pack.add("tag", raw_tag)
    if goal.refs.get(tag_ref(request), tag) != tag:
        raise _exists(request, goal)
    return Statement(released, tag)


def _save_index(
    request: PublishRequest, goal: Target, rootfs: _Rootfs, hashed: dict[bytes, Blob]
) -> None:
    if isinstance(rootfs.source, Directory):
        index = blobs.remember(
            rootfs.nodes,
            hashed,
            rootfs.source.device,
            rootfs.started,
            rootfs.secrets,
        )
        fs.write_durably(goal.index_path(request.rootfs), index.to_bytes(), 0o600)


def _me() -> tuple[int, int] | None:
    """Who publishes without root privileges."""
    return None if os.geteuid() == 0 else (os.geteuid(), os.getegid())
