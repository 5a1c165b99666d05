"""Files that even root cannot delete (chattr +i)."""

import subprocess

import pytest
from support import story as stories

pytestmark = pytest.mark.root


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


@pytest.fixture
def fix(tmp_path):
    """Makes files immutable, until the test is over, wherever they are by then."""

    def make(path):
        done = subprocess.run(
            ["chattr", "+i", path], check=False, capture_output=True, text=True
        )
        if done.returncode and "not supported" in done.stderr:
            pytest.skip("this filesystem has no immutable files")
        assert done.returncode == 0, done.stderr

    yield make
    subprocess.run(["chattr", "-R", "-f", "-i", tmp_path], check=False)


@pytest.mark.parametrize("path", ["usr/share/words", "usr/share", "."])
def test_an_immutable_file_stops_neither_the_update_nor_the_rest_of_gc(
    updated, fix, path
):
    old = updated.deployments / updated.state["deployments"][0]["id"]
    fix(old / path)
    done = updated.run("apply", "1.2")
    assert updated.running == "1.2"
    assert updated.versions == ["1.1", "1.2"]
    [left] = updated.leftovers()
    assert f"! cannot delete {updated.root}/osupdate/deployments/{old.name}" in done.err
    if path == "usr/share/words":
        names = [p for p in (updated.root / left).rglob("*") if not p.is_dir()]
        assert [p.name for p in names] == ["words"]
    assert "cannot delete" in updated.run("gc").err
    updated.run("apply", "1.0", "--allow-downgrade")  # the same release, a new name
    assert updated.running == "1.0"
    subprocess.run(["chattr", "-i", updated.root / left / path], check=True)
    updated.run("gc")
    assert updated.leftovers() == []
