import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.core import tree
from updater.errors import UntrustedError
from updater.model import GitMode

OID = bytes(range(20))
HEX = OID.hex()


def entry(mode, name, oid=OID):
    return mode + b" " + name + b"\0" + oid


def refusal(data, where=b"", **keywords):
    with pytest.raises(UntrustedError) as caught:
        tree.parse(data, where, **keywords)
    assert caught.value.check == "F2"
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_the_four_modes_of_a_release_are_read():
    data = (
        entry(b"100644", b"a")
        + entry(b"100755", b"b")
        + entry(b"120000", b"c")
        + entry(b"40000", b"d")
    )
    found, skipped = tree.parse(data)
    assert found == [
        (GitMode.FILE, b"a", HEX),
        (GitMode.EXECUTABLE, b"b", HEX),
        (GitMode.SYMLINK, b"c", HEX),
        (GitMode.TREE, b"d", HEX),
    ]
    assert skipped == []


def test_an_empty_tree_has_no_entries():
    assert tree.parse(b"") == ([], [])


@pytest.mark.parametrize(
    "mode",
    [
        b"100664",
        b"104755",
        b"0",
        b"10644",
        b"60660",
        b"20666",
        b"40777",
        b"040000",
        b"0100644",
        b"140000",
        b"100000",
        b"37777777777777100644"[-7:],
        b"+40000",
    ],
)
def test_an_odd_mode_is_refused(mode):
    assert "expected one of 40000, 100644" in refusal(entry(mode, b"x"), b"usr")


def test_a_submodule_is_refused_in_a_release():
    message = refusal(entry(b"160000", b"lib"), b"usr")
    assert "/usr/lib is a submodule" in message


def test_a_submodule_is_skipped_where_it_may_be():
    data = entry(b"160000", b"lib") + entry(b"100644", b"lib-x")
    found, skipped = tree.parse(data, submodules=True)
    assert [name for _, name, _ in found] == [b"lib-x"]
    assert skipped == [b"lib"]


def test_a_submodule_sorts_as_a_file_does():
    # `git mktree` gives this order: `lib`, then `lib-x`, although `lib/` is after it.
    wrong = entry(b"100644", b"lib-x") + entry(b"160000", b"lib")
    assert "out of git's order" in refusal(wrong, submodules=True)


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b".",
        b"..",
        b"/",
        b"a/b",
        b"/etc",
        b"../x",
        b".git",
        b".GIT",
        b".Git",
        b"git~1",
        b"GIT~1",
        b".git.",
        b".git ",
        b".git . .",
        ".g\u200cit".encode(),
        "\u200d.git".encode(),
        ".git\ufeff".encode(),
        b"a\nb",
        b"a\rb",
        b"a\x1b[31m",
        b"\x7f",
        b"\x01",
    ],
)
def test_an_unsafe_name_is_refused(name):
    assert not tree.safe_name(name)
    assert "not a name that a release may have" in refusal(entry(b"100644", name))


@pytest.mark.parametrize("name", [b"x" * 256, b"x" * 300, b"x" * 5000])
def test_a_name_over_255_bytes_is_refused(name):
    assert not tree.safe_name(name)
    refusal(entry(b"100644", name))


@pytest.mark.parametrize(
    "name",
    [
        b"x" * 255,
        b"caf\xe9",
        b"\xff\xfe",
        b" ",
        b"...",
        b"-rf",
        b".gitignore",
        b".gitkeep",
        b"git",
        b"a\\b",
        b"..\\x",
        b"system-getty\\x2d.slice",
        "\u202egpj".encode(),
        "gi\u200ct".encode(),
    ],
)
def test_an_unusual_name_that_a_rootfs_may_have_is_read(name):
    assert tree.parse(entry(b"100644", name))[0][0].name == name


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((b"100644", b"b"), (b"100644", b"a")),
        ((b"100644", b"a"), (b"100644", b"a")),
        ((b"40000", b"a"), (b"40000", b"a")),
        ((b"100644", b"a"), (b"120000", b"a")),
        ((b"100644", b"a"), (b"40000", b"a")),
        ((b"120000", b"a"), (b"40000", b"a")),
        ((b"40000", b"a"), (b"100644", b"a")),
        ((b"40000", b"a"), (b"100644", b"a-b")),
        ((b"40000", b"a"), (b"100644", b"a.b")),
        ((b"100644", b"a0"), (b"40000", b"a")),
    ],
)
def test_unsorted_or_duplicate_names_are_refused(first, second):
    assert "out of git's order, or appears twice" in refusal(
        entry(*first) + entry(*second)
    )


def test_a_file_and_a_directory_of_one_name_are_refused_though_apart_in_the_order():
    data = entry(b"120000", b"a") + entry(b"100644", b"a-b") + entry(b"40000", b"a")
    assert "/etc/a is out of git's order, or appears twice" in refusal(data, b"etc")


