"""The difference of two releases for a terminal: summary, packages, files.

Every name that a release brings is made safe here. Lines of the summary fit `width`,
since a person decides on it; the lists show names whole.
"""

from collections import defaultdict
from collections.abc import Sequence

from updater.core.text import plural, safe, show_path, size
from updater.core.times import day
from updater.report.compare_packages import NO_DATABASE
from updater.report.diff import FileChange, Group, Kind, Report, Side, is_empty
from updater.report.diff_danger import attention, remarks, security
from updater.report.diff_people import accounts, unexplained, units
from updater.report.diff_words import details, label, versions
from updater.report.layout import (
    LABEL,
    clip,
    columns,
    flush,
    labelled,
    pad,
    signed,
    wrap,
)
from updater.report.sections import ConfigChange

CHANGED_ROWS, OTHER_ROWS = 15, 5  # package groups in the summary; more are counted
CONFIG_ROWS = 10
MANY = 4  # config files of one directory that change at once share a row
DIRECTORY_ROWS = 5
METADATA_ROWS = 5
NAME_WIDTH = 28  # of the widest column of package names
MARKS = {
    Kind.ADDED: "A",
    Kind.REMOVED: "R",
    Kind.MODIFIED: "M",
    Kind.TYPE: "T",
    Kind.METADATA: ".",
}
LEGEND = (
    "A added   R removed   M modified   T another type",
    "p mode    o owner     x attributes l hardlink",
)


def summary(report: Report, width: int = 80) -> str:
    """What `diff` shows: which releases, and what a person wants to know of them."""
    top = [*head(report, width), *remarks(report, width)]
    return "\n".join([*top, "", *_body(report, width)])


def body(report: Report, width: int = 80) -> str:
    """`summary` without its head, for whoever has said which releases these are."""
    return "\n".join([*remarks(report, width), *_body(report, width)])


def packages(report: Report, width: int = 80) -> str:
    """Every package group, and the packages in it: `diff --packages`."""
    lines = [*head(report, width), *remarks(report, width), ""]
    if report.paths:
        return "\n".join([*lines, "Packages are compared only without PATH"])
    if report.packages.problem:
        return "\n".join([*lines, *labelled("PACKAGES", _problem(report), width)])
    lines += labelled("PACKAGES", _package_counts(report), width)
    column = _column(report)
    for mark, groups in _marked(report):
        for group in groups:
            lines += _group(mark, group, column, width)
            names = {change.package.name for change in group.changes}
            if names != {label(group)}:
                told = ", ".join(safe(name, 80) for name in sorted(names))
                lines += wrap(told, " " * 6, width)
    return "\n".join(lines)


def files(report: Report, width: int = 80) -> str:
    """Every path that differs, and how: `diff --files`."""
    lines = [*head(report, width), *remarks(report, width), ""]
    if not report.files:
        return "\n".join([*lines, _nothing(report)])
    lines += [*LEGEND, ""]
    local = {change.path for change in report.configs if change.local}
    lines += [
        _file(change) + (" changed here too" if change.path in local else "")
        for change in report.files
    ]
    return "\n".join(lines)


def head(report: Report, width: int) -> list[str]:
    """Which releases, how much to download, how much larger the release is."""
    old, new = report.old, report.new
    if old is None:
        lines = [f"{_side(new)}, the first release here"]
        if columns(lines[0]) > width:
            lines = [_side(new), "  the first release here"]
    else:
        lines = [f"{_side(old)} -> {_side(new)}"]
        if columns(lines[0]) > width:
            lines = [_side(old), f"  -> {_side(new)}"]
    lines = [clip(line, width) for line in lines]
    told = []
    if report.download is not None:
        told.append(f"download {size(report.download)}")
    if report.grows is not None and not report.paths:
        told.append(f"release {signed(report.grows)}")
    right = ", ".join(told)
    if right and columns(lines[-1]) + 4 + len(right) > width:
        lines.append("")
    lines[-1] = flush(lines[-1], right, width)
    if old is not None and (old.name or new.name):
        lines.append(f"{_role(old)} -> {_role(new)}")
    if report.paths:
        names = ", ".join(show_path(path) for path in report.paths)
        lines += wrap(f"only {names}", "", width)
    return lines


def _side(side: Side) -> str:
    return f"{safe(side.version, 64)} ({safe(side.commit[:7])})"


def _role(side: Side) -> str:
    return f"{safe(side.name, 12) or 'release'} of {day(side.created)}"


