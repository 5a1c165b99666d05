"""A machine in signed mode with an honest channel: rollouts, floors, what travels."""

import contextlib
import os
import shutil

import pytest
from support.channels import DAY, MACHINE_ID, World, make_ring, stamp
from support.remote import GitDaemon, HttpServer, SshServer, git

from updater.agent.room import Room
from updater.core import nodeid, rollout
from updater.system.git import logs


@pytest.fixture(scope="session")
def ring(tmp_path_factory):
    return make_ring(tmp_path_factory.mktemp("ring"))


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    with HttpServer(tmp_path / "served") as running:
        yield running


@pytest.fixture
def world(tmp_path, ring, server):
    """A world in which release 1.0 runs."""
    made = World(tmp_path, ring, server.base)
    made.first = made.release("1.0", 1)
    made.entry(made.first)
    made.machine.run("apply")
    return made


def slowly(world, place, hours=24):
    """A rollout that reaches `place` of the fleet now."""
    start = world.now + 100 - int(place * hours * 3600)
    return {"start": stamp(start), "hours": hours, "limit": 1.0}


def place_of(world, release):
    return rollout.position(nodeid.derive(MACHINE_ID), release.tag)


# --- rollouts


def test_a_machine_waits_for_its_turn_and_says_when_it_comes(world):
    second = world.release("1.1", 2)
    place = place_of(world, second)
    world.entry(second, rollout=slowly(world, place / 2))
    done = world.check()
    assert done.out.startswith("Update on its way: 1.1")
    assert "this machine's turn is at" in done.out
    assert f"{50 * place:.0f} % now" in done.out
    assert "this machine's turn is at" in world.machine.run("status").out
    answer = world.machine.run("check", "--json").json
    assert answer["obstacle"]["kind"] == "turn"
    before = world.machine.everything()
    done = world.machine.run("apply", code=3)
    assert "1.1 is being rolled out: this machine's turn" in done.err
    assert world.machine.running == "1.0"
    assert {p for p in world.machine.everything() if b"deployments" in p} == {
        p for p in before if b"deployments" in p
    }


def test_a_machine_takes_a_release_when_its_turn_has_come(world):
    second = world.release("1.1", 2)
    place = place_of(world, second)
    world.entry(second, rollout=slowly(world, min(1.0, place + 0.01)))
    world.machine.run("apply")
    assert world.machine.running == "1.1"


def test_a_person_takes_a_release_before_its_turn_and_the_ledger_says_why(world):
    second = world.release("1.1", 2)
    world.entry(second, rollout=slowly(world, 0.0))
    world.machine.run("apply", "1.1", "--reason", "canary in the office")
    assert world.machine.running == "1.1"
    (entry,) = [e for e in world.machine.ledger if e["event"] == "override"]
    assert "canary in the office" in entry["text"]
    assert "turn" in entry["data"]["turn"]


def test_a_rollout_that_is_stopped_reaches_nobody_else(world):
    second = world.release("1.1", 2)
    speed = {"start": stamp(world.now - DAY), "hours": 1, "limit": 0.0}
    world.entry(second, rollout=speed)
    assert "stopped below this machine's place (0 % now)" in world.check().out
    world.machine.run("apply", code=3)


def test_a_rollout_waits_for_a_synchronised_clock(world, monkeypatch):
    world.machine.configure(update={"clock": "synchronised"})
    monkeypatch.setattr("updater.system.clock.is_synchronised", lambda: False)
    second = world.release("1.1", 2)
    world.entry(second, rollout=slowly(world, 1.0))
    assert "the clock is not synchronised" in world.check().out
    world.machine.run("apply", code=3)
    monkeypatch.setattr("updater.system.clock.is_synchronised", lambda: True)
    world.machine.run("apply")
    assert world.machine.running == "1.1"


def test_a_machine_without_an_id_makes_one_up_and_keeps_it(world):
    assert world.machine.state["node"] is None
    (world.machine.root / "etc/machine-id").write_text("uninitialized\n")
    world.check()
    made = world.machine.state["node"]
    assert len(made) == 32
    world.check()
    assert world.machine.state["node"] == made


def test_the_configured_name_counts(world):
    second = world.release("1.1", 2)
    names = (f"node{i}" for i in range(1000))
    early = next(n for n in names if rollout.position(n, second.tag) < 0.05)
    world.machine.configure(node={"id": early})
    world.entry(second, rollout=slowly(world, 0.06))
    world.machine.run("apply")
    assert world.machine.running == "1.1"


# --- floors


def test_floors_rise_when_a_release_proved_itself_and_not_before(world):
    hooks = world.machine.etc / "hooks/health.d"
    hooks.mkdir(parents=True)
    (hooks / "bad").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "bad").chmod(0o755)
    world.entry(world.release("1.1", 5, floor=4))
    world.machine.run("apply", code=8)
    state = world.machine.state
    assert (state["security_floor"], state["version_floor"]) == (0, 1)
    assert world.machine.running == "1.0"
    (hooks / "bad").unlink()
    world.machine.run("unhold", "1.1")
    world.machine.run("apply")
    state = world.machine.state
    assert (state["security_floor"], state["version_floor"]) == (4, 5)


