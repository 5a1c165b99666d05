"""Fetches from a repository on this machine by reading its objects.

libgit2's local transport cannot fetch shallow and would read that repository's config.
Here its refs are read by a small strict reader and its objects as a bare database;
every object is hashed again on the way, and nothing is linked. Runs in the child.
"""

import os
import re
import stat
import time
from collections.abc import Callable, Iterator

import pygit2

from updater.core import tree
from updater.core.text import safe
from updater.errors import HostError, UntrustedError
from updater.model import GitMode, ObjectId, Progress, RemoteHead
from updater.system.git import objects
from updater.system.git.objects import Objects
from updater.system.git.pack import PackWriter
from updater.system.git.wire import Done, FailedError, Request

_OID = re.compile(r"[0-9a-f]{40}\Z")
_HEADER = re.compile(rb"([a-z]+) ([0-9a-f]{40})\Z")
_REF_NAME = re.compile(r"refs/[\x21-\x7e]{1,200}\Z")
_MAX_REF_FILE = 4096
_MAX_PACKED_REFS = 64 << 20
_MAX_DEPTH = 12  # of directories below refs, of symbolic refs and of tags of tags
_INTERVAL = 0.1  # seconds
_LARGE = 16 << 20  # bytes
_LEVEL = 0  # the bytes leave this pack again before long
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def list_heads(request: Request) -> list[RemoteHead]:
    """The refs of the repository, annotated tags with what they point at.

    Raises:
        FailedError, UntrustedError.
    """
    source = _Source(request)
    return [
        RemoteHead(name, oid, source.peel(oid)) for name, oid in sorted(source.refs())
    ]


def fetch(request: Request, report: Callable[[Progress], None]) -> Done:
    """Copy a commit, its tag, trees and missing blobs as one pack.

    Raises:
        FailedError: also when an object is missing there.
        UntrustedError: F1: the ref moved; F2: an object or a tree is not sound.
    """
    source = _Source(request)
    _require_offered(source, request)
    incoming = f"/proc/self/fd/{request.incoming}"
    pack = PackWriter(f"{incoming}/pack", level=_LEVEL, durable=False)
    copy = _Copy(source, pack, request, report)
    try:
        if request.tag:
            copy.take("tag", request.tag)
        copy.commits(request.commit, _known(request))
        pack.finish()
    except BaseException:
        pack.abort()
        raise
    return Done(request.commit, request.tag, copy.received)


def _require_offered(source: "_Source", request: Request) -> None:
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
    """Moves objects from the source into the pack, and counts."""

    def __init__(
        self,
        source: "_Source",
        pack: PackWriter,
        request: Request,
        report: Callable[[Progress], None],
    ) -> None:
        self.received = 0
        self._source = source
        self._pack = pack
        self._request = request
        self._report = report
        self._last = 0.0

    def take(self, kind: str, oid: ObjectId) -> bytes:
        """Copy an object that is small."""
        content = self._source.read(kind, oid)
        self._add(kind, oid, content)
        return content

    def take_blob(self, oid: ObjectId) -> None:
        """Copy a file's content."""
        self._add("blob", oid, self._source.blob(oid))

    def _add(self, kind: str, oid: ObjectId, content: bytes | memoryview) -> None:
        raw = tree.object_id(kind, content, "sha1")
        if raw.hex() != oid:
            raise UntrustedError("F2", f"{kind} {oid} is damaged there")
        self._pack.add(kind, content, oid)
        self.received += len(content)
        if self.received > self._request.size:
            raise FailedError(
                "size", f"it has more than the limit of {self._request.size:,} bytes"
            )
        now = time.monotonic()
        if now - self._last >= _INTERVAL:
            self._last = now
            count = len(self._pack)
            self._report(Progress("receiving", self.received, count))

    def commits(self, tip: ObjectId, known: set[ObjectId]) -> None:
        """Copy a commit, and its ancestors when all history is wanted."""
        waiting = [tip]
        while waiting:
            oid = waiting.pop()
            if oid in known:
                continue
            known.add(oid)
            root, parents = _parse_commit(self.take("commit", oid))
            self._trees(root, known)
            if self._request.depth == 0:
                waiting += parents

    def _trees(self, root: ObjectId, known: set[ObjectId]) -> None:
        stack, blobs = [root], dict[ObjectId, None]()
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
        for oid in blobs:
            self.take_blob(oid)
        known.update(blobs)


