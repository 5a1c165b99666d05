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
from updater.report.diff_words import details, label, versions
from updater.report.layout import LABEL, clip, flush, labelled, signed, wrap

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
    return "\n".join([*_head(report, width), "", *_body(report, width)])


def body(report: Report, width: int = 80) -> str:
    """`summary` without its head, for whoever has said which releases these are."""
    return "\n".join(_body(report, width))


def packages(report: Report, width: int = 80) -> str:
    """Every package group, and the packages in it: `diff --packages`."""
    lines = [*_head(report, width), ""]
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
    lines = [*_head(report, width), ""]
    if not report.files:
        return "\n".join([*lines, _nothing(report)])
    lines += [*LEGEND, ""]
    lines += [_file(change) for change in report.files]
    return "\n".join(lines)


def _head(report: Report, width: int) -> list[str]:
    """Which releases, how much to download, how much larger the release is."""
    old, new = report.old, report.new
    if old is None:
        lines = [f"{_side(new)}, the first release here"]
        if len(lines[0]) > width:
            lines = [_side(new), "  the first release here"]
    else:
        lines = [f"{_side(old)} -> {_side(new)}"]
        if len(lines[0]) > width:
            lines = [_side(old), f"  -> {_side(new)}"]
    lines = [clip(line, width) for line in lines]
    told = []
    if report.download is not None:
        told.append(f"download {size(report.download)}")
    if report.grows is not None and not report.paths:
        told.append(f"release {signed(report.grows)}")
    right = ", ".join(told)
    if right and len(lines[-1]) + 4 + len(right) > width:
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
        _kernel(report, width),
        _packages(report, width),
        _config(report, width),
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
        rows = CHANGED_ROWS if mark == MARKS[Kind.MODIFIED] else OTHER_ROWS
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
    found = report.packages
    changed, added, removed = (
        sum(len(group.changes) for group in groups)
        for groups in (found.changed, found.added, found.removed)
    )
    if report.old is None:
        sources = len({group.source for group in found.added})
        return f"{added:,} ({plural(sources, 'source')})"
    if not (changed or added or removed):
        return "none changed"
    sources = len({group.source for group in found.changed})
    told = f" ({plural(sources, 'source')})" if changed else ""
    return f"{changed:,} changed{told}, {added:,} added, {removed:,} removed"


def _marked(report: Report) -> list[tuple[str, list[Group]]]:
    found = report.packages
    return [
        (MARKS[kind], sorted(groups, key=label))
        for kind, groups in (
            (Kind.MODIFIED, found.changed),
            (Kind.ADDED, found.added),
            (Kind.REMOVED, found.removed),
        )
    ]


def _column(report: Report) -> int:
    """How wide the names of packages are; a few long ones may stick out."""
    found = report.packages
    groups = (*found.changed, *found.added, *found.removed)
    widths = [len(safe(label(group), 80)) for group in groups]
    return min(NAME_WIDTH, max(widths, default=0))


def _group(mark: str, group: Group, column: int, width: int) -> list[str]:
    """`M bind9  1.0 -> 1.1   (2)`, on more lines where that does not fit."""
    name = safe(label(group), 80)
    old, new = versions(group)
    told = " -> ".join(version for version in (old, new) if version)
    right = _right(group)
    room = width - len(right) - 2 if right else width
    line = f"  {mark} {name:<{column}}  {told}"
    if len(line) <= room:
        return [flush(line, right, width)]
    lines = [flush(f"  {mark} {clip(name, room - 4)}", right, width)]
    if len(told) + 6 <= width:
        return [*lines, f"      {told}"]
    lines += [f"      {clip(old, width - 6)}"] if old else []
    lines += [f"   -> {clip(new, width - 6)}"] if new else []
    return lines


def _right(group: Group) -> str:
    """How many packages, and for what comes or goes how large."""
    told = []
    if len(group.changes) > 1:
        told.append(f"({len(group.changes)})")
    if group.grows is not None and (group.old is None or group.new is None):
        told.append(f"{signed(group.grows):>9}")
    return "  ".join(told)


def _config(report: Report, width: int) -> list[str]:
    changes = report.config
    if not changes:
        return []
    count = plural(len(changes), "file")
    if report.old is None:
        return labelled("CONFIG", f"{count} below /etc", width)
    together = "   ".join([f"{count:<9}", *map(_path, changes)])
    if LABEL + len(together) <= width:
        return [f"{'CONFIG':<{LABEL}}{together}"]
    rows = [(_path(change), 1) for change in changes]
    if len(rows) > CONFIG_ROWS:
        rows = _config_by_directory(changes)
    lines = labelled("CONFIG", count, width)
    lines += [f"  {clip(row, width - 2)}" for row, _ in rows[:CONFIG_ROWS]]
    if left := sum(files for _, files in rows[CONFIG_ROWS:]):
        lines.append(f"  ... {left:,} more: osupdate diff --files /etc")
    return lines


def _config_by_directory(changes: Sequence[FileChange]) -> list[tuple[str, int]]:
    """Rows, and the files in each: directories where many change at once come last."""
    inside: dict[bytes, list[FileChange]] = defaultdict(list)
    for change in changes:
        inside[change.path.rpartition(b"/")[0]].append(change)
    rows: list[tuple[str, int]] = []
    together: list[tuple[str, int]] = []
    for directory, found in inside.items():
        if len(found) < MANY:
            rows += [(_path(change), 1) for change in found]
            continue
        kinds = [change.kind for change in found]
        come, go = kinds.count(Kind.ADDED), kinds.count(Kind.REMOVED)
        told = f"(+{come:,} -{go:,} ~{len(found) - come - go:,})"
        row = f"{len(found):,} in {show_path(directory)} {told}"
        together.append((row, len(found)))
    return rows + together


def _path(change: FileChange) -> str:
    return f"{MARKS[change.kind]} {show_path(change.path)}"


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
        if len(name) + len(told) + 4 <= width:
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
    return f"{line}  {told}" if told else line
