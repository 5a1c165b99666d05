"""A report as one HTML page that needs nothing but itself."""

from typing import Any

from updater import __version__
from updater.core.text import plural
from updater.core.times import day
from updater.report import diff_view, page
from updater.report.diff import FileChange, Kind, Report
from updater.report.diff_view import FileGroup

SEARCHED_FROM = 20  # paths; fewer are seen at a glance
OPEN_UP_TO = 12  # paths of a report whose directories stand open
FEW = 4  # dangers of one kind that are told at length; more take a line each
FIXES = 5  # of one source that are seen at once
CONFIGS = 20  # files of /etc that are seen at once
LISTED = 30_000  # paths of a page: 5 MB, which a browser still opens at once
SCRIPTS = ("filter.js",)


def page_of(report: Report) -> str:
    """The whole page.

    Raises:
        HostError: Jinja2 is not installed.
    """
    return page.render(
        "report.html", {**values(report), "made_by": __version__}, scripts=SCRIPTS
    )


def values(report: Report) -> dict[str, Any]:
    """What the templates of the report show."""
    return {
        "report": report,
        "view": _view(report),
        "danger": diff_view.danger,
        "more": diff_view.more,
        "tone": diff_view.tone,
        "grows": diff_view.grows,
        "day": day,
        "emphasis": diff_view.emphasis,
        "few": FEW,
        "fixes": FIXES,
        "most": CONFIGS,
        "unit_words": diff_view.unit_words,
    }


def _view(report: Report) -> dict[str, Any]:
    return {
        "title": diff_view.title(report),
        "eyebrow": "The first release"
        if report.old is None
        else "What changes from one release to the next",
        "sides": _sides(report),
        "facts": _facts(report),
        "notes": diff_view.notes(report),
        "dangers": diff_view.dangers(report),
        "nothing": diff_view.nothing(report),
        "problem": diff_view.problem(report),
        "packages": diff_view.packages(report),
        "configs": [
            {"change": change, "path": path, "more": more}
            for change, path, more in diff_view.config_rows(report)
        ],
        "counted": diff_view.file_count(report),
        "searched": len(report.files) >= SEARCHED_FROM,
        "groups": [
            _group(group, report)
            for group in diff_view.file_groups(report.files[:LISTED])
        ],
        "unlisted": max(0, len(report.files) - LISTED),
        "command": diff_view.command(report),
    }


def _sides(report: Report) -> list[dict[str, str]]:
    names = ("word", "version", "day", "role", "commit")
    return [
        dict(zip(names, side, strict=True)) for side in diff_view.side_words(report)
    ]


def _facts(report: Report) -> list[dict[str, str]]:
    """The numbers on top; each leads to its section."""
    told: list[tuple[str, str, str, str]] = []
    if report.attention:
        count = len(report.attention)
        told.append((f"{count:,}", _want(count), "attention", "danger"))
    if report.security:
        fixes = len({fix.cve for one in report.security for fix in one.fixes})
        if fixes:
            words = "CVE fixed" if fixes == 1 else "CVEs fixed"
            told.append((f"{fixes:,}", words, "security", "warn"))
        else:
            count = len(report.security)
            told.append((f"{count:,}", "security updates", "security", "warn"))
    if packages := diff_view.package_count(report):
        told.append((f"{packages:,}", _noun(packages, "package"), "packages", ""))
    if report.files:
        count = len(report.files)
        told.append((f"{count:,}", _noun(count, "file"), "files", ""))
    told += [(value, word, "", "") for word, value in diff_view.sizes(report)]
    names = ("value", "word", "to", "tone")
    return [dict(zip(names, fact, strict=True)) for fact in told]


def _want(count: int) -> str:
    return "wants attention" if count == 1 else "want attention"


def _noun(count: int, noun: str) -> str:
    return plural(count, noun).partition(" ")[2]


def _group(group: FileGroup, report: Report) -> dict[str, Any]:
    return {
        "path": group.path,
        "word": group.word,
        "size": group.size,
        "open": len(report.files) <= OPEN_UP_TO,
        "rows": [_row(change, group.path) for change in group.changes],
    }


def _row(change: FileChange, place: bytes | None) -> dict[str, Any]:
    """A path is told below its directory, which the group names already."""
    name: bytes | str = change.path
    if place:
        name = change.path[len(place) + 1 :].decode("utf-8", "backslashreplace")
    kind = "mode" if change.kind is Kind.METADATA else change.kind.value
    return {
        "kind": kind,
        "name": name,
        "more": diff_view.file_words(change),
        "size": diff_view.file_size(change),
    }
