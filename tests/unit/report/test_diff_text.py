"""What a person reads before saying yes: complete, escaped, and 80 columns wide."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.factory import Symlink
from support.snapshots import DAY, dpkg, stanza, take

from updater.core import packages as lists
from updater.model import Metadata, Package
from updater.report import diff_text
from updater.report.compare import compare

OLD = {"name": "running", "version": "2026.04.2", "commit": "91c0f3d" + "0" * 33}
NEW = {"name": "staged", "version": "2026.05.1", "commit": "4be1a90" + "0" * 33}
LIST = "usr/lib/osupdate/packages.json"


def report(old, new, old_meta=None, new_meta=None, **kw):
    before = None
    if old is not None:
        before = take(old, old_meta, created=1_778_889_600 - 22 * DAY, **OLD)
    return compare(before, take(new, new_meta, **NEW), **kw)


def summary(*args, **kw):
    return diff_text.summary(report(*args, **kw))


def rows(*packages):
    return {LIST: lists.to_json([Package(*package) for package in packages])}


def test_the_summary_tells_the_whole_story():
    old = {
        **dpkg(
            stanza("bind9", "1:9.18.24-1"),
            stanza("bind9-libs", "1:9.18.24-1", source="bind9"),
            stanza("linux-image-amd64", "6.1.90-1", source="linux"),
            stanza("telnet", "0.17-44", kib=200),
        ),
        "etc/ssh/sshd_config": "Port 22\n",
        "usr/bin/telnet": "x" * 2000,
        "usr/bin/crontab": ("#!", 0o755),
    }
    new = {
        **dpkg(
            stanza("bind9", "1:9.18.28-1"),
            stanza("bind9-libs", "1:9.18.28-1", source="bind9"),
            stanza("linux-image-amd64", "6.1.94-1", source="linux"),
            stanza("cups-browsed", "1.28.17-3", kib=1200),
        ),
        "etc/ssh/sshd_config": "Port 23\n",
        "usr/bin/crontab": ("#!", 0o755),
    }
    grows = len(new["var/lib/dpkg/status"]) - len(old["var/lib/dpkg/status"]) - 2000
    assert -2000 <= grows < -1000  # as `-N.N kB` shows it
    text = summary(
        old,
        new,
        None,
        {b"usr/bin/crontab": Metadata(mode=0o2755, gid=101)},
        download=18_400_000,
    )
    right = f"download 18.4 MB, release -{-grows / 1000:.1f} kB"
    head = "2026.04.2 (91c0f3d) -> 2026.05.1 (4be1a90)"
    assert text.split("\n") == [
        head + right.rjust(80 - len(head)),
        "running of 2026-04-24 -> staged of 2026-05-16",
        "",
        "KERNEL     6.1.90-1 -> 6.1.94-1",
        "",
        "PACKAGES   3 changed (2 sources), 1 added, 1 removed",
        "  M bind9              1:9.18.24-1 -> 1:9.18.28-1"
        + "(2)".rjust(80 - len("  M bind9              1:9.18.24-1 -> 1:9.18.28-1")),
        "  M linux-image-amd64  6.1.90-1 -> 6.1.94-1",
        "  A cups-browsed       1.28.17-3"
        + "+1.2 MB".rjust(80 - len("  A cups-browsed       1.28.17-3")),
        "  R telnet             0.17-44"
        + "-204.8 kB".rjust(80 - len("  R telnet             0.17-44")),
        "",
        "CONFIG     1 file      M /etc/ssh/sshd_config",
        "",
        "FILES      3 changed (+0 -1 ~2), 1 of them bookkeeping",
        "       1  /etc/ssh" + "+0 B".rjust(80 - len("       1  /etc/ssh")),
        "       1  /usr/bin" + "-2.0 kB".rjust(80 - len("       1  /usr/bin")),
        "",
        "METADATA   1 path with another mode, owner, attribute or link",
        "  /usr/bin/crontab  0755 -> 2755, 0:0 -> 0:101",
    ]


def test_nothing_is_said_to_be_nothing():
    assert summary({"x": "1"}, {"x": "1"}).endswith("\n\nNothing differs")


def test_nothing_below_the_paths_asked_about_is_said_so():
    text = summary({"x": "1"}, {"x": "2"}, paths=[b"etc", b"srv/www"])
    assert text.endswith("\nonly /etc, /srv/www\n\nNothing differs here")
    assert "release " not in text.split("\n")[0]


def test_no_package_database_is_said_and_files_are_told():
    text = summary({"x": "1"}, {"x": "2"})
    assert "PACKAGES   No package database: only files are compared\n" in text
    assert "FILES      1 changed (+0 -0 ~1)\n" in text


def test_a_damaged_package_database_is_said_and_files_are_told():
    text = summary({"x": "1"}, {"x": "2", LIST: "{"})
    assert "PACKAGES   Not compared: packages.json cannot be read: " in text
    assert "FILES      2 changed (+1 -0 ~1), 1 of them bookkeeping\n" in text


def test_the_first_release_is_counted_not_listed():
    text = summary(
        None,
        {**dpkg(stanza("bash", "5.2"), stanza("zsh", "5.9")), "etc/a": "1"},
        download=1000,
    )
    lines = text.split("\n")
    assert lines[0].startswith("2026.05.1 (4be1a90), the first release here  ")
    assert lines[1:] == [
        "",
        "PACKAGES   2 (2 sources)",
        "CONFIG     1 file below /etc",
        "FILES      2, 1 of them bookkeeping",
    ]


def test_unknown_sizes_are_left_out():
    old, new = take({"x": "1"}), take({"x": "22"}, sizes={})
    head = diff_text.summary(compare(old, new)).split("\n")[0]
    assert head == "1 (aaaaaaa) -> 1 (aaaaaaa)"


def test_only_metadata_is_not_a_changed_file():
    files = {"usr/bin/x": ("#!", 0o755), **rows(("a", "1", "a", "all"))}
    text = summary(files, files, None, {b"usr/bin/x": Metadata(mode=0o4755)})
    assert "PACKAGES   none changed\nFILES      none changed\n" in text
    assert "  /usr/bin/x  0755 -> 4755" in text


def test_more_packages_than_fit_are_counted():
    count = diff_text.CHANGED_ROWS + 4
    names = [f"p{n:02}" for n in range(count)]
    text = summary(
        rows(*((name, "1", name, "all") for name in names)),
        rows(*((name, "2", name, "all") for name in names)),
    )
    assert f"PACKAGES   {count} changed ({count} sources), 0 added, 0 removed" in text
    assert "  ... 4 more: osupdate diff --packages" in text
    assert text.count("  M p") == diff_text.CHANGED_ROWS


def test_removals_are_shown_however_much_changes():
    many = [f"p{n:02}" for n in range(40)]
    text = summary(
        rows(*((n, "1", n, "all") for n in many), ("zsh", "5.9", "zsh", "all")),
        rows(*((n, "2", n, "all") for n in many)),
    )
    assert "  R zsh  5.9" in text


def test_config_that_changes_together_shares_a_row():
    certs = {f"etc/ssl/certs/{n}": "x" for n in range(20)}
    text = summary({"etc/ssh/sshd_config": "1"}, {"etc/ssh/sshd_config": "2", **certs})
    assert "CONFIG     21 files\n  M /etc/ssh/sshd_config\n" in text
    assert "\n  20 in /etc/ssl/certs (+20 -0 ~0)\n" in text


def test_more_config_than_fits_is_counted():
    files = {f"etc/{n:02}/x": "1" for n in range(diff_text.CONFIG_ROWS + 3)}
    text = summary({}, files)
    assert f"CONFIG     {len(files)} files\n" in text
    assert "  ... 3 more: osupdate diff --files /etc" in text


def test_more_directories_than_fit_are_counted():
    text = summary({}, {f"{n}/x": "1" for n in range(diff_text.DIRECTORY_ROWS + 2)})
    assert "       2  in 2 other directories: osupdate diff --files" in text


def test_a_package_of_another_architecture_shows_both():
    text = summary(rows(("x", "1", "x", "amd64")), rows(("x", "1", "x", "all")))
    assert "  M x  1 amd64 -> 1 all" in text


def test_the_body_is_the_summary_without_its_head():
    found = report({"x": "1"}, {"x": "2"})
    head, _, rest = diff_text.summary(found).partition("\n\n")
    assert head.startswith("2026.04.2")
    assert diff_text.body(found) == rest


def test_every_package_is_listed_with_the_names_in_its_group():
    names = [f"lib{n}" for n in range(30)]
    old = rows(*((n, "1", "big", "all") for n in names), ("a", "1", "a", "all"))
    new = rows(*((n, "2", "big", "all") for n in names), ("a", "2", "a", "all"))
    text = diff_text.packages(report(old, new))
    listed = text.replace("\n", " ").replace(",", "").split()
    assert set(names) <= set(listed)
    assert "\n  M a    1 -> 2\n" in text


def test_packages_of_some_paths_are_not_a_thing():
    found = report({"etc/x": "1"}, {"etc/x": "2"}, paths=[b"etc"])
    assert "Packages are compared only without PATH" in diff_text.packages(found)


def test_every_path_is_listed_with_what_differs():
    old = {"a": "1", "b": "1", "c": "1", "d": ("1", 0o755), "e": "1", "same": "1"}
    new = {
        "a": "2",
        "c": Symlink("a"),
        "d": ("1", 0o755),
        "e": "1",
        "f": "1",
        "same": "1",
    }
    meta = {
        b"d": Metadata(mode=0o4755, uid=1, xattrs=(("security.capability", b"\1"),)),
        b"e": Metadata(hardlink=b"same"),
        b"f": Metadata(mode=0o600, gid=42),
        b"dev/null": Metadata(type="char", dev=(1, 3), mode=0o666),
    }
    text = diff_text.files(report(old, new, None, meta))
    assert text.split("\n")[-7:] == [
        "M .... /a",
        "R .... /b",
        "T .... /c  file -> symlink",
        ". pox. /d  0755 -> 4755, 0:0 -> 1:0, security.capability added",
        "A .... /dev/null  char, 0666, device 1:3",
        ". ...l /e  hardlink of /same",
        "A .... /f  0600, 0:42",
    ]


def test_a_list_of_no_paths_says_so():
    assert diff_text.files(report({"x": "1"}, {"x": "1"})).endswith("Nothing differs")


HOSTILE = "\x1b[2J\x07\u202e\u2066\x9b31m\x00\r"


def is_quiet(text):
    """Whether no character of `text` can move the cursor or turn the line around."""
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return not hidden & set(map(unicodedata.category, text))


def views(found):
    return [diff_text.summary(found), diff_text.packages(found), diff_text.files(found)]


def test_names_of_a_release_cannot_move_the_cursor():
    old = {**rows(("y", HOSTILE, HOSTILE, HOSTILE)), "etc/x": "1"}
    new = {
        **rows((f"x{HOSTILE}", "1", "x", "all"), ("y", "2", HOSTILE, "all")),
        f"etc/{HOSTILE.replace(chr(0), '')}": "1",
    }
    meta = {
        f"etc/{HOSTILE.replace(chr(0), '')}".encode(): Metadata(
            xattrs=((f"user.{HOSTILE}", b"1"),)
        )
    }
    before = take(old, name=HOSTILE, version=HOSTILE, commit=HOSTILE)
    found = compare(before, take(new, meta, name=HOSTILE, version=HOSTILE))
    for text in views(found):
        assert is_quiet(text.replace("\n", ""))


def test_an_error_of_a_database_cannot_move_the_cursor():
    status = f"Package: x\nStatus: a b installed\nVersion: 1\nSource: {HOSTILE} x y\n"
    for text in views(report({}, {"var/lib/dpkg/status": status})):
        assert is_quiet(text.replace("\n", ""))


word = st.text(st.characters(codec="utf-8"), min_size=1, max_size=120)
package = st.builds(Package, word, word, word, word, st.none() | st.integers(0, 2**60))
path = st.binary(min_size=1, max_size=200).map(lambda b: b.replace(b"\0", b"x"))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(package, max_size=6),
    st.lists(package, max_size=6),
    st.lists(path, max_size=4),
    st.sampled_from([60, 80, 132]),
    word,
)
def test_the_summary_always_fits(old, new, paths, width, version):
    files = {b"etc/" + name: "1" for name in paths}
    meta = {b"etc/" + name: Metadata(mode=0o4755) for name in paths}
    before = take({LIST: lists.to_json(old), "etc": Symlink("x")}, **OLD)
    kept = take({LIST: lists.to_json(old), **files}, **OLD)
    after = take({LIST: lists.to_json(new), **files}, meta, version=version)
    for side in (before, kept, None):
        found = compare(side, after, download=2**70)
        for line in diff_text.summary(found, width).split("\n"):
            assert is_quiet(line)
            assert len(line) <= width


@pytest.mark.parametrize("count", [0, 1, -1])
def test_a_change_of_size_has_its_sign(count):
    shown = {0: "+0 B", 1: "+1 B", -1: "-1 B"}[count]
    old, new = {"x": "1" * 5}, {"x": "2" * (5 + count)}
    assert summary(old, new).split("\n")[0].endswith(f"release {shown}")
