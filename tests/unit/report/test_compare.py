"""Which paths differ, how, and by how many bytes."""

import pytest
from support.factory import Symlink
from support.snapshots import take

from updater.model import Metadata
from updater.report.compare import compare, is_bookkeeping
from updater.report.diff import Counts, Kind, is_empty


def kinds(report):
    return {change.path: change.kind for change in report.files}


def only(report):
    [change] = report.files
    return change


def test_a_release_does_not_differ_from_itself():
    files = {"etc/motd": "hello\n", "bin": Symlink("usr/bin")}
    meta = {b"srv": Metadata(type="dir")}
    report = compare(take(files, meta), take(files, meta))
    assert report.files == ()
    assert is_empty(report)
    assert report.grows == 0


def test_files_come_go_and_change():
    old = take({"a": "1", "b": "22", "c": "333", "d": "4"})
    new = take({"a": "1", "b": "2222", "e": "55555", "d": "5"})
    report = compare(old, new)
    assert kinds(report) == {
        b"b": Kind.MODIFIED,
        b"c": Kind.REMOVED,
        b"d": Kind.MODIFIED,
        b"e": Kind.ADDED,
    }
    assert report.counts == Counts(
        added=1, removed=1, modified=2, metadata=0, bookkeeping=0
    )
    assert report.counts.total == 4
    assert report.grows == 2 - 3 + 0 + 5


def test_paths_are_sorted_by_bytes():
    report = compare(take({}), take({b"b\xff": "", "a/z": "", "a-": "", "B": ""}))
    assert [c.path for c in report.files] == [b"B", b"a-", b"a/z", b"b\xff"]


def test_a_file_that_becomes_a_symlink_is_another_type():
    old = take({"etc/resolv.conf": "nameserver 192.0.2.1\n"})
    new = take({"etc/resolv.conf": Symlink("../run/resolv.conf")})
    change = only(compare(old, new))
    assert change.kind is Kind.TYPE
    assert (change.old.type, change.new.type) == ("file", "symlink")
    assert not change.mode  # a symlink has none to compare


def test_a_directory_that_becomes_a_symlink_is_another_type():
    old = take({"lib/libc.so": "x"})
    new = take({"lib": Symlink("usr/lib"), "usr/lib/libc.so": "x"})
    assert kinds(compare(old, new)) == {
        b"lib": Kind.TYPE,
        b"lib/libc.so": Kind.REMOVED,
        b"usr/lib/libc.so": Kind.ADDED,
    }


def test_the_executable_bit_is_a_change_of_mode():
    change = only(compare(take({"x": ("#!", 0o644)}), take({"x": ("#!", 0o755)})))
    assert change.kind is Kind.METADATA
    assert change.mode
    assert (change.old.mode, change.new.mode) == (0o644, 0o755)


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        (Metadata(), Metadata(mode=0o4755), "mode"),
        (Metadata(gid=42), Metadata(), "owner"),
        (Metadata(uid=1), Metadata(uid=2), "owner"),
        (Metadata(), Metadata(xattrs=(("security.capability", b"\1"),)), "xattrs"),
        (
            Metadata(xattrs=(("user.a", b"1"),)),
            Metadata(xattrs=(("user.a", b"2"),)),
            "xattrs",
        ),
    ],
)
def test_what_only_the_manifest_says_is_metadata(before, after, what):
    files = {"usr/bin/x": ("#!", 0o755)}
    report = compare(
        take(files, {b"usr/bin/x": before}), take(files, {b"usr/bin/x": after})
    )
    change = only(report)
    assert change.kind is Kind.METADATA
    flags = {
        name: getattr(change, name) for name in ("mode", "owner", "xattrs", "links")
    }
    assert flags == {name: name == what for name in flags}
    assert report.counts == Counts(
        added=0, removed=0, modified=0, metadata=1, bookkeeping=0
    )
    assert not is_empty(report)


def test_a_manifest_that_says_the_default_changes_nothing():
    files = {"usr/bin/x": ("#!", 0o755)}
    said = take(files, {b"usr/bin/x": Metadata(mode=0o755)})
    assert is_empty(compare(take(files), said))


def test_content_and_metadata_of_one_path_count_once_each():
    old = take({"x": "1"}, {b"x": Metadata(mode=0o600)})
    report = compare(old, take({"x": "2"}))
    assert report.counts == Counts(
        added=0, removed=0, modified=1, metadata=1, bookkeeping=0
    )


def test_a_hardlink_takes_no_space_of_its_own():
    links = {b"b": Metadata(hardlink=b"a")}
    assert compare(take({}), take({"a": "12345", "b": "12345"}, links)).grows == 5
    split = compare(
        take({"a": "12345", "b": "12345"}, links), take({"a": "12345", "b": "12345"})
    )
    assert split.grows == 5
    assert only(split).links


def test_a_hardlink_has_the_metadata_of_its_target():
    files = {"a": ("x", 0o755), "b": ("x", 0o755)}
    meta = {b"a": Metadata(mode=0o4755, gid=7), b"b": Metadata(hardlink=b"a")}
    node = take(files, meta).node(b"b")
    assert (node.mode, node.gid, node.hardlink) == (0o4755, 7, b"a")


def test_what_git_cannot_hold_comes_and_goes():
    old = take(
        {},
        {b"srv": Metadata(type="dir"), b"dev/null": Metadata(type="char", dev=(1, 3))},
    )
    new = take({}, {b"srv": Metadata(type="dir"), b"run/x": Metadata(type="fifo")})
    report = compare(old, new)
    assert kinds(report) == {b"dev/null": Kind.REMOVED, b"run/x": Kind.ADDED}
    assert report.grows == 0


