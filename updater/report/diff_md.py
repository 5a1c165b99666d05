"""A report as Markdown for an issue or a merge request of GitHub, GitLab and their kin.

Every word of a release stands in a code span or block: only there nothing is a mention,
a reference, a link, an image or HTML. What would break the span itself is escaped.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from updater.core.text import safe, show_path
from updater.core.times import day
from updater.report import diff_view
from updater.report.diff import FileChange, Report
from updater.report.diff_view import PackageRow
from updater.report.layout import clip
from updater.report.sections import (
    AccountChange,
    Advisory,
    Attention,
    Changelog,
    UnitChange,
)

MOST = 60_000  # characters: GitHub takes 65,536 in an issue
ROWS = 100  # of a section; more are counted
PACKAGE_ROWS = 200
FIXES = 10  # of one source
LOG_LINES = 40  # of one source's changelog
NAME = 200  # characters of one name

_RESERVE = 4000  # characters that the files get in any case
_CUT = ["", "*The rest of this section is too long to paste: `osupdate diff`*", ""]

T = TypeVar("T")
_RUNS = re.compile("`+")
_PLAIN = re.compile(r"[0-9A-Za-z ]")


def markdown(report: Report) -> str:
    """The whole report, short enough to paste; what is left out is said to be."""
    lines = [*_head(report), ""]
    if nothing := diff_view.nothing(report):
        lines += [f"{nothing}.", ""]
    for section in _SECTIONS:
        lines += _fit(list(section(report)), MOST - _RESERVE - _length(lines))
    lines += _files(report, MOST - _length(lines))
    return "\n".join(lines).rstrip("\n") + "\n"


def code(text: str | bytes) -> str:
    """A code span of one line that shows exactly this, in a table too."""
    shown = clip(safe(text, 4096), NAME)
    if not shown.strip():
        return "` `"
    if "|" in shown:  # in a table no span can hold it in every renderer
        return _html_code(shown)
    fence = "`" * (_longest_run(shown) + 1)
    edge = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{edge}{shown}{edge}{fence}"


def block(lines: Iterable[str]) -> list[str]:
    """A code block of lines that are one line each."""
    shown = list(lines)
    fence = "`" * max(3, max(map(_longest_run, shown), default=0) + 1)
    return [f"{fence}text", *shown, fence]


def _html_code(shown: str) -> str:
    """The same as HTML; every mark is an entity, so that Markdown sees only words."""
    told = "".join(c if _PLAIN.match(c) else f"&#{ord(c)};" for c in shown)
    return f"<code>{told}</code>"


def _longest_run(text: str) -> int:
    return max((len(run) for run in _RUNS.findall(text)), default=0)


def _fit(found: list[str], room: int) -> list[str]:
    """What there is room for, cut between two rows."""
    length = 0
    for position, row in enumerate(found):
        length += len(row) + 1
        if length > room - sum(map(len, _CUT)):
            return [*found[:position], *_CUT]
    return found


def _length(lines: Sequence[str]) -> int:
    return sum(len(line) + 1 for line in lines)


def _head(report: Report) -> Iterator[str]:
    old, new = report.old, report.new
    before = "" if old is None else f"{code(old.version)} → "
    yield f"## {before}{code(new.version)}"
    yield ""
    for word, version, at, role, commit in diff_view.side_words(report):
        told = f"{code(role)}, " if role else ""
        yield f"- {word} {code(version)} of {at}, {told}commit {code(commit)}"
    if sizes := diff_view.sizes(report):
        yield f"- {', '.join(f'{size} {word}' for word, size in sizes)}"
    if report.paths:
        yield f"- only {', '.join(code(show_path(path)) for path in report.paths)}"
    for note in diff_view.notes(report):
        yield f"- {code(note)}"


def _attention(report: Report) -> Iterator[str]:
    if not report.attention:
        return
    yield f"### ⚠️ ATTENTION ({len(report.attention):,})"
    yield ""
    yield from _some(report.attention, ROWS, _danger)
    yield ""


def _danger(one: Attention) -> str:
    told = [f"- **{diff_view.danger(one)}**"]
    told += [code(show_path(one.path))] if one.path is not None else []
    told += [f"({code(one.package)})"] if one.package else []
    if one.old or one.new:
        told.append(f"{code(one.old or 'none')} → {code(one.new or 'none')}")
    line = " ".join(told)
    return f"{line}: {code(one.text)}" if one.text else line


def _security(report: Report) -> Iterator[str]:
    if not report.security:
        return
    yield f"### Security ({len(report.security):,})"
    yield ""
    yield from _some(report.security, ROWS, _advisory)
    yield ""


def _advisory(one: Advisory) -> str:
    urgency = f", **{one.urgency.value}**" if one.urgency else ""
    lines = [f"- {code(one.source)} {_versions(one.old, one.new)}{urgency}"]
    lines += _some(
        one.fixes, FIXES, lambda fix: f"  - {code(fix.cve)} {code(fix.text)}", "  "
    )
    return "\n".join(lines)


def _kernel(report: Report) -> Iterator[str]:
    if kernel := report.kernel:
        old, new = (
            ", ".join(map(code, side)) or "none" for side in (kernel.old, kernel.new)
        )
        yield "### Kernel"
        yield ""
        yield f"{old} → {new}"
        yield ""


def _packages(report: Report) -> Iterator[str]:
    if report.paths or diff_view.nothing(report):
        return
    yield f"### Packages ({diff_view.package_count(report):,})"
    yield ""
    if report.packages.problem:
        yield code(diff_view.problem(report))
        yield ""
    for kind in diff_view.packages(report):
        yield f"**{kind.word}** {kind.told}"
        yield ""
        yield "| Package | Version | Size |"
        yield "|---|---|---:|"
        yield from _some(kind.rows, PACKAGE_ROWS, _package)
        yield ""


def _package(row: PackageRow) -> str:
    names = f" ({code(row.binaries)})" if row.binaries else ""
    return f"| {code(row.name)}{names} | {_versions(row.old, row.new)} | {row.size} |"


def _versions(old: str | None, new: str | None) -> str:
    return " → ".join(code(version) for version in (old, new) if version is not None)


def _config(report: Report) -> Iterator[str]:
    rows = diff_view.config_rows(report)
    if rows:
        yield f"### Configuration ({len(rows):,})"
        yield ""
        yield from _some(
            rows, ROWS, lambda row: _item(row[0], show_path(row[1]), row[2])
        )
        yield ""


def _units(report: Report) -> Iterator[str]:
    def item(one: UnitChange) -> str:
        word = "enabled" if one.enabled else "disabled"
        return _item(word, one.unit, diff_view.unit_words(one))

    if report.units:
        yield f"### Units and sockets ({len(report.units):,})"
        yield ""
        yield from _some(report.units, ROWS, item)
        yield ""


def _accounts(report: Report) -> Iterator[str]:
    def item(one: AccountChange) -> str:
        change = f" {_versions(one.old or 'none', one.new or 'none')}"
        told = change if one.old or one.new else ""
        return f"- {code(one.change)} {one.kind} {code(one.name)}{told}"

    if report.accounts:
        yield f"### Users and groups ({len(report.accounts):,})"
        yield ""
        yield from _some(report.accounts, ROWS, item)
        yield ""


def _unexplained(report: Report) -> Iterator[str]:
    found = report.unexplained
    if not (found.changed or found.unowned):
        return
    yield "### Unexplained"
    yield ""
    yield from _some(
        found.changed,
        ROWS,
        lambda pair: f"- {code(show_path(pair[0]))} changed, {code(pair[1])} did not",
    )
    yield from _some(
        found.unowned,
        ROWS,
        lambda one: (
            f"- {code(show_path(one.path))} belongs to no package: "
            f"+{one.added:,} -{one.removed:,} ~{one.modified:,} "
            f"{diff_view.grows(one.grows)}".rstrip()
        ),
    )
    yield ""


def _changelogs(report: Report) -> Iterator[str]:
    if not report.changelogs:
        return
    yield f"### Changelogs ({len(report.changelogs):,})"
    yield ""
    for log in report.changelogs[:ROWS]:
        name = _html_code(clip(safe(log.source), NAME))
        yield "\n".join(_folded(name, _changelog(log)))


def _changelog(log: Changelog) -> list[str]:
    lines = [safe(log.problem, NAME)] if log.problem else []
    for entry in log.entries:
        at = f"  {day(entry.date)}" if entry.date is not None else ""
        lines.append(f"{clip(safe(entry.version), NAME)}{at}")
        lines += (f"  {clip(safe(line), NAME)}".rstrip() for line in entry.lines)
    if len(lines) > LOG_LINES:
        lines = [*lines[:LOG_LINES], f"... {len(lines) - LOG_LINES:,} more lines"]
    return lines


def _files(report: Report, room: int) -> Iterator[str]:
    if not report.files:
        return
    yield "### Files"
    yield ""
    yield f"{diff_view.file_count(report)}."
    yield ""
    rows, left = [], room - 500
    for change in report.files:
        row = _file(change)
        left -= len(row) + 1
        if left < 0:
            break
        rows.append(row)
    if more := len(report.files) - len(rows):
        rows.append(f"... {more:,} more: osupdate diff --files")
    yield from _folded(f"{len(report.files):,} paths", rows)


def _file(change: FileChange) -> str:
    told = clip(safe(diff_view.file_words(change)), NAME)
    line = f"{change.kind.value:<8} {clip(show_path(change.path), NAME)}"
    return f"{line}  {told}" if told else line


def _folded(summary: str, rows: list[str]) -> list[str]:
    """Rows that a click shows; `summary` is HTML."""
    # The blank lines make renderers read Markdown inside of HTML.
    head = f"<details><summary>{summary}</summary>"
    return [head, "", *block(rows), "", "</details>", ""]


def _item(word: str, name: str, told: str) -> str:
    line = f"- {code(word)} {code(name)}"
    return f"{line} {code(told)}" if told else line


def _some(
    rows: Sequence[T], most: int, show: Callable[[T], str], indent: str = ""
) -> Iterator[str]:
    """The first rows; the others are counted."""
    yield from (show(row) for row in rows[:most])
    if (more := len(rows) - most) > 0:
        yield f"{indent}- {more:,} more"


_SECTIONS: tuple[Callable[[Report], Iterable[str]], ...] = (
    _attention,
    _security,
    _kernel,
    _packages,
    _config,
    _units,
    _accounts,
    _unexplained,
    _changelogs,
)
