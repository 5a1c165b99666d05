"""A disk that is full, wherever something is written: small tmpfs mounts."""

import contextlib
import os
import random
import re
import subprocess

import pytest
from support import story as stories
from support import trees
from support.factory import make_rootfs, publish_release

pytestmark = pytest.mark.root

FULL = 7
NUMBERS = re.compile(r"\d+(\.\d+)? ?(B|kB|MB|GB)\b")
LARGE = 55 << 20  # bytes that do not compress: more than a small state disk can take


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """The three releases, and 2.0, which is large."""
    directory = tmp_path_factory.mktemp("full")
    story = stories.tell(directory)
    rootfs = make_rootfs(
        directory / "rootfs", {"usr/lib/large": random.Random(1).randbytes(LARGE)}
    )
    story.commits["2.0"] = publish_release(story.repo, rootfs, "2.0", story.key)
    return story


@pytest.fixture
def disk():
    """disk(path, size=.., nr_inodes=..) mounts a small filesystem there."""
    mounted = []

    def mount(path, **options):
        path.mkdir(parents=True, exist_ok=True)
        words = ",".join(f"{key}={value}" for key, value in options.items())
        subprocess.run(["mount", "-t", "tmpfs", "-o", words, "none", path], check=True)
        mounted.append(path)

    yield mount
    for path in reversed(mounted):
        subprocess.run(["umount", "-l", path], check=True)


@pytest.fixture
def machine(story, tmp_path):
    return stories.machine_of(story, tmp_path / "machine")


def fill(directory, leave=0):
    """Take all blocks of a filesystem but so many bytes."""
    path = directory / "filler"
    facts = os.statvfs(directory)
    with open(path, "wb", buffering=0) as file:
        size = max(1, facts.f_bavail * facts.f_frsize - leave)
        os.posix_fallocate(file.fileno(), 0, size)
        file.seek(0, os.SEEK_END)
        with contextlib.suppress(OSError):
            while not leave:  # what statvfs did not tell
                file.write(bytes(4096))
    return path


def assert_refused(done):
    assert done.err.count("no space") == 1, done.err
    assert len(NUMBERS.findall(done.err.partition("no space")[2])) >= 2, done.err


def assert_as_before(machine, before, running):
    assert trees.everything(machine.deployments) == before
    assert machine.running == running
    assert machine.run("status", "--json").json["running"]["version"] == running
    assert machine.state["phase"] == "idle"


def test_a_download_that_cannot_fit_is_not_begun(machine, disk):
    disk(machine.state_dir, size="80m")
    machine.run("apply", "1.0")
    before = trees.everything(machine.deployments)
    filler = fill(machine.state_dir, leave=30 << 20)
    done = machine.run("apply", "1.1", code=FULL)
    assert_refused(done)
    assert str(machine.state_dir) in done.err
    assert_as_before(machine, before, "1.0")
    assert list((machine.state_dir / "incoming").iterdir()) == []
    filler.unlink()
    machine.run("apply", "1.1")
    assert machine.running == "1.1"


def test_a_download_that_turns_out_too_large_is_given_up(machine, disk):
    disk(machine.state_dir, size="68m")
    machine.run("apply", "1.0")
    before = trees.everything(machine.deployments)
    done = machine.run("apply", "2.0", code=FULL)
    assert_refused(done)
    assert_as_before(machine, before, "1.0")
    assert list((machine.state_dir / "incoming").iterdir()) == []
    machine.run("apply", "1.1")
    assert machine.running == "1.1"


def test_a_release_that_cannot_fit_is_not_laid_out(machine, disk):
    disk(machine.root / "osupdate", size="40m")
    machine.run("apply", "1.0")
    before = trees.everything(machine.current.resolve())
    done = machine.run("apply", "2.0", code=FULL)
    assert_refused(done)
    assert str(machine.deployments) in done.err
    assert trees.everything(machine.current.resolve()) == before
    assert os.listdir(machine.deployments) == [machine.state["deployments"][0]["id"]]
    machine.run("apply", "1.1")
    assert machine.running == "1.1"


def test_where_space_is_short_the_spare_directories_go_first(machine, disk):
    disk(machine.root / "osupdate", size="80m")
    for version in ("1.0", "1.1", "1.2"):
        machine.run("apply", version)
    assert (machine.deployments / ".spare").is_dir()
    before = trees.everything(machine.current.resolve())
    filler = fill(machine.root / "osupdate", leave=30 << 20)
    assert_refused(machine.run("apply", "2.0", code=FULL))
    assert not (machine.deployments / ".spare").exists()
    after = trees.everything(machine.current.resolve())
    links = 2  # fields of `everything` that deleting a link changes
    assert {p: f[:links] + f[links + 1 :] for p, f in after.items()} == {
        p: f[:links] + f[links + 1 :] for p, f in before.items()
    }
    assert machine.leftovers() == []
    filler.unlink()
    machine.run("apply", "2.0")
    assert machine.running == "2.0"


