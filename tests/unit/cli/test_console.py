"""Progress, colour and questions."""

import io
import json
import os
import pydoc
import sys
from argparse import Namespace

import pytest
from support.fake_agent import offer, record

from updater.cli import main
from updater.cli.console import Console, JsonLines, StageLines, progress_text
from updater.errors import BusyError, NoSpaceError, RefusedError
from updater.model import Applied, Checked, LocalChange, Preview


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def preview(**kw):
    values = {
        "running": record(),
        "version": "2026.05.1",
        "commit": "4be1a90" + "0" * 33,
        "headline": "OpenSSH fix",
        "received": 18_400_000,
        "written_files": 312,
        "written_bytes": 41_000_000,
        "kept_files": 36_023,
        "local_changes": (),
        "notices": (),
        "report": "",
    }
    return Preview(**{**values, **kw})


def console(**kw):
    return Console(Namespace(**kw))


def test_without_a_terminal_a_stage_is_one_line(capsys):
    lines = StageLines(console())
    lines.stage(1, 6, "fetch")
    for count in range(50):
        lines.progress(count, 50, "bytes")
    lines.done("18.4 MB in 7s")
    assert capsys.readouterr().err == (
        "[1/6] fetch     18.4 MB in 7s" + " " * 41 + "ok\n"
    )


def test_a_failed_stage_says_so(capsys):
    made = console()
    made.watcher().stage(2, 6, "verify")
    made.failed()
    made.failed()
    err = capsys.readouterr().err
    assert err.startswith("[2/6] verify")
    assert err.endswith("FAILED\n")
    assert err.count("FAILED") == 1


