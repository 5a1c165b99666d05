"""What runs by itself and who is here, for a terminal: units, users, unexplained."""

from updater.core.text import plural, safe, show_path
from updater.report.diff import Report
from updater.report.layout import clip, labelled
from updater.report.sections import AccountChange, UnitChange

ROWS = 12
UNEXPLAINED_ROWS = 5
_WORDS = {
    "id": "id",
    "groups": "members",
    "home": "home",
    "shell": "shell",
    "password": "password",
}


def units(report: Report, width: int) -> list[str]:
    """What starts by itself now, and what no longer does."""
    found = report.units
    if not found:
        return []
    on = sum(unit.enabled for unit in found)
    told = f"{on:,} enabled, {len(found) - on:,} disabled"
    lines = labelled("UNITS", told, width)
    lines += [clip(_unit(unit), width) for unit in found[:ROWS]]
    if len(found) > ROWS:
        lines.append(f"  ... {len(found) - ROWS:,} more: osupdate diff --format json")
    return lines


def _unit(unit: UnitChange) -> str:
    mark = "A" if unit.enabled else "R"
    by = ", ".join(safe(name, 60) for name in unit.by)
    line = f"  {mark} {safe(unit.unit, 80)}  by {by}"
    if unit.listens:
        line += f", {', '.join(safe(place, 80) for place in unit.listens)}"
    return f"{line}  ({safe(unit.package, 60)})" if unit.package else line


def accounts(report: Report, width: int) -> list[str]:
    """Users and groups."""
    found = report.accounts
    if not found:
        return []
    users = len({change.name for change in found if change.kind == "user"})
    groups = len({change.name for change in found if change.kind == "group"})
    told = f"{plural(users, 'user')}, {plural(groups, 'group')}"
    lines = labelled("USERS", told, width)
    lines += [clip(_account(change), width) for change in found[:ROWS]]
    if len(found) > ROWS:
        lines.append(f"  ... {len(found) - ROWS:,} more: osupdate diff --format json")
    return lines


def _account(change: AccountChange) -> str:
    who = f"{change.kind} {safe(change.name, 60)}"
    if change.change == "added":
        return f"  A {who}  {safe(change.new or '', 120)}".rstrip()
    if change.change == "removed":
        return f"  R {who}  {safe(change.old or '', 120)}".rstrip()
    old, new = (safe(side or "none", 120) for side in (change.old, change.new))
    return f"  M {who}  {_WORDS.get(change.change, change.change)} {old} -> {new}"


def unexplained(report: Report, width: int) -> list[str]:
    """One line of what no package update explains, and where."""
    found = report.unexplained
    if not (found.changed or found.unowned):
        return []
    told = []
    if found.changed:
        packages = len({package for _, package in found.changed})
        files = plural(len(found.changed), "path")
        told.append(f"{files} of {plural(packages, 'package')} as before")
    if found.unowned:
        paths = sum(one.added + one.removed + one.modified for one in found.unowned)
        told.append(f"{plural(paths, 'path')} that no package owns")
    lines = [clip(f"UNEXPLAINED  {', '.join(told)}", width)]
    rows = [f"  M {show_path(path)}  ({safe(p, 60)})" for path, p in found.changed]
    for one in found.unowned:
        count = one.added + one.removed + one.modified
        name = show_path(one.path)
        if count > 1:
            name += f"  (+{one.added:,} -{one.removed:,} ~{one.modified:,})"
        mark = "A" if count == one.added else "R" if count == one.removed else "M"
        rows.append(f"  {mark} {name}")
    lines += [clip(row, width) for row in rows[:UNEXPLAINED_ROWS]]
    if (left := len(rows) - UNEXPLAINED_ROWS) > 0:
        lines.append(f"  ... {left:,} more: osupdate diff --unexplained")
    return lines
