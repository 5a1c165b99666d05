"""Why packages changed since the release before, found while their changelogs are here.

Slim images drop /usr/share/doc, and machines never see what is excluded; so a release
brings the entries along. Only sources of which another version is there are looked up.
"""

import os
import zlib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import partial
from urllib.parse import unquote

from msgspec import Struct, structs

from updater.core import changes, packages
from updater.core.changelogs import Entry, between, debian, of_source
from updater.core.changelogs import rpm as rpm_changelogs
from updater.core.changes import Changes
from updater.core.packages import order, rpm, sources
from updater.core.packages.sources import SourceChange
from updater.core.rootfs import resolve
from updater.core.text import plural, safe
from updater.core.tree import safe_name
from updater.errors import RefusedError
from updater.model import CHANGES_PATH, PACKAGES_PATH, Package
from updater.publish.content import Source
from updater.publish.target import Target
from updater.system.archive import deb
from updater.system.rootfs import Directory

MAX_CHANGELOG = 1 << 24  # bytes, decompressed; the rest is older

_DOC = "usr/share/doc/"
_CHANGELOGS = ("changelog.Debian.gz", "changelog.Debian", "changelog.gz", "changelog")
_NEWS = ("NEWS.Debian.gz", "NEWS.Debian")
_WITH_CHANGELOGS = ("dpkg", "rpm")
_SHOWN = 5  # sources without a changelog that are named

Doc = Callable[[str, str], bytes | None]
"""Gives a file of a package's documentation: package, file name."""


class Told(Struct, frozen=True):
    """changes.json of a release, and what to tell its publisher."""

    data: bytes
    notices: tuple[str, ...] = ()


def tell(
    goal: Target,
    number: int,
    found: Sequence[Package],
    source: Source,
    directories: Sequence[str],
    progress: Callable[[str, int, int, int], None],
) -> Told:
    """What a release brings, united with what its predecessors brought.

    Args:
        goal: where the release before is.
        number: of the new release.
        found: its packages.
        source: its root filesystem.
        directories: of .deb files or of documentation, for what the root filesystem
            does not have.
        progress: called with "changes", sources done, all sources that changed, 0.
    """
    last = goal.previous
    if last is None:
        return Told(changes.write(Changes(number)))
    read = partial(goal.repository.read, last.tree)
    moved = sources.changed(packages.from_json(read(PACKAGES_PATH) or b"[]"), found)
    before, notices = _before(read(CHANGES_PATH), last.release.number)
    if not moved:
        return Told(changes.write(before), notices)
    library = _Library(source, directories)
    every = dict(_rpm([c for c in moved if c.family == "rpm"], source, read))
    for done, change in enumerate(moved):
        progress("changes", done, len(moved), 0)
        if change.family == "dpkg":
            every[change.source] = library.entries(change)
    known = {name: entries for name, entries in every.items() if entries}
    unknown = [change for change in moved if change.source not in known]
    brought = changes.from_entries(known, number, last.release.number)
    known_before = changes.again(before, unknown, number)
    lacking = [
        change
        for change in unknown
        if change.source not in known_before.sources and _lacks(change)
    ]
    return Told(
        changes.write(changes.unite([brought, known_before, before])),
        (*notices, *library.notices, *_missing(lacking, len(moved))),
    )


def _before(data: bytes | None, number: int) -> tuple[Changes, tuple[str, ...]]:
    """What the release before told; one that cannot be read begins anew."""
    if data is None:
        return Changes(number), ()
    try:
        return changes.parse(data), ()
    except RefusedError as error:
        return Changes(number), (f"changes are told anew from here on: {error}",)


def _lacks(change: SourceChange) -> bool:
    """Whether there should be entries: a downgrade, or apk, brings none."""
    old, new = change.old, change.new
    forward = old is None or order.compare(change.family, old, new) < 0
    return forward and change.family in _WITH_CHANGELOGS


def _missing(lacking: Sequence[SourceChange], changed: int) -> Iterator[str]:
    if lacking:
        names = [safe(change.source, 80) for change in lacking]
        more = len(names) - _SHOWN
        shown = ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        yield (
            f"no changelog was found for {len(names)} of "
            f"{plural(changed, 'changed source package')}: {shown} "
            "(--changelogs DIR, with their .deb files)"
        )