def _body(report: Report, width: int) -> list[str]:
    if is_empty(report) and report.packages.problem in (None, NO_DATABASE):
        return [_nothing(report)]
    sections = [
        attention(report, width),
        security(report, width),
        _kernel(report, width),
        _packages(report, width),
        _config(report, width),
        units(report, width),
        accounts(report, width),
        unexplained(report, width),
        _files(report, width),
        _metadata(report, width),
    ]
    lines: list[str] = []
    for section in sections:
        # A list below a heading is set apart; headings alone stand together.
        if section and lines and (len(section) > 1 or lines[-1].startswith(" ")):
            lines.append("")
        lines += section
    return lines


def _nothing(report: Report) -> str:
    return "Nothing differs here" if report.paths else "Nothing differs"


def _kernel(report: Report, width: int) -> list[str]:
    kernel = report.kernel
    if kernel is None:
        return []
    old = ", ".join(safe(version, 60) for version in kernel.old) or "none"
    new = ", ".join(safe(version, 60) for version in kernel.new) or "none"
    words = new if report.old is None else f"{old} -> {new}"
    return labelled("KERNEL", words, width)


def _packages(report: Report, width: int) -> list[str]:
    if report.paths:
        return []
    if report.packages.problem:
        return labelled("PACKAGES", _problem(report), width)
    lines = labelled("PACKAGES", _package_counts(report), width)
    if report.old is None:
        return lines
    column = _column(report)
    left = 0
    for mark, groups in _marked(report):
        rows = CHANGED_ROWS if mark == "U" else OTHER_ROWS
        for group in groups[:rows]:
            lines += _group(mark, group, column, width)
        left += len(groups[rows:])
    if left:
        lines.append(f"  ... {left:,} more: osupdate diff --packages")
    return lines


def _problem(report: Report) -> str:
    problem = report.packages.problem or ""
    if problem == NO_DATABASE:
        return "No package database: only files are compared"
    return f"Not compared: {safe(problem, 400)}"


def _package_counts(report: Report) -> str:
    if report.old is None:
        added = report.packages.added
        sources = len({group.source for group in added})
        return f"{_binaries(added):,} ({plural(sources, 'source')})"
    if not report.packages.groups:
        return "none changed"
    found = report.packages
    told = [f"{_binaries(found.changed):,} upgraded"]
    if found.changed:
        sources = len({group.source for group in found.changed})
        told[0] += f" ({plural(sources, 'source')})"
    if found.downgraded:
        told.insert(0, f"{_binaries(found.downgraded):,} DOWNGRADED")
    told += [
        f"{_binaries(found.added):,} added",
        f"{_binaries(found.removed):,} removed",
    ]
    return ", ".join(told)


def _binaries(groups: Sequence[Group]) -> int:
    return sum(len(group.changes) for group in groups)


def _marked(report: Report) -> list[tuple[str, list[Group]]]:
    found = report.packages
    return [
        (mark, sorted(groups, key=label))
        for mark, groups in (
            ("D", found.downgraded),
            ("U", found.changed),
            ("A", found.added),
            ("R", found.removed),
        )
    ]


def _column(report: Report) -> int:
    """How wide the names of packages are; a few long ones may stick out."""
    widths = [columns(safe(label(group), 80)) for group in report.packages.groups]
    return min(NAME_WIDTH, max(widths, default=0))


def _group(mark: str, group: Group, column: int, width: int) -> list[str]:
    """`M bind9  1.0 -> 1.1   (2)`, on more lines where that does not fit."""
    name = safe(label(group), 80)
    old, new = versions(group)
    told = " -> ".join(version for version in (old, new) if version)
    right = _right(group)
    room = width - len(right) - 2 if right else width
    line = f"  {mark} {pad(name, column)}  {told}"
    if columns(line) <= room:
        return [flush(line, right, width)]
    lines = [flush(f"  {mark} {clip(name, room - 4)}", right, width)]
    if columns(told) + 6 <= width:
        return [*lines, f"      {told}"]
    lines += [f"      {clip(old, width - 6)}"] if old else []
    lines += [f"   -> {clip(new, width - 6)}"] if new else []
    return lines


def _right(group: Group) -> str:
    """How many packages, and how much larger."""
    told = []
    if len(group.changes) > 1:
        told.append(f"({len(group.changes)})")
    if group.grows:
        told.append(f"{signed(group.grows):>9}")
    return "  ".join(told)


