"""`patch`: local changes as a mail that `git am` takes."""

import re
from collections.abc import Sequence
from email.utils import formatdate

from msgspec import Struct

from updater import __version__
from updater.core.text import plural, safe, show_path
from updater.model import ObjectId

_ODD = re.compile(r"[^0-9A-Za-z._+-]+")
_SECTION = "Mon Sep 17 00:00:00 2001"  # what git puts into every such line


class LeftOut(Struct, frozen=True):
    """A path that was changed here and is not in the patch, and why."""

    path: bytes
    why: str


class Patch(Struct, frozen=True):
    """Local changes of what runs. `difference` is as `git diff` has it.

    `beyond` are paths whose mode, owner or attributes git cannot tell.
    """

    host: str
    version: str
    commit: ObjectId
    created: int
    paths: tuple[bytes, ...]
    difference: bytes
    beyond: tuple[LeftOut, ...]
    left_out: tuple[LeftOut, ...]


def mail(patch: Patch) -> bytes:
    """The mail, as `git format-patch` would write it."""
    host, version = plain(patch.host), plain(patch.version)
    date = formatdate(patch.created, localtime=False)
    lines = [
        f"From {patch.commit} {_SECTION}",
        f"From: {host} <root@{host}.invalid>",
        f"Date: {date}",
        f"Subject: [PATCH] Local changes of {host} to {version}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=UTF-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        f"Found by osupdate patch on {host}, which runs {version}:",
        "",
        *(f"  {show_path(path)}" for path in patch.paths),
    ]
    if patch.beyond:
        lines += ["", "Changed as well, and beyond what git can say:", ""]
        lines += [f"  {show_path(row.path)}  {safe(row.why)}" for row in patch.beyond]
    lines += ["---", f" {plural(len(patch.paths), 'file')} changed", "", ""]
    end = f"\nbase-commit: {patch.commit}\n-- \nosupdate {__version__}\n\n"
    return "\n".join(lines).encode() + patch.difference + end.encode()


def plain(text: str) -> str:
    """A name for a mail's header: letters, digits, and `. _ + -` alone."""
    return _ODD.sub("-", text).strip("-")[:64] or "unknown"


def remarks(patch: Patch) -> list[str]:
    """What whoever sends it has to know: what is left out, and why."""
    lines = []
    if not patch.paths:
        lines.append(f"Nothing to send: no file differs from {safe(patch.version, 64)}")
    for row in patch.beyond:
        lines.append(f"! {show_path(row.path)}: {safe(row.why)} is beyond git")
    for row in patch.left_out:
        lines.append(f"! left out: {show_path(row.path)}: {safe(row.why)}")
    return lines


def to_json(patch: Patch) -> dict[str, object]:
    """`osupdate.patch/1`; the schema is docs/json/patch-1.json."""
    return {
        "schema": "osupdate.patch/1",
        "version": patch.version,
        "commit": patch.commit,
        "paths": [show_path(path) for path in patch.paths],
        "beyond_git": _rows(patch.beyond),
        "left_out": _rows(patch.left_out),
        "mail": mail(patch).decode("utf-8", "backslashreplace"),
    }


def _rows(rows: Sequence[LeftOut]) -> list[dict[str, str]]:
    return [{"path": show_path(row.path), "why": row.why} for row in rows]
