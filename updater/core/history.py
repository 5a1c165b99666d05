"""Releases read from git objects, each from a few of them; `read` gives an object."""

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from updater.core import (
    changes,
    chronicle,
    commits,
    manifest,
    packages,
    release_toml,
    statements,
    tree,
    treediff,
)
from updater.core.changes import Changes
from updater.core.chronicle import Known
from updater.core.times import day
from updater.errors import RefusedError, UntrustedError
from updater.model import (
    CHANGES_PATH,
    MANIFEST_PATH,
    NOTES_PATH,
    PACKAGES_PATH,
    RELEASE_TOML_PATH,
    GitMode,
    Metadata,
    ObjectId,
    Package,
    RawEntry,
)

_SEARCH = 0o005  # that everybody may list a directory and go into it
MAX_NOTES = 1 << 20  # bytes of notes.md that are read

Read = Callable[[ObjectId], tuple[str, bytes]]
"""An object's kind and content; KeyError when it is not here."""


class Told(Struct, frozen=True):
    """A release as its own objects tell it; None is what is not here."""

    known: Known
    tree: ObjectId
    notes: str | None
    changes: Changes | None


def tell(
    commit: ObjectId,
    read: Read,
    *,
    version: str | None = None,
    number: int | None = None,
    tag: ObjectId | None = None,
) -> Told:
    """Read what a release says of itself.

    Args:
        commit: the release commit.
        read: gives objects.
        version: what it is called, where the content does not tell.
        number: its place in the order, where the content does not tell.
        tag: the id of its tag object, if that is here.

    Raises:
        KeyError: the commit or its trees are not here.
        UntrustedError: it is not a commit, or damaged.
    """
    parsed = commits.parse(_content(commit, "commit", read))
    own = _own_files(parsed.tree, read)
    release = _release_toml(own, read)
    notes = _text(own, NOTES_PATH, read)
    brought = _changes(own, read)
    plain = version or f"{day(parsed.committed)}-{commit[:7]}"
    known = Known(
        commit=commit,
        version=release.version if release else plain,
        number=release.number if release else number or parsed.committed,
        created=release.created if release else parsed.committed,
        headline=parsed.headline,
        text=parsed.text,
        parent=parsed.parents[0] if parsed.parents else None,
        packages=_packages_id(own, parsed.tree, read),
        source=release.source if release else "",
        cves=chronicle.cves(parsed.headline, parsed.text, notes or ""),
    )
    if tag is not None:
        known = with_tag(known, tag, read)
    return Told(known, parsed.tree, notes, brought)


def with_tag(known: Known, tag: ObjectId, read: Read) -> Known:
    """The same release with what its tag says; a tag of another commit is not its."""
    try:
        found = statements.parse_tag(_content(tag, "tag", read))
    except (KeyError, UntrustedError):
        return known
    if found.commit != known.commit:
        return known
    return replace(
        known,
        tag=tag,
        headline=found.headline,
        text=found.text,
        cves=chronicle.cves(found.headline, found.text, *known.cves),
    )


def ancestors(commit: ObjectId, read: Read) -> Iterator[ObjectId]:
    """The commits before this one, by first parents, as far as they are here."""
    current: ObjectId | None = commit
    while current is not None:
        try:
            parents = commits.parse(_content(current, "commit", read)).parents
        except (KeyError, UntrustedError):
            return
        if current != commit:
            yield current
        current = parents[0] if parents else None


def root_of(commit: ObjectId, read: Read) -> ObjectId:
    """The tree of a commit.

    Raises:
        KeyError: the commit is not here.
    """
    return commits.parse(_content(commit, "commit", read)).tree


def changed_paths(old: ObjectId | None, new: ObjectId, read: Read) -> list[bytes]:
    """The paths that differ between two trees, what manifests say included; sorted.

    For everybody: of a directory that not everybody may list, only that something in
    it changed is told, by its name and a slash. `old` None is an empty tree.

    Raises:
        KeyError, UntrustedError: some of the trees are not here, or damaged.
    """

    def read_tree(oid: ObjectId) -> bytes:
        return _content(oid, "tree", read)

    told = metadata_of(old, read) if old else {}, metadata_of(new, read)
    found = treediff.differing_metadata(*told)
    found |= {one.path for one in treediff.differing(old, new, read_tree)}
    closed = {
        path + b"/"
        for side in told
        for path, meta in side.items()
        if meta.mode is not None and meta.mode & _SEARCH != _SEARCH
    }
    return sorted({_for_everybody(path, tuple(closed)) for path in found})


def _for_everybody(path: bytes, closed: tuple[bytes, ...]) -> bytes:
    if not closed or not path.startswith(closed):
        return path
    return min((top for top in closed if path.startswith(top)), key=len)


