r"""Colour for lines that are finished: by what stands at their start.

Rows of a report begin with a mark in a fixed column, and no name from a release can
reach that column, so that colour follows the report and never a name. Widths are
settled before: an escape sequence takes no column.
"""

import re
from collections.abc import Iterable, Iterator

RED, GREEN, YELLOW, CYAN = "\033[31m", "\033[32m", "\033[33m", "\033[36m"
BOLD, PLAIN = "\033[1m", "\033[0m"

_HEADING = re.compile(r"([A-Z]{4,})(?= {2}|$)")
_ROW = re.compile(r"  ([MARTUD]) (?=\S)")
_DANGER = re.compile(r"  (! .*?)(?= {2}|$)")
_PATH = re.compile(r"([MART.]) [p.][o.][x.][l.] /")
_CVE = re.compile(r" +(CVE-[0-9]{4}-[0-9]{4,})\b")
_URGENCY = re.compile(r" (emergency|critical|high|medium)(?= |$)")
_LOUD = {
    "ATTENTION": BOLD + RED,
    "SECURITY": BOLD + YELLOW,
    "UNEXPLAINED": BOLD + YELLOW,
}
_MARKS = {"A": GREEN, "R": RED, "D": YELLOW, "T": YELLOW, "!": RED}
_URGENCIES = {"medium": YELLOW}
_PATCH = {"+": GREEN, "-": RED, "@": CYAN}


def report(lines: Iterable[str]) -> Iterator[str]:
    """Lines of a summary or a list, in colour."""
    section = ""
    for number, line in enumerate(lines):
        if number == 0:
            yield f"{BOLD}{line}{PLAIN}"
            continue
        if heading := _HEADING.match(line):
            section = heading[1]
            yield _tint(line, heading.span(1), _LOUD.get(section, BOLD))
        elif line.startswith("! "):
            yield _tint(line, (0, 1), YELLOW)
        elif section == "ATTENTION" and (danger := _DANGER.match(line)):
            yield _tint(line, danger.span(1), RED)
        elif section == "SECURITY":
            yield _security(line)
        else:
            mark = _ROW.match(line) or _PATH.match(line)
            color = _MARKS.get(mark[1], "") if mark else ""
            yield _tint(line, mark.span(1), color) if mark and color else line


def patch(lines: Iterable[str]) -> Iterator[str]:
    """Lines of a unified difference, in colour."""
    for line in lines:
        if line.startswith(("+++ ", "--- ", "diff ", "Binary ")):
            yield f"{BOLD}{line}{PLAIN}"
        else:
            color = _PATCH.get(line[:1], "")
            yield f"{color}{line}{PLAIN}" if color else line


def _security(line: str) -> str:
    if cve := _CVE.match(line):
        return _tint(line, cve.span(1), YELLOW)
    if urgency := _URGENCY.search(line):
        return _tint(line, urgency.span(1), _URGENCIES.get(urgency[1], BOLD + RED))
    return line


def _tint(line: str, span: tuple[int, int], color: str) -> str:
    start, end = span
    return f"{line[:start]}{color}{line[start:end]}{PLAIN}{line[end:]}"
