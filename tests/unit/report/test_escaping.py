"""No rendering lets a name of a release do anything but be read."""

import contextlib
import io
import json
from argparse import Namespace
from functools import cache

import pytest
from support import reports

from updater.cli.console import Console
from updater.report import diff_html, diff_json, diff_lists, diff_md, diff_text, paint

SGR = ("\033[1m", "\033[31m", "\033[32m", "\033[33m", "\033[36m", "\033[0m")


def as_json(report):
    """What `diff --json` prints."""
    with contextlib.redirect_stdout(io.StringIO()) as stdout:
        Console(Namespace(json=True)).object(diff_json.to_json(report))
    return stdout.getvalue()


def in_colour(view):
    """A view with our own colours, and without them again."""

    def show(report):
        text = "\n".join(paint.report(view(report, 100).split("\n")))
        for code in SGR:
            text = text.replace(code, "")
        return text

    return show


SURFACES = {
    "summary": diff_text.summary,
    "packages": diff_text.packages,
    "files": diff_text.files,
    "changelogs": diff_lists.changelogs,
    "unexplained": diff_lists.unexplained,
    "summary in colour": in_colour(diff_text.summary),
    "files in colour": in_colour(diff_text.files),
    "md": diff_md.markdown,
    "html": diff_html.page_of,
    "json": as_json,
}


@cache
def shown(surface):
    return SURFACES[surface](reports.hostile())


@pytest.mark.parametrize("surface", SURFACES)
def test_nothing_moves_the_cursor_hides_or_turns_text_around(surface):
    """ESC, OSC, CR, NUL, C1, bidi, zero width, line separators: only as escapes."""
    bad = {c for c in shown(surface) if not (c.isprintable() or c == "\n")}
    assert not bad


@pytest.mark.parametrize("surface", SURFACES)
def test_what_is_not_utf8_is_shown_and_can_be_written(surface):
    text = shown(surface)
    text.encode("utf-8")
    if surface not in ("packages", "changelogs"):  # which have no path
        assert "\\xff" in text or "\\\\xff" in text


@pytest.mark.parametrize("surface", SURFACES)
def test_a_name_of_several_lines_is_one(surface):
    for line in shown(surface).split("\n"):
        assert not line.startswith("end")
    assert "\\n" in shown(surface)


def test_json_says_the_same_as_before_it_was_made_visible():
    told = json.loads(shown("json"))
    assert told["packages"]["added"][6]["source"] == reports.HOSTILE[6]
    assert reports.BIDI in reports.HOSTILE[6]
    assert "\\u202e" in shown("json")
    assert "\\u009b31m" in shown("json")


def test_json_beyond_the_basic_plane_is_a_pair(capsys):
    Console(Namespace(json=True)).object({"tag": "\U000e0001", "party": "🎉"})
    out = capsys.readouterr().out
    assert out == '{"tag":"\\udb40\\udc01","party":"🎉"}\n'
    assert json.loads(out) == {"tag": "\U000e0001", "party": "🎉"}


def test_a_patch_for_a_person_cannot_move_the_cursor():
    pieces = ["\n".join(["--- a", *reports.HOSTILE]).encode(), b"+\xff\xc3(\x1b[2J\n"]
    lines = list(paint.patch(diff_lists.patch_lines(pieces)))
    plain = "".join(lines)
    for code in SGR:
        plain = plain.replace(code, "")
    assert plain.isprintable()
    assert "+\\xff\\xc3(\\x1b[2J" in plain
