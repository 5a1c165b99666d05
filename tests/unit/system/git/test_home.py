"""The fetching child's home: what is put there for it is not its user's to change."""

import os

import pytest

from updater import fetcher
from updater.system.git import wire
from updater.system.git.home import WORK, private_home


@pytest.mark.parametrize("name", ["ca.pem", ".ssh"])
def test_a_planted_link_is_refused_and_its_target_unchanged(tmp_path, name):
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "known_hosts").write_text("data")
    home = tmp_path / "home"
    home.mkdir()
    target = victim if name == ".ssh" else victim / "known_hosts"
    (home / name).symlink_to(target)
    given = wire.Credentials(ca="planted", known_hosts="planted")
    with pytest.raises(FileExistsError):
        fetcher._prepare(wire.Request("", str(home), 1, credentials=given))
    assert (victim / "known_hosts").read_text() == "data"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_only_the_work_directory_belongs_to_the_child():
    with private_home((65534, 65534)) as home:
        assert (os.stat(home).st_uid, os.stat(home).st_mode & 0o777) == (0, 0o711)
        work = os.stat(os.path.join(home, WORK))
        assert (work.st_uid, work.st_mode & 0o777) == (65534, 0o700)
