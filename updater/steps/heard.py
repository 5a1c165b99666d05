"""What a channel's log, as it lies here, tells of its releases (DESIGN section 3.4).

The newest entry passed C1 to R3 when it was taken; its commit names all that lie before
it. Of those only what they say is read, nothing is decided by it.
"""

from collections.abc import Iterator

from msgspec import Struct

from updater.core import changes, channel, chronicle, commits, release_toml, statements
from updater.core import packages as package_lists
from updater.core.changes import Changes
from updater.core.chronicle import Known
from updater.core.history import MAX_NOTES
from updater.core.told import CHANGES, FILES
from updater.core.tree import flatten
from updater.errors import RefusedError, UntrustedError
from updater.model import Entry, GitMode, ObjectId, Offer, Package, Tag
from updater.system.git.objects import Objects

MAX_FILE = 1 << 28  # bytes of a list of files
_RELEASE_TOML, _NOTES, _PACKAGES = b"release.toml", b"notes.md", b"packages.json"


class Heard(Struct, frozen=True):
    """One entry: what it says, the tag that it names, and its files by name."""

    commit: ObjectId
    entry: Entry
    tag: Tag
    files: dict[bytes, ObjectId]


def entries(tip: ObjectId, objects: Objects) -> Iterator[Heard]:
    """The entries of a log, newest first, as far as they are here and can be read."""
    current: ObjectId | None = tip
    while current is not None:
        try:
            parsed = commits.parse(_read(current, "commit", objects))
            yield _entry(current, parsed.tree, objects)
        except (KeyError, UntrustedError):
            return
        current = parsed.parents[0] if parsed.parents else None


def _entry(commit: ObjectId, root: ObjectId, objects: Objects) -> Heard:
    flat = flatten(root, objects.read_tree, max_entries=channel.MAX_FILES)
    files = {e.path: e.oid for e in flat.entries if e.mode is GitMode.FILE}
    entry = channel.parse(_read(files[channel.FILE], "blob", objects))
    tag = statements.parse_tag(_read(files[channel.TAG_FILE], "blob", objects))
    return Heard(commit, entry, tag, files)


def that_tells(offer: Offer, objects: Objects) -> Heard | None:
    """The newest entry that tells what is in an offered release; None: none does.

    A barrier was the release of an earlier entry.
    """
    if offer.entry is None:
        return None
    for heard in entries(offer.entry, objects):
        if heard.entry.tag == offer.tag:
            return heard if FILES in heard.files else None
    return None


def content(heard: Heard, name: bytes, objects: Objects) -> bytes:
    """A file of an entry, or b"" when it has none such.

    Raises:
        KeyError, UntrustedError: it is not here, or too large.
    """
    oid = heard.files.get(name)
    return b"" if oid is None else _read(oid, "blob", objects)


def changes_since(heard: Heard, number: int, objects: Objects) -> Changes | None:
    """What every release of the log after a number brought, up to an entry's own."""
    parts: dict[ObjectId, Changes] = {}
    for one in entries(heard.commit, objects):
        if one.tag.number <= number:
            break
        oid = one.files.get(CHANGES)
        if oid is not None and oid not in parts:
            parts[oid] = changes.parse(_read(oid, "blob", objects))
    return changes.after(changes.unite(parts.values()), number) if parts else None


def known(
    heard: Heard, before: ObjectId | None, objects: Objects, *, verified: bool
) -> Known:
    """A release as an entry tells it.

    Args:
        heard: the entry.
        before: the release that the channel offered before; None when there was none.
        objects: have the log.
        verified: whether the signature of its tag was looked at.

    Raises:
        KeyError, UntrustedError: what it tells cannot be read.
    """
    tag, notes = heard.tag, notes_of(heard, objects) or ""
    own = release_toml.parse(content(heard, _RELEASE_TOML, objects))
    return Known(
        commit=tag.commit,
        version=tag.version,
        number=tag.number,
        created=own.created,
        headline=tag.headline,
        text=tag.text,
        tag=heard.entry.tag,
        signed=verified,
        parent=before or ObjectId(""),
        packages=heard.files.get(_PACKAGES),
        source=own.source,
        cves=chronicle.cves(tag.headline, tag.text, notes),
        heard=True,
    )


def notes_of(heard: Heard, objects: Objects) -> str | None:
    """notes.md, as long as it is read anywhere; None when there is none."""
    data = content(heard, _NOTES, objects)
    return data[:MAX_NOTES].decode("utf-8", "replace") if data else None


def packages_of(heard: Heard, objects: Objects) -> tuple[Package, ...] | None:
    """The packages; None when they are not told."""
    data = content(heard, _PACKAGES, objects)
    try:
        return tuple(package_lists.from_json(data)) if data else None
    except RefusedError:
        return None


def _read(oid: ObjectId, kind: str, objects: Objects) -> bytes:
    """An object, its kind and size looked at before it is inflated."""
    found, size = objects.header(oid)
    if found != kind or size > MAX_FILE:
        raise UntrustedError("C5", f"{oid} is no {kind} of at most {MAX_FILE:,} bytes")
    return objects.read(oid)[1]
