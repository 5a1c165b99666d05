"""Trees from lists and with local changes say what a tree from git says."""

from hypothesis import given
from hypothesis import strategies as st

from updater.core import tree
from updater.core.treediff import Browser, Leaf
from updater.model import GitMode, TreeEntry
from updater.report import trees
from updater.report.trees import FlatTree, Overlay

NAMES = st.sampled_from([b"a", b"a-", b"b", b"etc", b"x.d"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
FILES = st.dictionaries(PATHS, st.integers(0, 2), max_size=10)


def without_clashes(files):
    """A path that is another one's directory is left out."""
    above = {p.rsplit(b"/", n)[0] for p in files for n in range(1, p.count(b"/") + 1)}
    return {p: bytes([n]) * 20 for p, n in files.items() if p not in above}


def flat(files):
    return FlatTree([TreeEntry(p, GitMode.FILE, o.hex()) for p, o in files.items()])


def browser(files):
    root, objects = tree.build([(p, GitMode.FILE, o) for p, o in files.items()])
    return Browser(root.hex(), lambda oid: objects[bytes.fromhex(oid)])


def same(one, other, paths):
    assert list(one.walk()) == list(other.walk())
    for path in paths:
        assert one.leaf(path) == other.leaf(path)
        assert one.is_directory(path) == other.is_directory(path), path
        assert one.names(path) == other.names(path), path


def places(*files):
    """Every path, and every directory above it."""
    found = [path.split(b"/") for side in files for path in side]
    return {b"/".join(parts[:n]) for parts in found for n in range(len(parts) + 1)}


@given(FILES)
def test_a_list_is_as_a_tree(files):
    files = without_clashes(files)
    same(flat(files), browser(files), places(files) - {b""})


@given(FILES, FILES)
def test_a_tree_with_changes_is_as_the_changed_tree(before, after):
    before = without_clashes(before)
    after = without_clashes(after)
    changed = {
        path: Leaf(GitMode.FILE, after[path].hex()) if path in after else None
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path)
    }
    base = browser(before)
    overlay = Overlay(base, changed)
    same(overlay, browser(after), places(before, after) - {b""})
    found = [d.path for d in trees.differing(base, overlay)]
    assert found == sorted(changed)


@given(FILES, FILES)
def test_all_kinds_of_trees_differ_alike(old, new):
    old, new = without_clashes(old), without_clashes(new)
    expected = list(trees.differing(browser(old), browser(new)))
    assert list(trees.differing(flat(old), flat(new))) == expected
    assert list(trees.differing(browser(old), flat(new))) == expected
    everything = list(trees.differing(None, flat(new)))
    assert everything == list(trees.differing(None, browser(new)))
