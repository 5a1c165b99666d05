"""What one change is called: of a path, of a group of packages. Safe to show."""

from updater.core.text import safe, show_path
from updater.report.diff import FileChange, Group, Kind, Node


def label(group: Group) -> str:
    """A package alone goes by its own name, several by the name of their source."""
    if len(group.changes) == 1:
        return group.changes[0].package.name
    return group.source


def versions(group: Group) -> tuple[str, str]:
    """Both versions; where they are alike, it is the architecture that differs."""
    old = "" if group.old is None else safe(group.old, 80)
    new = "" if group.new is None else safe(group.new, 80)
    change = group.changes[0]
    if old == new and change.old is not None and change.new is not None:
        return (
            f"{old} {safe(change.old.arch, 20)}",
            f"{new} {safe(change.new.arch, 20)}",
        )
    return old, new


def details(change: FileChange) -> str:
    """What differs beside the content; of a new path, what is not the default."""
    old, new = change.old, change.new
    if old is None or new is None:
        return _unusual(new) if new is not None else ""
    told = []
    if change.kind is Kind.TYPE:
        told.append(f"{old.type} -> {new.type}")
    if change.mode:
        told.append(f"{_mode(old)} -> {_mode(new)}")
    if change.owner:
        told.append(f"{old.uid}:{old.gid} -> {new.uid}:{new.gid}")
    if old.dev != new.dev:
        told.append(f"{_dev(old)} -> {_dev(new)}")
    if change.xattrs:
        told += _xattrs(old, new)
    if change.links:
        told.append(_link(new) or f"no longer a {_link(old)}")
    return ", ".join(told)


def _unusual(node: Node) -> str:
    """What is worth telling of a path that comes: all that is not the default."""
    told = [] if node.type in ("file", "symlink") else [node.type]
    if node.mode not in (0o644, 0o755, None):
        told.append(_mode(node))
    if (node.uid, node.gid) != (0, 0):
        told.append(f"{node.uid}:{node.gid}")
    if node.dev is not None:
        told.append(_dev(node))
    told += [safe(name, 80) for name, _ in node.xattrs]
    if node.hardlink is not None:
        told.append(_link(node))
    return ", ".join(told)


def _mode(node: Node) -> str:
    return "-" if node.mode is None else f"{node.mode:04o}"


def _dev(node: Node) -> str:
    return "-" if node.dev is None else f"device {node.dev[0]}:{node.dev[1]}"


def _link(node: Node) -> str:
    return "" if node.hardlink is None else f"hardlink of {show_path(node.hardlink)}"


def _xattrs(old: Node, new: Node) -> list[str]:
    before, after = dict(old.xattrs), dict(new.xattrs)
    return [
        f"{safe(name, 80)} {_word(name in before, name in after)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _word(before: bool, after: bool) -> str:  # noqa: FBT001 - both are the question
    if before and after:
        return "changed"
    return "added" if after else "removed"
