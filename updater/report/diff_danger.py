"""The first sections of a report for a terminal: what is dangerous, and what is fixed.

Every name that a release brings is made safe here, and lines fit `width`.
"""

import os
import shlex
from collections.abc import Sequence

from updater.core.text import plural, safe, show_path
from updater.report.diff import Report
from updater.report.diff_view import danger, notes
from updater.report.layout import clip, columns, cut, flush, labelled, pad, wrap
from updater.report.sections import Advisory, Attention, Danger

KIND = 17  # columns of a danger's name
FEW = 3  # dangers of one kind that are told at length
OF_A_KIND = 6  # told in a line each; more are counted
ADVISORIES, FIXES = 12, 3
_INDENT = " " * (KIND + 5)
_LEFT = " " * 15
_BY_PATH = (
    Danger.SETUID,
    Danger.SETGID,
    Danger.CAPABILITY,
    Danger.LOOSENED,
    Danger.CONFFILE,
)
"""Of these the path says more than the sentence."""


def remarks(report: Report, width: int) -> list[str]:
    """What limits this report: whose word it is, and what could not be read."""
    lines: list[str] = []
    for note in notes(report):
        first, *more = wrap(safe(note, 1000), "  ", width)
        lines += [f"! {first.strip()}", *more]
    return lines


def attention(report: Report, width: int) -> list[str]:
    """What somebody should look at before consent; many of a kind take a line each."""
    if not report.attention:
        return []
    lines = ["ATTENTION"]
    for kind in Danger:
        found = [one for one in report.attention if one.kind is kind]
        if len(found) <= FEW:
            for one in found:
                lines += _danger(one, width)
            continue
        lines += [_in_a_line(one, width) for one in found[:OF_A_KIND]]
        if (rest := len(found) - OF_A_KIND) > 0:
            lines.append(f"{_INDENT}... {rest:,} more:")
        lines.append(f"{_INDENT}{_files_of(found)}")
    return lines


def _danger(one: Attention, width: int) -> list[str]:
    """Where, what, and the command that shows more; on as few lines as it fits."""
    head = f"  ! {danger(one):<{KIND}} "
    text, more = _text(one), _command(one.more)
    if one.path is None:
        return [clip(f"{head}{text}: {more}", width)]
    package = f"  ({safe(one.package, 60)})" if one.package else ""
    room = width - columns(head) - columns(package)
    lines = [head + clip(show_path(one.path), max(room, 8)) + package]
    if columns(_INDENT + text) + columns(more) + 2 <= width:
        return [*lines, f"{_INDENT}{text}: {more}"]
    return [*lines, *wrap(text, _INDENT, width), f"{_INDENT}{more}"]


def _in_a_line(one: Attention, width: int) -> str:
    head = f"  ! {danger(one):<{KIND}} "
    package = f"  ({safe(one.package, 60)})" if one.package else ""
    room = max(width - columns(head) - columns(package), 8)
    if one.kind in _BY_PATH and one.path is not None:
        return head + clip(show_path(one.path), room) + package
    return head + cut(_text(one), room) + package


def _text(one: Attention) -> str:
    states = ""
    if one.old and one.new:
        states = f"{safe(one.old, 120)} -> {safe(one.new, 120)}, "
    return states + safe(one.text, 300)


def _command(words: Sequence[str]) -> str:
    """To copy into a shell; a path with odd bytes is shown, not to be copied."""
    return safe(shlex.join(("osupdate", *words)), 500) if words else ""


def _files_of(rest: Sequence[Attention]) -> str:
    paths = [b"/" + one.path for one in rest if one.path is not None]
    if not paths:
        return "osupdate diff --format json"
    place = os.path.commonpath(paths) if len(paths) > 1 else os.path.dirname(paths[0])
    words = [word for word in rest[0].more if not word.startswith("/")]
    plain = [word for word in words if not word.startswith("--") or word == "--local"]
    where = () if place == b"/" else (os.fsdecode(place),)
    return safe(shlex.join(("osupdate", *plain, "--files", *where)), 300)


def security(report: Report, width: int) -> list[str]:
    """The sources whose update closes holes, most urgent first."""
    found = report.security
    if not found:
        return []
    fixes = sum(len(one.fixes) for one in found)
    told = plural(len(found), "source")
    if fixes:
        told += f", {plural(fixes, 'CVE')}"
    lines = labelled("SECURITY", told, width)
    for one in found[:ADVISORIES]:
        lines += _advisory(one, width)
    if rest := found[ADVISORIES:]:
        more = plural(len(rest), "more source", "more sources")
        lines.append(f"  ... {more}: osupdate diff --changelogs")
    return lines


def _advisory(one: Advisory, width: int) -> list[str]:
    """The versions, how urgent, how many packages; then what is fixed."""
    name = safe(one.source, 60)
    versions = " -> ".join(safe(v, 60) for v in (one.old, one.new) if v)
    right = "" if one.urgency is None else one.urgency.value
    if len(one.binaries) > 1:
        right = f"{right}  ({len(one.binaries)})"
    line = f"  {pad(name, 12)} {versions}"
    if columns(line) + columns(right) + 2 <= width:
        lines = [flush(line, right, width)]
    else:
        lines = [flush(f"  {clip(name, width - 24)}", right, width)]
        lines.append(f"{_LEFT}{clip(versions, width - len(_LEFT))}")
    for fix in one.fixes[:FIXES]:
        text = f"{safe(fix.cve, 24)}  {safe(fix.text, 200)}".rstrip()
        lines.append(_LEFT + cut(text, width - len(_LEFT)))
    if len(one.fixes) > FIXES:
        more = f"... {len(one.fixes) - FIXES:,} more: osupdate diff --changelogs"
        lines.append(_LEFT + more)
    return lines