class _Library:
    """Where documentation of Debian packages may be.

    Args:
        source: the root filesystem, with what the release leaves out.
        directories: of .deb files, of unpacked packages, or of documentation.

    Attributes:
        notices: what could not be read.
    """

    def __init__(self, source: Source, directories: Sequence[str]) -> None:
        self.notices: list[str] = []
        self._shelves: list[Doc] = [partial(_in_tree, source, _DOC)]
        self._debs: dict[tuple[str, str], list[tuple[int, str]]] = {}
        for directory in directories:
            tree = Directory(directory)
            self._shelves += (
                partial(_in_tree, tree, _DOC),
                partial(_in_tree, tree, ""),
            )
            for entry in os.scandir(directory):
                name, _, rest = unquote(entry.name).partition("_")
                if entry.name.endswith(".deb") and entry.is_file():
                    version = order.without_epoch(rest.partition("_")[0])
                    place = (entry.stat().st_size, entry.path)
                    self._debs.setdefault((name, version), []).append(place)

    def entries(self, change: SourceChange) -> list[Entry]:
        """From the first place that has any; notices in front."""
        for doc in self._places(change):
            news: dict[str | None, Entry] = {}
            found: Sequence[Entry] = []
            for name in filter(_is_plain, change.binaries):
                for entry in _between(change, _first(doc, name, _NEWS), news=True):
                    news.setdefault(entry.version, entry)
                if not found:
                    found = _between(change, _first(doc, name, _CHANGELOGS), news=False)
            if found:
                return [*news.values(), *found]
        return []

    def _places(self, change: SourceChange) -> Iterator[Doc]:
        yield from self._shelves
        debs = [
            (size, path, name)
            for name, version in change.packages
            for size, path in self._debs.get((name, order.without_epoch(version)), ())
        ]
        for _, path, name in sorted(debs):
            try:
                files = deb.read_files(path, f"{_DOC}{name}/", (*_NEWS, *_CHANGELOGS))
            except RefusedError as error:
                self.notices.append(str(error))
                continue
            yield partial(_in_package, name, files)


def _in_package(
    name: str, files: Mapping[str, bytes], package: str, file: str
) -> bytes | None:
    return files.get(file) if package == name else None


def _is_plain(name: str) -> bool:
    return safe_name(name.encode("utf-8"))


def _first(doc: Doc, package: str, names: Sequence[str]) -> bytes:
    for name in names:
        data = doc(package, name)
        if data is not None:
            return _plain(data) if name.endswith(".gz") else data[:MAX_CHANGELOG]
    return b""


def _plain(data: bytes) -> bytes:
    """The content of a gzip file, as far as it is whole."""
    reader = zlib.decompressobj(wbits=31)
    try:
        return reader.decompress(data, MAX_CHANGELOG)
    except zlib.error:
        return b""


def _between(change: SourceChange, data: bytes, *, news: bool) -> Sequence[Entry]:
    compare = partial(order.compare, change.family)
    told = debian.parse(data, news=news)
    found = between(told, change.old, change.new, compare)
    return of_source(found, change.source)


def _in_tree(source: Source, below: str, package: str, name: str) -> bytes | None:
    path = f"{below}{package}/{name}".encode()
    node = resolve(path, source.lookup)
    return None if node is None else bytes(source.read(node))


def _rpm(
    moved: Sequence[SourceChange],
    source: Source,
    read: Callable[[bytes], bytes | None],
) -> Iterator[tuple[str, list[Entry]]]:
    """From the headers: what the release before did not have."""
    names = {change.binaries[0] for change in moved}
    compare = partial(order.compare_told, "rpm")
    for path in rpm.SQLITE if moved else ():
        node = source.lookup(path)
        if node is None:
            continue
        new = _headers(bytes(source.read(node)), names)
        old = _headers(read(path) or b"", names)
        known = {entry for entries in old.values() for entry in entries}
        for change in moved:
            told = new.get((change.source, change.new), ())
            yield (
                change.source,
                [
                    structs.replace(entry, version=entry.version or change.new)
                    for entry in between(told, change.old, change.new, compare)
                    if entry not in known
                ],
            )


def _headers(
    data: bytes, names: Container[str]
) -> Mapping[tuple[str, str], Sequence[Entry]]:
    """What a database tells; its packages were read, but its changelogs may be odd."""
    try:
        return rpm_changelogs.read(data, names)
    except ValueError:
        return {}
