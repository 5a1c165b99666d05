"""fetch: an offer's bytes, in a directory of their own, trusted by nobody."""

import os
import re
import stat
from collections.abc import Callable
from functools import partial

from updater.errors import HostError, UntrustedError
from updater.model import Candidate, Offer, Progress, RemoteSettings
from updater.system import fs
from updater.system.git import child
from updater.system.git.child import (
    FetchLimits,
    MemoryLimitError,
    MissingBasesError,
    ObjectSources,
)
from updater.system.git.retry import patiently

_PARTIAL = ".part"
_COMPLETE = (
    "The download builds on files that are not here unchanged; "
    "fetching the complete release instead."
)
_TOO_LARGE = (
    "The download is the difference of a file too large for the memory that a fetch "
    "may use; fetching the complete release instead."
)
_PACK = re.compile(r"pack-[0-9a-f]{40}\.(pack|idx)\Z")


def fetch(
    offer: Offer,
    remote: RemoteSettings,
    sources: ObjectSources,
    incoming_dir: str,
    limits: FetchLimits,
    progress: Callable[[Progress], None],
    *,
    allow_plain: bool = False,
    announce: Callable[[str], None],
    sleep: Callable[[float], None],
    secrets_dir: str | None = None,
) -> Candidate:
    """Download an offer. What an interrupted download left behind is removed first.

    Args:
        offer: from `check` with the same remote.
        remote: where from.
        sources: what is here; without haves the fetch is complete.
        incoming_dir: where the download's directory goes; the caller holds the lock.
        limits: what the remote may cost.
        progress: called a few times a second.
        allow_plain: whether http and git are acceptable.
        announce: called with a sentence that must be read.
        sleep: waits that many seconds between two tries.
        secrets_dir: where credential names are looked up.

    Returns:
        `objects` is a bare object database with the new objects and nothing else, or
        None when everything was in `sources` already.

    Raises:
        UntrustedError: F1: something else arrived than was offered.
        TransportError, RefusedError, HostError, NoSpaceError: nothing is left behind.
    """
    fs.make_directories(incoming_dir, 0o700)
    _remove_leftovers(incoming_dir, announce)
    final = os.path.join(incoming_dir, offer.commit)
    unfinished = final + _PARTIAL

    download = partial(
        child.fetch, offer, remote, limits=limits, progress=progress,
        allow_plain=allow_plain, secrets_dir=secrets_dir,
    )  # fmt: skip

    def attempt(used: ObjectSources) -> int:
        _empty_store(unfinished)
        return download(used, os.path.join(unfinished, "objects"))

    try:
        received = _attempts(attempt, sources, announce, sleep)
        found = _has_packs(os.path.join(unfinished, "objects"))
        if found:
            fs.remove_tree(final)
            fs.rename(unfinished, final)
    finally:
        fs.remove_tree(unfinished)
    if not found and offer.commit not in sources.haves:
        raise HostError("the fetching process left no objects")
    return Candidate(offer, os.path.join(final, "objects") if found else None, received)


def _attempts(
    attempt: Callable[[ObjectSources], int],
    sources: ObjectSources,
    announce: Callable[[str], None],
    sleep: Callable[[float], None],
) -> int:
    try:
        return patiently(lambda: attempt(sources), sleep)
    except (MissingBasesError, MemoryLimitError) as error:
        if not sources.haves:
            raise
        why = _COMPLETE if isinstance(error, MissingBasesError) else _TOO_LARGE
    announce(why)
    return patiently(lambda: attempt(ObjectSources()), sleep)


def _remove_leftovers(incoming_dir: str, announce: Callable[[str], None]) -> None:
    for name in os.listdir(incoming_dir):
        if name.endswith(_PARTIAL):
            try:
                fs.remove_tree(os.path.join(incoming_dir, name))
            except HostError as error:
                announce(str(error))


def _empty_store(unfinished: str) -> None:
    """A directory that the child may fill, below one that only we may enter."""
    fs.remove_tree(unfinished)
    objects = os.path.join(unfinished, "objects")
    try:
        os.mkdir(unfinished, 0o700)
        os.mkdir(objects, 0o755)
    except OSError as error:
        raise fs.host_error(error, f"cannot create {objects}") from error


def _has_packs(objects: str) -> bool:
    """The child was exposed to hostile bytes: it may have left packs, nothing else.

    Returns:
        Whether there are any.
    """
    for name in os.listdir(objects):
        if name != "pack":
            raise _unexpected(name)
    pack = os.path.join(objects, "pack")
    if not stat.S_ISDIR(os.lstat(pack).st_mode):
        raise _unexpected("pack")
    names = os.listdir(pack)
    for name in names:
        facts = os.lstat(os.path.join(pack, name))
        whole = stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1
        if not _PACK.match(name) or not whole:
            raise _unexpected(f"pack/{name}")
    return bool(names)


def _unexpected(name: str) -> UntrustedError:
    return UntrustedError(
        "F1", f"the fetching process left {name!r} behind; expected packs only"
    )
