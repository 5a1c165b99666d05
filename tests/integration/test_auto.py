"""Updates without a person: one tick after the other, over real releases."""

import json
import os
import shutil
import signal
import subprocess
from datetime import UTC, datetime, timedelta

import jsonschema
import pytest
from support import story as stories
from support.lock_service import LockService
from support.machine import ROOT

from updater.system.lockfile import locked

OTHER_DAY = (datetime.now(UTC) + timedelta(days=3)).strftime("%a")
EVERY_DAY = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return stories.tell(tmp_path_factory.mktemp("story"))


@pytest.fixture
def repo(story, tmp_path):
    """A copy of the repository, whose branch stands at the first release."""
    path = tmp_path / "repo.git"
    shutil.copytree(story.repo, path)
    return path


def release(story, repo, version):
    """Make a release the tip of the branch."""
    command = ["git", "-C", repo, "update-ref", "refs/heads/releases"]
    subprocess.run([*command, story.commits[version]], check=True)


@pytest.fixture
def machine(story, repo, tmp_path):
    """Runs 1.0 and is offered 1.1; nothing stands in the way."""
    release(story, repo, "1.0")
    made = stories.machine_of(
        story,
        tmp_path / "machine",
        remote={"url": f"file://{repo}"},
        update={"clock": "trust", "interval": "1s"},
        reboot={"users": "ignore", "strategy": "immediate"},
        node={"id": "web3"},
    )
    made.run("apply")
    release(story, repo, "1.1")
    made.configure(update={"clock": "trust", "interval": "1s"})
    forget_checks(made)
    return made


def forget_checks(machine):
    """As if the last look at the remote were long ago."""
    path = machine.state_dir / "state.json"
    state = json.loads(path.read_text())
    state["last_check"] = None
    path.write_text(json.dumps(state))


def window(machine, days, start="00:00", length="24h"):
    path = machine.etc / "config.d/window.toml"
    path.parent.mkdir(exist_ok=True)
    line = f'{{ days = {json.dumps(days)}, start = "{start}", length = "{length}" }}'
    path.write_text(f"[reboot]\nwindow = [ {line} ]\n")
    machine.configure(reboot={"strategy": "window"})


def gate_hook(machine, text):
    path = machine.etc / "hooks/gate.d/check"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def tick(machine, code=0):
    done = machine.run("auto", "--json", code=code)
    return done.json


def count(machine, event):
    return machine.events.count(event)


def test_an_open_machine_takes_what_is_offered(machine):
    done = machine.run("auto")
    assert done.out == "Now 1.1 (was 1.0).\n"
    assert machine.running == "1.1"
    assert machine.state["claim"] is None
    after = machine.everything()
    assert tick(machine)["outcome"] == "nothing"
    changed = {p for p, v in machine.everything().items() if after.get(p) != v}
    assert not [p for p in changed if b"deployments" in p or p.endswith(b"current")]


def test_a_closed_window_stages_and_waits_and_is_told_once(machine):
    window(machine, [OTHER_DAY])
    first = tick(machine)
    assert (first["outcome"], first["gate"]) == ("waiting", "window")
    assert first["until"].endswith("T00:00:00Z")
    assert machine.running == "1.0"
    assert machine.state["phase"] == "staged"
    waits = count(machine, "wait")
    assert tick(machine)["gate"] == "window"
    assert count(machine, "wait") == waits == 1
    status = machine.run("status").out
    assert "Waiting   the next window opens" in status
    why = machine.run("why").out
    assert why.splitlines()[0].startswith("1.1 waits for window: the next window")
    assert "Next openings" in why
    window(machine, EVERY_DAY)
    assert tick(machine)["outcome"] == "switched"
    assert machine.running == "1.1"


def test_what_auto_and_why_print_is_what_their_schemas_say(machine):
    window(machine, [OTHER_DAY])
    for verb in ("auto", "why"):
        schema = json.loads((ROOT / f"docs/json/{verb}-1.json").read_text())
        jsonschema.validate(machine.run(verb, "--json").json, schema)


def test_a_newer_release_replaces_the_staged_one(machine, story, repo):
    window(machine, [OTHER_DAY])
    tick(machine)
    release(story, repo, "1.2")
    forget_checks(machine)
    assert tick(machine)["text"].startswith("1.2 waits")
    window(machine, EVERY_DAY)
    tick(machine)
    assert machine.running == "1.2"


def test_a_staged_release_that_is_held_is_not_switched_to(machine):
    window(machine, [OTHER_DAY])
    tick(machine)
    machine.run("hold", "1.1", "--reason", "breaks the printer")
    window(machine, EVERY_DAY)
    done = tick(machine)
    assert (done["outcome"], done["gate"]) == ("waiting", "hold")
    assert "breaks the printer" in done["text"]
    assert "osupdate unhold 1.1" in machine.run("why").out
    machine.run("unhold")
    machine.run("pin", "running")
    assert "pinned to 1.0" in tick(machine)["text"]
    assert "osupdate pin --off" in machine.run("why").out
    assert machine.running == "1.0"