class _Source:
    """The other repository: refs by our own reader, objects as a bare database."""

    def __init__(self, request: Request) -> None:
        self._path = safe(request.url, 200)
        if request.repository is None:
            raise HostError("no repository was handed over")
        self._root = _git_directory(request.repository, self._path)
        objects.configure()
        # The copy hashes each object itself: twice would cost a third of the time.
        pygit2.settings.enable_strict_hash_verification(objects.OFF)
        self._objects = Objects(pygit2.Odb(self._checked_objects()))

    def read(self, kind: str, oid: ObjectId) -> bytes:
        try:
            found, content = self._objects.read(oid)
        except KeyError as error:
            raise FailedError(
                "rejected", f"{self._path} lacks {kind} {oid}: it is not complete"
            ) from error
        if found != kind:
            raise UntrustedError("F2", f"{oid} is a {found}; expected a {kind}")
        return content

    def blob(self, oid: ObjectId) -> bytes | memoryview:
        """A blob; a large one is not copied."""
        try:
            large = self._objects.header(oid)[1] > _LARGE
        except KeyError:
            large = False
        return self._objects.blob(oid) if large else self.read("blob", oid)

    def peel(self, oid: ObjectId) -> ObjectId | None:
        """What an annotated tag points at in the end; None for anything else."""
        target: ObjectId | None = None
        for _ in range(_MAX_DEPTH):
            try:
                kind, content = self._objects.read(target or oid)
            except KeyError:
                return None
            if kind != "tag":
                return target
            header = _HEADER.match(content.partition(b"\n")[0])
            if not header or header[1] != b"object":
                return None
            target = ObjectId(header[2].decode())
        return None

    def refs(self) -> Iterator[tuple[str, ObjectId]]:
        """Every ref; a loose one wins over a packed one."""
        found = self._packed_refs()
        links: dict[str, str] = {}
        for name, text in self._loose_refs():
            if text.startswith("ref: "):
                links[name] = text.removeprefix("ref: ")
            else:
                found[name] = self._oid(text, name)
        for name, first in links.items():
            target = first
            for _ in range(_MAX_DEPTH):
                target = links.get(target, target)
            if target in found:
                found[name] = found[target]
        yield from found.items()

    def _packed_refs(self) -> dict[str, ObjectId]:
        found = {}
        for line in self._text("packed-refs", _MAX_PACKED_REFS).splitlines():
            oid, _, name = line.partition(" ")
            if line.startswith(("#", "^")) or not _REF_NAME.match(name):
                continue
            found[name] = self._oid(oid, name)
        return found

    def _loose_refs(self) -> Iterator[tuple[str, str]]:
        yield "HEAD", self._text("HEAD", _MAX_REF_FILE)
        pending = ["refs"]
        while pending:
            directory = pending.pop()
            if directory.count("/") > _MAX_DEPTH:
                raise self._refuse(f"{safe(directory)} is nested too deeply")
            for name, mode in self._entries(directory):
                full = f"{directory}/{name}"
                if stat.S_ISDIR(mode):
                    pending.append(full)
                elif stat.S_ISREG(mode):
                    if _REF_NAME.match(full) and not name.endswith(".lock"):
                        yield full, self._text(full, _MAX_REF_FILE)
                else:
                    raise self._refuse(f"{safe(full)} is a symlink or device")

    def _entries(self, directory: str) -> list[tuple[str, int]]:
        fd = os.open(directory, _DIRECTORY, dir_fd=self._root)
        try:
            names = os.listdir(fd)
            return [
                (name, os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
                for name in names
            ]
        finally:
            os.close(fd)

    def _text(self, name: str, limit: int) -> str:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            fd = os.open(name, flags, dir_fd=self._root)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise self._refuse(f"{safe(name)}: {error.strerror}") from error
        with open(fd, "rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise self._refuse(f"{safe(name)} is larger than {limit} bytes")
        return data.decode("ascii", "replace").rstrip("\n")

    def _oid(self, text: str, name: str) -> ObjectId:
        if not _OID.match(text):
            raise self._refuse(
                f"{safe(name)} holds {safe(text, 80)}; expected 40 hex digits (SHA-1)"
            )
        return ObjectId(text)

    def _checked_objects(self) -> str:
        for name in ("objects", "objects/pack", "objects/info"):
            try:
                mode = os.stat(name, dir_fd=self._root, follow_symlinks=False).st_mode
            except FileNotFoundError:
                continue
            if not stat.S_ISDIR(mode):
                raise self._refuse(f"{name} is not a directory")
        for name in ("alternates", "http-alternates"):
            if self._text(f"objects/info/{name}", _MAX_PACKED_REFS).strip():
                raise self._refuse(
                    f"objects/info/{name} borrows objects from elsewhere; expected a "
                    "complete repository (git repack -a -d makes one)"
                )
        return f"/proc/self/fd/{self._root}/objects"

    def _refuse(self, what: str) -> FailedError:
        return FailedError("refused", f"{self._path}: {what}")


def _git_directory(root: int, shown: str) -> int:
    """The bare repository at a path, or the one in its `.git`."""
    names = set(os.listdir(root))
    if ".git" in names:
        try:
            root = os.open(".git", _DIRECTORY, dir_fd=root)
        except NotADirectoryError as error:
            raise FailedError(
                "refused",
                f"{shown}/.git is not a directory: a linked work tree or submodule; "
                "name the main repository",
            ) from error
        names = set(os.listdir(root))
    if not {"HEAD", "objects", "refs"} <= names:
        raise FailedError("rejected", f"{shown} is not a git repository")
    if "reftable" in names:
        raise FailedError(
            "refused", f"{shown} keeps refs in a reftable; expected files"
        )
    return root
