"""Unified diffs of two texts in memory, by libgit2."""

import pygit2

from updater.system.git.objects import configure

CONTEXT = 3  # lines


def hunks(old: bytes, new: bytes) -> bytes:
    """The hunks of a unified diff, from the first `@@`; empty when nothing differs."""
    configure()
    patch = pygit2.Patch.create_from(
        old, new, context_lines=CONTEXT, flag=pygit2.enums.DiffOption.FORCE_TEXT
    )
    data: bytes = patch.data
    start = data.find(b"\n@@ ")
    return data[start + 1 :] if start >= 0 else b""
