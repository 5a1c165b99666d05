"""The edge: parsing, errors once, exit codes."""

import json

import pytest

from updater import errors
from updater.cli import main

CASES = [
    (errors.OsupdateError("the disk fell off"), 1, "failed"),
    (errors.ConfigError("a.toml:1: x.y: unknown key"), 2, "configuration"),
    (errors.RefusedError("it is held"), 3, "refused"),
    (errors.UntrustedError("R2", "not signed by a known key"), 3, "refused"),
    (errors.TransportError("no answer"), 4, "network"),
    (errors.BusyError("another osupdate is at work"), 5, "busy"),
    (errors.NoSpaceError("needs 41 MB, 3 MB free"), 7, "no space"),
    (errors.HealthError("nginx failed"), 8, "health"),
]


@pytest.mark.parametrize(("error", "code", "word"), CASES)
def test_an_error_is_printed_once_with_its_code(osupdate, agent, error, code, word):
    agent.answers["status"] = error
    got, out, err = osupdate("status")
    assert got == code
    assert out == ""
    assert err == (
        f"osupdate: {word}: {error}\n  Nothing was changed.  (exit {code})\n"
    )


@pytest.mark.parametrize(("error", "code", "word"), CASES)
def test_with_json_an_error_is_an_object(osupdate, agent, error, code, word):
    agent.answers["status"] = error
    got, out, err = osupdate("status", "--json")
    assert (got, err) == (code, "")
    value = json.loads(out)
    assert value["schema"] == "osupdate.error/1"
    assert (value["exit"], value["message"]) == (code, str(error))
    assert value["check"] == getattr(error, "check", None)


def test_hint_and_unchanged_sentence_stand_below_the_message(osupdate, agent):
    agent.answers["status"] = errors.HostError(
        "first\nsecond", hint="Do this.", unchanged="Still running 2026.04.2."
    )
    assert osupdate("status")[2] == (
        "osupdate: failed: first\n  second\n  Still running 2026.04.2.\n"
        "  Do this.  (exit 1)\n"
    )


def test_an_interruption_is_one_sentence(osupdate, agent):
    agent.answers["status"] = KeyboardInterrupt()
    code, out, err = osupdate("status")
    assert (code, out) == (130, "")
    assert err == "osupdate: interrupted; what runs is as it was\n"


def test_a_failing_system_call_names_the_file(osupdate, agent):
    agent.answers["status"] = PermissionError(13, "Permission denied", "/x/state.json")
    code, _, err = osupdate("status")
    assert code == 1
    assert "Permission denied: /x/state.json" in err
    assert "Nothing was changed" not in err


def test_a_mistake_of_our_own_says_so_without_a_traceback(osupdate, agent):
    agent.answers["status"] = ZeroDivisionError("division by zero")
    code, _, err = osupdate("status")
    assert code == 1
    assert "ZeroDivisionError at fake_agent.py" in err
    assert "Traceback" not in err
    assert "Traceback" in osupdate("status", "-v")[2]


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["statsu"], "there is no command statsu; did you mean status?"),
        (["status", "--long"], "unrecognized arguments: --long"),
        (["history", "-n", "0"], "argument -n: invalid"),
        (["history", "-n", "x"], "argument -n: invalid"),
        (["pin"], "pin takes either a release or --off"),
        (["pin", "2026.04.2", "--off"], "pin takes either a release or --off"),
        (["verify", "--all", "x"], "verify takes a release or --all, not both"),
        (["diff", ".."], "diff .. names no release"),
        (["diff", "a..b", "etc"], "diff takes paths from the root: /etc, not etc"),
        (["help", "taxes"], "there is no help on taxes"),
        (["--color", "red"], "argument --color: invalid choice: 'red'"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(osupdate, agent, argv, says):
    code, out, err = osupdate(*argv)
    assert (code, out) == (2, "")
    assert err.startswith("osupdate: usage: ")
    assert says in err
    assert agent.asked == []


def test_a_root_that_does_not_exist_is_refused(agent, capsys):
    assert main(["status", "--root", "/nonexistent"]) == 2
    assert "--root /nonexistent: there is no such directory" in capsys.readouterr().err


def test_global_options_work_before_and_after_the_verb(agent, tmp_path):
    for argv in (
        ["--root", str(tmp_path), "status"],
        ["status", "--root", str(tmp_path)],
    ):
        agent.answers["status"] = errors.RefusedError("seen")
        assert main(argv) == 3
    assert [root for _, root in agent.made] == [str(tmp_path)] * 2


def test_a_broken_configuration_stops_before_the_agent(osupdate, agent, tmp_path):
    path = tmp_path / "etc/osupdate/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[remote]\nurll = 1\nchannel = 2\n")
    code, _, err = osupdate("apply", "--yes")
    assert code == 2
    assert f"{path}:2: remote.urll: unknown key; did you mean url?" in err
    assert f"{path}:3: remote.channel: expected a string, got 2" in err
    assert agent.made == []


def test_an_unknown_key_only_warns_where_the_command_must_work(
    osupdate, agent, tmp_path
):
    path = tmp_path / "etc/osupdate/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[remote]\nfuture = 1\n")
    agent.answers["revert"] = errors.RefusedError("seen")
    code, _, err = osupdate("revert")
    assert code == 3
    assert f"osupdate: warning: {path}:2: remote.future: unknown key" in err
    assert osupdate("apply")[0] == 2


def test_help_lists_every_command_and_the_version_is_printed(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for verb in ("status", "check", "diff", "apply", "revert", "history", "verify"):
        assert f"\n    {verb} " in out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("osupdate 0.")


def test_exit_codes_are_a_topic(osupdate):
    code, out, _ = osupdate("help", "exit-codes")
    assert code == 0
    assert "    7  no space\n" in out
