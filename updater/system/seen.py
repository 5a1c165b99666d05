"""public/releases: what every release said of itself that was ever verified here.

It outlives the deployments, and everybody may read it. Two files a release, because
a file costs a block:

    <commit>.json   name, number, message (`core.chronicle.Known`), and the notes
    <commit>.gz     a line of lengths, then packages, changelogs, and changed paths

    channels.json   the releases of each channel, as its log named them last

`.json` is written last: with it, all of a release is there. The paths are those that
changed since `base`, each ending in NUL.
"""

import gzip
import os
import re
import zlib
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from updater.core import changes
from updater.core.changes import Changes
from updater.core.chronicle import Known, newest_first
from updater.errors import UntrustedError
from updater.model import ObjectId, Package
from updater.system import fs

LIMIT = 1000  # releases; of more, the oldest are forgotten
_NAME = re.compile(r"([0-9a-f]{40})(\.json|\.gz)\Z")


class Channel(Struct, frozen=True):
    """A channel: the entry that was read last, when, and its releases, newest first."""

    tip: ObjectId
    at: int
    releases: tuple[ObjectId, ...]


class _Facts(Struct, frozen=True):
    known: Known
    notes: str | None


class _Lengths(Struct, frozen=True):
    """Bytes of each part; None is not known."""

    packages: int | None
    changes: int | None
    paths: int | None


class Seen:
    """The releases that are remembered in `directory`."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def commits(self) -> set[ObjectId]:
        """Which ones are there."""
        matches = (_NAME.match(name) for name in self._names())
        return {ObjectId(m[1]) for m in matches if m and m[2] == ".json"}

    def releases(self) -> tuple[Known, ...]:
        """Everything that can be read, newest first; what is damaged is not there."""
        facts = map(self._facts, self.commits())
        return newest_first(told.known for told in facts if told is not None)

    def notes(self, commit: ObjectId) -> str | None:
        """notes.md; None when there was none."""
        facts = self._facts(commit)
        return None if facts is None else facts.notes

    def packages(self, commit: ObjectId) -> tuple[Package, ...] | None:
        """The packages; None when they are not known."""
        data = self._part(commit, "packages")
        try:
            return None if data is None else msgspec.json.decode(data, type=_PACKAGES)
        except msgspec.DecodeError:
            return None

    def changes(self, commit: ObjectId) -> Changes | None:
        """What changelogs say; None when nobody told."""
        data = self._part(commit, "changes")
        try:
            return None if data is None else changes.parse(data)
        except UntrustedError:
            return None

    def changes_name(self, commit: ObjectId, cve: str) -> bool:
        """Whether changelogs name a vulnerability; quicker than reading them."""
        data = self._part(commit, "changes")
        return data is not None and f'"{cve}"'.encode() in data

    def paths(self, commit: ObjectId) -> bytes | None:
        """The paths that changed, each between two NULs; None when that is not known.

        Not a list: whether a path is among tens of thousands is asked of hundreds.
        """
        data = self._part(commit, "paths")
        return None if data is None else b"\0" + data

    def add(
        self,
        known: Known,
        notes: str | None,
        packages: Sequence[Package] | None,
        told: Changes | None,
        paths: Sequence[bytes] | None,
    ) -> None:
        """Remember a release; one that is there stays, unless it was only heard of.

        Raises:
            HostError: it is not remembered.
        """
        there = self._facts(known.commit)
        if there is not None and (known.heard or not there.known.heard):
            return
        fs.make_directories(self._directory)
        parts = (
            None if packages is None else msgspec.json.encode(packages),
            None if told is None else changes.write(told),
            None if paths is None else b"".join(path + b"\0" for path in paths),
        )
        lengths = _Lengths(*(None if part is None else len(part) for part in parts))
        head = msgspec.json.encode(lengths) + b"\n"
        packed = gzip.compress(
            head + b"".join(part or b"" for part in parts), 6, mtime=0
        )
        shown = notes and notes.encode("utf-8", "replace").decode()
        facts = msgspec.json.format(msgspec.json.encode(_Facts(known, shown)), indent=1)
        fs.write_durably(self._path(known.commit, "gz"), packed)
        fs.write_durably(self._path(known.commit, "json"), facts + b"\n")

    def channels(self) -> dict[str, Channel]:
        """The channels whose logs were read here, by name."""
        try:
            with open(self._channels, "rb") as file:
                return msgspec.json.decode(file.read(), type=dict[str, Channel])
        except (OSError, msgspec.DecodeError):
            return {}

    def set_channel(
        self, name: str, tip: ObjectId, releases: Sequence[ObjectId], at: int
    ) -> None:
        """Remember which releases a channel has.

        Raises:
            HostError: it is not remembered.
        """
        known = self.channels() | {name: Channel(tip, at, tuple(releases))}
        fs.make_directories(self._directory)
        fs.write_durably(self._channels, msgspec.json.encode(known) + b"\n")

    def tidy(self) -> None:
        """Forget the oldest beyond `LIMIT`, and what an interrupted run left."""
        beyond = {known.commit for known in self.releases()[LIMIT:]}
        whole = self.commits() - beyond
        for name in self._names():
            match = _NAME.match(name)
            if name.endswith(".tmp") or (match and match[1] not in whole):
                fs.remove_tree(os.path.join(self._directory, name))

    @property
    def _channels(self) -> str:
        return os.path.join(self._directory, "channels.json")

    def _names(self) -> list[str]:
        try:
            return os.listdir(self._directory)
        except OSError:
            return []

    def _path(self, commit: ObjectId, kind: str) -> str:
        return os.path.join(self._directory, f"{commit}.{kind}")

    def _read(self, commit: ObjectId, kind: str) -> bytes:
        try:
            with open(self._path(commit, kind), "rb") as file:
                return file.read()
        except OSError:
            return b""

    def _facts(self, commit: ObjectId) -> _Facts | None:
        try:
            facts = msgspec.json.decode(self._read(commit, "json"), type=_Facts)
        except msgspec.DecodeError:
            return None
        return facts if facts.known.commit == commit else None

    def _part(self, commit: ObjectId, name: str) -> bytes | None:
        try:
            head, _, body = gzip.decompress(self._read(commit, "gz")).partition(b"\n")
            lengths = msgspec.json.decode(head, type=_Lengths)
        except (OSError, EOFError, zlib.error, msgspec.DecodeError):
            return None
        at = 0
        for field in lengths.__struct_fields__:
            length = getattr(lengths, field)
            if field == name:
                return None if length is None else body[at : at + length]
            at += length or 0
        raise AssertionError(f"there is no part {name}")


_PACKAGES = tuple[Package, ...]
