"""A machine that forgot something: what lies on its disk is not lost."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support import story as stories
from support import trees


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return stories.tell(tmp_path_factory.mktemp("story"))


@pytest.fixture
def updated(story, tmp_path):
    """Runs 1.1, and 1.0 is kept."""
    machine = stories.machine_of(story, tmp_path / "machine")
    machine.run("apply", "1.0")
    machine.run("apply", "1.1", "--allow-downgrade")
    return machine


def state_file(machine):
    return machine.root / "var/lib/osupdate/state.json"


def names(machine):
    return sorted(os.listdir(machine.deployments))


def test_a_lost_state_is_made_again_from_the_deployments(updated, story):
    before = names(updated)
    state_file(updated).unlink()
    assert "1.1" in updated.run("status").out.splitlines()[0]
    assert "absent" in updated.run("gc").err
    assert names(updated) == before
    assert updated.running == "1.1"
    updated.run("apply", "1.0", code=3)
    assert updated.run("revert").out.startswith("Now 1.0")
    assert trees.contents(updated.current.resolve()) == trees.contents(
        story.trees["1.0"]
    )


def test_gc_leaves_alone_what_it_did_not_make(updated):
    own = Path(updated.deployments) / "mybackup"
    own.mkdir()
    (own / "file").write_text("mine")
    half = Path(updated.deployments) / "9-0123456.0.tmp"
    half.mkdir()
    updated.run("gc")
    assert (own / "file").read_text() == "mine"
    assert not half.exists()


@pytest.mark.root
def test_what_is_mounted_in_a_deployment_is_not_deleted(updated, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "file").write_text("precious")
    old = next(
        d for d in Path(updated.deployments).iterdir() if d.name.startswith("1-")
    )
    (old / "mnt").mkdir(exist_ok=True)
    subprocess.run(["mount", "--bind", data, old / "mnt"], check=True)
    try:
        done = updated.run("apply", "1.2", "--allow-downgrade")
        assert (data / "file").read_text() == "precious"
        assert old.exists()
        assert "is mounted below it" in updated.run("gc").out + done.err
    finally:
        subprocess.run(["umount", old / "mnt"], check=True)
    updated.run("gc")
    assert not old.exists()
    assert (data / "file").read_text() == "precious"


def test_a_kept_deployment_is_verified_before_it_runs_again(updated):
    trust = updated.etc / "trust/release"
    trust.write_text('release namespaces="git" ' + stranger())
    before = (updated.running, state_file(updated).read_bytes())
    done = updated.run("apply", "1.0", "--allow-downgrade", code=3)
    assert "(check R2)" in done.err
    assert (updated.running, state_file(updated).read_bytes()) == before


def stranger():
    key = "AAAAC3NzaC1lZDI1NTE5AAAAIJmBq7Q0yq3eHkqB2q4z1cWzDfVbU0kG0oBq0k3Yx0aB"
    return f"ssh-ed25519 {key}\n"


def test_an_edit_with_its_time_put_back_is_seen_in_spite_of_a_new_link(updated):
    file = next(
        path
        for path in sorted(Path(updated.current.resolve()).rglob("usr/**/*"))
        if path.is_file() and not path.is_symlink() and path.stat().st_nlink > 1
    )
    facts = file.stat()
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    with open(file, "r+b") as out:
        out.write(content)
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    os.link(file, updated.root / "another-name")
    done = updated.run("apply", "1.2", "--dry-run")
    name = "/" + str(file.relative_to(updated.current.resolve()))
    assert name in done.out + done.err


def test_revert_to_a_deployment_that_is_gone_changes_nothing(updated):
    old = next(
        d for d in Path(updated.deployments).iterdir() if d.name.startswith("1-")
    )
    before = state_file(updated).read_bytes()
    shutil.rmtree(old)
    updated.run("revert", code=1)
    assert state_file(updated).read_bytes() == before
    updated.run("apply", "1.2", "--allow-downgrade")
    assert updated.running == "1.2"
