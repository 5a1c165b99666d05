"""Turns the files of a root filesystem into blobs of a repository, on all processors.

What the index knows costs a stat; what it does not is read, hashed twice and deflated
in forked workers, each of which writes a pack of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from updater.core import pyc, tree
from updater.core.index import Index, Row
from updater.core.rootfs import Kind, Node
from updater.model import ObjectId
from updater.system import process
from updater.system.git.objects import open_objects
from updater.system.git.pack import PackWriter

_CHUNK_FILES = 400
_CHUNK_BYTES = 8 << 20
_ID, _ID256 = 20, 32
_BOTH = _ID + _ID256


class Source(Protocol):
    """What a root filesystem is read from."""

    def read(self, node: Node) -> bytes | memoryview:
        """The content of a file."""
        ...


class Blob(Struct, frozen=True):
    """A blob's raw SHA-1 and SHA-256 ids, and its size in bytes."""

    oid: bytes
    sha256: bytes
    size: int


def known(nodes: Mapping[bytes, Node], index: Index | None) -> dict[bytes, Blob]:
    """The files that look as they did when they were hashed."""
    if index is None:
        return {}
    found = {}
    for path, node in nodes.items():
        row = index.rows.get(path)
        if row is not None and node.kind is Kind.FILE and row.stat == node.stat:
            found[path] = Blob(row.oid, row.sha256, node.size)
    return found


def remember(
    nodes: Mapping[bytes, Node],
    blobs: Mapping[bytes, Blob],
    device: int,
    started: int,
    forget: Mapping[bytes, str],
) -> Index:
    """The index for the next run.

    Args:
        nodes: the kept paths.
        blobs: their blobs.
        device: of the root filesystem.
        started: the filesystem's clock before the first file was read, in nanoseconds;
            a file that is not older could change again without a trace (git's rule).
        forget: paths that must be looked into again.
    """
    rows = {}
    for path, node in nodes.items():
        stat = node.stat
        if stat is None or node.kind is not Kind.FILE or path in forget:
            continue
        if max(stat.mtime, stat.ctime) < started:
            rows[path] = Row(blobs[path].oid, blobs[path].sha256, stat)
    return Index(device, rows)


def store(
    nodes: Sequence[Node],
    source: Source,
    database: str,
    packs: str | None,
    progress: Callable[[int, int, int], None],
) -> dict[bytes, Blob]:
    """Write the blobs of these files that a repository lacks.

    Args:
        nodes: regular files, and no two names of one file.
        source: gives their content.
        database: the repository's objects directory.
        packs: where the new packs are written; None writes none.
        progress: called with files done, all files, and bytes done.
    """
    jobs = _jobs(nodes)
    files, sizes = _sums(jobs)

    def start() -> Callable[[int], bytes]:
        return _Worker(jobs, source, database, packs).answer

    def report(done: int) -> None:
        progress(files[done], files[-1], sizes[done])

    answers = process.fork_map(len(jobs), start, report=report, closing=True)
    found: dict[bytes, Blob] = {}
    for job, answer in zip(jobs, answers, strict=True):
        for place, node in enumerate(job):
            row = answer[place * _BOTH : (place + 1) * _BOTH]
            found[node.path] = Blob(row[:_ID], row[_ID:], node.size)
    return found


def _jobs(nodes: Sequence[Node]) -> list[list[Node]]:
    """Chunks of about equal work, the largest files first and alone."""
    jobs: list[list[Node]] = []
    room = 0
    for node in sorted(nodes, key=lambda n: (-n.size, n.path)):
        if room < node.size or len(jobs[-1]) >= _CHUNK_FILES:
            jobs.append([])
            room = _CHUNK_BYTES
        jobs[-1].append(node)
        room -= node.size
    return jobs


def _sums(jobs: Sequence[Sequence[Node]]) -> tuple[list[int], list[int]]:
    files, sizes = [0], [0]
    for job in jobs:
        files.append(files[-1] + len(job))
        sizes.append(sizes[-1] + sum(node.size for node in job))
    return files, sizes


class _Worker:
    def __init__(
        self,
        jobs: Sequence[Sequence[Node]],
        source: Source,
        database: str,
        packs: str | None,
    ) -> None:
        self._jobs = jobs
        self._source = source
        self._objects = open_objects([database])
        self._pack = PackWriter(packs) if packs is not None else None

    def answer(self, number: int) -> bytes:
        """Both ids of each file of a job; the job after the last closes the pack."""
        if number == len(self._jobs):
            if self._pack is not None:
                self._pack.finish()
            return b""
        return b"".join(map(self._add, self._jobs[number]))

    def _add(self, node: Node) -> bytes:
        content = self._source.read(node)
        if node.path.endswith(b".pyc"):
            content = pyc.unchecked(bytes(content))
        raw = tree.object_id("blob", content, "sha1")
        oid = ObjectId(raw.hex())
        if self._pack is not None and oid not in self._objects:
            self._pack.add("blob", content, oid)
        return raw + tree.object_id("blob", content, "sha256")
