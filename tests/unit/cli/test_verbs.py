"""Each verb: what it asks the agent, what it says, and its exit code."""

import json

import pytest
from support.fake_agent import NEW, NOW, OLD, offer, record, status

from updater.errors import RefusedError
from updater.model import (
    Applied,
    Check,
    Checked,
    Collected,
    Finding,
    Hold,
    LedgerEntry,
    LocalChange,
    Phase,
    Reverted,
    State,
    TrustMode,
    Verified,
)

GOOD = State(last_check=Check(NOW - 720), last_success_at=NOW - 720)
FAILED = State(
    last_check=Check(NOW - 60, "TLS certificate of os.example.org expired"),
    last_success_at=NOW - 273600,
)
HELD = State(
    last_check=Check(NOW - 720),
    last_success_at=NOW - 720,
    holds=(Hold("2026.05.1", NEW, 42, "breaks the printer", NOW - 5),),
)
STAGED = record("2026.05.1", NEW, 42, headline="OpenSSH fix")


def staged(phase):
    return State(
        phase=phase,
        target=STAGED.id,
        last_check=Check(NOW - 720),
        last_success_at=NOW - 720,
    )


SITUATIONS = [
    (status(running=None), "No release is deployed here yet", 0),
    (status(), "Not checked yet: cannot tell if 2026.04.2 is current", 4),
    (
        status(GOOD),
        "Up to date: 2026.04.2 is the newest in stable (checked 12m ago)",
        0,
    ),
    (
        status(GOOD, available=offer()),
        "Update available: 2026.05.1 (4be1a90) in stable (checked 12m ago)",
        100,
    ),
    (
        status(HELD, available=offer()),
        "On hold: 2026.05.1 (4be1a90) is available in stable, and not taken here",
        102,
    ),
    (
        status(FAILED),
        "PROBLEM: no successful check for 3d 4h - cannot tell if this is current",
        4,
    ),
    (
        status(State(last_check=Check(NOW - 273600), last_success_at=NOW - 273600)),
        "STALE: 2026.04.2 was the newest in stable when last checked 3d 4h ago"
        " - cannot tell if it still is",
        4,
    ),
    (
        status(staged(Phase.STAGED), target=STAGED),
        "Update staged: 2026.05.1 is laid out, 2026.04.2 runs",
        101,
    ),
    (
        status(staged(Phase.ARMED), target=STAGED),
        "Update armed: 2026.05.1 is next, 2026.04.2 runs",
        101,
    ),
    (
        status(staged(Phase.TRIAL), target=STAGED),
        "On trial: 2026.05.1 has to prove itself",
        0,
    ),
]


@pytest.mark.parametrize(("value", "first", "code"), SITUATIONS)
def test_status_answers_in_its_first_line(osupdate, agent, value, first, code):
    agent.answers["status"] = value
    got, out, err = osupdate("status", "--exit-code")
    assert out.split("\n")[0] == first
    assert (got, err) == (code, "")
    assert osupdate("status")[0] == 0


def test_without_a_verb_it_is_status(osupdate, agent):
    agent.answers["status"] = status(GOOD)
    assert osupdate()[1] == osupdate("status")[1]


def test_status_lists_what_runs_what_is_staged_and_what_is_kept(osupdate, agent):
    previous = record("2026.04.1", OLD, 40, signed=False, headline="")
    agent.answers["status"] = status(
        staged(Phase.STAGED),
        target=STAGED,
        previous=previous,
        kept=(previous, record("2026.03.9", OLD, 39)),
    )
    lines = osupdate("status")[1].split("\n")
    when = "staged 2026-05-15 14:02 UTC (1d ago)"
    assert lines[2] == f"● 2026.04.2  91c0f3d  running, {when}, signed"
    assert lines[3].strip() == "systemd 252.22, CA certificates"
    assert lines[4] == f"  2026.05.1  4be1a90  staged, {when}, signed"
    assert lines[6] == f"  2026.04.1  91c0f3d  kept for revert, {when}, UNSIGNED"
    assert lines[7] == f"  2026.03.9  91c0f3d  kept, {when}, signed"


