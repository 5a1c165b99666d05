"""Fetches from a repository on this machine by reading its objects.

libgit2's local transport cannot fetch shallow and would read that repository's config.
Commits, tags and trees are hashed on the way. A blob that lies whole in a pack is
copied as it stands there, deflated, as git itself would do: held to the checksum in the
pack's index here, and to its id by whoever takes it out. Nothing is linked. Runs in the
child.
"""

import re
from collections.abc import Callable, Sequence
from itertools import accumulate

from msgspec import Struct

from updater.core import tree
from updater.core.text import safe
from updater.errors import UntrustedError
from updater.model import GitMode, ObjectId, Progress, RemoteHead
from updater.system.git import objects
from updater.system.git.foreign import Foreign
from updater.system.git.pack import PackWriter
from updater.system.git.packread import encoded
from updater.system.git.wire import Done, FailedError, Request
from updater.system.process import fork_map

_OID = re.compile(r"[0-9a-f]{40}\Z")
_HEADER = re.compile(rb"([a-z]+) ([0-9a-f]{40})\Z")
_JOB = 4 << 20  # bytes of content that a worker copies at a time
_OBJECT_COST = 8192  # an object costs as much as so many bytes
_LEVEL = 0  # the bytes leave this pack again before long
_LOG_LEVEL = 6  # these stay


class Job(Struct, frozen=True):
    """Blobs that one worker copies at a time, and about how many bytes they are."""

    blobs: tuple[ObjectId, ...]
    size: int


def list_heads(request: Request) -> list[RemoteHead]:
    """The refs of the repository, annotated tags with what they point at.

    Raises:
        FailedError, UntrustedError.
    """
    source = Foreign(request)
    return [
        RemoteHead(name, oid, source.peel(oid)) for name, oid in sorted(source.refs())
    ]


def fetch(request: Request, report: Callable[[Progress], None]) -> Done:
    """Copy a commit, its tag, trees and missing blobs as one pack.

    Raises:
        FailedError: also when an object is missing there.
        UntrustedError: F1: the ref moved; F2: an object or a tree is not sound.
    """
    source = Foreign(request)
    _require_offered(source, request)
    packs = f"/proc/self/fd/{request.incoming}/pack"
    pack = PackWriter(packs, level=_LEVEL, durable=False)
    copy = _Copy(source, pack)
    try:
        if request.tag:
            copy.take("tag", request.tag)
        blobs = copy.commits(request.commit, _known(request), request.depth == 0)
        pack.finish()
    except BaseException:
        pack.abort()
        raise
    jobs, total = _jobs(source, blobs, request.size - copy.received)
    _copy_blobs(request, jobs, packs, report)
    return Done(request.commit, request.tag, copy.received + total)


def fetch_logs(request: Request, report: Callable[[Progress], None]) -> Done:
    """Copy `request.logs` with their history, as far as they are not here.

    Raises:
        FailedError: also when an object is missing there.
        UntrustedError: F2: an object or a tree is not sound.
    """
    source = Foreign(request)
    refs = dict(source.refs())
    heads = tuple(RemoteHead(n, refs[n]) for n in request.logs if n in refs)
    fresh = [head.oid for head in heads if head.oid not in request.haves]
    if not fresh:
        return Done(heads=heads)
    report(Progress("receiving"))
    packs = f"/proc/self/fd/{request.incoming}/pack"
    pack = PackWriter(packs, level=_LOG_LEVEL, durable=False)
    copy = _Copy(source, pack)
    try:
        known = _known(request)
        for tip in fresh:
            for blob in copy.commits(tip, known, everything=True):
                known.add(blob)
                copy.take_blob(blob)
                _require_less(copy.received, request.size)
        pack.finish()
    except BaseException:
        pack.abort()
        raise
    return Done(received=copy.received, heads=heads)


def _jobs(
    source: Foreign, blobs: Sequence[ObjectId], limit: int
) -> tuple[list[Job], int]:
    """The blobs in pieces of like size, the largest first, and their bytes."""
    sizes = {oid: source.stored_size(oid) for oid in blobs}
    total = sum(sizes.values())
    _require_less(total, limit)
    jobs: list[Job] = []
    chosen: list[ObjectId] = []
    count = 0
    for oid in sorted(sizes, key=lambda oid: -sizes[oid]):
        chosen.append(oid)
        count += sizes[oid] + _OBJECT_COST
        if count >= _JOB:
            jobs.append(Job(tuple(chosen), count))
            chosen, count = [], 0
    return [*jobs, Job(tuple(chosen), count)] if chosen else jobs, total


def _require_less(size: int, limit: int) -> None:
    if size > limit:
        raise FailedError("size", f"it has more than the limit of {limit:,} bytes")


