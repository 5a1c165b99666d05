"""Durable replacement, removal, and ways that no symlink can bend."""

import errno
import os

import pytest

from updater.errors import HostError, NoSpaceError
from updater.system import fs


def test_a_file_is_replaced_with_its_mode(tmp_path):
    path = tmp_path / "f"
    path.write_text("old")
    fs.write_durably(str(path), b"new", 0o600)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_what_cannot_be_written_leaves_the_old_file_alone(
    tmp_path, monkeypatch, number
):
    """The disk refuses the sync: the last call before the rename."""
    path = tmp_path / "f"
    path.write_text("old")

    def refuse(fd):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    expected = HostError if number == errno.EIO else NoSpaceError
    with pytest.raises(expected, match=r"cannot write .*/f: ") as caught:
        fs.write_durably(str(path), b"x" * 5000)
    if expected is NoSpaceError:
        assert "5.0 kB were to be written" in str(caught.value)
        assert "are free there" in str(caught.value)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["f"]


def test_a_temporary_file_that_is_a_symlink_is_not_followed(tmp_path):
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "f.tmp").symlink_to("victim")
    with pytest.raises(HostError, match="cannot write"):
        fs.write_durably(str(tmp_path / "f"), b"x")
    assert (tmp_path / "victim").read_text() == "mine"


def test_a_link_is_replaced_even_after_a_crash(tmp_path):
    (tmp_path / "current.tmp").symlink_to("left")
    for target in ("a", "b"):
        fs.replace_link(target, str(tmp_path / "current"))
        assert os.readlink(tmp_path / "current") == target
    assert os.listdir(tmp_path) == ["current"]


def test_a_directory_in_place_of_the_link_is_an_error(tmp_path):
    (tmp_path / "current").mkdir()
    with pytest.raises(HostError, match="cannot point"):
        fs.replace_link("a", str(tmp_path / "current"))
    assert (tmp_path / "current").is_dir()


def test_appending_makes_the_file_and_keeps_what_is_there(tmp_path):
    path = str(tmp_path / "f")
    fs.append_durably(path, b"one\n")
    fs.append_durably(path, b"two\n")
    fs.truncate_durably(path, 6)
    assert (tmp_path / "f").read_bytes() == b"one\ntw"


@pytest.mark.parametrize("path", [b"link", b"d/link", b"link/x", b"d/../d", b"f"])
def test_a_way_through_a_symlink_or_a_file_is_refused(tmp_path, path):
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("")
    (tmp_path / "link").symlink_to("d")
    (tmp_path / "d/link").symlink_to("/etc")
    root = os.open(tmp_path, os.O_RDONLY)
    before = len(os.listdir("/proc/self/fd"))
    if path == b"d/../d":  # a release has no such path; it stays below all the same
        os.close(fs.open_beneath(root, path))
    else:
        with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
            fs.open_beneath(root, path)
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(root)


def test_a_tree_is_deleted_and_what_it_points_at_is_not(tmp_path):
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep/f").write_text("")
    tree = tmp_path / "tree"
    (tree / "closed").mkdir(parents=True)
    (tree / "closed/f").write_text("")
    (tree / "out").symlink_to("../keep")
    (tree / "closed").chmod(0o000)
    fs.remove_tree(str(tree))
    assert os.listdir(tmp_path) == ["keep"]
    assert os.listdir(tmp_path / "keep") == ["f"]


@pytest.mark.parametrize("kind", ["absent", "file", "symlink"])
def test_what_is_no_directory_is_deleted_too(tmp_path, kind):
    path = tmp_path / "x"
    (tmp_path / "d").mkdir()
    if kind == "file":
        path.write_text("")
    if kind == "symlink":
        path.symlink_to("d")
    fs.remove_tree(str(path))
    assert os.listdir(tmp_path) == ["d"]


def refuse_to_delete(monkeypatch, name):
    """As the kernel does with an immutable file."""
    unlink = os.unlink

    def refuse(path, *args, **kw):
        if os.path.basename(path) == name:
            raise PermissionError(errno.EPERM, "Operation not permitted", path)
        unlink(path, *args, **kw)

    monkeypatch.setattr(os, "unlink", refuse)


def test_what_cannot_be_deleted_is_named_and_the_rest_goes(tmp_path, monkeypatch):
    tree = tmp_path / "tree"
    for directory in ("a", "b/c", "d"):
        (tree / directory).mkdir(parents=True)
        (tree / directory / "f").write_text("")
    (tree / "b/c/fixed").write_text("")
    with monkeypatch.context() as patch:
        refuse_to_delete(patch, "fixed")
        with pytest.raises(HostError) as caught:
            fs.remove_tree(str(tree))
    stuck = tree / "b/c/fixed"
    assert str(caught.value) == f"cannot delete {stuck}: Operation not permitted"
    assert f"chattr -i {stuck}" in caught.value.hint
    left = [p.relative_to(tree) for p in sorted(tree.rglob("*"))]
    assert [str(p) for p in left] == ["b", "b/c", "b/c/fixed"]
    fs.remove_tree(str(tree))
    assert os.listdir(tmp_path) == []


def test_free_bytes_of_what_is_not_there_yet(tmp_path):
    assert fs.free_bytes(str(tmp_path / "a/b/c")) > 0
