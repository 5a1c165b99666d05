"""The releases of a repository, as a site tells them: newest first."""

from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct

from updater.core import commits, release_toml, signers, statements
from updater.core.release_toml import ReleaseToml
from updater.core.text import safe
from updater.core.versions import is_version
from updater.errors import RefusedError, UntrustedError
from updater.model import NOTES_PATH, RELEASE_TOML_PATH, ObjectId, Tag
from updater.system import signature
from updater.system.git.publishing import BRANCH, TAGS, Repository
from updater.system.signature import Role

MAX_NOTES = 1 << 20  # bytes that are shown


class State(StrEnum):
    """What is known of a release's signature."""

    VERIFIED = "verified"
    REFUSED = "refused"
    UNCHECKED = "unchecked"
    UNSIGNED = "unsigned"


class Signature(Struct, frozen=True):
    """`key` is the fingerprint, and there only when it is verified; `why` is not."""

    state: State
    key: str | None = None
    why: str | None = None


class Listed(Struct, frozen=True):
    """A release of the branch. What only a signed tag says is None without one."""

    version: str
    number: int
    commit: ObjectId
    tree: ObjectId
    created: int
    product: str
    arch: str
    security_floor: int
    headline: str
    notes: str
    signature: Signature
    tag: ObjectId | None = None
    tree_sha256: str | None = None
    files: int | None = None
    size: int | None = None


class Found(Struct, frozen=True):
    """The releases, newest first, and what a person should know of the list."""

    releases: tuple[Listed, ...]
    notices: tuple[str, ...]


def find(
    repository: Repository,
    trusted: Role | None,
    now: int,
    progress: Callable[[int], None] = lambda _done: None,
) -> Found:
    """Every release from the tip of the branch down.

    Args:
        repository: a bare one.
        trusted: the keys of the role release; None checks no signature.
        now: device time, seconds: a key may have an end.
        progress: called with how many were read.

    Raises:
        RefusedError: there is none, or the branch holds something else.
    """
    refs = repository.refs()
    at: ObjectId | None = refs.get(BRANCH)
    if at is None:
        raise RefusedError(
            f"{repository.path} has no branch releases: nothing was published to it",
            hint="Name the bare repository that osupdate publish writes to.",
        )
    found: list[Listed] = []
    versions: set[str] = set()
    notices: list[str] = []
    while at is not None:
        if at not in repository.objects:
            notices.append(f"the copy ends at {found[-1].version}: older are not here")
            break
        commit = commits.parse(repository.objects.read(at)[1])
        found.append(_listed(repository, at, commit, refs, trusted, now))
        _check_version(found[-1], versions)
        progress(len(found))
        at = commit.parents[0] if commit.parents else None
    return Found(tuple(found), tuple(notices))


def _signer(armor: bytes) -> str | None:
    """The fingerprint of the key in a signature that was verified."""
    key = signers.signer_of(armor)
    return None if key is None else signers.fingerprint(key)


def _check_version(one: Listed, versions: set[str]) -> None:
    """It becomes the name of a file: hold it to what a version may be."""
    if not is_version(one.version):
        raise RefusedError(
            f'commit {one.commit}: "{safe(one.version, 80)}" is not a version'
        )
    if one.version in versions:
        raise RefusedError(f"version {one.version} is twice on the branch releases")
    versions.add(one.version)


def _listed(
    repository: Repository,
    oid: ObjectId,
    commit: commits.Commit,
    refs: dict[str, ObjectId],
    trusted: Role | None,
    now: int,
) -> Listed:
    data = repository.read(commit.tree, RELEASE_TOML_PATH)
    if data is None:
        raise RefusedError(
            f"commit {oid} of the branch releases is no release: it has no release.toml"
        )
    own = release_toml.parse(data)
    name = f"{TAGS}{statements.TAG_PREFIX}{own.version}"
    tag_id = refs.get(name)
    tag, signed = _signature(repository, oid, own, tag_id, trusted, now)
    notes = repository.read(commit.tree, NOTES_PATH) or b""
    return Listed(
        version=own.version,
        number=own.number,
        commit=oid,
        tree=commit.tree,
        created=own.created,
        product=own.product,
        arch=own.arch,
        security_floor=own.security_floor,
        headline=tag.headline if tag else commit.headline,
        notes=notes[:MAX_NOTES].decode("utf-8", "replace"),
        signature=signed,
        tag=tag_id if tag else None,
        tree_sha256=tag.tree_sha256 if tag else None,
        files=tag.files if tag else None,
        size=tag.size if tag else None,
    )


def _signature(
    repository: Repository,
    commit: ObjectId,
    own: ReleaseToml,
    tag_id: ObjectId | None,
    trusted: Role | None,
    now: int,
) -> tuple[Tag | None, Signature]:
    """The tag, where it is whole and about this release, and what its signature is."""
    if tag_id is None or tag_id not in repository.objects:
        return None, Signature(State.UNSIGNED, why="it has no tag")
    kind, raw = repository.objects.read(tag_id)
    if kind != "tag" or statements.BEGIN not in raw:
        return None, Signature(State.UNSIGNED, why="its tag is not signed")
    try:
        tag = statements.parse_tag(raw)
        release_toml.check_against_tag(own, tag)
    except UntrustedError as error:
        return None, Signature(State.REFUSED, why=safe(str(error), 400))
    if tag.commit != commit:
        why = f"F1: the tag names the commit {tag.commit}"
        return None, Signature(State.REFUSED, why=why)
    if trusted is None:
        return tag, Signature(State.UNCHECKED)
    try:
        signature.verify(tag.payload, tag.signature, trusted, now)
    except UntrustedError as error:
        return tag, Signature(State.REFUSED, why=safe(str(error), 400))
    return tag, Signature(State.VERIFIED, key=_signer(tag.signature))
