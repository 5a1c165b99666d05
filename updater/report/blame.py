"""`blame`: where a path comes from, and whether it is still as it was released."""

import stat
from typing import Any

from msgspec import Struct

from updater.core.chronicle import Known
from updater.core.provenance import Recipe
from updater.core.text import plural, safe, show_path, size
from updater.core.times import ago, day, minute, rfc3339
from updater.report import log

KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFLNK: "symlink",
    stat.S_IFDIR: "directory",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}
STATES = {
    "clean": "as released",
    "modified": "MODIFIED HERE",
    "metadata": "MODE OR OWNER CHANGED HERE",
    "deleted": "DELETED HERE",
    "untracked": "NOT PART OF THE RELEASE",
    "data": "PERSISTENT, NOT THE RELEASE'S",
    "unknown": "",
}


class Look(Struct, frozen=True):
    """How a path looks: mode with its type bits, owner, bytes or None when unknown.

    `owner` is user and group in the names that the deployment itself has for them.
    """

    mode: int
    uid: int
    gid: int
    size: int | None
    owner: str


class Local(Struct, frozen=True):
    """What was done to it here. `lines` None: it is not text, or too much of it."""

    changed_at: int | None
    lines_added: int | None
    lines_removed: int | None


class Package(Struct, frozen=True):
    """Whose it is by the package database; `version` None is not known."""

    name: str
    version: str | None
    source: str | None
    conffile: bool


class Blame(Struct, frozen=True):
    """Everything that is known of one path of what runs.

    `asked` is what was typed, where a link on the way leads to `path`. `released` is
    how the release has it, `here` how it is now. `state`: clean, modified, metadata,
    deleted, untracked, data, unknown. `origin` is its file in the recipe. `changes` are
    the known releases that changed it, newest first; `of` counts those that could
    tell. `closed`: this process may not look at the files of what runs.
    """

    asked: bytes
    path: bytes
    state: str
    release: Known
    released: Look | None
    here: Look | None
    local: Local | None
    package: Package | None
    packages_known: bool
    origin: str | None
    recipe: Recipe | None
    changes: tuple[Known, ...]
    of: int
    oldest: Known | None
    since: str | None
    target: bytes | None
    closed: bool
    now: int


def text(blame: Blame) -> list[str]:
    """For a terminal: the path and how it stands, then a fact a line."""
    look = blame.here or blame.released
    head = show_path(blame.path)
    if look is not None:
        head += f"   {_mode(look)} {safe(look.owner, 80)}"
        head += _kind(look, blame)
    lines = [f"{head}   {STATES[blame.state]}".rstrip()]
    if blame.asked != blame.path:
        lines.append(f" asked     {show_path(blame.asked)}, which leads there")
    for name, told in _facts(blame):
        lines.append(f" {name:<9} {told}".rstrip())
    return lines


def _mode(look: Look) -> str:
    return f"{stat.S_IMODE(look.mode):04o}"


def _kind(look: Look, blame: Blame) -> str:
    kind = KINDS.get(stat.S_IFMT(look.mode), "?")
    if kind == "symlink" and blame.target is not None:
        return f" -> {safe(blame.target, 200)}"
    if kind == "file" and look.size is not None:
        return f" {size(look.size)}"
    return f" {kind}"


def _facts(blame: Blame) -> list[tuple[str, str]]:
    rows = []
    if blame.closed:
        rows.append(("here", "not known: only root may look (sudo osupdate blame ...)"))
    rows += _here(blame)
    rows += _package(blame)
    rows += _source(blame)
    if blame.state not in ("untracked", "data"):
        rows.append(("shipped", f"in {_release(blame.release)}, which runs"))
        rows += _changes(blame)
    return rows


def _here(blame: Blame) -> list[tuple[str, str]]:
    """What was done to it, when, and how to take it back."""
    local = blame.local
    if local is None:
        return []
    told = [*_content(blame, local), *_looks(blame)]
    if local.changed_at is not None:
        when = f"{minute(local.changed_at)} ({ago(local.changed_at, blame.now)})"
        told.append(when if told else f"written {when}")
    rows = [("here", ", ".join(told))] if told else []
    if blame.state in ("modified", "metadata", "deleted"):
        more = f"take back: osupdate restore {show_path(blame.path)}"
        rows.append(("" if rows else "here", more))
    return rows


