"""The story of `osupdate trust`: the next version of the keys, signed by root keys.

A version is one commit of the branch `trust`. It is held to the check T1 before the
branch moves, so that no machine is given a step that it would refuse.
"""

from collections.abc import Callable

from msgspec import Struct

from updater.core import commits, keyring, tree, trust
from updater.core.keyring import Files
from updater.core.signers import KEY_TYPES, ROLES, Key, parse_key, parse_role
from updater.core.text import plural
from updater.core.trust import TrustSet
from updater.errors import RefusedError, UntrustedError
from updater.model import ObjectId, Trusted, TrustedKey
from updater.publish.place import HEADS, Place, cache_for, write_tree
from updater.system import signature, signing

WHO = "osupdate trust <trust@osupdate.invalid>"


class TrustRequest(Struct, frozen=True, kw_only=True):
    """Where the keys are kept, who signs, and when it is.

    Attributes:
        repo: a directory or URL; that of `[remote] channels`, or `url`.
        cache: directory of the copies of remotes.
        now: seconds since the epoch.
        keys: private root keys, or public ones of which an agent has the other half.
        agent: socket of an ssh-agent.
    """

    repo: str
    cache: str
    now: int
    keys: tuple[str, ...] = ()
    agent: str | None = None


class Rotated(Struct, frozen=True):
    """The outcome: the version that counts now, and its commit."""

    current: TrustSet
    commit: ObjectId
    name: str
    text: str


def begin(request: TrustRequest, files: Files, threshold: int) -> Rotated:
    """Write version 1.

    Raises:
        RefusedError: there is one; UntrustedError: T1.
    """
    place = _open(request)
    if place.head(trust.BRANCH) is not None:
        raise RefusedError(
            f"{place.name} has a branch {trust.BRANCH} already",
            hint="Change it: osupdate trust add, revoke or rotate",
        )
    try:
        return _write(request, place, None, None, files, threshold, "The keys begin")
    except BaseException:
        place.undo()
        raise


def change(
    request: TrustRequest,
    edit: Callable[[Files], Files],
    what: str,
    threshold: int | None = None,
) -> Rotated:
    """Write the next version.

    Args:
        request: where, and who signs.
        edit: makes the new files of the old ones.
        what: the commit's headline.
        threshold: root keys that must sign from now on; None as before.

    Raises:
        RefusedError: there is no version yet, or `edit` refused.
        UntrustedError: T1: too few of the old or new root keys sign.
    """
    place = _open(request)
    tip, old = _read(place)
    files = edit(dict(old.files))
    needed = threshold or old.threshold
    return _write(request, place, tip, old, files, needed, what)


def read(request: TrustRequest) -> TrustSet:
    """The version that counts.

    Raises:
        RefusedError: there is none.
    """
    return _read(_open(request))[1]


def _open(request: TrustRequest) -> Place:
    return Place(request.repo, cache_for(request.cache, request.repo))


def _read(place: Place) -> tuple[ObjectId, TrustSet]:
    tip = place.head(trust.BRANCH)
    if tip is None:
        raise RefusedError(
            f"{place.name} has no branch {trust.BRANCH}",
            hint="Begin it: osupdate trust init",
        )
    objects = place.repository.objects
    root = commits.parse(objects.read(tip)[1]).tree
    content = {
        entry.name.decode("utf-8", "replace"): objects.read_blob(entry.oid)
        for entry in tree.parse(objects.read_tree(root))[0]
    }
    armors = {n: data for n, data in content.items() if trust.is_signature(n)}
    return tip, trust.parse(content.get(trust.FILE, b""), content, armors)