@pytest.mark.parametrize("cut", range(1, len(entry(b"100644", b"a"))))
def test_a_truncated_entry_is_refused(cut):
    refusal(entry(b"100644", b"a")[:cut])
    refusal(entry(b"100644", b"a") + entry(b"100644", b"b")[:cut])


@given(st.binary(max_size=120))
def test_arbitrary_bytes_are_refused_or_are_a_tree(data):
    try:
        found, _ = tree.parse(data)
    except UntrustedError:
        return
    assert data == b"".join(
        entry(e.mode.value.encode(), e.name, bytes.fromhex(e.oid)) for e in found
    )


WHOLE = entry(b"100644", b"a") + entry(b"40000", b"d") + entry(b"120000", b"sbin")


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_is_another_tree(at, change):
    data = bytearray(WHOLE)
    data[at] ^= change
    try:
        found, _ = tree.parse(bytes(data))
    except UntrustedError:
        return
    assert bytes(data) == b"".join(
        entry(e.mode.value.encode(), e.name, bytes.fromhex(e.oid)) for e in found
    )


class Store:
    """Tree objects in memory, by id, with a count of reads."""

    def __init__(self):
        self.objects = {}
        self.reads = 0

    def add(self, *entries):
        data = b"".join(entry(*e) for e in entries)
        oid = tree.object_id("tree", data, "sha1")
        self.objects[oid.hex()] = data
        return oid

    def read(self, oid):
        self.reads += 1
        return self.objects[oid]


ODD_NAMES = [
    b"a",
    b"a.b",
    b"a-b",
    b"b",
    b".git",
    b".GIT ",
    b"git~1",
    b"git",
    b"..",
    b".",
]
ODD_NAMES += [b".gitignore", b"a\x7f", b"a\n", b"caf\xe9", b"a/b", b"-", b" ", b"."]
ODD_NAMES += [".\u200cgit".encode(), b"..a", b"x" * 255, b"x" * 256, b"a0"]
MODES = [b"100644", b"100755", b"120000", b"40000", b"160000", b"100664", b"040000"]


@given(
    st.lists(st.tuples(st.sampled_from(MODES), st.sampled_from(ODD_NAMES)), max_size=5),
    st.booleans(),
)
def test_the_quick_way_reads_only_what_the_strict_one_reads_the_same(listed, ordered):
    if ordered:
        listed.sort(key=lambda e: e[1] + b"/" if e[0] == b"40000" else e[1])
    data = b"".join(entry(mode, name) for mode, name in listed)
    quick = tree._parse_ordinary(data)
    if quick is not None:
        assert quick == tree._parse_each(data, b"", submodules=False)


@pytest.mark.parametrize("name", [b"a", b"..a", b"a..", b".config", b"~", b"a b", b"-"])
def test_what_most_trees_hold_is_read_the_quick_way(name):
    data = entry(b"100644", name) + entry(b"40000", b"~z")
    assert tree._parse_ordinary(data) == tree._parse_each(data, b"", submodules=False)


def test_a_release_is_flattened_in_the_order_of_its_paths():
    store = Store()
    bottom = store.add((b"100644", b"x"), (b"100755", b"y"))
    root = store.add(
        (b"120000", b"lib"), (b"100644", b"usr-file"), (b"40000", b"usr", bottom)
    )
    flat = tree.flatten(root.hex(), store.read)
    assert [(e.path, e.mode) for e in flat.entries] == [
        (b"lib", GitMode.SYMLINK),
        (b"usr-file", GitMode.FILE),
        (b"usr/x", GitMode.FILE),
        (b"usr/y", GitMode.EXECUTABLE),
    ]
    assert set(flat.trees) == {root.hex(), bottom.hex()}
    assert flat.submodules == flat.empty == ()


def test_submodules_below_are_named_by_their_paths():
    store = Store()
    shared = store.add((b"160000", b"m"))
    root = store.add((b"40000", b"a", shared), (b"40000", b"b", shared))
    flat = tree.flatten(root.hex(), store.read, submodules=True)
    assert flat.submodules == (b"a/m", b"b/m")
    assert flat.empty == ()


def test_an_empty_tree_below_is_named():
    store = Store()
    root = store.add((b"100644", b"a"), (b"40000", b"none", store.add()))
    assert tree.flatten(root.hex(), store.read).empty == (b"none",)
    assert tree.flatten(store.add().hex(), store.read).empty == ()


def nested(store, depth):
    oid = store.add((b"100644", b"f"))
    for _ in range(depth):
        oid = store.add((b"40000", b"d", oid))
    return oid.hex()


def test_sixty_four_directories_deep_is_the_limit():
    store = Store()
    assert tree.flatten(nested(store, 64), store.read).entries[0].path.count(b"/") == 64
    with pytest.raises(UntrustedError, match="deeper than 64"):
        tree.flatten(nested(store, 65), store.read)


def test_a_tree_of_three_thousand_levels_is_refused_without_recursion():
    store = Store()
    with pytest.raises(UntrustedError, match="deeper than 64"):
        tree.flatten(nested(store, 3000), store.read)


