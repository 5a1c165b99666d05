"""public/releases: what every release said of itself that was ever verified here.

It outlives the deployments, and everybody may read it. One directory a release, made
whole and then renamed:

    <commit>/release.json        name, number, message: `core.chronicle.Known`
    <commit>/notes.md            as it was published
    <commit>/packages.json.gz    its packages
    <commit>/changes.json.gz     what changelogs say of it since `base`
    <commit>/paths.gz            the paths that changed since `base`, each ending in NUL
"""

import gzip
import os
import re
import zlib
from collections.abc import Sequence

import msgspec

from updater.core import changes
from updater.core.changes import Changes
from updater.core.chronicle import Known, newest_first
from updater.errors import UntrustedError
from updater.model import ObjectId, Package
from updater.system import fs

LIMIT = 1000  # releases; of more, the oldest are forgotten
_COMMIT = re.compile(r"[0-9a-f]{40}\Z")
_FACTS, _NOTES = "release.json", "notes.md"
_PACKAGES, _PATHS = "packages.json.gz", "paths.gz"
_CHANGES = "changes.json.gz"


class Seen:
    """The releases that are remembered in `directory`."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def commits(self) -> set[ObjectId]:
        """Which ones are there."""
        try:
            names = os.listdir(self._directory)
        except OSError:
            return set()
        return {ObjectId(name) for name in names if _COMMIT.match(name)}

    def releases(self) -> tuple[Known, ...]:
        """Everything that can be read, newest first; what is damaged is not there."""
        found = []
        for commit in self.commits():
            data = self._read(commit, _FACTS)
            try:
                known = msgspec.json.decode(data or b"", type=Known)
            except msgspec.DecodeError:
                continue
            if known.commit == commit:
                found.append(known)
        return newest_first(found)

    def notes(self, commit: ObjectId) -> str | None:
        """notes.md; None when there was none."""
        data = self._read(commit, _NOTES)
        return None if data is None else data.decode("utf-8", "replace")

    def packages(self, commit: ObjectId) -> tuple[Package, ...] | None:
        """The packages; None when they are not known."""
        data = self._unpack(commit, _PACKAGES)
        try:
            return (
                None
                if data is None
                else msgspec.json.decode(data, type=tuple[Package, ...])
            )
        except msgspec.DecodeError:
            return None

    def changes(self, commit: ObjectId) -> Changes | None:
        """What changelogs say; None when nobody told."""
        data = self._unpack(commit, _CHANGES)
        try:
            return None if data is None else changes.parse(data)
        except UntrustedError:
            return None

    def changes_name(self, commit: ObjectId, cve: str) -> bool:
        """Whether changelogs name a vulnerability; quicker than reading them."""
        data = self._unpack(commit, _CHANGES)
        return data is not None and f'"{cve}"'.encode() in data

    def paths(self, commit: ObjectId) -> bytes | None:
        """The paths that changed, each between two NULs; None when that is not known.

        Not a list: whether a path is among tens of thousands is asked of hundreds.
        """
        data = self._unpack(commit, _PATHS)
        return None if data is None else b"\0" + data

    def add(
        self,
        known: Known,
        notes: str | None,
        packages: Sequence[Package] | None,
        told: Changes | None,
        paths: Sequence[bytes] | None,
    ) -> None:
        """Remember a release; one that is there stays as it is.

        Raises:
            HostError: it is not remembered, and nothing is half there.
        """
        final = os.path.join(self._directory, known.commit)
        if os.path.isdir(final):
            return
        temporary = f"{final}.tmp"
        fs.remove_tree(temporary)
        fs.make_directories(temporary)
        files = {_FACTS: msgspec.json.format(msgspec.json.encode(known), indent=1)}
        if notes is not None:
            files[_NOTES] = notes.encode("utf-8", "surrogateescape")
        if packages is not None:
            files[_PACKAGES] = _pack(msgspec.json.encode(packages))
        if told is not None:
            files[_CHANGES] = _pack(changes.write(told))
        if paths is not None:
            files[_PATHS] = _pack(b"".join(path + b"\0" for path in paths))
        try:
            for name, data in files.items():
                fs.write_durably(os.path.join(temporary, name), data)
            fs.rename(temporary, final)
        except OSError as error:
            raise fs.host_error(error, f"cannot write {final}") from error

    def tidy(self) -> None:
        """Forget the oldest beyond `LIMIT`, and what an interrupted run left."""
        beyond = {known.commit for known in self.releases()[LIMIT:]}
        names = os.listdir(self._directory) if os.path.isdir(self._directory) else []
        for name in names:
            if name.endswith(".tmp") or name in beyond:
                fs.remove_tree(os.path.join(self._directory, name))

    def _read(self, commit: ObjectId, name: str) -> bytes | None:
        try:
            with open(os.path.join(self._directory, commit, name), "rb") as file:
                return file.read()
        except OSError:
            return None

    def _unpack(self, commit: ObjectId, name: str) -> bytes | None:
        data = self._read(commit, name)
        try:
            return gzip.decompress(data) if data else None  # nothing is no archive
        except (OSError, EOFError, zlib.error):
            return None


def _pack(data: bytes) -> bytes:
    return gzip.compress(data, 6, mtime=0)
