"""kill -9 at the system calls of a check that rotates keys and accepts an entry."""

import json
import os
import shutil

import pytest
from support.channels import World, make_ring
from support.crashes import KINDS, killed_at, needed, trace
from support.remote import HttpServer

MOST = 24  # points of a run; CRASH_POINTS=all in the environment is every one

pytestmark = needed


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A machine that knows entry 1, and a channel and trust that have gone on."""
    directory = tmp_path_factory.mktemp("crash")
    for name in ("served", "ring"):
        (directory / name).mkdir()
    with HttpServer(directory / "served") as server:
        made = World(directory, make_ring(directory / "ring"), server.base)
        first = made.release("1.0", 1)
        made.entry(first)
        made.check()
        made.trust(1, ["root1"])
        made.trust(2, ["root1"])
        made.entry(made.release("1.1", 2))
        made.entry(first)
        shutil.copytree(made.machine.root, directory / "before", symlinks=True)
        yield made


def restore(world):
    shutil.rmtree(world.machine.root)
    shutil.copytree(world.machine.root.parent / "before", world.machine.root,
                    symlinks=True)  # fmt: skip


def leftovers(machine):
    """What nothing points at; temporary files are gc's to remove."""
    state = machine.state_dir
    packs = state / "channels.git/objects/pack"
    names = {path.stem for path in packs.iterdir()}
    found = [name for name in names if not (packs / f"{name}.idx").exists()]
    found += [path.name for path in (state / "incoming").iterdir()]
    return found + [p.name for p in state.glob("trust-*") if p.name != "trust-2"]


def test_a_check_that_is_killed_anywhere_believes_all_or_nothing(world):
    machine = world.machine
    restore(world)
    points = [p for p in trace(machine, ["check"]) if p.call not in KINDS["wait"]]
    assert {p.call for p in points} >= {"fsync", "write", "mkdir"}
    step = 1 if os.environ.get("CRASH_POINTS") == "all" else -(-len(points) // MOST)
    for point in points[::step]:
        restore(world)
        killed_at(machine, ["check"], point.call, point.number)
        found = json.loads((machine.state_dir / "state.json").read_text())
        (accepted,) = found["accepted"]
        assert accepted["tip"] in (world.log[0], world.log[-1]), point
        machine.run("status")
        version = machine.run("trust", "show", "--json").json["version"]
        assert version in (0, 1, 2), point
        machine.run("check")
        assert machine.state["accepted"][0]["tip"] == world.log[-1], point
        assert machine.run("trust", "show", "--json").json["version"] == 2, point
        assert leftovers(machine) == [], point
