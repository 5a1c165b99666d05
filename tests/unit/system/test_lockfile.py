"""One osupdate at a time, and the other says who it is."""

import json
import os
import pwd

import pytest

from updater.errors import BusyError, HostError
from updater.system.lockfile import is_held, locked

NOW = 1778940131


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "lock")


def test_the_second_one_hears_who_holds_the_lock(path):
    user = pwd.getpwuid(os.getuid()).pw_name
    with (
        locked(path, "apply 2026.05.1", NOW),
        pytest.raises(BusyError) as caught,
        locked(path, "gc", NOW),
    ):
        pass
    assert str(caught.value) == (
        "another osupdate is at work: apply 2026.05.1, "
        f"process {os.getpid()} of {user}, since 2026-05-16 14:02 UTC"
    )


def test_a_refused_second_one_leaves_the_holder_named(path):
    with locked(path, "apply", NOW):
        with pytest.raises(BusyError), locked(path, "gc", NOW):
            pass
        with open(path) as file:
            assert json.load(file)["command"] == "apply"


def test_the_lock_is_free_again_after_an_error(path):
    with pytest.raises(RuntimeError), locked(path, "apply", NOW):
        raise RuntimeError
    with locked(path, "gc", NOW):
        pass
    assert os.path.getsize(path) == 0


def test_a_lock_whose_text_cannot_be_read_is_still_a_lock(path):
    with locked(path, "apply", NOW):
        with open(path, "w") as file:
            file.write("\x1b[2J")
        with pytest.raises(BusyError, match="is at work; it holds"):
            locked(path, "gc", NOW).__enter__()


def test_a_symlink_in_its_place_is_not_followed(path, tmp_path):
    target = tmp_path / "victim"
    target.write_text("data")
    os.symlink(target, path)
    with pytest.raises(HostError, match="cannot open the lock"), locked(path, "x", NOW):
        pass
    assert target.read_text() == "data"


def test_nobody_else_can_open_the_lock_file_to_hold_it(path):
    with open(path, "w"):
        os.chmod(path, 0o644)
    with locked(path, "apply", NOW):
        assert os.stat(path).st_mode & 0o777 == 0o600


def test_whoever_asks_whether_it_is_held_does_not_hold_it(tmp_path):
    path = str(tmp_path / "lock")
    assert not is_held(path)
    with locked(path, "apply", 0):
        assert is_held(path)
        assert not is_held(str(tmp_path))
    assert not is_held(path)
    with locked(path, "apply", 0):
        pass