def test_a_held_release_is_not_even_staged(machine):
    machine.run("check")
    machine.run("hold", "available", "--reason", "later")
    assert tick(machine)["outcome"] == "nothing"
    assert machine.versions == ["1.0"]


def test_updates_that_are_switched_off_do_nothing(machine):
    machine.configure(update={"enabled": False})
    before = machine.everything()
    assert tick(machine)["outcome"] == "disabled"
    assert machine.everything() == before


def test_without_logind_people_are_not_nobody(machine):
    machine.configure(reboot={"users": "wait"})
    done = tick(machine)
    assert done["gate"] == "users"
    assert "no bus" in done["text"]
    assert machine.running == "1.0"


def test_a_release_that_fails_is_left_and_never_taken_again(machine):
    path = machine.etc / "hooks/health.d/check"
    path.parent.mkdir(parents=True)
    path.write_text('#!/bin/sh\n[ "$OSUPDATE_VERSION" = 1.0 ]\n')
    path.chmod(0o755)
    machine.run("auto", code=8)
    assert machine.running == "1.0"
    forget_checks(machine)
    assert tick(machine)["outcome"] == "nothing"
    assert machine.running == "1.0"


def test_a_remote_that_is_away_is_no_failure_and_is_left_in_peace(machine, repo):
    away = repo.with_name("away")
    repo.rename(away)
    done = tick(machine)
    assert done["outcome"] == "nothing"
    assert "no answer from the remote" in done["text"]
    away.rename(repo)
    assert tick(machine)["outcome"] == "nothing"  # too soon to ask again
    assert machine.running == "1.0"
    forget_checks(machine)
    assert tick(machine)["outcome"] == "switched"


def test_a_tick_beside_another_command_ends_quietly(machine):
    with locked(str(machine.state_dir / "lock"), "gc", 0):
        assert tick(machine)["outcome"] == "busy"
    assert machine.running == "1.0"


@pytest.fixture
def service(tmp_path):
    with LockService(tmp_path / "lock") as made:
        yield made


def test_the_lock_is_held_over_the_switch_and_given_back(machine, service):
    machine.configure(lock={"url": service.url})
    assert tick(machine)["outcome"] == "switched"
    assert service.log()[-2:] == [("granted", "web3"), ("released", "web3")]
    assert service.holders() == []


def test_a_lock_that_another_holds_is_waited_for(machine, service):
    assert service.lock("other")[0] == 200
    machine.configure(lock={"url": service.url, "deadline": "1s"})
    done = tick(machine)
    assert (done["outcome"], done["gate"]) == ("waiting", "lock")
    assert machine.running == "1.0"
    path = machine.state_dir / "state.json"
    state = machine.state
    state["claim"]["since"] -= 100
    path.write_text(json.dumps(state))
    assert "more than [lock] deadline" in tick(machine)["alarm"]
    tick(machine)
    assert count(machine, "alarm") == 1
    service.unlock("other")
    assert tick(machine)["outcome"] == "switched"
    assert service.holders() == []


def test_a_lock_that_nobody_can_give_is_never_a_yes(machine):
    machine.configure(lock={"url": "http://127.0.0.1:1"})
    assert tick(machine)["gate"] == "lock"
    assert machine.running == "1.0"


def test_a_gate_that_closes_after_the_grant_gives_it_back_at_once(machine, service):
    machine.configure(lock={"url": service.url})
    seen = machine.root / "seen"
    gate_hook(machine, f'[ ! -e "{seen}" ] || {{ echo backup; exit 1; }}; : > "{seen}"')
    done = tick(machine)
    assert (done["outcome"], done["gate"]) == ("waiting", "hooks")
    assert machine.running == "1.0"
    assert service.holders() == []
    assert ("granted", "web3") in service.log()
    assert machine.state["claim"] is None


def killed(machine, call, number):
    command = ["strace", "-qq", "-o", os.devnull, "-e", f"trace={call}"]
    kill = ["-e", f"inject={call}:signal=SIGKILL:when={number}"]
    done = subprocess.run(
        [*command, *kill, *map(str, machine.command("auto"))],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=100,
        check=False,
    )
    return done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_kill_at_any_point_and_the_next_ticks_bring_it_to_its_end(
    machine, service, story, tmp_path, call
):
    machine.configure(lock={"url": service.url})
    shutil.copytree(machine.root, tmp_path / "fresh", symlinks=True)
    number, kills = 1, 0
    while killed(machine, call, number):
        kills += 1
        assert machine.running in ("1.0", "1.1")
        assert len(service.holders()) <= 1
        forget_checks(machine)
        for _ in range(2):
            tick(machine)
        assert machine.running == "1.1"
        assert service.holders() == []
        assert machine.state["claim"] is None
        assert machine.state["phase"] == "idle"
        shutil.rmtree(machine.root)
        shutil.copytree(tmp_path / "fresh", machine.root, symlinks=True)
        number += 3
    assert kills
