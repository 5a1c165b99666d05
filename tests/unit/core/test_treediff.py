from hypothesis import given
from hypothesis import strategies as st

from updater.core import tree, treediff
from updater.model import GitMode, Metadata

NAMES = st.sampled_from([b"a", b"b", b"c", b"etc", b"usr", b"x"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join)
BLOBS = st.integers(0, 3).map(lambda n: bytes([n]) * 20)
FILES = st.dictionaries(PATHS, BLOBS, max_size=12)


def _tree(files, objects):
    """Files whose path is another one's directory are left out."""
    directories = {
        path.rsplit(b"/", n)[0]
        for path in files
        for n in range(1, path.count(b"/") + 1)
    }
    entries = [
        (path, GitMode.FILE, oid)
        for path, oid in files.items()
        if path not in directories
    ]
    root, made = tree.build(entries)
    objects.update(made)
    return root.hex()


@given(FILES, FILES, st.sets(PATHS, max_size=2))
def test_what_is_left_out_is_the_same_on_both_sides(old_files, new_files, paths):
    objects = {}
    old, new = _tree(old_files, objects), _tree(new_files, objects)

    def read(oid):
        return objects[bytes.fromhex(oid)]

    whole = [set(tree.flatten(root, read).entries) for root in (old, new)]
    found = [
        set(side) for side in treediff.differing(old, new, read, treediff.Wanted(paths))
    ]
    assert found[0] <= whole[0]
    assert found[1] <= whole[1]
    assert whole[0] - found[0] == whole[1] - found[1]
    wanted = {e for e in whole[0] if e.path in paths}
    assert wanted <= found[0]


def test_a_directory_that_is_the_same_is_not_read():
    objects = {}
    same = {b"usr/share/doc/a": b"\1" * 20, b"usr/share/doc/b": b"\2" * 20}
    old = _tree({**same, b"bin/x": b"\1" * 20}, objects)
    new = _tree({**same, b"bin/x": b"\2" * 20}, objects)
    asked = []

    def read(oid):
        asked.append(oid)
        return objects[bytes.fromhex(oid)]

    sides = treediff.differing(old, new, read, treediff.Wanted([]))
    assert [[e.path for e in side] for side in sides] == [[b"bin/x"], [b"bin/x"]]
    doc = tree.build(
        [(b"a", GitMode.FILE, b"\1" * 20), (b"b", GitMode.FILE, b"\2" * 20)]
    )
    assert doc[0].hex() not in asked


def test_a_blob_is_found_by_its_path():
    objects = {}
    root = _tree(
        {b"usr/lib/osupdate/manifest": b"\1" * 20, b"usr/x": b"\2" * 20}, objects
    )

    def read(oid):
        return objects[bytes.fromhex(oid)]

    assert treediff.find(root, b"usr/lib/osupdate/manifest", read) == "01" * 20
    assert treediff.find(root, b"usr/lib/osupdate", read) is None
    assert treediff.find(root, b"usr/x/y", read) is None
    assert treediff.find(root, b"var", read) is None


def test_hardlinks_are_told_with_their_targets():
    old = {b"b": Metadata(hardlink=b"a")}
    new = {b"a": Metadata(mode=0o4755), b"b": Metadata(hardlink=b"a")}
    assert treediff.differing_metadata(old, new) == {b"a", b"b"}
    assert treediff.differing_metadata(old, {}) == {b"a", b"b"}
    assert treediff.differing_metadata(new, new) == set()