def test_a_path_over_4095_bytes_is_refused():
    store = Store()
    oid = store.add((b"100644", b"f" * 200))
    for _ in range(20):
        oid = store.add((b"40000", b"d" * 200, oid))
    with pytest.raises(UntrustedError, match="over 4095 bytes"):
        tree.flatten(oid.hex(), store.read)


def test_more_files_than_promised_are_refused():
    store = Store()
    root = store.add((b"100644", b"a"), (b"100644", b"b")).hex()
    assert len(tree.flatten(root, store.read, max_entries=2).entries) == 2
    with pytest.raises(UntrustedError, match="more than 1 files"):
        tree.flatten(root, store.read, max_entries=1)


@pytest.mark.parametrize("leaf", [[(b"100644", b"f")], []])
def test_few_trees_that_stand_for_billions_of_paths_are_refused_early(leaf):
    store = Store()
    oid = store.add(*leaf)
    for _ in range(10):
        oid = store.add(*((b"40000", b"%d" % i, oid) for i in range(10)))
    with pytest.raises(UntrustedError, match="has more than") as caught:
        tree.flatten(oid.hex(), store.read, max_entries=1000)
    assert caught.value.check == "F2"
    assert store.reads <= 11


def test_few_files_in_many_deep_directories_are_fine():
    store = Store()
    tops = []
    for index in range(9):
        oid = store.add((b"100644", b"f%d" % index))
        for _ in range(60):
            oid = store.add((b"40000", b"d", oid))
        tops.append((b"40000", b"%d" % index, oid))
    root = store.add(*tops).hex()
    assert len(tree.flatten(root, store.read, max_entries=9).entries) == 9


def build(files, algorithm="sha1"):
    return tree.build(
        [
            (path, mode, tree.object_id("blob", data, algorithm))
            for path, (mode, data) in files.items()
        ],
        algorithm,
    )


FILES = {
    b"a/b/c": (GitMode.FILE, b"1"),
    b"a.b": (GitMode.EXECUTABLE, b"2"),
    b"a-b": (GitMode.SYMLINK, b"3"),
    b"a/caf\xe9": (GitMode.FILE, b""),
    b"z": (GitMode.FILE, b"1"),
}


def test_a_blob_has_the_id_that_git_gives_it():
    # `git hash-object` of "hello\n", in a SHA-1 and in a SHA-256 repository.
    assert (
        tree.object_id("blob", b"hello\n", "sha1").hex()
        == "ce013625030ba8dba906f756967f9e9ca394464a"
    )
    assert (
        tree.object_id("blob", memoryview(b"hello\n"), "sha256").hex()
        == hashlib.sha256(b"blob 6\0hello\n").hexdigest()
    )


def test_the_empty_tree_has_its_well_known_id():
    root, objects = tree.build([])
    assert root.hex() == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    assert objects == {root: b""}


def test_what_is_built_is_what_flattens():
    root, objects = build(FILES)
    flat = tree.flatten(root.hex(), lambda oid: objects[bytes.fromhex(oid)])
    assert [(e.path, e.mode) for e in flat.entries] == sorted(
        (path, mode) for path, (mode, _) in FILES.items()
    )
    assert {bytes.fromhex(oid) for oid in flat.trees} == set(objects)


def test_the_sha256_id_of_a_sha1_tree_is_that_of_the_same_tree_built_with_sha256():
    root, objects = build(FILES)
    digests = {
        path: tree.object_id("blob", data, "sha256")
        for path, (_, data) in FILES.items()
    }
    flat = tree.flatten(root.hex(), lambda oid: objects[bytes.fromhex(oid)])
    found = tree.sha256_id(root.hex(), flat.trees, digests)
    assert found == build(FILES, "sha256")[0].hex()


names = st.binary(min_size=1, max_size=6).filter(tree.safe_name)
paths = st.lists(names, min_size=1, max_size=4).map(b"/".join)


def without_clashes(found):
    parents = set()
    for path in found:
        parts = path.split(b"/")
        parents |= {b"/".join(parts[:end]) for end in range(1, len(parts))}
    return {path: value for path, value in found.items() if path not in parents}


@given(
    st.dictionaries(
        paths,
        st.tuples(
            st.sampled_from([GitMode.FILE, GitMode.EXECUTABLE, GitMode.SYMLINK]),
            st.binary(max_size=4),
        ),
        max_size=12,
    ).map(without_clashes)
)
def test_every_set_of_files_is_built_and_read_back_the_same(files):
    root, objects = build(files)
    flat = tree.flatten(root.hex(), lambda oid: objects[bytes.fromhex(oid)])
    assert {e.path: (e.mode, e.oid) for e in flat.entries} == {
        path: (mode, tree.object_id("blob", data, "sha1").hex())
        for path, (mode, data) in files.items()
    }
    assert flat.empty == ()