@pytest.mark.parametrize("inodes", [45, 52])
def test_a_disk_that_fills_up_while_a_release_is_laid_out(machine, disk, inodes):
    """No inodes are left, which the look at free bytes does not tell."""
    disk(machine.root / "osupdate", size="100m", nr_inodes=inodes)
    machine.run("apply", "1.0")
    before = trees.everything(machine.current.resolve())
    used = inodes - os.statvfs(machine.deployments).f_ffree
    assert used < inodes
    done = machine.run("apply", "2.0", "--full", code=FULL)
    assert_refused(done)
    left = trees.everything(machine.current.resolve())
    assert {p: facts[:2] for p, facts in left.items()} == {
        p: facts[:2] for p, facts in before.items()
    }
    assert os.listdir(machine.deployments) == [machine.state["deployments"][0]["id"]]
    subprocess.run(
        ["mount", "-o", "remount,nr_inodes=1000", machine.root / "osupdate"],
        check=True,
    )
    machine.run("apply", "1.1")
    machine.run("verify", "--exit-code")


@pytest.mark.parametrize("verb", [["apply", "1.1"], ["hold"], ["unhold"]])
def test_nothing_is_begun_without_room_for_the_state(machine, disk, verb):
    disk(machine.state_dir, size="80m")
    machine.finish("apply", "1.0")  # a process of its own keeps no deleted file open
    before = trees.everything(machine.deployments)
    state = (machine.state_dir / "state.json").read_bytes()
    filler = fill(machine.state_dir)
    assert_refused(machine.run(*verb, code=FULL))
    assert (machine.state_dir / "state.json").read_bytes() == state
    assert_as_before(machine, before, "1.0")
    filler.unlink()
    machine.run("apply", "1.1")
    assert machine.leftovers() == []


def test_gc_makes_room_on_a_disk_that_is_full(machine, disk):
    disk(machine.root / "var/lib", size="80m")
    (machine.root / "var/lib/deploy").mkdir()
    machine.configure(deploy={"path": "/var/lib/deploy", "keep": 9})
    machine.deploy = "var/lib/deploy"
    for version in ("1.0", "1.1", "1.2"):
        machine.run("apply", version)
    machine.configure(deploy={"keep": 1})
    (machine.state_dir / "incoming/abandoned").write_bytes(bytes(100_000))
    filler = fill(machine.root / "var/lib")
    machine.run("gc")
    assert machine.versions == ["1.1", "1.2"]
    filler.unlink()
    assert machine.leftovers() == []


def test_the_disk_fills_up_during_the_trial(machine, disk):
    """What runs by then is the new release; the next run says so, and ends it."""
    disk(machine.state_dir, size="80m")
    machine.run("apply", "1.0")
    hook = machine.etc / "hooks/health.d/fill"
    hook.parent.mkdir(parents=True)
    filler = machine.state_dir / "filler"
    hook.write_text(f"#!/bin/sh\ncat /dev/zero > {filler} 2> /dev/null\nexit 0\n")
    hook.chmod(0o755)
    done = machine.run("apply", "1.1", code=FULL)
    assert_refused(done)
    assert machine.running == "1.1"
    assert machine.run("status", "--json").json["phase"] == "trial"
    hook.unlink()
    filler.unlink()
    machine.run("apply", "1.1")
    assert machine.state["phase"] == "idle"
    assert machine.running == "1.1"
    assert machine.leftovers() == []
    machine.run("revert")
    assert machine.running == "1.0"


def test_a_machine_goes_back_without_a_byte_that_is_free(machine, disk):
    disk(machine.root / "var/lib", size="80m")
    (machine.root / "var/lib/deploy").mkdir()
    machine.configure(deploy={"path": "/var/lib/deploy", "keep": 9})
    machine.deploy = "var/lib/deploy"
    machine.finish("apply", "1.0")
    machine.finish("apply", "1.1")
    filler = fill(machine.root / "var/lib")
    assert os.statvfs(machine.state_dir).f_bavail == 0
    refused = machine.finish("hold", "--reason", "x", code=FULL)
    assert "osupdate gc" not in refused.err  # it would remove nothing
    assert "Now 1.0" in machine.finish("revert").out
    assert machine.running == "1.0"
    filler.unlink()
    machine.finish("unhold")
    assert (machine.state_dir / "reserve").stat().st_size == 1 << 16