def _content(blame: Blame, local: Local) -> list[str]:
    old, new = blame.released, blame.here
    if local.lines_added is not None:
        added = plural(local.lines_added, "line")
        return [f"{added} added, {local.lines_removed or 0:,} removed"]
    if old is None or new is None or None in (old.size, new.size):
        return []
    if blame.state != "modified" or old.size == new.size:
        return []
    return [f"{size(old.size or 0)} -> {size(new.size or 0)}"]


def _looks(blame: Blame) -> list[str]:
    old, new = blame.released, blame.here
    if old is None or new is None:
        return []
    told = []
    if stat.S_IFMT(old.mode) != stat.S_IFMT(new.mode):
        told.append(f"was a {KINDS.get(stat.S_IFMT(old.mode), '?')}")
    elif old.mode != new.mode:
        told.append(f"mode {_mode(old)} -> {_mode(new)}")
    if (old.uid, old.gid) != (new.uid, new.gid):
        told.append(f"owner {old.owner} -> {new.owner}")
    return told


def _package(blame: Blame) -> list[tuple[str, str]]:
    found = blame.package
    if found is None:
        none = "no package owns it" if blame.packages_known else "not known"
        return [] if blame.closed else [("package", none)]
    told = safe(found.name, 80)
    if found.version is not None:
        told += f" {safe(found.version, 80)}"
    notes = ["conffile"] if found.conffile else []
    if found.source and found.source != found.name:
        notes.append(f"source {safe(found.source, 80)}")
    told += f" ({', '.join(notes)})" if notes else ""
    return [("package", told + (", then overridden by:" if blame.origin else ""))]


def _source(blame: Blame) -> list[tuple[str, str]]:
    recipe = blame.recipe
    where = safe(recipe.url, 200) if recipe else ""
    commit = f" at {safe(recipe.commit, 64)}" if recipe and recipe.commit else ""
    if blame.origin is not None:
        told = safe(blame.origin, 300)
        return [("source", f"{told} in {where}{commit}" if recipe else told)]
    if recipe is not None and blame.package is None and blame.state != "untracked":
        return [("source", f"somewhere in {where}{commit}")]
    return []


def _release(known: Known) -> str:
    return f"{safe(known.version, 64)} ({known.commit[:7]}, {day(known.created)})"


def _changes(blame: Blame) -> list[tuple[str, str]]:
    if not blame.of:
        return [("changed", "not known: no release before it was here")]
    if not blame.changes:
        oldest = safe(blame.oldest.version, 64) if blame.oldest else "the oldest"
        return [("changed", f"not since {oldest}, the oldest release known here")]
    last = blame.changes[0]
    told = f"{_release(last)}: {safe(last.headline, 200)}"
    rows = [("changed", told)]
    if blame.since is not None:
        rows.append(("", f"or a release before it, after {safe(blame.since, 64)}"))
    before = len(blame.changes) - 1
    more = f"osupdate log -- {show_path(blame.path)}"
    if before:
        count = plural(before, "earlier change")
        rows.append(("before", f"{count} in {plural(blame.of, 'release')}   {more}"))
    return rows


def to_json(blame: Blame) -> dict[str, Any]:
    """`osupdate.blame/1`; the schema is docs/json/blame-1.json."""
    look = blame.here or blame.released
    local, package, recipe = blame.local, blame.package, blame.recipe
    return {
        "schema": "osupdate.blame/1",
        "path": show_path(blame.path),
        "asked": show_path(blame.asked),
        "type": look and KINDS.get(stat.S_IFMT(look.mode)),
        "state": blame.state,
        "here": _look(blame.here),
        "released": _look(blame.released),
        "target": None if blame.target is None else safe(blame.target),
        "local": local
        and {
            "changed_at": None
            if local.changed_at is None
            else rfc3339(local.changed_at),
            "lines_added": local.lines_added,
            "lines_removed": local.lines_removed,
        },
        "package": package
        and {
            "name": package.name,
            "version": package.version,
            "source": package.source,
            "conffile": package.conffile,
        },
        "recipe": {
            "file": blame.origin,
            "url": recipe.url if recipe else None,
            "commit": (recipe.commit or None) if recipe else None,
        },
        "shipped": log.release(blame.release),
        "changes": [log.release(known) for known in blame.changes],
        "changed_since": blame.since,
        "asked_releases": blame.of,
        "complete_look": not blame.closed,
    }


def _look(look: Look | None) -> dict[str, Any] | None:
    if look is None:
        return None
    return {
        "mode": _mode(look),
        "uid": look.uid,
        "gid": look.gid,
        "owner": look.owner,
        "size": look.size,
    }
