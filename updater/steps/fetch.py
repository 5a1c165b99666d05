"""fetch: an offer's bytes, in a directory of their own, trusted by nobody."""

import os
from collections.abc import Callable
from functools import partial

from updater.errors import HostError
from updater.model import Candidate, Offer, Progress, RemoteSettings
from updater.system import fs
from updater.system.git import child, incoming
from updater.system.git.child import FetchLimits, ObjectSources
from updater.system.git.failures import MemoryLimitError, MissingBasesError
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
        incoming.empty_store(unfinished)
        return download(used, os.path.join(unfinished, "objects"))

    try:
        received = _attempts(attempt, sources, announce, sleep)
        found = incoming.has_packs(os.path.join(unfinished, "objects"))
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
