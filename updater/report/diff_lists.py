"""The long lists of a report for a terminal: changelogs, unexplained paths, patches.

Every name and line that a release brings is made safe here.
"""

from collections.abc import Iterable, Iterator

from updater.core.text import plural, safe, show_path
from updater.core.times import day
from updater.report.diff import Report
from updater.report.diff_danger import remarks
from updater.report.diff_text import head
from updater.report.layout import clip, signed
from updater.report.sections import Changelog, Entry

_TAB = 4


def changelogs(report: Report, width: int = 80) -> str:
    """`diff --changelogs`: by source package, most urgent first."""
    lines = [*head(report, width), *remarks(report, width), ""]
    if report.paths:
        return "\n".join([*lines, "Changelogs are told only without PATH"])
    if not report.changelogs:
        return "\n".join([*lines, "No source package has another version"])
    for found in report.changelogs:
        lines += _changelog(found, width)
    return "\n".join(lines).rstrip("\n")


def _changelog(found: Changelog, width: int) -> Iterator[str]:
    versions = " -> ".join(safe(v, 80) for v in (found.old, found.new) if v)
    urgency = f"  {found.urgency.value}" if found.urgency else ""
    yield clip(f"{safe(found.source, 80)}  {versions}{urgency}", width)
    for entry in found.entries:
        yield f"  {_heading(entry)}"
        for line in entry.lines:
            yield f"    {_text(line)}"
    if found.problem:
        yield f"  ({safe(found.problem, 200)})"
    yield ""


def _heading(entry: Entry) -> str:
    told = [safe(entry.version, 80) or "no version"]
    if entry.news:
        told.append("NEWS")
    if entry.distribution:
        told.append(safe(entry.distribution, 60))
    if entry.urgency is not None:
        told.append(entry.urgency.value)
    if entry.date is not None:
        told.append(day(entry.date))
    return "  ".join(told)


def unexplained(report: Report, width: int = 80) -> str:
    """`diff --unexplained`: what no update of a package explains."""
    lines = [*head(report, width), *remarks(report, width), ""]
    found = report.unexplained
    if not found.known:
        text = "Not known: the releases do not tell which package owns what"
        return "\n".join([*lines, text])
    if not (found.changed or found.unowned):
        return "\n".join([*lines, "Every change belongs to the update of a package"])
    if found.changed:
        count = plural(len(found.changed), "path")
        lines.append(f"CHANGED    {count}, although the package has the same version")
        lines += [
            f"  M {show_path(path)}  ({safe(package, 80)})"
            for path, package in found.changed
        ]
        lines.append("")
    if found.unowned:
        lines.append("UNOWNED    by directory; no package lists these paths")
        for one in found.unowned:
            grows = "" if one.grows is None else f"  {signed(one.grows)}"
            count = f"+{one.added:,} -{one.removed:,} ~{one.modified:,}"
            lines.append(f"  {count:<14} {show_path(one.path)}{grows}")
    return "\n".join(lines).rstrip("\n")


def patch_lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """A patch as a person may see it: nothing in it can move the cursor."""
    for piece in pieces:
        for line in piece.removesuffix(b"\n").split(b"\n"):
            yield _text(line.decode("utf-8", "backslashreplace"))


def _text(line: str) -> str:
    return safe(line.expandtabs(_TAB), 2000)
