"""What a channel told of a release, held against the release itself (check F3).

A channel entry has the same files as the release's /usr/lib/osupdate, so that equal
ids are equal bytes; `files` lists the whole tree. The owners in it are not compared:
they are read anew from the tree, and an older osupdate may know fewer databases.
"""

from collections.abc import Mapping, Sequence

from updater.core import files
from updater.core.escape import escape
from updater.core.text import show_path
from updater.errors import UntrustedError
from updater.model import (
    MANIFEST_PATH,
    NOTES_PATH,
    PACKAGES_PATH,
    RELEASE_TOML_PATH,
    GitMode,
    ObjectId,
    TreeEntry,
)

FILES = b"files"
CHANGES = b"changes.json"
SAME = {
    b"manifest": MANIFEST_PATH,
    b"release.toml": RELEASE_TOML_PATH,
    b"notes.md": NOTES_PATH,
    b"packages.json": PACKAGES_PATH,
}
"""Name in a channel entry -> path in the release."""


def check(
    told: Mapping[bytes, ObjectId], listed: bytes, entries: Sequence[TreeEntry]
) -> None:
    """Hold a release to what its channel told of it before it was here.

    Args:
        told: name -> blob of a channel entry.
        listed: the content of its `files`.
        entries: of the release, sorted by path.

    Raises:
        UntrustedError: F3.
    """
    found = {entry.path: entry for entry in entries}
    for name, path in SAME.items():
        entry = found.get(path)
        if told.get(name) != (entry.oid if entry else None):
            raise UntrustedError(
                "F3", f"{show_path(path)} is not what the channel told of it"
            )
    if _lists(listed, entries):
        return
    known = {entry.path: entry for entry in files.parse(listed).entries}
    for path in sorted(known.keys() | found.keys()):
        if known.get(path) != found.get(path):
            raise UntrustedError(
                "F3", f"{show_path(path)} is not as the channel's list of files has it"
            )


def _lists(listed: bytes, entries: Sequence[TreeEntry]) -> bool:
    """Whether a file list has these entries, whoever owns them.

    It does without parsing, which takes longer than everything else of `verify`.
    """
    lines = listed.split(b"\n")
    if len(lines) != len(entries) + 2 or lines[0] != files.HEADER or lines[-1]:
        return False
    modes = {mode: mode.value.encode("ascii") for mode in GitMode}
    for line, entry in zip(lines[1:-1], entries, strict=True):
        start = b"%s %s " % (modes[entry.mode], entry.oid.encode("ascii"))
        end = b" /" + escape(entry.path)
        if not line.startswith(start) or not line.endswith(end):
            return False
        owner = line[len(start) : len(line) - len(end)]
        if not owner or b" " in owner:
            return False
    return True
