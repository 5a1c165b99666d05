"""`osupdate.diff/1`; the schema is docs/json/diff-1.json.

Keys never vanish: what is not known is null. Times are RFC 3339 UTC, sizes bytes.
Paths are text as it is shown: bytes that are not printable UTF-8 are escaped.
"""

from collections.abc import Sequence
from typing import Any

from updater.core.text import safe, show_path
from updater.core.times import rfc3339
from updater.model import Package
from updater.report.diff import (
    HIDDEN,
    Directory,
    FileChange,
    Group,
    Kernel,
    Node,
    Report,
    Side,
)
from updater.report.privileges import SETGID, SETUID, capability, has
from updater.report.sections import (
    AccountChange,
    Advisory,
    Attention,
    Changelog,
    ConfigChange,
    Entry,
    Unexplained,
    UnitChange,
)

Object = dict[str, Any]


def to_json(report: Report) -> Object:
    """The whole report."""
    counts = report.counts
    return {
        "schema": "osupdate.diff/1",
        "from": report.old and _side(report.old),
        "to": _side(report.new),
        "paths": [show_path(path) for path in report.paths],
        "told": report.told,
        "unknown": list(report.unknown),
        "problems": list(report.problems),
        "attention": [_attention(one) for one in report.attention],
        "security": [_advisory(one) for one in report.security],
        "kernel": report.kernel and _kernel(report.kernel),
        "packages": None if report.paths else _packages(report),
        "config": [_config(one) for one in report.configs],
        "units": [_unit(one) for one in report.units],
        "sockets": [_socket(one) for one in report.units if one.listens and one.enabled]
        if report.told == "release"
        else None,
        "users": [_account(one) for one in report.accounts],
        "privileges": _privileges(report.files),
        "unexplained": _unexplained(report.unexplained),
        "files": {
            "added": counts.added,
            "removed": counts.removed,
            "modified": counts.modified,
            "metadata": counts.metadata,
            "bookkeeping": counts.bookkeeping,
            "directories": [_directory(place) for place in report.directories],
            "changes": [_change(change) for change in report.files],
        },
        "size": {"download": report.download, "installed_delta": report.grows},
    }


def _attention(one: Attention) -> Object:
    return {
        "kind": one.kind.value,
        "path": None if one.path is None else show_path(one.path),
        "package": one.package,
        "old": one.old,
        "new": one.new,
        "text": one.text,
        "command": ["osupdate", *map(safe, one.more)],
    }


def _advisory(one: Advisory) -> Object:
    return {
        "source": one.source,
        "old": one.old,
        "new": one.new,
        "urgency": one.urgency,
        "cves": [{"id": fix.cve, "text": fix.text} for fix in one.fixes],
        "binaries": list(one.binaries),
    }


def _config(one: ConfigChange) -> Object:
    return {
        "path": show_path(one.path),
        "change": one.change,
        "package": one.package,
        "conffile": one.conffile,
        "locally_modified": one.local,
    }


def _unit(one: UnitChange) -> Object:
    return {
        "unit": one.unit,
        "enabled": one.enabled,
        "by": list(one.by),
        "package": one.package,
        "tells": list(one.listens),
    }


def _socket(one: UnitChange) -> Object:
    return {"unit": one.unit, "package": one.package, "listens": list(one.listens)}


def _account(one: AccountChange) -> Object:
    return {
        "kind": one.kind,
        "name": one.name,
        "change": one.change,
        "old": one.old,
        "new": one.new,
    }


def _privileges(files: Sequence[FileChange]) -> Object:
    """Paths that may do more or less than before, as the kernel sees it."""
    found: dict[str, list[str]] = {
        "setuid_added": [],
        "setuid_removed": [],
        "setgid_added": [],
        "setgid_removed": [],
        "capabilities_added": [],
        "capabilities_removed": [],
    }
    for change in files:
        old, new = change.old, change.new
        for name, bit in (("setuid", SETUID), ("setgid", SETGID)):
            if has(old, bit) != has(new, bit):
                word = "added" if has(new, bit) else "removed"
                found[f"{name}_{word}"].append(show_path(change.path))
        before, after = capability(old), capability(new)
        if before != after and after is not None:
            found["capabilities_added"].append(show_path(change.path))
        elif before is not None and after is None:
            found["capabilities_removed"].append(show_path(change.path))
    return found


def _unexplained(found: Unexplained) -> Object:
    return {
        "known": found.known,
        "changed": [
            {"path": show_path(path), "package": package}
            for path, package in found.changed
        ],
        "unowned": [
            {
                "path": show_path(one.path),
                "added": one.added,
                "removed": one.removed,
                "modified": one.modified,
                "size_delta": one.grows,
            }
            for one in found.unowned
        ],
    }


def _side(side: Side) -> Object:
    return {
        "name": side.name or None,
        "version": side.version,
        "commit": side.commit,
        "created": rfc3339(side.created),
    }


def _kernel(kernel: Kernel) -> Object:
    return {"old": list(kernel.old), "new": list(kernel.new)}


def _packages(report: Report) -> Object:
    found = report.packages
    logs = {log.source: log for log in report.changelogs}
    fixes = {one.source: [fix.cve for fix in one.fixes] for one in report.security}

    def groups(of: Sequence[Group]) -> list[Object]:
        return [_group(g, logs.get(g.source), fixes.get(g.source, [])) for g in of]

    return {
        "problem": found.problem,
        "upgraded": groups(found.changed),
        "downgraded": groups(found.downgraded),
        "added": groups(found.added),
        "removed": groups(found.removed),
    }


def _group(group: Group, log: Changelog | None, cves: list[str]) -> Object:
    """`changelog` is null where nothing is told; `cves` are those of the source."""
    return {
        "source": group.source,
        "old": group.old,
        "new": group.new,
        "size_delta": group.grows,
        "urgency": log and log.urgency,
        "cves": cves,
        "changelog": [_entry(entry) for entry in log.entries] if log else None,
        "binaries": [
            {
                "name": change.package.name,
                "old": change.old and _package(change.old),
                "new": change.new and _package(change.new),
            }
            for change in group.changes
        ],
    }


def _entry(entry: Entry) -> Object:
    return {
        "version": entry.version,
        "urgency": entry.urgency,
        "distribution": entry.distribution,
        "date": None if entry.date is None else rfc3339(entry.date),
        "cves": list(entry.cves),
        "news": entry.news,
        "lines": list(entry.lines),
    }


def _package(package: Package) -> Object:
    return {
        "version": package.version,
        "arch": package.arch,
        "size": package.size,
    }


def _directory(place: Directory) -> Object:
    return {
        "path": show_path(place.path),
        "changes": place.changes,
        "size_delta": place.grows,
    }


def _change(change: FileChange) -> Object:
    return {
        "path": show_path(change.path),
        "package": change.package,
        "change": change.kind.value,
        "content": change.content,
        "metadata": change.metadata,
        "bookkeeping": change.bookkeeping,
        "old": change.old and _node(change.old),
        "new": change.new and _node(change.new),
    }


def _node(node: Node) -> Object:
    return {
        "type": node.type,
        "id": None if node.oid in HIDDEN else node.oid,
        "size": node.size,
        "mode": None if node.mode is None else f"{node.mode:04o}",
        "uid": node.uid,
        "gid": node.gid,
        "xattrs": [name for name, _ in node.xattrs],
        "device": None if node.dev is None else f"{node.dev[0]}:{node.dev[1]}",
        "hardlink": None if node.hardlink is None else show_path(node.hardlink),
    }