def _write(
    request: TrustRequest,
    place: Place,
    tip: ObjectId | None,
    old: TrustSet | None,
    files: Files,
    threshold: int,
    what: str,
) -> Rotated:
    version = old.version + 1 if old else 1
    statement = trust.write(version, request.now, threshold, files)
    trust.parse(statement, files, {})
    armors = {
        f"trust.{number}.sig": signing.sign(
            statement, key, trust.NAMESPACE, agent=request.agent
        )
        for number, key in enumerate(request.keys, 1)
    }
    made = trust.parse(statement, files, armors)
    _hold(made, old, request.now)
    message = f"{what}\n\nTrust version {version}.\n"
    stamp = f"{WHO} {request.now} +0000"
    with place.writing() as pack:
        content = {trust.FILE: statement} | files | armors
        root = write_tree(pack, {n.encode(): data for n, data in content.items()})
        head = [f"tree {root}", *([f"parent {tip}"] if tip else [])]
        head += [f"{word} {stamp}" for word in ("author", "committer")]
        commit = pack.add("commit", "\n".join([*head, "", message]).encode())
    place.move(HEADS + trust.BRANCH, commit)
    return Rotated(made, commit, place.name, _text(made, commit, place, what))


def _hold(made: TrustSet, old: TrustSet | None, now: int) -> None:
    """Check T1, as machines will.

    Raises:
        UntrustedError: T1.
    """
    before = old or made
    if old is not None:
        trust.check_next(old, made)
    for which, keys in (("old", before), ("new", made)):
        signed = signature.root_signers(made, keys, keys.revoked, now)
        try:
            trust.check_threshold(which, keys.threshold, len(signed), made.version)
        except UntrustedError as error:
            known = ", ".join(key.name for key in keys.keys["root"])
            error.hint = f"Sign with more of them (--key, once each): {known}"
            raise


def _text(made: TrustSet, commit: ObjectId, place: Place, what: str) -> str:
    lines = [
        f"Trust version {made.version}: {what}",
        f"  commit   {commit[:12]} of {trust.BRANCH} in {place.name}",
        f"  signed   by {plural(len(made.signatures), 'root key')}; "
        f"{made.threshold} must sign",
    ]
    lines += [f"  {role:<8} {_names(made.keys[role])}" for role in ROLES]
    if made.revoked:
        lines.append(f"  revoked  {_names(made.revoked)}")
    return "\n".join(lines)


def _names(keys: tuple[Key, ...]) -> str:
    return ", ".join(key.name for key in keys)


def no_keys() -> Files:
    """Trust files without a key."""
    return keyring.empty()


def adding(
    role: str, text: str, where: str, until: str | None
) -> Callable[[Files], Files]:
    """Adds a key, given as its public file has it.

    Raises:
        ConfigError: it is no public key.
    """
    key, comment = parse_key(text, where)
    return lambda files: keyring.with_key(files, role, key, comment, until)


def dropping(role: str, text: str, where: str) -> Callable[[Files], Files]:
    """Takes a role from a key, given by its public file, fingerprint or comment."""
    return lambda files: keyring.without_key(files, role, _named(files, text, where))


def revoking(text: str, where: str) -> Callable[[Files], Files]:
    """Revokes a key, given by its public file, fingerprint or comment."""

    def edit(files: Files) -> Files:
        key = _named(files, text, where)
        known = [k for role in ROLES for k in parse_role(files[role], role, role)]
        comment = next((k.comment for k in known if k.key == key), "")
        return keyring.revoking(files, key, comment)

    return edit


def _named(files: Files, text: str, where: str) -> str:
    if text.startswith(KEY_TYPES):
        return parse_key(text, where)[0]
    return keyring.find(files, text.strip())


def as_trusted(found: TrustSet, now: int) -> Trusted:
    """A version of a repository, as a machine shows its own."""
    return Trusted(
        version=found.version,
        threshold=found.threshold,
        pinned=False,
        keys=tuple(
            TrustedKey(role, key.name, key.where, key.after, key.before)
            for role in ROLES
            for key in found.keys[role]
        ),
        revoked=tuple(
            TrustedKey("revoked", key.name, key.where, None, None)
            for key in found.revoked
        ),
        missing=(),
        signers=(),
        now=now,
    )
