"""The bytes of a release's commit and tag: a function of what is released, no clock."""

import json
import re

from updater.core import statements
from updater.core.release_toml import ReleaseToml
from updater.core.text import safe, safe_lines
from updater.core.times import rfc3339
from updater.errors import RefusedError
from updater.model import ObjectId

_TEXT_LIMIT = 16384  # characters of the notes that the tag repeats; notes.md has all

_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,63}\Z")


def is_name(text: str) -> bool:
    """Whether this can be a product or an architecture."""
    return bool(_NAME.match(text))


def write_release_toml(release: ReleaseToml, previous: str, source: str) -> bytes:
    """`release.toml`; `core.release_toml.parse` reads it back.

    Args:
        release: its facts.
        previous: the commit of the release before, or "".
        source: URL and commit of the recipe, or "".
    """
    lines = [
        "format = 1",
        f"product = {_string(release.product)}",
        f"arch = {_string(release.arch)}",
        f"version = {_string(release.version)}",
        f"number = {release.number}",
        f"security_floor = {release.security_floor}",
        "bootable = false",
        f"created = {_string(rfc3339(release.created))}",
        f"previous = {_string(previous)}",
        f"source = {_string(source)}",
    ]
    return ("\n".join(lines) + "\n").encode()


def _string(text: str) -> str:
    """A TOML basic string: JSON's escapes are a part of TOML's."""
    return json.dumps(text, ensure_ascii=False)


def headline_and_text(notes: str) -> tuple[str, str]:
    """The first line of release notes, without its Markdown, and the rest."""
    first, _, rest = notes.strip().partition("\n")
    headline = safe(first.lstrip("#").strip(), 200)
    if not headline:
        raise RefusedError("the release notes are empty; expected a headline")
    return headline, safe_lines(rest.strip("\n"), _TEXT_LIMIT)


def write_commit(
    tree: ObjectId, parent: ObjectId | None, release: ReleaseToml, notes: str
) -> bytes:
    """A raw commit object."""
    headline, text = headline_and_text(notes)
    who = _identity(release)
    lines = [f"tree {tree}", *([f"parent {parent}"] if parent else [])]
    lines += [f"author {who}", f"committer {who}", "", headline]
    return ("\n".join(lines) + "\n" + (f"\n{text}\n" if text else "")).encode()


def write_tag(
    commit: ObjectId,
    release: ReleaseToml,
    notes: str,
    *,
    tree_sha256: str,
    files: int,
    size: int,
) -> bytes:
    """The payload of a release tag, to be signed."""
    headline, text = headline_and_text(notes)
    fields = {
        "Osupdate-Format": "1",
        "Product": release.product,
        "Arch": release.arch,
        "Version": release.version,
        "Number": str(release.number),
        "Security-Floor": str(release.security_floor),
        "Tree-SHA256": tree_sha256,
        "Files": str(files),
        "Bytes": str(size),
    }
    message = statements.write_message(headline, text, fields)
    headers = (
        f"object {commit}\n"
        "type commit\n"
        f"tag {statements.TAG_PREFIX}{release.version}\n"
        f"tagger {_identity(release)}\n\n"
    )
    return (headers + message).encode()


def _identity(release: ReleaseToml) -> str:
    name = release.product
    return f"{name} <releases@{name}.invalid> {release.created} +0000"
