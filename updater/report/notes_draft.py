"""A draft of notes.md out of a report, with places for what only people know."""

from collections.abc import Iterable, Sequence

from updater.core.text import plural, safe, show_path
from updater.report.diff import Group, Kernel, Report
from updater.report.diff_view import danger
from updater.report.diff_words import label, versions
from updater.report.sections import Advisory, Attention

FILL_IN = "<!-- fill in: {} -->"
_NAMED = 2  # packages in the proposed headline
_ROWS = 30  # of each list
_FIXES = 3  # vulnerabilities of one source; more are counted
_FIX = 90  # characters of what one is about


def markdown(report: Report, product: str) -> str:
    """The draft; its first line is the proposed headline."""
    lines = [headline(report, product), ""]
    for topic, hint in (
        ("Why now", "what happens to those who wait"),
        ("You may notice", "what looks or works differently"),
        ("Known issues", "what is not right yet, or: none"),
    ):
        lines += [f"{topic}: {FILL_IN.format(hint)}", ""]
    for heading, rows in (
        ("Security", list(map(_advisory, report.security))),
        ("Attention", list(map(_attention, report.attention))),
        ("Kernel", [_kernel(report.kernel)] if report.kernel else []),
        ("Packages", _packages(report)),
        ("Configuration", [_code(show_path(c.path)) for c in report.configs]),
    ):
        if rows and report.old is not None:
            lines += [f"## {heading}", "", *_list(rows), ""]
    return "\n".join(lines)


def headline(report: Report, product: str) -> str:
    """What changed, in a line: security first, then the kernel, then packages."""
    if report.old is None:
        return f"First release of {safe(product, 64)}"
    parts = [_fixed(item) for item in report.security[:_NAMED]]
    if report.kernel is not None and report.kernel.new:
        parts.append(f"kernel {_plain(report.kernel.new[-1])}")
    named = {item.source for item in report.security}
    groups = [
        group
        for group in (*report.packages.changed, *report.packages.added)
        if group.source not in named and not group.source.startswith("linux")
    ]
    if not parts and groups:
        parts += [f"{_plain(label(g))} {versions(g)[1]}" for g in groups[:_NAMED]]
        groups = groups[_NAMED:]
    if groups:
        parts.append(plural(sum(len(g.changes) for g in groups), "other package"))
    if not parts and report.configs:
        parts.append(f"configuration: {show_path(report.configs[0].path)}")
    if not parts:
        parts.append(f"{plural(report.counts.total, 'file')} changed")
    return safe(", ".join(parts), 160)


def _fixed(item: Advisory) -> str:
    cves = ", ".join(fix.cve for fix in item.fixes[:_NAMED])
    more = ", ..." if len(item.fixes) > _NAMED else ""
    return f"{_plain(item.source)} fix" + (f" ({_plain(cves)}{more})" if cves else "")


def _advisory(item: Advisory) -> str:
    urgency = f", {item.urgency.value}" if item.urgency else ""
    line = f"{_plain(item.source)} {_arrow(item.old, item.new)}{urgency}"
    told = [
        f"{_plain(fix.cve)} {_plain(fix.text, _FIX)}".strip()
        for fix in item.fixes[:_FIXES]
    ]
    if len(item.fixes) > _FIXES:
        told.append(f"and {len(item.fixes) - _FIXES:,} more")
    return f"{line}: {'; '.join(told)}" if told else line


def _attention(item: Attention) -> str:
    where = "" if item.path is None else f" {_code(show_path(item.path))}"
    return f"{_plain(danger(item))}{where}: {_plain(item.text)}"


def _kernel(kernel: Kernel) -> str:
    old, new = (", ".join(map(_plain, side)) for side in (kernel.old, kernel.new))
    return f"{old or 'none'} -> {new or 'none'}"


def _packages(report: Report) -> list[str]:
    found = report.packages
    named: Iterable[tuple[str, Sequence[Group]]] = (
        ("", found.changed),
        ("downgraded: ", found.downgraded),
        ("new: ", found.added),
        ("gone: ", found.removed),
    )
    return [
        f"{word}{_plain(label(group))} {_arrow(group.old, group.new)}"
        for word, groups in named
        for group in groups
    ]


def _arrow(old: str | None, new: str | None) -> str:
    return " -> ".join(_plain(version) for version in (old, new) if version)


def _list(rows: Sequence[str]) -> list[str]:
    lines = [f"- {row}" for row in rows[:_ROWS]]
    if len(rows) > _ROWS:
        lines.append(f"- and {len(rows) - _ROWS:,} more")
    return lines


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39))}`"


def _plain(text: str, limit: int = 200) -> str:
    """Text from packages as Markdown, inside of a line, that stays text."""
    shown = safe(text, limit)
    return "".join(f"\\{char}" if char in "\\`*_[]<&" else char for char in shown)