def _copy_blobs(
    request: Request,
    jobs: Sequence[Job],
    packs: str,
    report: Callable[[Progress], None],
) -> None:
    """Copy the blobs, each worker into a pack of its own."""
    done = list(accumulate((job.size for job in jobs), initial=0))
    count = list(accumulate((len(job.blobs) for job in jobs), initial=0))

    def start() -> Callable[[int], bytes]:
        pack = PackWriter(packs, level=_LEVEL, durable=False)
        copy = _Copy(Foreign(request), pack)

        def work(number: int) -> bytes:
            if number == len(jobs):
                pack.finish()
            else:
                for oid in jobs[number].blobs:
                    copy.take_blob(oid)
            return b""

        return work

    def show(finished: int) -> None:
        report(Progress("receiving", done[finished], count[finished], count[-1]))

    fork_map(len(jobs), start, report=show, closing=True)


def _require_offered(source: Foreign, request: Request) -> None:
    expected = request.tag or request.commit
    if not _OID.match(request.ref) and dict(source.refs()).get(request.ref) != expected:
        raise UntrustedError(
            "F1", f"{safe(request.ref, 200)} is not {expected} any more"
        )
    if request.tag and source.peel(request.tag) != request.commit:
        raise UntrustedError("F1", f"tag {request.tag} is not for {request.commit}")


def _known(request: Request) -> set[ObjectId]:
    """Every tree and blob of the commits that are here completely."""
    here = objects.open_objects([f"/proc/self/fd/{fd}" for fd in request.objects])
    known: set[ObjectId] = set(request.haves)
    stack = [_parse_commit(here.read(oid)[1])[0] for oid in request.haves]
    while stack:
        oid = stack.pop()
        known.add(oid)
        for entry in tree.parse(here.read_tree(oid), submodules=True)[0]:
            if entry.oid in known:
                continue
            if entry.mode is GitMode.TREE:
                stack.append(entry.oid)
            else:
                known.add(entry.oid)
    return known


def _parse_commit(content: bytes) -> tuple[ObjectId, list[ObjectId]]:
    """The tree and the parents of a raw commit; `verify` judges the rest."""
    found: dict[bytes, list[ObjectId]] = {b"tree": [], b"parent": []}
    for line in content.partition(b"\n\n")[0].split(b"\n"):
        header = _HEADER.match(line)
        if not header or header[1] not in found:
            break
        found[header[1]].append(ObjectId(header[2].decode()))
    if len(found[b"tree"]) != 1:
        raise UntrustedError("F1", "the commit does not name one tree")
    return found[b"tree"][0], found[b"parent"]


class _Copy:
    """Moves objects from the source into a pack; each is hashed on its way."""

    def __init__(self, source: Foreign, pack: PackWriter) -> None:
        self.received = 0
        self._source = source
        self._pack = pack

    def take(self, kind: str, oid: ObjectId) -> bytes:
        """Copy an object that is small."""
        content = self._source.read(kind, oid)
        self._add(kind, oid, content)
        return content

    def take_blob(self, oid: ObjectId) -> None:
        """Copy a file's content."""
        entry = self._source.whole(oid)
        if entry is None:
            self._add("blob", oid, self._source.blob(oid))
        elif entry.kind != "blob":
            raise UntrustedError("F2", f"{oid} is a {entry.kind}; expected a blob")
        else:
            self._pack.copy(oid, encoded(entry))

    def _add(self, kind: str, oid: ObjectId, content: bytes | memoryview) -> None:
        raw = tree.object_id(kind, content, "sha1")
        if raw.hex() != oid:
            raise UntrustedError("F2", f"{kind} {oid} is damaged there")
        self._pack.add(kind, content, oid)
        self.received += len(content)

    def commits(
        self,
        tip: ObjectId,
        known: set[ObjectId],
        everything: bool,  # noqa: FBT001 - `history = "full"`
    ) -> tuple[ObjectId, ...]:
        """Copy a commit with its trees, or all its ancestors too.

        Returns:
            The blobs that are missing here.
        """
        waiting = [tip]
        blobs: dict[ObjectId, None] = {}
        while waiting:
            oid = waiting.pop()
            if oid in known:
                continue
            known.add(oid)
            root, parents = _parse_commit(self.take("commit", oid))
            self._trees(root, known, blobs)
            if everything:
                waiting += parents
        return tuple(blobs)

    def _trees(
        self, root: ObjectId, known: set[ObjectId], blobs: dict[ObjectId, None]
    ) -> None:
        stack = [root]
        while stack:
            oid = stack.pop()
            if oid in known:
                continue
            known.add(oid)
            content = self.take("tree", oid)
            for entry in tree.parse(content, submodules=True)[0]:
                if entry.mode is GitMode.TREE:
                    stack.append(entry.oid)
                elif entry.oid not in known:
                    blobs[entry.oid] = None