def test_status_shows_doubts_and_limits(osupdate, agent):
    agent.answers["status"] = status(
        FAILED, mode=TrustMode.UNSIGNED, unprivileged=True, url=""
    )
    out = osupdate("status")[1]
    assert "Last try  2026-05-16 14:01 UTC: TLS certificate of" in out
    assert "Last good 2026-05-13 10:02 UTC\n" in out
    assert "Trust     UNSIGNED: " in out
    assert "Rights    without root" in out
    assert "[remote] url is not set" in out


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (status(GOOD), "osupdate: 2026.04.2, up to date (checked 12m ago)"),
        (status(GOOD, available=offer()), "osupdate: 2026.04.2 -> 2026.05.1 available"),
        (status(FAILED), "osupdate: 2026.04.2, failing"),
        (status(running=None), "osupdate: nothing deployed, empty"),
    ],
)
def test_short_status_is_one_line(osupdate, agent, value, line):
    agent.answers["status"] = value
    assert osupdate("status", "--short")[1] == f"{line}\n"


def test_a_hostile_version_cannot_write_to_the_terminal(osupdate, agent):
    evil = record(version="1\x1b[2J", headline="a\u202eb\rc")
    agent.answers["status"] = status(GOOD, running=evil)
    for argv in (["status"], ["status", "--short"], ["status", "--json"]):
        out = osupdate(*argv)[1]
        assert not set(out) & {"\x1b", "\r"}
    assert "\u202e" not in osupdate("status")[1]


def test_check_says_what_is_available(osupdate, agent):
    agent.answers["check"] = Checked(offer(), offer(), "newer than 2026.04.2")
    code, out, _ = osupdate("check", "--exit-code")
    assert code == 100
    assert out.startswith("Update available: 2026.05.1 (4be1a90) in stable\n")
    agent.answers["check"] = Checked(offer(), None, "2026.05.1 is the newest in stable")
    assert osupdate("check", "--exit-code")[:2] == (
        0,
        "2026.05.1 is the newest in stable\n",
    )


def test_offline_is_told_to_the_agent(osupdate, agent):
    agent.answers["check"] = Checked(offer(), None, "")
    for argv, offline in ((["check", "--offline"], True), (["check"], False)):
        osupdate(*argv)
        assert agent.offline is offline


def test_apply_passes_its_options(osupdate, agent):
    agent.answers["apply"] = Applied("nothing", None, "2026.05.1 runs already.")
    code, out, _ = osupdate("apply", "x", "--no-arm", "--full", "--allow-downgrade")
    assert (code, out) == (0, "2026.05.1 runs already.\n")
    assert agent.asked == [
        (
            "apply",
            ("x",),
            {
                "dry_run": False,
                "download_only": False,
                "arm": False,
                "full": True,
                "allow_downgrade": True,
                "reason": None,
            },
        )
    ]


def test_the_outcome_of_apply_is_printed_line_by_line(osupdate, agent):
    text = "Now 2026.05.1 (was 2026.04.2).\nUndo: osupdate revert"
    agent.answers["apply"] = Applied("switched", STAGED, text)
    assert osupdate("apply")[1] == text + "\n"


def test_a_declined_apply_is_not_done(osupdate, agent):
    agent.answers["apply"] = Applied("declined", None, "Nothing was changed.")
    assert osupdate("apply")[0] == 1


def test_revert_names_the_hold(osupdate, agent):
    hold = Hold("2026.05.1", NEW, 42, "nginx 502s", NOW)
    agent.answers["revert"] = Reverted(record(), None, hold, "Now 2026.04.2.")
    code, out, _ = osupdate("revert", "--reason", "nginx 502s")
    assert code == 0
    assert out.split("\n")[0] == "Now 2026.04.2."
    assert "osupdate unhold 2026.05.1" in out
    assert agent.asked == [("revert", (None,), {"reason": "nginx 502s", "hold": True})]
    osupdate("revert", "--no-hold", "2026.04.1")
    assert agent.asked[1] == ("revert", ("2026.04.1",), {"reason": None, "hold": False})


def test_history_is_newest_first(osupdate, agent):
    agent.answers["history"] = [
        LedgerEntry(NOW - 3600, "stage", "staged 2026.05.1", "root"),
        LedgerEntry(NOW, "switch", "2026.04.2 -> 2026.05.1\nhealthy", "uid 1000"),
    ]
    assert osupdate("history")[1].split("\n") == [
        "WHEN (UTC)        EVENT   WHAT",
        "2026-05-16 14:02  switch  2026.04.2 -> 2026.05.1  (by uid 1000)",
        "                          healthy",
        "2026-05-16 13:02  stage   staged 2026.05.1  (by root)",
        "",
    ]
    assert "stage" not in osupdate("history", "-n", "1")[1]
    agent.answers["history"] = []
    assert osupdate("history")[1] == "Nothing has happened here yet\n"


