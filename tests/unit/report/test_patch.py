"""The patch of a difference, held to git and patch themselves."""

import gzip
import lzma
import os
import struct
import subprocess

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from support.factory import Symlink, make_rootfs
from support.snapshots import take

from updater.model import Metadata
from updater.report import diff_lists, patch
from updater.report.compare import compare
from updater.system.git.textdiff import hunks


def patch_of(old, new, old_meta=None, new_meta=None, **kw):
    before, after = take(old, old_meta), take(new, new_meta)
    report = compare(before, after, **kw)
    return b"".join(patch.lines(report, before, after, hunks))


def comments(data):
    return [line[2:] for line in data.decode().split("\n") if line.startswith("# ")]


def contents(root):
    found = {}
    for directory, names, files in os.walk(os.fsencode(root)):
        for name in names + files:
            path = os.path.join(directory, name)
            if os.path.islink(path):
                found[os.path.relpath(path, os.fsencode(root))] = os.readlink(path)
            elif os.path.isfile(path):
                mode = bool(os.stat(path).st_mode & 0o100)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, os.fsencode(root))] = (
                        file.read(),
                        mode,
                    )
    return found


OLD = {
    "etc/a": "1\n2\n3\n",
    "etc/no newline": "1\n2",
    "etc/gone": "x\n",
    "bin/tool": ("#!/bin/sh\n", 0o644),
    "etc/link": Symlink("a"),
    "etc/kind": "file\n",
    "etc/empty": "",
    b'etc/\xc3\xa4\x01"\\q\xff': "odd\n",
    "etc/latin": b"caf\xe9\n",
}
NEW = {
    "etc/a": "1\n2 changed\n3\n",
    "etc/no newline": "1\n2\n3",
    "etc/new dir/x": "new\n",
    "bin/tool": ("#!/bin/sh\nexit\n", 0o755),
    "etc/link": Symlink("b"),
    "etc/kind": Symlink("a"),
    b'etc/\xc3\xa4\x01"\\q\xff': "odder\n",
    "etc/latin": b"caf\xe9 cr\xe8me\n",
    "etc/now-empty": "",
}


def test_git_makes_the_new_release_of_the_old_one(tmp_path):
    root = make_rootfs(tmp_path / "old", OLD)
    expected = contents(make_rootfs(tmp_path / "new", NEW))
    done = subprocess.run(
        ["git", "apply", "-"],
        cwd=root,
        input=patch_of(OLD, NEW),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert contents(root) == expected


def test_patch_takes_what_is_plain_text(tmp_path):
    names = ["etc/a", "etc/no newline", "etc/latin"]
    old, new = ({n: side[n] for n in names} for side in (OLD, NEW))
    root = make_rootfs(tmp_path / "old", old)
    done = subprocess.run(
        ["patch", "-p1"],
        cwd=root,
        input=patch_of(old, new),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert contents(root) == contents(make_rootfs(tmp_path / "new", new))


text = st.lists(st.sampled_from(["a", "b", "", "c d", "\t"]), max_size=12).map(
    "\n".join
)


@settings(max_examples=15, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["a", "b/c", "b/d"]), text),
    st.dictionaries(st.sampled_from(["a", "b/c", "b/d"]), text),
)
def test_any_text_becomes_any_other(tmp_path_factory, old, new):
    place = tmp_path_factory.mktemp("patch")
    root = make_rootfs(place / "old", old)
    data = patch_of(old, new)
    if data:
        subprocess.run(["git", "apply", "-"], cwd=root, input=data, check=True)
    assert contents(root) == contents(make_rootfs(place / "new", new))


def elf(build_id):
    note = struct.pack("<III", 4, len(build_id), 3) + b"GNU\0" + build_id
    numbers = (2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    head = struct.pack("<4sBB10xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, *numbers)
    size = len(note)
    return head + struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, size, size, 4) + note


def test_a_binary_is_told_by_its_size_and_build_id():
    data = patch_of(
        {"usr/sbin/sshd": elf(b"\xa1" * 20)}, {"usr/sbin/sshd": elf(b"\xc3" * 20)}
    )
    assert comments(data) == [
        "Binary /usr/sbin/sshd: 156 B -> 156 B, build-id a1a1a1a1a1a1 -> c3c3c3c3c3c3"
    ]
    assert comments(patch_of({"x": b"\0"}, {})) == ["Binary /x: 1 B -> nothing"]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, zstandard.compress])
def test_compressed_text_is_compared_inside(pack):
    old, new = (pack(f"one\n{word}\n".encode()) for word in ("two", "three"))
    told = comments(
        patch_of({"usr/share/man/x.1.gz": old}, {"usr/share/man/x.1.gz": new})
    )
    assert told[0].startswith("Compressed /usr/share/man/x.1.gz: ")
    assert told[0].endswith(", inside:")
    assert [line.strip() for line in told[1:]] == [
        "@@ -1,2 +1,2 @@",
        "one",
        "-two",
        "+three",
    ]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, zstandard.compress])
def test_damage_inside_is_a_comment(pack):
    good, data = pack(b"one\n"), pack(bytes(range(256)) * 9)
    [told] = comments(patch_of({"x.1.gz": good}, {"x.1.gz": data[:15]}))
    assert told.startswith("Compressed /x.1.gz: ")
    assert "damaged" in told


def test_the_same_text_compressed_otherwise_is_said_to_be_the_same():
    old, new = gzip.compress(b"x" * 99, mtime=1), gzip.compress(b"x" * 99, mtime=2)
    [told] = comments(patch_of({"a.gz": old}, {"a.gz": new}))
    assert told.endswith(", the same inside")


def test_what_unpacks_to_too_much_is_told_by_its_size():
    bomb = gzip.compress(bytes(50 << 20))
    [told] = comments(patch_of({"a.gz": "x"}, {"a.gz": bomb}))
    assert told.startswith("Compressed /a.gz: 1 B -> ")


def test_a_huge_file_is_told_by_its_size(monkeypatch):
    monkeypatch.setattr(patch, "MAX_TEXT", 10)
    monkeypatch.setattr(patch, "MAX_BINARY", 20)
    assert comments(patch_of({"x": "1" * 5}, {"x": "2" * 30})) == [
        "/x: 5 B -> 30 B, too large to be shown"
    ]
    assert comments(patch_of({"x": "1" * 5}, {"x": "2" * 15})) == [
        "Binary /x: 5 B -> 15 B"
    ]


def test_what_a_patch_cannot_say_is_a_comment():
    old = {"usr/bin/x": ("x", 0o755)}
    meta = {
        b"usr/bin/x": Metadata(mode=0o4755, gid=7),
        b"dev/null": Metadata(type="char", dev=(1, 3)),
    }
    data = patch_of(old, old, None, meta)
    assert comments(data) == [
        "/dev/null: char, device 1:3",
        "/usr/bin/x: 0755 -> 4755, 0:0 -> 0:7",
    ]
    assert b"diff --git" not in data


def test_content_that_is_not_here_is_a_comment():
    before, after = take({"x": "1"}), take({"x": "2"}, read={}.__getitem__)
    data = b"".join(patch.lines(compare(before, after), before, after, hunks))
    assert comments(data) == ["/x: the content of /x is not on this machine"]


def test_on_a_terminal_nothing_in_a_patch_can_move_the_cursor():
    data = patch_of({"a": "x\n"}, {"a": "\x1b[2J\x9b\x07\r\u202e\tend\n"})
    shown = list(diff_lists.patch_lines([data]))
    assert "+\\x1b[2J\\x9b\\x07\\r\\u202e" in "".join(shown).replace(" ", "")
    assert all(line.isprintable() for line in shown)
