"""Two trees walked together: everything that differs, sorted, and nothing beside it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.core import tree, treediff
from updater.errors import UntrustedError
from updater.model import GitMode, Metadata

NAMES = st.sampled_from([b"a", b"a-", b"a.", b"b", b"etc", b"usr", b"x"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join)
BLOBS = st.integers(0, 3).map(lambda n: bytes([n]) * 20)
MODES = st.sampled_from([GitMode.FILE, GitMode.EXECUTABLE, GitMode.SYMLINK])
FILES = st.dictionaries(PATHS, st.tuples(MODES, BLOBS), max_size=12)


def _tree(files, objects):
    """Files whose path is another one's directory are left out."""
    directories = {
        path.rsplit(b"/", n)[0]
        for path in files
        for n in range(1, path.count(b"/") + 1)
    }
    entries = [
        (path, *entry) for path, entry in files.items() if path not in directories
    ]
    root, made = tree.build(entries)
    objects.update(made)
    return root.hex()


def _plain(files):
    return {path: (GitMode.FILE, oid) for path, oid in files.items()}


def _reader(objects):
    return lambda oid: objects[bytes.fromhex(oid)]


@given(FILES, FILES)
def test_the_walk_finds_what_two_lists_differ_in(old_files, new_files):
    objects = {}
    read = _reader(objects)
    roots = [_tree(files, objects) for files in (old_files, new_files)]
    old, new = (
        {e.path: (e.mode, e.oid) for e in tree.flatten(root, read).entries}
        for root in roots
    )
    found = list(treediff.differing(*roots, read))
    expected = sorted(p for p in old.keys() | new.keys() if old.get(p) != new.get(p))
    assert [difference.path for difference in found] == expected
    for path, before, after in found:
        assert before == old.get(path)
        assert after == new.get(path)


@given(FILES)
def test_a_browser_sees_every_file_and_directory(files):
    objects = {}
    root = _tree(files, objects)
    read = _reader(objects)
    browser = treediff.Browser(root, read)
    entries = tree.flatten(root, read).entries
    assert list(browser.walk()) == [(e.path, (e.mode, e.oid)) for e in entries]
    for entry in entries:
        assert browser.leaf(entry.path) == (entry.mode, entry.oid)
        assert not browser.is_directory(entry.path)
        parent, _, name = entry.path.rpartition(b"/")
        assert browser.is_directory(parent)
        assert name in browser.names(parent)
        assert browser.leaf(parent) is None
        assert browser.leaf(entry.path + b"/x") is None
        assert browser.names(entry.path) == []


def test_a_directory_that_is_the_same_is_not_read():
    objects = {}
    same = {b"usr/share/doc/a": b"\1" * 20, b"usr/share/doc/b": b"\2" * 20}
    old = _tree(_plain({**same, b"bin/x": b"\1" * 20}), objects)
    new = _tree(_plain({**same, b"bin/x": b"\2" * 20}), objects)
    asked = []

    def read(oid):
        asked.append(oid)
        return objects[bytes.fromhex(oid)]

    assert [d.path for d in treediff.differing(old, new, read)] == [b"bin/x"]
    roots_and_bin = 4
    assert len(asked) == roots_and_bin


def test_a_submodule_is_no_file():
    content = b"160000 module\0" + b"\1" * 20
    found = treediff.differing(None, "0" * 40, lambda _: content)
    assert list(found) == []
    assert treediff.Browser("0" * 40, lambda _: content).leaf(b"module") is None


@pytest.mark.parametrize(
    "data", [b"x", b"100644 a\0short", b"100644 a/b\0" + b"1" * 20]
)
def test_a_damaged_tree_is_refused(data):
    with pytest.raises(UntrustedError, match=r"tree 0{40} is damaged"):
        list(treediff.differing(None, "0" * 40, lambda _: data))


def test_hardlinks_are_told_with_their_targets():
    old = {b"b": Metadata(hardlink=b"a")}
    new = {b"a": Metadata(mode=0o4755), b"b": Metadata(hardlink=b"a")}
    assert treediff.differing_metadata(old, new) == {b"a", b"b"}
    assert treediff.differing_metadata(old, {}) == {b"a", b"b"}
    assert treediff.differing_metadata(new, new) == set()