CHANGES = (
    LocalChange(b"etc/motd", "modified"),
    LocalChange(b"usr/bin/\xff\x1b", "extra"),
)


def test_verify_lists_what_differs(osupdate, agent):
    agent.answers["verify"] = Verified(record(), 25013, 40, CHANGES, ())
    code, out, _ = osupdate("verify", "--exit-code")
    assert code == 1
    assert out.split("\n")[:3] == [
        "2026.04.2 (91c0f3d): 2 paths differ from the release "
        "(25,013 files, 40 hashed)",
        "  modified  /etc/motd",
        "  extra     /usr/bin/\\xff\\x1b",
    ]
    assert osupdate("verify")[0] == 0


def test_verify_repair_counts_what_is_left(osupdate, agent):
    agent.answers["verify"] = Verified(record(), 2, 2, CHANGES, (b"etc/motd",))
    code, out, _ = osupdate("verify", "--repair", "--exit-code")
    assert code == 1
    assert "\nRepaired 1 path, 1 left\nNever changed: /etc, " in out
    assert agent.asked == [("verify", (None,), {"repair": True})]


def test_verify_all_asks_for_each_deployment(osupdate, agent):
    records = (record(), STAGED)
    agent.answers["status"] = status(State(deployments=records))
    agent.answers["verify"] = Verified(record(), 2, 2, (), ())
    assert osupdate("verify", "--all")[1].count("is as it was released") == 2
    assert [args for verb, args, _ in agent.asked if verb == "verify"] == [
        (records[0].id,),
        (records[1].id,),
    ]


def test_hold_unhold_and_pin(osupdate, agent):
    hold = Hold("2026.05.1", NEW, 42, "breaks the printer", NOW)
    agent.answers["hold"] = hold
    out = osupdate("hold", "2026.05.1", "--reason", "breaks the printer")[1]
    assert out.startswith("Held: 2026.05.1 is not taken here (breaks the printer)\n")
    agent.answers["hold"] = None
    assert osupdate("hold")[1].startswith("Held: no release is taken here")
    agent.answers["unhold"] = (hold,)
    assert osupdate("unhold", "2026.05.1")[1] == "No longer held: 2026.05.1\n"
    agent.answers["pin"] = "2026.04.2"
    assert osupdate("pin", "2026.04.2")[1].startswith("Pinned: this machine stays on")
    agent.answers["pin"] = None
    assert osupdate("pin", "--off")[1].startswith("Not pinned")


def test_gc_says_what_went_and_what_could_not(osupdate, agent):
    agent.answers["gc"] = Collected((record(),), 41_000_000, ("x: its /var was used",))
    assert osupdate("gc", "--dry-run")[1].split("\n") == [
        "Would remove 1 deployment, 41.0 MB",
        "  2026.04.2  41-91c0f3d.1  staged 2026-05-15 14:02 UTC",
        "! x: its /var was used",
        "",
    ]
    assert agent.asked == [("gc", (), {"dry_run": True})]


def test_doctor_puts_problems_first_and_fails(osupdate, agent):
    agent.answers["doctor"] = [
        Finding("ok", "disk", "6.2 GB free"),
        Finding("problem", "ssh-keygen", "is missing", "apt install openssh-client"),
    ]
    code, out, _ = osupdate("doctor")
    assert code == 1
    assert out.split("\n")[0] == "1 problem, 0 warnings"
    assert out.index("ssh-keygen") < out.index("disk")
    agent.answers["doctor"] = [Finding("ok", "disk", "6.2 GB free")]
    assert osupdate("doctor")[0] == 0


def test_config_prints_a_configuration_with_its_sources(osupdate, tmp_path):
    path = tmp_path / "etc/osupdate/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(
        '[remote]\nurl = "https://x/y.git"\n\n[reboot]\nusers_grace = "2min"\n'
    )
    code, out, _ = osupdate("config")
    assert code == 0
    assert f'url = "https://x/y.git"  # {path}:2\n' in out
    assert 'channel = "stable"  # default\n' in out
    assert "# proxy is not set (default)\n" in out
    assert f'users_grace = "2min"  # {path}:5\n' in out


