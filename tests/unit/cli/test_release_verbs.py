"""log, notes, when, blame, patch, restore: what they ask, their schemas, exit codes."""

import json
import sys
from pathlib import Path

import jsonschema
import pytest
from msgspec.structs import replace
from support.fake_agent import NOW, OLD, offer, record
from support.releases import assert_tame, known

from updater.cli import main
from updater.core.changes import Change, Changes
from updater.core.provenance import Recipe
from updater.core.question import parse
from updater.errors import RefusedError
from updater.model import LocalChange
from updater.report.blame import Blame, Local, Look, Package
from updater.report.log import Log, Row
from updater.report.mail import LeftOut, Patch
from updater.report.notes import Changed, Notes
from updater.report.restore import Restored
from updater.report.when import Answer, Found

SCHEMAS = Path(__file__).parents[3] / "docs/json"
FIRST, SECOND = known("1.0", 1), known("1.1", 2, tag="a" * 40)
CHANGE = Change(
    version="2", release=2, date="2026-05-16T14:02:11Z", urgency="high",
    distribution="x-security", security=True, news=False,
    cves=("CVE-2024-6387",), text=("fixed",), cut=1,
)  # fmt: skip
NEWS = Change(
    version="2", release=2, date=None, urgency="", distribution="", security=False,
    news=True, cves=(), text=("read",), cut=0,
)  # fmt: skip
LOG = Log(
    name="stable",
    rows=(Row(SECOND, "running", gap=True, since="0.9"), Row(FIRST, "", gap=False)),
    paths=(b"etc/\xff",),
    offer=offer(version=None),
    complete=False,
    oldest=FIRST,
    untold=("1.0",),
    local=True,
)
EMPTY_LOG = Log("stable", (), (), None, False, None, (), False)
NOTES = Notes(
    known=SECOND,
    here="running",
    markdown="# x\n",
    changes=Changes(1, {"curl": (CHANGE, NEWS)}),
    brief=("2 packages", "setuid: /x"),
    changed=Changed("1.0", None, 1, None, None, comparable=False),
    recipe=Recipe("https://x", ""),
)
FOUND = Found(SECOND, True, "2", "running")
ANSWER = Answer(
    question=parse("curl >= 2"),
    channel="stable",
    newest=FOUND,
    first=FOUND,
    exact=False,
    running=FOUND,
    staged=Found(FIRST, None, None),
    offer=offer(version=None),
    asked=2,
    oldest=FIRST,
    complete=False,
    local=True,
)
NO_ANSWER = Answer(
    parse("curl"), "stable", None, None, False, None, None, None, 0, None, False, True
)
BLAME = Blame(
    asked=b"bin/x",
    path=b"usr/bin/x",
    state="modified",
    release=SECOND,
    released=Look(0o104755, 0, 0, None, "root:root"),
    here=Look(0o120777, 0, 0, 4, "root:root"),
    local=Local(NOW, None, None),
    package=Package("x", None, None, conffile=False),
    packages_known=True,
    origin=None,
    recipe=Recipe("https://x", ""),
    changes=(SECOND,),
    of=1,
    oldest=FIRST,
    since="1.0",
    target=b"\xff",
    closed=False,
    now=NOW,
)
CLOSED = Blame(
    b"x", b"x", "unknown", SECOND, None, None, None, None, False, None, None, (), 0,
    FIRST, None, None, True, NOW,
)  # fmt: skip
PATCH = Patch(
    host="web1",
    version="1.1",
    commit=OLD,
    created=NOW,
    paths=(b"etc/motd",),
    difference=b"diff --git a/x b/x\n\xff\n",
    beyond=(LeftOut(b"etc/x", "mode 0644 -> 0600"),),
    left_out=(LeftOut(b"etc/\xff", "a secret"),),
)
RESTORED = Restored(
    record(), (LocalChange(b"etc/\xff", "modified"),), ("objects.git",), (b"y",), False
)
OUTPUTS = [
    ("log", [], LOG),
    ("log", [], EMPTY_LOG),
    ("notes", [], NOTES),
    ("notes", [], Notes(None, "available", offer=offer())),
    ("when", ["curl >= 2"], ANSWER),
    ("when", ["curl"], NO_ANSWER),
    ("blame", ["/bin/x"], BLAME),
    ("blame", ["/x"], CLOSED),
    ("patch", [], PATCH),
    ("restore", ["/etc"], RESTORED),
    ("restore", ["/etc"], Restored(record(), (), (), (), True, declined=True)),
]
NAMES = {"restore": "restored"}


