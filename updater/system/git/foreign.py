"""Another repository on this machine, read with as little belief as possible.

Its refs are read by a small strict reader and its objects as a bare database; its
config, alternates and hooks are not looked at. Runs in the fetching child.
"""

import os
import re
import stat
from collections.abc import Iterator

import pygit2

from updater.core.text import safe
from updater.errors import HostError, UntrustedError
from updater.model import ObjectId
from updater.system.git import objects
from updater.system.git.objects import Objects
from updater.system.git.packread import Entry, Packs
from updater.system.git.wire import FailedError, Request

_OID = re.compile(r"[0-9a-f]{40}\Z")
_HEADER = re.compile(rb"([a-z]+) ([0-9a-f]{40})\Z")
_REF_NAME = re.compile(r"refs/[\x21-\x7e]{1,200}\Z")
_MAX_REF_FILE = 4096
_MAX_PACKED_REFS = 64 << 20
_MAX_DEPTH = 12  # of directories below refs, of symbolic refs and of tags of tags
_LARGE = 16 << 20  # bytes
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Foreign:
    """The other repository: refs by our own reader, objects as a bare database."""

    def __init__(self, request: Request) -> None:
        self._path = safe(request.url, 200)
        if request.repository is None:
            raise HostError("no repository was handed over")
        self._root = _git_directory(request.repository, self._path)
        objects.configure()
        # The copy hashes each object itself: twice would cost a third of the time.
        pygit2.settings.enable_strict_hash_verification(objects.OFF)
        directory = self._checked_objects()
        self._objects = Objects(pygit2.Odb(directory))
        self._packs = Packs([directory])

    def read(self, kind: str, oid: ObjectId) -> bytes:
        """An object's content.

        Raises:
            FailedError: it is missing. UntrustedError: F2: it is of another kind.
        """
        try:
            found, content = self._objects.read(oid)
        except KeyError as error:
            raise self._lacks(kind, oid) from error
        if found != kind:
            raise UntrustedError("F2", f"{oid} is a {found}; expected a {kind}")
        return content

    def size(self, oid: ObjectId) -> int:
        """Bytes of a blob.

        Raises:
            FailedError: it is missing.
        """
        try:
            return self._objects.header(oid)[1]
        except KeyError as error:
            raise self._lacks("blob", oid) from error

    def stored_size(self, oid: ObjectId) -> int:
        """Bytes that a blob takes in the pack that is made of it.

        Raises:
            FailedError: it is missing.
        """
        entry = self.whole(oid)
        return entry.end - entry.start if entry else self.size(oid)

    def whole(self, oid: ObjectId) -> Entry | None:
        """Where an object lies in a pack, when it is not a delta there."""
        return self._packs.find(oid)

    def blob(self, oid: ObjectId) -> bytes | memoryview:
        """A blob; a large one is not copied."""
        if self.size(oid) > _LARGE:
            return self._objects.blob(oid)
        return self.read("blob", oid)

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

    def _lacks(self, kind: str, oid: ObjectId) -> FailedError:
        what = f"{self._path} lacks {kind} {oid}: it is not complete"
        return FailedError("rejected", what)

    def _refuse(self, what: str) -> FailedError:
        return FailedError("refused", f"{self._path}: {what}")


def _git_directory(root: int, shown: str) -> int:
    """The bare repository at a path, or the one in its `.git`.

    It is opened anew: workers that list one inherited descriptor share its position.
    """
    root = os.open(".", _DIRECTORY, dir_fd=root)
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
