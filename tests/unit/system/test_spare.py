"""What stays of a directory that a deployment is to be laid out in."""

import os

import pytest
from support import trees

from updater.core.index import Row
from updater.errors import HostError
from updater.system.checkout import stat_entry
from updater.system.checkout.spare import reduce


def row(path):
    return Row(b"o" * 20, b"s" * 32, stat_entry(None, os.fsencode(path)))


@pytest.fixture
def base(tmp_path):
    root = tmp_path / "base"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/tool").write_text("tool")
    (root / "usr/bin/link").symlink_to("tool")
    return root


@pytest.fixture
def spare(base, tmp_path):
    root = tmp_path / "spare"
    (root / "usr/bin").mkdir(parents=True)
    for name in ("tool", "link"):
        os.link(base / "usr/bin" / name, root / "usr/bin" / name, follow_symlinks=False)
    return root


def rows(base):
    return {
        f"usr/bin/{name}".encode(): row(base / "usr/bin" / name)
        for name in ("tool", "link")
    }


def test_the_same_inodes_stay_and_are_told(base, spare):
    before = trees.everything(spare)
    assert reduce(str(spare), rows(base), [b"usr", b"usr/bin"]) == set(rows(base))
    assert trees.everything(spare) == before


def test_a_file_of_the_same_content_and_another_inode_goes(base, spare):
    (spare / "usr/bin/tool").unlink()
    (spare / "usr/bin/tool").write_text("tool")
    kept = reduce(str(spare), rows(base), [b"usr", b"usr/bin"])
    assert kept == {b"usr/bin/link"}
    assert os.listdir(spare / "usr/bin") == ["link"]
    assert (base / "usr/bin/tool").read_text() == "tool"


def test_the_same_inode_under_another_name_goes(base, spare):
    os.link(spare / "usr/bin/tool", spare / "usr/bin/other")
    reduce(str(spare), rows(base), [b"usr", b"usr/bin"])
    assert sorted(os.listdir(spare / "usr/bin")) == ["link", "tool"]


def test_directories_that_are_not_wanted_go_with_what_is_below(base, spare):
    (spare / "usr/bin/deep/er").mkdir(parents=True)
    (spare / "usr/bin/deep/er/file").write_text("stray")
    reduce(str(spare), rows(base), [b"usr", b"usr/bin"])
    assert sorted(os.listdir(spare / "usr/bin")) == ["link", "tool"]


def test_a_symlink_in_place_of_a_directory_is_not_followed(base, spare, tmp_path):
    outside = tmp_path / "outside"
    (spare / "usr/bin").rename(outside)
    (spare / "usr/bin").symlink_to(outside)
    assert reduce(str(spare), rows(base), [b"usr", b"usr/bin"]) == set()
    assert os.listdir(spare / "usr") == []
    assert sorted(os.listdir(outside)) == ["link", "tool"]


def test_a_directory_in_place_of_a_file_goes(base, spare):
    (spare / "usr/bin/tool").unlink()
    (spare / "usr/bin/tool").mkdir()
    kept = reduce(str(spare), rows(base), [b"usr", b"usr/bin"])
    assert kept == {b"usr/bin/link"}


def test_nothing_made_in_a_directory_takes_its_group(base, spare):
    os.chmod(spare / "usr/bin", 0o2775)
    reduce(str(spare), rows(base), [b"usr", b"usr/bin"])
    assert (spare / "usr/bin").stat().st_mode & 0o7000 == 0


def test_inode_numbers_that_are_listed_otherwise_are_not_believed(
    base, spare, monkeypatch
):
    """As overlay filesystems may: listed is one number, and stat(2) tells another."""
    listed = rows(base)
    other = os.stat(base)
    monkeypatch.setattr(os, "lstat", lambda *_, **__: other)
    assert reduce(str(spare), listed, [b"usr", b"usr/bin"]) == set()
    assert os.listdir(spare / "usr/bin") == []


def test_what_is_no_directory_is_refused(base, tmp_path):
    (tmp_path / "spare").symlink_to(base)
    before = trees.everything(base)
    with pytest.raises(HostError, match=r"cannot use .*/spare again"):
        reduce(str(tmp_path / "spare"), {}, [])
    assert trees.everything(base) == before