@pytest.mark.parametrize(("verb", "argv", "answer"), OUTPUTS)
def test_the_output_is_what_the_schema_says(osupdate, agent, verb, argv, answer):
    agent.answers[verb] = answer
    [line] = osupdate(verb, *argv, "--json")[1].splitlines()
    name = NAMES.get(verb, verb)
    value = json.loads(line)
    assert value["schema"] == f"osupdate.{name}/1"
    schema = json.loads((SCHEMAS / f"{name}-1.json").read_text())
    jsonschema.validate(value, schema)


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        (["log"], ((None, None, []), {"repo": None})),
        (["log", "1.0..1.1"], (("1.0", "1.1", []), {"repo": None})),
        (["log", "1.0.."], (("1.0", None, []), {"repo": None})),
        (["log", "..1.1"], ((None, "1.1", []), {"repo": None})),
        (["log", "1.1"], ((None, "1.1", []), {"repo": None})),
        (["log", "/etc/"], ((None, None, [b"etc"]), {"repo": None})),
        (["log", "1.0..", "/a", "/b"], (("1.0", None, [b"a", b"b"]),
                                              {"repo": None})),
        (["log", "--repo", "r.git"], ((None, None, []), {"repo": "r.git"})),
        (["notes"], ((None,), {"repo": None})),
        (["notes", "staged"], (("staged",), {"repo": None})),
        (["when", "curl", ">=", "2"], (("curl >= 2",), {"repo": None})),
        (["blame", "/usr/../etc/motd/"], ((b"etc/motd",), {})),
        (["patch"], (([],), {})),
        (["patch", "/etc/a"], (([b"etc/a"],), {})),
    ],
)  # fmt: skip
def test_what_is_typed_is_what_is_asked(osupdate, agent, argv, asked):
    agent.answers |= {"log": LOG, "notes": NOTES, "when": ANSWER, "blame": BLAME}
    agent.answers["patch"] = PATCH
    assert osupdate(*argv, "--json")[0] == 0
    assert agent.asked == [(argv[0], *asked)]


@pytest.mark.parametrize(
    "argv",
    [
        ["log", ".."],
        ["log", "--", "etc"],
        ["blame", "etc/motd"],
        ["patch", "motd"],
        ["restore", "motd"],
        ["restore"],
        ["blame"],
        ["when"],
    ],
)
def test_a_command_line_that_makes_no_sense_asks_nothing(osupdate, agent, argv):
    code, out, err = osupdate(*argv)
    assert (code, out) == (2, "")
    assert err.startswith("osupdate: usage: ")
    assert agent.asked == []


@pytest.mark.parametrize(("answer", "code"), [(ANSWER, 0), (NO_ANSWER, 1)])
def test_when_ends_with_its_answer(osupdate, agent, answer, code):
    agent.answers["when"] = answer
    assert osupdate("when", "curl")[0] == code


def test_a_declined_restore_ends_with_1(osupdate, agent):
    agent.answers["restore"] = Restored(record(), (), (), (), False, declined=True)
    code, out, _ = osupdate("restore", "/etc")
    assert (code, out) == (1, "Declined. Nothing was changed.\n")


def test_restore_asks_at_the_terminal_only(osupdate, agent):
    def ask(watcher, paths, question, *, dry_run):
        question("Restore 11 paths?")

    agent.answers["restore"] = ask
    code, _, err = osupdate("restore", "/etc")
    assert code == RefusedError.exit_code
    assert "needs a yes" in err


def test_a_mail_is_written_byte_for_byte(agent, capfdbinary):
    agent.answers["patch"] = PATCH
    assert main(["patch", "--root", "/"]) == 0
    out, err = capfdbinary.readouterr()
    assert b"diff --git a/x b/x\n\xff\n" in out
    assert b"! left out: /etc/\\xff: a secret\n" in err


def test_a_mail_at_a_terminal_is_tame(osupdate, agent, monkeypatch):
    evil = replace(PATCH, difference=b"+\x1b]0;pwned\x07\tx\n")
    agent.answers["patch"] = evil
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    out = osupdate("patch", "--no-pager", "--color", "never")[1]
    assert "+\\x1b]0;pwned\\x07    x\n" in out
    assert_tame(out)


def test_json_has_nothing_that_a_terminal_obeys(osupdate, agent):
    evil = known("1.0", 1, headline="\x1b[31m \x9b2J \u202e \u2028 é ● \U000e0001")
    agent.answers["log"] = Log(
        "s", (Row(evil, "", gap=False),), (), None, True, evil, (), True
    )
    out = osupdate("log", "--json")[1]
    assert out.rstrip("\n").isprintable()
    assert "é ●" in out
    assert json.loads(out)["releases"][0]["headline"] == evil.headline