def test_what_config_prints_is_a_configuration_with_the_same_values(osupdate, tmp_path):
    path = tmp_path / "etc/osupdate/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(
        '[deploy]\nkeep = 5\n[reboot]\nwindow = [{ days = ["Sun"], start = "03:00",'
        ' length = "90min" }]\n[lock]\ndeadline = "3d"\n'
    )
    first = osupdate("config")[1]
    other = tmp_path / "other.toml"
    other.write_text(first)
    values = [
        [line.partition("  #")[0] for line in text.split("\n") if " = " in line]
        for text in (first, osupdate("config", "--config", str(other))[1])
    ]
    assert values[0] == values[1]
    assert "keep = 5" in values[0]


def test_config_check_finds_mistakes(osupdate, tmp_path):
    assert osupdate("config", "--check")[:2] == (
        0,
        "The configuration is good (0 files)\n",
    )
    path = tmp_path / "etc/osupdate/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[remote]\nurll = 1\n")
    assert osupdate("config", "--check")[0] == 2
    path.write_text("[remote]\nnovelty = 1\n")
    assert osupdate("config", "--check")[0] == 2
    code, _, err = osupdate("config")
    assert code == 0
    assert "unknown key" in err


def test_config_shows_nothing_where_a_value_is_wrong(osupdate, tmp_path):
    path = tmp_path / "etc/osupdate/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text('[remote]\nurl = "https://me:s3cret@h/a"\n[deploy]\nkeep = "x"\n')
    for argv in (["config"], ["config", "--json"], ["config", "--check"]):
        code, out, err = osupdate(*argv)
        assert code == 2
        assert "2 mistakes" in out + err
        assert "remote.token_file" in out + err
        assert "s3cret" not in out + err


@pytest.mark.parametrize(
    "verb", ["status", "history", "revert", "gc", "verify", "doctor", "diff"]
)
def test_a_wrong_value_only_warns_where_the_command_must_work(
    osupdate, agent, tmp_path, verb
):
    path = tmp_path / "etc/osupdate/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text('[deploy]\nkeep = "x"\n[remote]\nurll = 1\n')
    agent.answers[verb] = RefusedError("seen")
    code, _, err = osupdate(verb)
    assert code == 3
    assert err.split("\n")[:3] == [
        f"osupdate: warning: {path}:2: deploy.keep: expected a whole number from 1 to "
        '1000, got "x"',
        f"osupdate: warning: {path}:4: remote.urll: unknown key; did you mean url?",
        "osupdate: warning: going on with the defaults of remote.url, deploy.keep",
    ]
    assert list(agent.doubts) == ["remote.url", "deploy.keep"]


@pytest.mark.parametrize("argv", [["check"], ["apply"], ["hold"], ["unhold"]])
def test_a_wrong_value_stops_what_trusts_the_remote(osupdate, agent, tmp_path, argv):
    path = tmp_path / "etc/osupdate/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text('[deploy]\nkeep = "x"\n')
    assert osupdate(*argv)[0] == 2
    assert agent.made == []


def test_status_does_not_guess_what_the_configuration_should_say(osupdate, agent):
    doubts = ("remote.url", "remote.channel", "trust.mode")
    agent.answers["status"] = status(GOOD, url="", doubts=doubts)
    out = osupdate("status")[1]
    assert "Channel   not known, see Config\n" in out
    assert "Config    has mistakes: osupdate config --check\n" in out
    assert "Trust     not known, see Config; no release is taken\n" in out
    value = json.loads(osupdate("status", "--json")[1])
    assert (value["url"], value["channel"], value["trust"]) == (None, None, None)
    assert value["doubts"] == list(doubts)


def test_json_config_says_where_each_value_is_from(osupdate):
    value = json.loads(osupdate("config", "--json")[1])
    rows = {row["key"]: row for row in value["settings"]}
    assert rows["deploy.keep"] == {
        "key": "deploy.keep",
        "value": 2,
        "file": None,
        "line": None,
        "used": True,
    }
    assert rows["boot.tries"]["used"] is False
