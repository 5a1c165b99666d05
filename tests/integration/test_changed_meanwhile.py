"""Somebody changes what runs while an update, a repair or a look is under way."""

import os

import pytest
from support import story as stories
from support import trees

from updater.cli.console import StageLines
from updater.system import checkout, fs


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return stories.tell(tmp_path_factory.mktemp("story"))


@pytest.fixture
def machine(story, tmp_path):
    """Runs 1.1."""
    found = stories.machine_of(story, tmp_path / "machine")
    found.run("apply", "1.1")
    return found


def write(path):
    """Other bytes of the same size, in place."""
    with path.open("r+b") as file:
        file.write(b"X" * path.stat().st_size)


def grow(path):
    with path.open("ab") as file:
        file.write(b"more")


def set_user_id(path):
    path.chmod(0o4755)


def replace(path):
    path.unlink()
    path.write_text("another file")


@pytest.mark.parametrize("change", [write, grow, set_user_id, replace])
def test_what_changes_while_a_person_thinks_is_not_kept(
    machine, story, monkeypatch, change
):
    running = machine.current.resolve()

    def think(*_):
        change(running / "usr/lib/libc.so")
        return True

    with monkeypatch.context() as patch:
        patch.setattr(StageLines, "consent", think)
        refused = machine.run("apply", "1.2", code=1)
    assert "/usr/lib/libc.so changed while the release was laid out" in refused.err
    assert machine.running == "1.1"
    assert os.listdir(machine.deployments) == [running.name]
    machine.run("apply", "1.2")
    assert machine.running == "1.2"
    assert trees.contents(machine.current.resolve()) == trees.contents(
        story.trees["1.2"]
    )
    machine.run("verify", "--exit-code")


def test_what_changes_while_it_is_looked_at_is_a_change(machine, monkeypatch):
    path = machine.current.resolve() / "usr/bin/hello"
    os.utime(path)  # only touched, so that it is read
    hash_entry = checkout.hash_entry

    def hashed(directory, name, *arguments):
        ids = hash_entry(directory, name, *arguments)
        if name == b"hello":
            write(path)
        return ids

    with monkeypatch.context() as patch:
        patch.setattr(checkout, "hash_entry", hashed)
        machine.run("apply", "1.2", "--download-only")
    told = machine.run("diff", "--local", "--files").out
    assert "/usr/bin/hello" in told


def test_nobody_is_in_the_way_of_the_repair_of_others(machine, story):
    root = machine.current.resolve()
    (root / "usr/share/doc/new").unlink()
    (root / "usr/share/doc/new").mkdir()
    (root / "usr/share/doc/new/mine").write_text("in the way")
    (root / "usr/share/doc/.osupdate-repair").mkdir()
    (root / "usr/bin/hello").unlink()
    (root / "usr/share/words").unlink()
    done = machine.run("verify", "--repair", code=None)
    assert "cannot repair /usr/share/doc/new: Is a directory" in done.err
    for name in ("usr/bin/hello", "usr/share/words"):
        assert (root / name).read_text() == (story.trees["1.1"] / name).read_text()
    assert (root / "usr/share/doc/new/mine").read_text() == "in the way"
    assert not list(root.rglob(".osupdate-*[0-9a-f]"))


def test_a_restored_file_that_changes_at_once_is_shown_as_changed(machine, monkeypatch):
    path = machine.current.resolve() / "usr/bin/hello"
    path.write_text("mine")
    synced = fs.sync_filesystem

    def changed(root):
        synced(root)
        write(path)

    with monkeypatch.context() as patch:
        patch.setattr(fs, "sync_filesystem", changed)
        machine.run("restore", "/usr/bin/hello")
    assert "/usr/bin/hello" in machine.run("diff", "--local", "--files").out