def test_on_a_terminal_the_line_moves_and_ends_clean(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    now = [100.0]
    lines = StageLines(console(color="never"), clock=lambda: now[0])
    lines.stage(1, 6, "fetch")
    now[0] += 2
    lines.progress(5_000_000, 20_000_000, "bytes")
    now[0] += 0.05
    lines.progress(6_000_000, 20_000_000, "bytes")
    lines.done("20.0 MB")
    text = terminal.getvalue()
    assert "\r\033[K[1/6] fetch     5.0 MB of 20.0 MB, 2.5 MB/s, 7s left" in text
    assert "6.0 MB" not in text
    assert text.endswith("\r\033[K[1/6] fetch     20.0 MB" + " " * 47 + "ok\n")


def test_a_notice_is_printed_even_when_quiet(capsys):
    lines = StageLines(console(quiet=True))
    lines.stage(1, 6, "fetch")
    lines.notice("complete fetch: 3 files were changed here")
    lines.done("18.4 MB")
    assert capsys.readouterr().err == "! complete fetch: 3 files were changed here\n"


def test_consent_shows_the_preview_before_it_asks(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    shown = preview(
        report="PACKAGES  2 upgraded\n",
        local_changes=(LocalChange(b"etc/motd", "modified"),),
        notices=("submodule vendor skipped",),
    )
    assert StageLines(console(color="never")).consent(shown)
    text = terminal.getvalue()
    assert text.startswith("PACKAGES  2 upgraded\n\nRELEASE    OpenSSH fix\n")
    disk = "+41.0 MB now: 312 files written, 36,023 shared with what is here"
    assert f"DISK       {disk}" in text
    assert (
        "! 1 path differs from the release that runs; the changes stay there\n" in text
    )
    assert "! submodule vendor skipped" in text
    assert text.endswith("Apply 2026.05.1? [y/N] ")


def test_consent_is_asked_for_in_colour(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    shown = preview(
        report="1 -> 2\n\nATTENTION\n  ! setuid added  /usr/bin/x",
        notices=("submodule vendor skipped",),
    )
    assert not StageLines(console(color="always")).consent(shown)
    text = terminal.getvalue()
    assert "\033[1m\033[31mATTENTION\033[0m\n" in text
    assert "  \033[31m! setuid added\033[0m  /usr/bin/x\n" in text
    assert "\033[33m!\033[0m submodule vendor skipped" in text


def test_a_preview_without_a_report_names_the_releases(capsys):
    assert StageLines(console(yes=True)).consent(preview())
    first = capsys.readouterr().err.split("\n")[0]
    assert first == "2026.04.2 -> 2026.05.1 (4be1a90)"


@pytest.mark.parametrize(
    ("answer", "agreed"),
    [("y\n", True), ("YES\n", True), ("\n", False), ("n\n", False), ("", False)],
)
def test_only_yes_is_yes(monkeypatch, answer, agreed):
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert StageLines(console()).consent(preview()) is agreed


def test_without_a_terminal_a_question_is_refused():
    with pytest.raises(RefusedError, match="no terminal") as caught:
        StageLines(console()).consent(preview())
    assert "--yes" in caught.value.hint
    assert StageLines(console(yes=True)).consent(preview())


def test_json_events_have_every_key_and_consent_needs_yes(capsys):
    lines = JsonLines(console(json=True), clock=lambda: 5.0)
    lines.stage(1, 6, "fetch")
    lines.progress(10, None, "bytes")
    lines.done("18.4 MB")
    with pytest.raises(RefusedError):
        lines.consent(preview())
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == [
        "stage",
        "progress",
        "done",
        "preview",
    ]
    assert len({tuple(sorted(event)) for event in events}) == 1
    assert events[1]["stage"] == "fetch"
    assert events[3]["preview"]["kept_files"] == 36_023


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((0, None, "bytes", 0.0), "0 B"),
        ((5_000_000, None, "bytes", 2.0), "5.0 MB, 2.5 MB/s"),
        ((5_000_000, 20_000_000, "bytes", 2.0), "5.0 MB of 20.0 MB, 2.5 MB/s, 7s left"),
        ((300, 1200, "objects", 1.0), "300 objects of 1,200 objects, 4s left"),
        ((1, 1, "files", 1.0), "1 file of 1 file"),
    ],
)
def test_progress_tells_amount_speed_and_time(args, text):
    assert progress_text(*args) == text


@pytest.mark.parametrize(
    ("env", "color", "painted"),
    [
        ({}, "auto", True),
        ({"NO_COLOR": "1"}, "auto", False),
        ({"TERM": "dumb"}, "auto", False),
        ({"NO_COLOR": "1"}, "always", True),
        ({}, "never", False),
    ],
)
def test_colour_follows_option_environment_and_terminal(
    monkeypatch, env, color, painted
):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    console(color=color).lines(["PROBLEM: x"], answer=True)
    assert ("\033[31m" in terminal.getvalue()) is painted


def test_without_utf8_the_dot_is_a_star(monkeypatch):
    terminal = Terminal()
    terminal.encoding = "ascii"
    monkeypatch.setattr(sys, "stdout", terminal)
    console().lines(["● 2026.04.2"])
    assert terminal.getvalue() == "* 2026.04.2\n"


def shout(lines):
    return [line.upper() for line in lines]


def sit_at_terminal(monkeypatch):
    """A terminal on both sides, without the user's own pager."""
    for name in ("OSUPDATE_PAGER", "PAGER", "LESS", "MANPAGER", "NO_COLOR", "COLUMNS"):
        monkeypatch.setenv(name, "")  # so that what is set meanwhile goes again
        monkeypatch.delenv(name)
    monkeypatch.setenv("TERM", "xterm")
    made = Terminal()
    monkeypatch.setattr(sys, "stdout", made)
    monkeypatch.setattr(sys, "stdin", Terminal())
    return made


@pytest.fixture
def paged(monkeypatch):
    """What went to a pager: the command that pydoc asks first, and the text."""
    told = []
    monkeypatch.setattr(
        pydoc, "pager", lambda text: told.append((os.environ["MANPAGER"], text))
    )
    return told


@pytest.mark.parametrize(
    ("env", "command"),
    [
        ({"OSUPDATE_PAGER": "most", "PAGER": "more"}, "most"),
        ({"PAGER": "more"}, "more"),
        ({"PAGER": "more", "MANPAGER": "nvim +Man!"}, "more"),
        ({"OSUPDATE_PAGER": "", "PAGER": "more"}, None),
        ({"PAGER": "cat"}, None),
    ],
)
def test_the_pager_is_the_one_asked_for(paged, monkeypatch, env, command):
    terminal = sit_at_terminal(monkeypatch)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    console(color="never").page(["one", "two"], shout)
    assert paged == ([(command, "one\ntwo\n")] if command else [])
    assert terminal.getvalue() == ("" if command else "one\ntwo\n")


def test_no_pager_and_no_colour_without_a_terminal(monkeypatch, paged, capsys):
    monkeypatch.setenv("PAGER", "more")
    console().page(["one"], shout)
    assert paged == []
    assert capsys.readouterr().out == "one\n"


@pytest.mark.parametrize(("less", "shown"), [(None, "ONE\n"), ("FX", "one\n")])
def test_a_pager_that_shows_no_colour_gets_none(paged, monkeypatch, less, shown):
    sit_at_terminal(monkeypatch)
    monkeypatch.setenv("PAGER", "less")
    if less is not None:
        monkeypatch.setenv("LESS", less)
    console().page(["one"], shout)
    assert paged == [("less", shown)]
    assert os.environ["LESS"] == (less or "FRX")


@pytest.mark.parametrize(
    ("columns", "width"), [("40", 80), ("80", 80), ("100", 100), ("200", 120)]
)
def test_the_width_is_the_terminals_within_reason(monkeypatch, columns, width):
    sit_at_terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", columns)
    assert console().width == width


def test_without_a_terminal_the_width_is_eighty(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert console().width == 80


def test_a_document_is_utf8_in_every_locale(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    console().document("1 → 2\n")
    assert raw.getvalue() == "1 → 2\n".encode()


@pytest.mark.parametrize(
    ("argv", "before"),
    [
        ((), "osupdate"),
        (("--root", "{}"), "osupdate --root {}"),
        (("--root", "{}/a b"), "osupdate --root '{}/a b'"),
        (("--config", "{}/c.toml"), "osupdate --config {}/c.toml"),
        (
            ("--root", "{}", "--config", "{}/c.toml"),
            "osupdate --root {} --config {}/c.toml",
        ),
    ],
)
def test_a_shown_command_acts_on_the_machine_that_was_asked(
    agent, capsys, tmp_path, argv, before
):
    (tmp_path / "a b").mkdir()
    (tmp_path / "c.toml").write_text("")
    before = before.format(tmp_path, tmp_path)
    given = [word.format(tmp_path) for word in argv]
    agent.answers["status"] = NoSpaceError("is full", hint="Free some: osupdate gc")
    agent.answers["check"] = Checked(offer(), offer(), "")
    agent.answers["apply"] = Applied("switched", record(), "Undo: osupdate revert")

    main([*given, "status"])
    assert f"\n  Free some: {before} gc  (exit 7)\n" in capsys.readouterr().err
    main(["status", "--json", *given])
    assert json.loads(capsys.readouterr().out)["hint"] == f"Free some: {before} gc"
    main(["check", *given])
    out = capsys.readouterr().out
    look, take = (
        f"See what changes: {before} apply --dry-run",
        f"Take it: {before} apply",
    )
    gap = "\n" if argv else " " * 5
    assert f"\n{look}{gap}{take}\n" in out
    main(["apply", *given])
    assert capsys.readouterr().out == f"Undo: {before} revert\n"


def test_prose_about_osupdate_is_no_command(agent, capsys, tmp_path):
    agent.answers["status"] = BusyError("another osupdate is at work, osupdate checks")
    main(["status", "--root", str(tmp_path)])
    assert str(tmp_path) not in capsys.readouterr().err


def test_each_line_of_a_preview_is_laid_out_alone(capsys):
    report = (
        "CONFIG     1 file\n" + " " * 8 + "M /etc/motd\nosupdate diff\nosupdate diff"
    )
    made = console(yes=True, root="/machine", machine_verbs=("diff",))
    StageLines(made).consent(preview(report=report))
    assert "CONFIG     1 file\n        M /etc/motd\n" in capsys.readouterr().err
