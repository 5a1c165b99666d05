"""kill -9 at the system calls of apply, revert and gc, and run again.

A run is traced first: that counts its calls and names each by what it does there. Then
the run is killed at the entry of one of them, at a spread of them for every kind. With
CRASH_POINTS=all in the environment it is every single one (some minutes).
"""

import json
import os
import shutil
import signal
import subprocess
from types import SimpleNamespace

import pytest
from support import story as stories
from support import trees
from support.crashes import ALL, KINDS, killed_at, needed, trace
from support.factory import make_rootfs, publish_release

SPREAD = {"rename": 4, "sync": 3, "write": 2, "make": 2, "remove": 2, "wait": 3}

pytestmark = needed


def spread(points, kind):
    """A few of these points, the first and the last among them."""
    chosen = [point for point in points if point.call in KINDS[kind]]
    most = len(chosen) if os.environ.get("CRASH_POINTS") == "all" else SPREAD[kind]
    if len(chosen) <= most:
        return chosen
    return [chosen[i * (len(chosen) - 1) // (most - 1)] for i in range(most)]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Three releases, three more, and a machine at the beginning of each verb."""
    directory = tmp_path_factory.mktemp("crash")
    story = stories.tell(directory)
    rootfs = directory / "rootfs"
    for version in ("1.3", "1.4", "1.5"):
        make_rootfs(rootfs, {"etc/motd": version, "usr/share/news": version})
        story.commits[version] = publish_release(story.repo, rootfs, version, story.key)
        story.trees[version] = directory / version
        shutil.copytree(rootfs, story.trees[version], symlinks=True)
    old = stories.machine_of(story, directory / "old" / "machine")
    old.run("apply", "1.0")
    new = copied(old, story, directory / "new" / "machine")
    new.run("apply", "1.1")
    many = copied(new, story, directory / "many" / "machine", deploy={"keep": 9})
    for version in ("1.2", "1.3", "1.4", "1.5"):
        many.run("apply", version)
    assert len(many.versions) == 6
    many.configure(deploy={"keep": 1})
    verbs = {"apply": (old, ["apply", "1.1"]), "revert": (new, ["revert"])}
    verbs |= {"gc": (many, ["gc"])}
    story.verbs = {
        verb: SimpleNamespace(
            origin=origin,
            argv=argv,
            points=trace(copied(origin, story, directory / verb / "machine"), argv),
        )
        for verb, (origin, argv) in verbs.items()
    }
    return story


def copied(machine, story, root, **tables):
    """The same machine at another place; its indexes know the new inodes."""
    root.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", machine.root, root], check=True)
    copy = stories.machine_of(story, root, **(machine.tables | tables))
    copy.pretend_untouched()
    return copy


def assert_runs_whole(machine, story, point):
    """What `current` leads to is a release, whole; and status says the same."""
    version = machine.running
    here = trees.contents(machine.current.resolve())
    assert here == trees.contents(story.trees[version]), point
    shown = machine.run("status", "--json").json
    assert shown["running"]["version"] == version, point
    for record in machine.state["deployments"]:
        assert (machine.deployments / record["id"]).is_dir(), point
    for line in (machine.state_dir / "ledger.jsonl").read_text().splitlines():
        json.loads(line)
    return version


def assert_settled(machine, story, version, point):
    assert assert_runs_whole(machine, story, point) == version, point
    assert machine.state["phase"] == "idle", point
    assert machine.leftovers() == [], point
    assert "unreadable" not in machine.events, point
    machine.run("verify", "--all", "--exit-code")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", ["apply", "revert", "gc"])
def test_killed_and_run_again(story, tmp_path, verb, kind):
    case = story.verbs[verb]
    points = spread(case.points, kind)
    killed = 0
    for number, point in enumerate(points):
        machine = copied(case.origin, story, tmp_path / f"{number}" / "machine")
        before = machine.running
        code = killed_at(machine, case.argv, point.call, point.number)
        if code == 0:
            continue  # the run that was counted waited once more than this one
        assert code in (-signal.SIGKILL, 128 + signal.SIGKILL), point
        killed += 1
        check = {"apply": after_apply, "revert": after_revert, "gc": after_gc}[verb]
        check(machine, story, before, point)
        shutil.rmtree(machine.root)
    assert killed > len(points) // 2 or not points


def after_apply(machine, story, before, point):
    assert assert_runs_whole(machine, story, point) in (before, "1.1")
    machine.run("apply", "1.1")
    assert_settled(machine, story, "1.1", point)
    assert machine.versions == ["1.0", "1.1"], point
    machine.run("revert")
    assert machine.running == "1.0", point


def after_revert(machine, story, before, point):
    version = assert_runs_whole(machine, story, point)
    done = version == "1.0" and machine.state["phase"] == "idle"
    machine.run("revert", code=1 if done else 0)
    machine.run("apply", "1.0")
    assert_settled(machine, story, "1.0", point)
    assert [hold["version"] for hold in machine.state["holds"]] == ["1.1"], point


def after_gc(machine, story, before, point):
    assert assert_runs_whole(machine, story, point) == before
    machine.run("gc")
    assert machine.versions == ["1.4", "1.5"], point
    assert_settled(machine, story, before, point)
    machine.run("revert")
    assert assert_runs_whole(machine, story, point) == "1.4"


@pytest.mark.parametrize("call", ["linkat", "fsync", "openat", "write"])
def test_a_worker_that_is_killed_fails_the_update_and_leaves_nothing(
    story, tmp_path, call
):
    """Any process but the first: fetching child, workers of staging."""
    case = story.verbs["apply"]
    machine = copied(case.origin, story, tmp_path / "machine")
    before = trees.contents(machine.current.resolve())
    main = [p.number for p in case.points if p.call == call]
    when = 3 if call == "linkat" else (max(main, default=0) + 50)
    code = killed_at(machine, case.argv, call, when, *ALL)
    assert trees.contents(machine.current.resolve()) in (
        before,
        trees.contents(story.trees["1.1"]),
    )
    if code != 0:
        assert machine.running == "1.0"
        assert not [p for p in machine.deployments.iterdir() if p.suffix == ".tmp"]
    machine.run("apply", "1.1")
    assert_settled(machine, story, "1.1", call)