def test_going_back_below_a_floor_stays_possible(world):
    world.entry(world.release("1.1", 5, floor=4))
    world.machine.run("apply")
    world.machine.run("revert")
    assert world.machine.running == "1.0"
    assert world.machine.state["security_floor"] == 4
    world.entry(world.release("1.05", 3))
    done = world.machine.run("apply", code=3)
    assert "below the security floor" in done.err


def test_a_version_between_the_running_one_and_the_floor_is_refused(world):
    world.entry(world.release("1.1", 5))
    world.machine.run("apply")
    world.machine.run("revert")
    world.entry(world.release("1.05", 3))
    done = world.machine.run("apply", code=3)
    assert "below the version floor of this machine, 5" in done.err
    world.machine.run("apply", "1.05", "--allow-downgrade")
    assert world.machine.running == "1.05"
    assert world.machine.state["version_floor"] == 3


@pytest.mark.parametrize("floor", [-1, "5", 1.5, 2**60])
def test_a_floor_that_is_damaged_refuses_everything(world, floor):
    path = world.machine.state_dir / "state.json"
    text = path.read_text().replace(
        '"version_floor": 1', f'"version_floor": {floor!r}'.replace("'", '"')
    )
    path.write_text(text)
    world.entry(world.release("1.1", 2))
    done = world.machine.run("apply", code=1)
    assert "state.json is broken" in done.err
    assert path.read_text() == text


# --- channels


def test_another_channel_is_followed_once_it_passed_its_checks(world):
    done = world.machine.run("channel", "testing", code=3)
    assert "(check C1)" in done.err
    for name in ("a/b", "..", "-x", "", "a b"):
        world.machine.run("channel", name, code=2)
    assert world.machine.run("channel").out.startswith("This machine follows stable")
    assert world.machine.run("status").out.startswith("Up to date")
    tips = world.log
    world.log = []
    second = world.release("1.1", 2)
    oid = world.entry(second, channel="testing")
    world.point(tips[0])
    world.point(oid, "channel/testing")
    done = world.machine.run("channel", "testing")
    assert "follows testing now; it was stable" in done.out
    world.machine.run("apply")
    assert world.machine.running == "1.1"
    done = world.machine.run("channel", "stable")
    assert "is older than the running one" in done.out
    world.machine.run("apply", code=3)
    world.machine.run("channel", "stable", "--allow-downgrade")
    world.machine.run("apply")
    assert world.machine.running == "1.0"
    assert world.machine.state["going_down"] is False
    assert world.machine.state["channel"] is None


@pytest.mark.parametrize(
    ("days", "level"), [(0, "ok"), (28, "warning"), (31, "problem")]
)
def test_the_doctor_looks_at_what_the_channel_said(world, monkeypatch, days, level):
    later = max(world.now, 1_790_000_000) + days * DAY
    monkeypatch.setattr("updater.agent.room.Room.now", lambda _: later)
    found = world.machine.run("doctor", "--json", code=None).json["findings"]
    assert [f["level"] for f in found if f["topic"] == "channel"] == [level]


def test_a_channel_that_begins_anew_is_taken_when_a_person_says_so(world):
    world.log.clear()
    world.entry(world.release("1.1", 2))
    done = world.machine.run("check", code=3)
    assert "channel stable --allow-downgrade" in done.err
    world.machine.run("channel", "stable", "--allow-downgrade")
    world.machine.run("apply")
    assert world.machine.running == "1.1"


def test_channels_may_be_kept_apart_from_releases(world, server, tmp_path):
    """Only kilobytes are asked of the channels, and content of the releases."""
    apart = tmp_path / "served/channels.git"
    git("init", "-q", "--bare", apart)
    second = world.release("1.1", 2)
    world.entry(second)
    git("push", "-q", apart, "channel/stable", cwd=world.repository.path)
    (world.repository.path / "refs/heads/channel/stable").unlink()
    world.machine.configure(remote={"channels": f"{server.base}/channels.git"})
    server.log.clear()
    world.check()
    assert {path.split("/")[1] for _, path, _ in server.log} == {"channels.git"}
    world.machine.run("apply")
    assert world.machine.running == "1.1"


def test_a_token_is_not_given_to_another_host(world, tmp_path, server):
    apart = tmp_path / "served/channels.git"
    git("init", "-q", "--bare", apart)
    git("push", "-q", apart, "channel/stable", cwd=world.repository.path)
    token = tmp_path / "token"
    token.write_text("secret\n")
    token.chmod(0o600)
    asked = []

    def challenge(handler, _):
        asked.append(dict(handler.headers).get("Authorization"))
        if "Authorization" in handler.headers:
            return False
        handler.answer(401, {"WWW-Authenticate": "Basic"})
        return True

    with HttpServer(tmp_path / "served", hook=challenge) as other:
        world.machine.configure(
            remote={
                "channels": f"{other.base}/channels.git",
                "token_file": str(token),
            }
        )
        done = world.machine.run("check", code=None)
    assert done.code == 4, done.err
    assert set(asked) == {None}