def test_another_device_number_is_other_content():
    old = take({}, {b"dev/x": Metadata(type="char", dev=(1, 3))})
    new = take({}, {b"dev/x": Metadata(type="char", dev=(1, 5))})
    assert only(compare(old, new)).kind is Kind.MODIFIED


def test_an_empty_directory_that_is_filled_stays():
    old = take({}, {b"srv": Metadata(type="dir")})
    new = take({"srv/www/index.html": "x"})
    assert kinds(compare(old, new)) == {b"srv/www/index.html": Kind.ADDED}
    assert kinds(compare(new, old)) == {b"srv/www/index.html": Kind.REMOVED}


def test_a_directory_with_another_owner_is_metadata():
    files = {"var/lib/x/data": "1"}
    report = compare(take(files), take(files, {b"var/lib/x": Metadata(uid=33)}))
    assert kinds(report) == {b"var/lib/x": Kind.METADATA}


def test_a_filled_directory_that_comes_is_told_by_its_files():
    new = take({"opt/x/data": "1"}, {b"opt/x": Metadata(mode=0o700)})
    assert kinds(compare(take({}), new)) == {b"opt/x/data": Kind.ADDED}
    assert kinds(compare(new, take({}))) == {b"opt/x/data": Kind.REMOVED}


def test_a_name_that_begins_as_a_directory_does_is_not_in_it():
    """`srv-old/x` sorts before `srv/`, and says nothing about /srv."""
    old = take({"srv-old/x": "1", "srv.d/x": "1"}, {b"srv": Metadata(type="dir")})
    new = take({"srv-old/x": "1", "srv.d/x": "1"})
    assert kinds(compare(old, new)) == {b"srv": Kind.REMOVED}


def test_unknown_sizes_are_not_guessed():
    old, new = take({"a": "1"}), take({"a": "2"}, sizes={})
    report = compare(old, new)
    assert report.grows is None
    assert report.directories[0].grows is None
    assert report.counts.modified == 1


def test_sizes_are_asked_only_of_what_differs():
    class Asked(dict):
        def get(self, oid, default=None):
            asked.append(oid)
            return super().get(oid, default)

    asked = []
    same = {f"usr/{n}": str(n) for n in range(50)}
    old, new = take(same, sizes=Asked()), take({**same, "x": "1"}, sizes=Asked())
    compare(old, new)
    assert asked == [new.tree.leaf(b"x").oid]


def test_package_bookkeeping_is_counted_apart():
    files = {
        "var/lib/dpkg/info/x.list": "",
        "var/cache/ldconfig/aux-cache": "",
        "usr/lib/osupdate/manifest": "",
        "etc/ld.so.cache": "",
        "usr/bin/x": "",
        "etc/x.conf": "",
    }
    report = compare(take({}), take(files))
    assert report.counts.bookkeeping == 4
    assert [place.path for place in report.directories] == [b"etc", b"usr/bin"]
    assert [change.path for change in report.configs] == [b"etc/x.conf"]


@pytest.mark.parametrize(
    "path",
    [b"var/lib/dpkg2/x", b"usr/lib/osupdate-hooks", b"etc/passwd", b"var/cachefiles"],
)
def test_similar_names_are_not_bookkeeping(path):
    assert not is_bookkeeping(path)


def test_config_is_what_differs_in_content_below_etc():
    old = take({"etc/a": "1", "etc/b": "1", "etc/c": "1", "usr/etc/d": "1"})
    new = take(
        {"etc/a": "2", "etc/c": "1", "etc/e": "1", "usr/etc/d": "2", "etcetera": "1"},
        {b"etc/c": Metadata(mode=0o600)},
    )
    found = {change.path: change.change for change in compare(old, new).configs}
    assert found == {b"etc/a": "modified", b"etc/b": "removed", b"etc/e": "added"}


def test_directories_are_listed_by_their_first_three_names():
    new = take(
        {
            "usr/lib/modules/6.1/a.ko": "1",
            "usr/lib/modules/6.1/b/c.ko": "22",
            "usr/lib/x.so": "333",
            "vmlinuz": "4444",
        }
    )
    found = [(p.path, p.changes, p.grows) for p in compare(take({}), new).directories]
    assert found == [(b"usr/lib/modules", 2, 3), (b"", 1, 4), (b"usr/lib", 1, 3)]


def test_paths_limit_what_is_compared():
    old = take({"etc/a": "1", "etc/b/c": "1", "etcetera": "1", "usr/x": "1"})
    report = compare(old, take({}), paths=[b"etc"])
    assert set(kinds(report)) == {b"etc/a", b"etc/b/c"}
    assert set(kinds(compare(old, take({}), paths=[b"etc/a", b"usr"]))) == {
        b"etc/a",
        b"usr/x",
    }


def test_the_root_as_a_path_is_everything():
    report = compare(take({"etc/a": "1", "x": "1"}), take({}), paths=[b"", b"etc"])
    assert set(kinds(report)) == {b"etc/a", b"x"}
    assert report.paths == ()


def test_the_first_release_is_all_new():
    report = compare(None, take({"a": "1", "b": "22"}), download=7)
    assert report.old is None
    assert report.counts.added == 2
    assert report.grows == 3
    assert report.download == 7
