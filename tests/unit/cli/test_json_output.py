"""Every JSON object that a verb prints is what docs/json says."""

import json
from pathlib import Path

import jsonschema
import pytest
from msgspec.structs import replace
from support.fake_agent import NEW, NOW, OLD, accepted, offer, record, status

from updater.agent.gating import Why
from updater.core.gates import Gate, Name
from updater.core.windows import Stretch
from updater.errors import UntrustedError
from updater.model import (
    Applied,
    Check,
    Checked,
    Collected,
    Finding,
    Followed,
    Hold,
    LedgerEntry,
    LocalChange,
    Obstacle,
    Preview,
    Reverted,
    State,
    Ticked,
    Trusted,
    TrustedKey,
    Verified,
    Waiting,
)
from updater.publish import promoted
from updater.publish.channel import Promoted

SCHEMAS = Path(__file__).parents[3] / "docs/json"
HOLD = Hold("2026.05.1", NEW, 42, "nginx 502s", NOW)
NO_VERSION = offer(version=None)
OBSTACLE = Obstacle("turn", "not yet", None)
CHANGES = (LocalChange(b"usr/\xff", "modified"), LocalChange(b"x", "missing"))
GATES = tuple(Gate(name, name is Name.HOLD, "so", NOW, None) for name in Name)
PREVIEW = Preview(
    running=None,
    version="1",
    commit=OLD,
    headline="",
    received=1,
    written_files=2,
    written_bytes=3,
    kept_files=4,
    local_changes=CHANGES,
    notices=("a",),
    report="",
)


def everything(watcher, *args, **kw):
    watcher.stage(1, 2, "fetch")
    watcher.progress(1, None, "bytes")
    watcher.done("got it")
    watcher.notice("read this")
    watcher.consent(PREVIEW)
    return Applied("switched", record(), "Now 2026.04.2.")


OUTPUTS = [
    ("status", ["status"], status(running=None, url="")),
    (
        "status",
        ["status"],
        status(
            State(
                last_check=Check(NOW, "no answer"),
                last_success_at=NOW - 5,
                holds=(HOLD,),
                paused="fair",
                pin="x",
            ),
            previous=record(),
            kept=(record(),),
            available=NO_VERSION,
            enter_command="chroot /x",
        ),
    ),
    (
        "status",
        ["status"],
        status(available=offer(), log=accepted(), turn="at noon", pinned=True),
    ),
    (
        "status",
        ["status"],
        status(waiting=Waiting("window", "opens at noon", "osupdate why")),
    ),
    ("auto", ["auto"], Ticked("nothing", "1.0 runs")),
    ("auto", ["auto"], Ticked("waiting", "1.1 waits", "lock", NOW, "too long")),
    ("why", ["why"], Why(record(), None, GATES, (), NOW)),
    ("why", ["why"], Why(None, record(), GATES, (Stretch(NOW, None),), NOW)),
    ("channel", ["channel"], Followed("stable", "testing", accepted(), None, None)),
    (
        "channel",
        ["channel"],
        Followed("a", "b", None, "c", Checked(offer(), offer(), "", OBSTACLE)),
    ),
    ("check", ["check"], Checked(offer(), None, "it runs already")),
    ("check", ["check"], Checked(NO_VERSION, NO_VERSION, "")),
    ("revert", ["reverted"], Reverted(record(), None, HOLD, "Now it.")),
    ("revert", ["reverted"], Reverted(None, record(), None, "Dropped.")),
    ("history", ["history"], [LedgerEntry(NOW, "a", "b", "c", {"n": 1, "x": None})]),
    ("history", ["history"], []),
    ("verify", ["verified"], Verified(record(), 2, 1, CHANGES, (b"x",))),
    ("gc", ["collected"], Collected((record(),), 5, ("why",))),
    ("hold", ["holds"], HOLD),
    ("hold", ["holds"], None),
    ("unhold", ["holds"], (HOLD,)),
    (
        "doctor",
        ["doctor"],
        [Finding("ok", "a", "b"), Finding("warning", "a", "b", "c")],
    ),
    ("config", ["config"], None),
    ("status", ["error"], UntrustedError("R2", "not signed")),
    ("apply", ["event"] * 6, everything),
]


def schema(name):
    return json.loads((SCHEMAS / f"{name}-1.json").read_text())


@pytest.mark.parametrize(("verb", "names", "answer"), OUTPUTS)
def test_the_output_is_what_the_schema_says(osupdate, agent, verb, names, answer):
    agent.answers[verb] = answer
    lines = osupdate(verb, "--json", "--yes")[1].splitlines()
    assert len(lines) == len(names)
    for line, name in zip(lines, names, strict=True):
        value = json.loads(line)
        assert value["schema"] == f"osupdate.{name}/1"
        jsonschema.validate(value, schema(name))


def test_pin_prints_what_its_schema_says(osupdate, agent):
    for pinned, argv in (("x", ["x"]), (None, ["--off"])):
        agent.answers["pin"] = pinned
        value = json.loads(osupdate("pin", *argv, "--json")[1])
        jsonschema.validate(value, schema("pin"))
        assert value["pin"] == pinned


def test_trust_prints_what_its_schema_says(osupdate, agent):
    key = TrustedKey("release", "SHA256:x", "/trust/release:1", None, NOW)
    signers = accepted().signers
    for found in (
        Trusted(3, 2, False, (key,), (replace(key, role="revoked"),), (), signers, NOW),
        Trusted(None, None, True, (), (), ("channel",), (), NOW),
    ):
        agent.answers["trusted"] = found
        value = json.loads(osupdate("trust", "show", "--json")[1])
        jsonschema.validate(value, schema("trust"))
        assert value["version"] == found.version


def test_promote_prints_what_its_schema_says():
    done = Promoted(accepted().entry, OLD, 42, 1000, "acme.git", ("a",), "text")
    jsonschema.validate(promoted.to_json(done), schema("promoted"))


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda p: p.stem)
def test_a_schema_names_itself_and_lets_no_key_vanish(path):
    value = json.loads(path.read_text())
    jsonschema.Draft202012Validator.check_schema(value)
    name = value["title"]
    assert path.name == name.removeprefix("osupdate.").replace("/", "-") + ".json"
    assert value["properties"]["schema"] == {"const": name}
    for part in objects(value):
        assert sorted(part["required"]) == sorted(part["properties"])
        assert part["additionalProperties"] is False


def objects(value):
    if isinstance(value, dict):
        if "properties" in value and isinstance(value["properties"], dict):
            yield value
        for inner in value.values():
            yield from objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from objects(inner)
