"""`osupdate.diff/1`; the schema is docs/json/diff-1.json.

Keys never vanish: what is not known is null. Times are RFC 3339 UTC, sizes bytes.
Paths are text as it is shown: bytes that are not printable UTF-8 are escaped.
"""

from typing import Any

from updater.core.text import show_path
from updater.core.times import rfc3339
from updater.model import Package
from updater.report.diff import (
    Directory,
    FileChange,
    Group,
    Kernel,
    Node,
    Packages,
    Report,
    Side,
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
        "kernel": report.kernel and _kernel(report.kernel),
        "packages": None if report.paths else _packages(report.packages),
        "config": [
            {"path": show_path(change.path), "change": change.change}
            for change in report.configs
        ],
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


def _side(side: Side) -> Object:
    return {
        "name": side.name or None,
        "version": side.version,
        "commit": side.commit,
        "created": rfc3339(side.created),
    }


def _kernel(kernel: Kernel) -> Object:
    return {"old": list(kernel.old), "new": list(kernel.new)}


def _packages(packages: Packages) -> Object:
    return {
        "problem": packages.problem,
        "changed": [_group(group) for group in packages.changed],
        "added": [_group(group) for group in packages.added],
        "removed": [_group(group) for group in packages.removed],
    }


def _group(group: Group) -> Object:
    return {
        "source": group.source,
        "old": group.old,
        "new": group.new,
        "size_delta": group.grows,
        "binaries": [
            {
                "name": change.package.name,
                "old": change.old and _package(change.old),
                "new": change.new and _package(change.new),
            }
            for change in group.changes
        ],
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
        "id": node.oid,
        "size": node.size,
        "mode": None if node.mode is None else f"{node.mode:04o}",
        "uid": node.uid,
        "gid": node.gid,
        "xattrs": [name for name, _ in node.xattrs],
        "device": None if node.dev is None else f"{node.dev[0]}:{node.dev[1]}",
        "hardlink": None if node.hardlink is None else show_path(node.hardlink),
    }