def _config(report: Report, width: int) -> list[str]:
    changes = report.configs
    if not changes:
        return []
    count = plural(len(changes), "file")
    if report.old is None:
        return labelled("CONFIG", f"{count} below /etc", width)
    together = "   ".join([f"{count:<9}", *map(_config_path, changes)])
    if LABEL + columns(together) <= width:
        return [f"{'CONFIG':<{LABEL}}{together}"]
    rows = [(_config_path(change), 1) for change in changes]
    if len(rows) > CONFIG_ROWS:
        rows = _config_by_directory(changes)
    lines = labelled("CONFIG", count, width)
    lines += [f"  {clip(row, width - 2)}" for row, _ in rows[:CONFIG_ROWS]]
    if left := sum(files for _, files in rows[CONFIG_ROWS:]):
        lines.append(f"  ... {left:,} more: osupdate diff --files /etc")
    return lines


def _config_by_directory(changes: Sequence[ConfigChange]) -> list[tuple[str, int]]:
    """Rows, and the files in each: directories where many change at once come last."""
    inside: dict[bytes, list[ConfigChange]] = defaultdict(list)
    for change in changes:
        inside[change.path.rpartition(b"/")[0]].append(change)
    rows: list[tuple[str, int]] = []
    together: list[tuple[str, int]] = []
    for directory, found in inside.items():
        if len(found) < MANY:
            rows += [(_config_path(change), 1) for change in found]
            continue
        kinds = [change.change for change in found]
        come, go = kinds.count("added"), kinds.count("removed")
        told = f"(+{come:,} -{go:,} ~{len(found) - come - go:,})"
        row = f"{len(found):,} in {show_path(directory)} {told}"
        together.append((row, len(found)))
    return rows + together


def _config_path(change: ConfigChange) -> str:
    here = " (changed here too)" if change.local else ""
    return f"{MARKS[Kind(change.change)]} {show_path(change.path)}{here}"


def _files(report: Report, width: int) -> list[str]:
    counts = report.counts
    noted = ""
    if counts.bookkeeping:
        noted = f", {counts.bookkeeping:,} of them bookkeeping"
    if report.old is None:
        return labelled("FILES", f"{counts.added:,}{noted}", width)
    if not counts.total:
        return labelled("FILES", "none changed", width)
    told = (
        f"{counts.total:,} changed (+{counts.added:,} -{counts.removed:,} "
        f"~{counts.modified:,}){noted}"
    )
    return labelled("FILES", told, width) + _directories(report, width)


def _directories(report: Report, width: int) -> list[str]:
    found = report.directories
    shown = found[:DIRECTORY_ROWS]
    lines = []
    for place in shown:
        grows = "" if place.grows is None else signed(place.grows)
        name = show_path(place.path)
        line = f"  {place.changes:>6,}  {clip(name, width - 22)}"
        lines.append(flush(line, grows, width))
    rest = found[DIRECTORY_ROWS:]
    if rest:
        count = sum(place.changes for place in rest)
        where = plural(len(rest), "other directory", "other directories")
        lines.append(f"  {count:>6,}  in {where}: osupdate diff --files")
    return lines


def _metadata(report: Report, width: int) -> list[str]:
    if not report.counts.metadata:
        return []
    paths = plural(report.counts.metadata, "path")
    words = f"{paths} with another mode, owner, attribute or link"
    lines = labelled("METADATA", words, width)
    changed = [change for change in report.files if change.metadata]
    for change in changed[:METADATA_ROWS]:
        name, told = show_path(change.path), details(change)
        if columns(name) + columns(told) + 4 <= width:
            lines.append(f"  {name}  {told}")
        else:
            lines += [f"  {clip(name, width - 2)}", f"      {clip(told, width - 6)}"]
    if (left := len(changed) - METADATA_ROWS) > 0:
        lines.append(f"  ... {left:,} more: osupdate diff --files")
    return lines


def _file(change: FileChange) -> str:
    flags = "".join(
        flag if differs else "."
        for flag, differs in (
            ("p", change.mode),
            ("o", change.owner),
            ("x", change.xattrs),
            ("l", change.links),
        )
    )
    told = details(change)
    line = f"{MARKS[change.kind]} {flags} {show_path(change.path)}"
    line = f"{line}  {told}" if told else line
    return f"{line}  ({safe(change.package, 80)})" if change.package else line
