"""The branch `trust` -> the keys that count: check T1 of DESIGN section 3.6.

Every step from the version that counts here to the newest is walked: +1 each, signed by
a threshold of the root keys before it and of its own.
"""

from updater.core import commits, tree, trust
from updater.core.signers import Key
from updater.core.trust import TrustSet
from updater.errors import UntrustedError
from updater.model import GitMode, ObjectId
from updater.system import signature
from updater.system.git.objects import Objects


def walk(
    tip: ObjectId,
    objects: Objects,
    current: TrustSet,
    revoked: tuple[Key, ...],
    now: int,
) -> tuple[TrustSet, ...]:
    """The sets that follow the one that counts, oldest first; none when it is newest.

    Args:
        tip: of the branch, as the remote advertises it.
        objects: have the branch with its history.
        current: the set that counts on this machine.
        revoked: keys that any place here revokes.
        now: device time.

    Raises:
        UntrustedError: T1: nothing of what follows counts.
        HostError: ssh-keygen could not decide.
    """
    steps = _unseen(tip, objects, current)
    before = current
    for step in steps:
        trust.check_next(before, step)
        for which, keys in (("old", before), ("new", step)):
            gone = (*revoked, *keys.revoked)
            signed = signature.root_signers(step, keys, gone, now)
            trust.check_threshold(which, keys.threshold, len(signed), step.version)
        before = step
    return tuple(steps)


def _unseen(tip: ObjectId, objects: Objects, current: TrustSet) -> list[TrustSet]:
    """The sets of the branch that are newer than the one that counts, oldest first."""
    found: list[TrustSet] = []
    oid: ObjectId | None = tip
    while oid is not None:
        commit = commits.parse(_read(objects, oid, "commit", commits.MAX_COMMIT))
        if len(commit.parents) > 1:
            raise UntrustedError("T1", f"commit {oid} of the trust branch is a merge")
        step = _set_of(commit.tree, objects)
        if step.version <= current.version:
            _check_known(step, current, newest=not found)
            break
        found.append(step)
        if len(found) > trust.MAX_STEPS:
            raise UntrustedError(
                "T1",
                f"the trust branch is over {trust.MAX_STEPS} versions ahead of this "
                "machine: give it newer keys by hand",
            )
        oid = commit.parents[0] if commit.parents else None
    return found[::-1]


def _check_known(step: TrustSet, current: TrustSet, *, newest: bool) -> None:
    """Hold the branch to what counts here already."""
    if step.version < current.version and newest:
        raise UntrustedError(
            "T1",
            f"the trust branch ends at version {step.version}; version "
            f"{current.version} counts here already: an older one is replayed",
        )
    if step.version == current.version and step.statement != current.statement:
        raise UntrustedError(
            "T1",
            f"version {step.version} of the trust branch is not the one that counts "
            "here: the branch was forked",
        )


def _set_of(root: ObjectId, objects: Objects) -> TrustSet:
    content: dict[str, bytes] = {}
    for entry in tree.parse(_read(objects, root, "tree", trust.MAX_FILE))[0]:
        name = entry.name.decode("utf-8", "replace")
        wanted = name in (trust.FILE, *trust.FILES) or trust.is_signature(name)
        if wanted and entry.mode is GitMode.FILE:
            content[name] = _read(objects, entry.oid, "blob", trust.MAX_FILE)
    armors = {n: data for n, data in content.items() if trust.is_signature(n)}
    return trust.parse(content.get(trust.FILE, b""), content, armors)


def _read(objects: Objects, oid: ObjectId, kind: str, limit: int) -> bytes:
    try:
        found, size = objects.header(oid)
        if found != kind or size > limit:
            raise UntrustedError(
                "T1", f"object {oid} of the trust branch is a {found} of {size:,} bytes"
            )
        return objects.read(oid)[1]
    except KeyError as error:
        raise UntrustedError(
            "T1", f"{kind} {oid} of the trust branch is missing"
        ) from error
