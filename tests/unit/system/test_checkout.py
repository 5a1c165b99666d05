"""Files below a directory descriptor: laid out, read back, told apart."""

import errno
import hashlib
import os
import stat

import pytest

from updater.core.plan import Attributes
from updater.errors import HostError
from updater.system import checkout, fs
from updater.system.checkout import changes
from updater.system.checkout.directories import Directories, make_directories

SECOND = 10**9


@pytest.fixture
def root(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def look(mode, mtime=7 * SECOND, xattrs=()):
    return Attributes(mode, os.geteuid(), os.getegid(), mtime, xattrs)


def test_a_file_has_its_content_mode_and_time(root, tmp_path):
    checkout.write_file(root, b"caf\xe9", [b"con", b"tent"], look(stat.S_IFREG | 0o751))
    path = os.fsencode(tmp_path) + b"/caf\xe9"
    found = os.lstat(path)
    assert stat.S_IMODE(found.st_mode) == 0o751
    assert found.st_mtime_ns == 7 * SECOND
    with open(path, "rb") as file:
        assert file.read() == b"content"


def test_the_umask_has_no_say(root, tmp_path):
    old = os.umask(0o077)
    try:
        checkout.write_file(root, b"a", [], look(stat.S_IFREG | 0o666))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666


def test_a_symlink_is_written_and_never_followed(root, tmp_path):
    checkout.write_file(root, b"l", [memoryview(b"/etc")], look(stat.S_IFLNK | 0o777))
    assert os.readlink(tmp_path / "l") == "/etc"
    assert os.lstat(tmp_path / "l").st_mtime_ns == 7 * SECOND
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        Directories(root).open(b"l")


@pytest.mark.parametrize("size", [0, 1, 5000, 1 << 20, (9 << 20) + 1])
def test_what_is_written_is_read_back_from_the_file(root, tmp_path, size):
    content = os.urandom(size)
    pieces = [content[: size // 3], memoryview(content)[size // 3 :]]
    ids, found = checkout.write_checked(
        root, b"f", pieces, look(stat.S_IFREG | 0o755), ("sha256", "sha1")
    )
    assert (tmp_path / "f").read_bytes() == content
    assert ids == [
        hashlib.new(name, b"blob %d\0" % size + content).digest()
        for name in ("sha256", "sha1")
    ]
    assert found == checkout.stat_entry(root, b"f")
    assert (found.size, stat.S_IMODE(found.mode)) == (size, 0o755)
    assert found.mtime == 7 * SECOND


def test_a_link_is_read_back_too(root):
    ids, found = checkout.write_checked(
        root, b"l", [b"/et", b"c"], look(stat.S_IFLNK | 0o777), ("sha1",)
    )
    assert ids == [hashlib.sha1(b"blob 4\0/etc").digest()]
    assert found == checkout.stat_entry(root, b"l")


def test_what_changes_below_the_writer_is_seen(root, tmp_path):
    """Somebody else writes into the file before it is read back."""

    def pieces():
        yield b"right"
        (tmp_path / "f").write_bytes(b"wrong")
        yield b"!"

    ids, _ = checkout.write_checked(
        root, b"f", pieces(), look(stat.S_IFREG | 0o644), ("sha1",)
    )
    assert ids == [hashlib.sha1(b"blob 6\0wrong!").digest()]


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_a_file_that_becomes_shorter_below_the_writer_is_an_error(root, tmp_path, size):
    def pieces():
        yield bytes(size)
        os.truncate(tmp_path / "f", size - 1)

    with pytest.raises(HostError, match=r"bytes; .* were written"):
        checkout.write_checked(
            root, b"f", pieces(), look(stat.S_IFREG | 0o644), ("sha1",)
        )


@pytest.mark.parametrize("kind", [stat.S_IFREG, stat.S_IFLNK])
def test_what_is_there_is_not_written_over(root, tmp_path, kind):
    (tmp_path / "target").write_text("mine")
    (tmp_path / "a").symlink_to("target")
    with pytest.raises(FileExistsError):
        checkout.write_file(root, b"a", [b"x"], look(kind | 0o644))
    assert (tmp_path / "target").read_text() == "mine"


def test_replacing_takes_the_place_of_a_link_and_not_of_its_target(root, tmp_path):
    (tmp_path / "target").write_text("mine")
    (tmp_path / "a").symlink_to("target")
    checkout.replace_file(root, b"a", [b"new"], look(stat.S_IFREG | 0o644))
    assert (tmp_path / "a").read_text() == "new"
    assert (tmp_path / "target").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["a", "target"]


def test_what_cannot_be_replaced_leaves_nothing_behind(root, tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    with pytest.raises(OSError):
        checkout.replace_file(root, b"a", [b"new"], look(stat.S_IFREG | 0o644))
    assert os.listdir(tmp_path) == ["a"]


def test_a_kept_file_is_the_same_file(root, tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    (tmp_path / "old/f").write_text("x")
    (tmp_path / "old/l").symlink_to("f")
    directories = Directories(root), Directories(root)
    for name, kind in ((b"f", stat.S_IFREG), (b"l", stat.S_IFLNK)):
        checkout.keep_file(
            directories[0].open(b"old"),
            directories[1].open(b"new"),
            name,
            look(kind | 0o644),
            clones=False,
        )
        old, new = (os.lstat(tmp_path / d / os.fsdecode(name)) for d in ("old", "new"))
        assert old.st_ino == new.st_ino


def test_directories_are_closed_until_they_are_done(root, tmp_path):
    make_directories(root, [b"", b"a", b"a/b"])
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o700
    looks = [(b"a", look(stat.S_IFDIR | 0o555)), (b"a/b", look(stat.S_IFDIR | 0o1777))]
    checkout.dress_directories(root, looks)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o555
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o1777
    assert (tmp_path / "a").stat().st_mtime_ns == 7 * SECOND
    (tmp_path / "a").chmod(0o755)


def test_directories_are_reached_in_any_order_and_closed(root, tmp_path):
    paths = [b"a/b/c", b"a/b", b"a/d/e", b"", b"f", b"a/b/c/g", b"a"]
    before = os.listdir("/proc/self/fd")
    directories = Directories(root, make=True)
    for path in (*paths, *reversed(paths)):
        found = os.fstat(directories.open(path))
        assert found.st_ino == os.stat(tmp_path / os.fsdecode(path)).st_ino
    directories.close()
    assert os.listdir("/proc/self/fd") == before
    os.fstat(root)


def test_a_directory_that_is_missing_is_made_only_when_asked(root, tmp_path):
    directories = Directories(root)
    with pytest.raises(FileNotFoundError):
        directories.open(b"a/b")
    (tmp_path / "a").mkdir()
    with pytest.raises(FileNotFoundError):
        directories.open(b"a/b")
    assert os.path.samestat(os.fstat(directories.open(b"a")), os.stat(tmp_path / "a"))
    directories.close()
    make_directories(root, [b"a/b/c"])
    assert stat.S_IMODE((tmp_path / "a/b/c").stat().st_mode) == 0o700


def test_a_link_in_place_of_a_directory_is_not_followed_to_make_one(root, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "a").symlink_to("elsewhere")
    with pytest.raises(OSError, match=r"Not a directory|levels"):
        make_directories(root, [b"a/b"])
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_directory_that_nothing_filled_is_made_when_it_is_dressed(root, tmp_path):
    looks = [(b"a", look(stat.S_IFDIR | 0o555)), (b"a/b", look(stat.S_IFDIR | 0o700))]
    checkout.dress_directories(root, looks)
    for name in ("a", "a/b"):
        assert (tmp_path / name).stat().st_mtime_ns == 7 * SECOND
    (tmp_path / "a").chmod(0o755)


@pytest.mark.parametrize("content", [b"", b"x", b"y" * (3 << 20)])
def test_the_ids_are_those_of_git(root, tmp_path, content):
    (tmp_path / "f").write_bytes(content)
    header = b"blob %d\0" % len(content)
    found = checkout.hash_entry(root, b"f", len(content), ("sha1", "sha256"))
    assert found == (
        hashlib.sha1(header + content).digest(),
        hashlib.sha256(header + content).digest(),
    )
    with pytest.raises(HostError, match="bytes; expected"):
        checkout.hash_entry(root, b"f", len(content) + 1, ("sha1",))


def test_the_content_of_a_symlink_is_its_target(root, tmp_path):
    (tmp_path / "l").symlink_to("target")
    found = checkout.hash_entry(root, b"l", 6, ("sha1",))
    assert found == (hashlib.sha1(b"blob 6\0target").digest(),)


def test_a_fifo_is_refused_without_waiting_for_a_writer(root, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HostError, match="neither a file nor a symlink"):
        checkout.hash_entry(root, b"pipe", 0, ("sha1",))


def test_a_file_of_another_size_is_not_read(root, tmp_path, monkeypatch):
    with open(tmp_path / "f", "wb") as file:
        file.truncate(60 << 30)
    monkeypatch.setattr(os, "readv", lambda *_: pytest.fail("it was read"))
    with pytest.raises(HostError, match="bytes; expected 5"):
        checkout.hash_entry(root, b"f", 5, ("sha1",))


def test_a_directory_that_is_full_cannot_clone(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    assert not fs.can_clone(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_only_xattrs_that_a_release_may_set_are_read(root, tmp_path):
    (tmp_path / "f").write_text("")
    os.setxattr(tmp_path / "f", "user.b", b"2")
    os.setxattr(tmp_path / "f", "user.a", b"\0")
    assert checkout.read_xattrs(root, b"f") == (("user.a", b"\0"), ("user.b", b"2"))
    (tmp_path / "l").symlink_to("f")
    assert checkout.read_xattrs(root, b"l") == ()


def test_strays_are_named_once_with_their_directory(root, tmp_path):
    for name in ("a", "d/b", "d/stray", "new/x/y"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    found = changes.strays(root, [b"a", b"d/b"])
    assert [(c.path, c.kind) for c in found] == [
        (b"d/stray", "extra"),
        (b"new", "extra"),
    ]


def test_a_stray_in_a_directory_that_should_be_empty_is_named(root, tmp_path):
    (tmp_path / "opt/deep").mkdir(parents=True)
    (tmp_path / "opt/stray").write_text("")
    (tmp_path / "a").write_text("")
    found = changes.strays(root, [b"a", b"opt"], [b"a", b"opt"])
    assert [c.path for c in found] == [b"opt/deep", b"opt/stray"]


def test_looking_whether_extents_can_be_shared_leaves_nothing(tmp_path):
    assert fs.can_clone(str(tmp_path)) in (True, False)
    assert os.listdir(tmp_path) == []