@pytest.mark.parametrize("transport", ["file", "ssh", "git"])
def test_a_log_comes_over_every_transport(world, tmp_path, ring, transport):
    served = tmp_path / "served"
    second = world.release("1.1", 2)
    world.entry(second)
    with contextlib.ExitStack() as stack:
        if transport == "file":
            base = f"file://{served}"
        elif transport == "git":
            base = stack.enter_context(GitDaemon(served)).base
        else:
            ssh = stack.enter_context(SshServer(served, ring["root2"], ring["root3"]))
            known = tmp_path / "known_hosts"
            known.write_text(ssh.known_hosts())
            base = ssh.base
            world.machine.configure(
                remote={"known_hosts": str(known), "ssh_key": str(ring["root3"])}
            )
        world.machine.configure(remote={"url": f"{base}/os.git"})
        world.machine.run("apply")
        world.entry(world.first)
        world.check()
    assert world.machine.running == "1.1"
    assert world.accepted[-1]["entry"]["number"] == 3


def test_keys_that_rotated_count_when_the_power_went_before_the_state_was_saved(
    world, monkeypatch
):
    world.trust(1, ["root1"])
    original, cut = Room.save, []

    def save(self, state):
        if state.trusted and not cut:
            cut.append(state)
            raise KeyboardInterrupt
        return original(self, state)

    monkeypatch.setattr(Room, "save", save)
    world.machine.run("check", code=130)
    assert cut
    assert world.machine.run("trust", "show", "--json").json["version"] == 1
    world.check()
    assert world.machine.state["trusted"]


# --- what travels, and what is kept


def test_only_what_is_new_in_a_log_travels(world, server, monkeypatch):
    padding = b"# " + bytes(range(97, 123)) * 4000 + b"\n"
    for _ in range(20):
        world.entry(world.first, told={"notes.md": padding})
    world.check()
    received = _watch(monkeypatch)
    world.check()
    world.entry(world.first, told={"notes.md": padding})
    world.check()
    assert received[0] == 0
    assert 0 < received[1] < 5000


def _watch(monkeypatch):
    received = []
    original = logs.LogStore.adopt

    def adopt(self, incoming):
        packs = [p for p in _files(incoming) if p.endswith(".pack")]
        received.append(sum(os.path.getsize(p) for p in packs))
        original(self, incoming)

    monkeypatch.setattr(logs.LogStore, "adopt", adopt)
    return received


def _files(top):
    return [os.path.join(d, name) for d, _, names in os.walk(top) for name in names]


def test_channels_git_is_a_repository_that_stock_git_reads(world):
    world.entry(world.first)
    world.check()
    store = world.machine.state_dir / "channels.git"
    log = git("log", "--format=%H", world.log[-1], cwd=store)
    assert log.splitlines() == world.log[::-1]
    assert git("for-each-ref", cwd=store) == ""
    git("fsck", "--strict", cwd=store)


def test_many_packs_become_one_and_nothing_is_lost(world, monkeypatch):
    monkeypatch.setattr(logs, "MAX_PACKS", 3)
    for _ in range(5):
        world.entry(world.first)
        world.check()
    world.machine.run("gc")
    store = world.machine.state_dir / "channels.git"
    assert len(list((store / "objects/pack").glob("*.pack"))) == 1
    log = git("log", "--format=%H", world.log[-1], cwd=store)
    assert log.splitlines() == world.log[::-1]
    git("fsck", "--strict", cwd=store)
    world.entry(world.release("1.1", 2))
    world.machine.run("apply")
    assert world.machine.running == "1.1"


def test_a_broken_channels_git_is_made_anew(world):
    packs = world.machine.state_dir / "channels.git/objects/pack"
    for path in packs.glob("*.pack"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 255
        path.chmod(0o644)
        path.write_bytes(data)
    world.entry(world.release("1.1", 2))
    world.machine.run("apply")
    assert world.machine.running == "1.1"
    assert world.accepted[0]["tip"] == world.log[-1]


def test_the_log_is_kept_when_what_was_fetched_is_offline(world):
    world.entry(world.release("1.1", 2))
    world.machine.run("apply", "--download-only")
    shutil.rmtree(world.repository.path)
    world.machine.run("--offline", "apply")
    assert world.machine.running == "1.1"


def test_what_expired_is_not_applied_offline(world, monkeypatch):
    world.entry(world.release("1.1", 2))
    world.machine.run("apply", "--download-only")
    later = world.now + 60 * DAY
    monkeypatch.setattr("updater.agent.room.Room.now", lambda _: later)
    done = world.machine.run("--offline", "apply", code=3)
    assert "(check C6)" in done.err
    assert world.machine.running == "1.0"