def touched(old: ObjectId, new: ObjectId, path: bytes, read: Read) -> bool:
    """Whether one path, or anything below it, differs between two trees.

    Raises:
        KeyError, UntrustedError: some of the trees are not here, or damaged.
    """
    before, after = entry_at(old, path, read), entry_at(new, path, read)
    if before != after:
        return True
    told = metadata_of(old, read), metadata_of(new, read)
    return chronicle.touches(treediff.differing_metadata(*told), [path])


def metadata_of(root: ObjectId, read: Read) -> Mapping[bytes, Metadata]:
    """The manifest of a tree; empty when it has none, or one that is not here."""
    data = content(root, MANIFEST_PATH, read)
    return manifest.parse(data) if data is not None else {}


def entry_at(root: ObjectId, path: bytes, read: Read) -> RawEntry | None:
    """The file, symlink or directory at a path of a tree; b"" is the root itself."""
    found = RawEntry(GitMode.TREE, b"", root)
    for name in path.split(b"/") if path else ():
        if found.mode is not GitMode.TREE:
            return None
        below = tree.parse(_content(found.oid, "tree", read), submodules=True)[0]
        step = next((entry for entry in below if entry.name == name), None)
        if step is None:
            return None
        found = step
    return found


def content(root: ObjectId, path: bytes, read: Read) -> bytes | None:
    """The content of a file of a tree; None when it is no file, or not here."""
    found = entry_at(root, path, read)
    if found is None or found.mode in (GitMode.TREE, GitMode.SYMLINK):
        return None
    try:
        return _content(found.oid, "blob", read)
    except KeyError:
        return None


def packages_of(root: ObjectId, read: Read) -> tuple[Package, ...] | None:
    """The packages of a release; None when nothing tells, or its file is not here."""
    for path in (PACKAGES_PATH, *packages.DATABASES):
        entry = entry_at(root, path, read)
        if entry is None or entry.mode is GitMode.SYMLINK:
            continue
        try:
            return tuple(_packages(path, entry, read))
        except (KeyError, RefusedError):
            return None
    return None


def _packages_id(
    own: Mapping[bytes, ObjectId], root: ObjectId, read: Read
) -> ObjectId | None:
    """An id that is the same for the same packages."""
    if PACKAGES_PATH in own:
        return own[PACKAGES_PATH]
    found = (entry_at(root, path, read) for path in packages.DATABASES)
    return next((entry.oid for entry in found if entry), None)


def _packages(path: bytes, entry: RawEntry, read: Read) -> list[Package]:
    if path == PACKAGES_PATH:
        return packages.from_json(_content(entry.oid, "blob", read))
    files = dict(_files(path, entry, read))
    return packages.find(files, lambda name: _content(files[name], "blob", read))


def _files(
    path: bytes, entry: RawEntry, read: Read
) -> Iterator[tuple[bytes, ObjectId]]:
    if entry.mode is not GitMode.TREE:
        yield path, entry.oid
        return
    for below in tree.parse(_content(entry.oid, "tree", read), submodules=True)[0]:
        yield from _files(path + b"/" + below.name, below, read)


def _own_files(root: ObjectId, read: Read) -> dict[bytes, ObjectId]:
    """The files that osupdate put into a release, by path."""
    directory = MANIFEST_PATH.rpartition(b"/")[0]
    entry = entry_at(root, directory, read)
    if entry is None or entry.mode is not GitMode.TREE:
        return {}
    below = tree.parse(_content(entry.oid, "tree", read), submodules=True)[0]
    files = (GitMode.FILE, GitMode.EXECUTABLE)
    return {directory + b"/" + e.name: e.oid for e in below if e.mode in files}


def _release_toml(
    own: Mapping[bytes, ObjectId], read: Read
) -> release_toml.ReleaseToml | None:
    try:
        data = _content(own[RELEASE_TOML_PATH], "blob", read)
        return release_toml.parse(data)
    except (KeyError, UntrustedError):
        return None


def _changes(own: Mapping[bytes, ObjectId], read: Read) -> Changes | None:
    try:
        return changes.parse(_content(own[CHANGES_PATH], "blob", read))
    except (KeyError, UntrustedError):
        return None


def _text(own: Mapping[bytes, ObjectId], path: bytes, read: Read) -> str | None:
    try:
        data = _content(own[path], "blob", read)
    except (KeyError, UntrustedError):
        return None
    return data[:MAX_NOTES].decode("utf-8", "replace")


def _content(oid: ObjectId, kind: str, read: Read) -> bytes:
    found, data = read(oid)
    if found != kind:
        raise UntrustedError("F2", f"object {oid} is a {found}; expected a {kind}")
    return data
