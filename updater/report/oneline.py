"""A whole report in one line, for a prompt, a status and a message of the day."""

from updater.core.text import plural, safe, show_path
from updater.report.diff import Report
from updater.report.diff_view import danger
from updater.report.sections import Attention

WARNINGS = 5  # more are counted


def brief(report: Report) -> tuple[str, ...]:
    """The line, then the warnings; safe to print."""
    shown = [_warning(one) for one in report.attention[:WARNINGS]]
    if left := len(report.attention) - WARNINGS:
        shown += [f"{left:,} more: osupdate diff"] if left > 0 else []
    return (one_line(report), *shown)


def one_line(report: Report) -> str:
    """`17 packages (2 security), 2 config, kernel 6.1.90 -> 6.1.94`."""
    told = []
    if report.packages.problem is None:
        changed = {
            change.package.name
            for group in report.packages.groups
            for change in group.changes
        }
        closed = {name for one in report.security for name in one.binaries}
        words = plural(len(changed), "package")
        told.append(f"{words} ({len(closed):,} security)" if closed else words)
    if not report.packages.groups:
        told = [plural(report.counts.total, "file")]
    if report.configs:
        told.append(f"{len(report.configs):,} config")
    if report.kernel is not None:
        old, new = (
            ", ".join(safe(version, 60) for version in versions) or "none"
            for versions in (report.kernel.old, report.kernel.new)
        )
        told.append(f"kernel {old} -> {new}")
    return ", ".join(told)


def _warning(one: Attention) -> str:
    if one.path is None:
        return f"{danger(one)}: {safe(one.text, 200)}"
    return f"{danger(one)}: {show_path(one.path)}, {safe(one.text, 200)}"
