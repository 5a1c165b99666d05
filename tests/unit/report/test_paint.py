"""Colour follows the report, never a name."""

import re

import pytest

from updater.report import paint
from updater.report.paint import BOLD, CYAN, GREEN, PLAIN, RED, YELLOW

TEXT = """\
2026.04.2 (91c0f3d) -> 2026.05.1 (4be1a90)      download 18.4 MB, disk +2.1 MB

ATTENTION
  ! setuid added     /usr/libexec/polkit-agent-helper-1  (policykit-1)
                     yours is kept

SECURITY   2 sources, 3 CVEs
  openssh      1:9.2p1-2+deb12u2 -> 1:9.2p1-2+deb12u3     high   (3)
               CVE-2024-6387  sshd signal handler race
  libfoo       1.4-2 -> 1.4-2+deb12u1                     medium (1)

PACKAGES   14 changed (9 sources), 1 added, 2 removed
  M bind9      1:9.18.24-1 -> 1:9.18.28-1                        (2)
  A cups-browsed  1.28.17-3                                 +1.2 MB
  R telnet     0.17-44                                     -0.2 MB"""
LINES = TEXT.split("\n")


def painted(lines, line):
    [found] = [
        shown
        for shown, plain in zip(paint.report(lines), lines, strict=True)
        if plain == line
    ]
    return found


def test_the_words_are_as_before():
    shown = "\n".join(paint.report(LINES))
    assert re.sub("\033\\[[0-9]*m", "", shown) == "\n".join(LINES)


@pytest.mark.parametrize(
    ("number", "start"),
    [
        (0, f"{BOLD}2026.04.2"),
        (2, f"{BOLD}{RED}ATTENTION{PLAIN}"),
        (3, f"  {RED}! setuid added{PLAIN}     /usr"),
        (6, f"{BOLD}{YELLOW}SECURITY{PLAIN}   2"),
        (8, f"               {YELLOW}CVE-2024-6387{PLAIN}  sshd"),
        (11, f"{BOLD}PACKAGES{PLAIN}   14"),
        (12, "  M bind9"),
        (13, f"  {GREEN}A{PLAIN} cups"),
        (14, f"  {RED}R{PLAIN} telnet"),
    ],
)
def test_what_stands_at_the_start_decides(number, start):
    assert painted(LINES, LINES[number]).startswith(start)


def test_high_is_red_and_medium_is_yellow():
    assert f"{BOLD}{RED}high{PLAIN}" in painted(LINES, LINES[7])
    assert f"{YELLOW}medium{PLAIN}" in painted(LINES, LINES[9])


def test_the_list_of_paths_is_marked():
    lines = ["head", "A .... /etc/new", "R .... /etc/old", ". p... /usr/bin/x  0755"]
    assert list(paint.report(lines))[1:] == [
        f"{GREEN}A{PLAIN} .... /etc/new",
        f"{RED}R{PLAIN} .... /etc/old",
        ". p... /usr/bin/x  0755",
    ]


@pytest.mark.parametrize(
    "name", ["ATTENTION", "  A evil", "! x", "high", "CVE-2024-1", "+++ x"]
)
def test_a_name_in_its_row_is_not_coloured(name):
    line = f"       1  /opt/{name}"
    assert painted(["head", "FILES      1", line], line) == line


def test_a_difference_is_green_and_red():
    lines = ["--- a/x", "+++ b/x", "@@ -1 +1 @@", "-old", "+new", " same", ""]
    assert list(paint.patch(lines)) == [
        f"{BOLD}--- a/x{PLAIN}",
        f"{BOLD}+++ b/x{PLAIN}",
        f"{CYAN}@@ -1 +1 @@{PLAIN}",
        f"{RED}-old{PLAIN}",
        f"{GREEN}+new{PLAIN}",
        " same",
        "",
    ]
