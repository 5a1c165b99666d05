import pytest

from updater.core.packages import apk
from updater.core.packages.owners import Conffile
from updater.model import Package

INSTALLED = b"""\
C:Q1p78yvTLG094tHE1+dToJGbmYzQE=
P:musl
V:1.2.5-r0
A:x86_64
S:407278
I:667648
T:the musl c library (libc) implementation
o:musl
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
Z:Q1qBWuv9eYhbDRzBYAXvPhFHpyOIE=
R:libc.musl-x86_64.so.1

P:alpine-baselayout
V:3.6.5-r0
A:x86_64
I:28672
o:alpine-baselayout-src
F:
R:.profile
F:etc
R:motd
F:etc/init.d
R:hostname
F:etc/profile.d
R:color_prompt.sh.disabled

"""


def test_the_list_tells_origin_and_installed_size():
    assert apk.parse(INSTALLED) == [
        Package("musl", "1.2.5-r0", "musl", "x86_64", 667648, "apk"),
        Package(
            "alpine-baselayout",
            "3.6.5-r0",
            "alpine-baselayout-src",
            "x86_64",
            28672,
            "apk",
        ),
    ]


def test_files_are_listed_below_their_directories():
    assert apk.listed(INSTALLED) == {
        "musl": [b"lib", b"lib/ld-musl-x86_64.so.1", b"lib/libc.musl-x86_64.so.1"],
        "alpine-baselayout": [
            b".profile",
            b"etc",
            b"etc/motd",
            b"etc/init.d",
            b"etc/init.d/hostname",
            b"etc/profile.d",
            b"etc/profile.d/color_prompt.sh.disabled",
        ],
    }


def test_etc_is_protected_except_for_init_scripts():
    found = dict(apk.conffiles(apk.listed(INSTALLED), []))
    assert found[b"etc/motd"] == Conffile("alpine-baselayout")
    assert b"etc/profile.d/color_prompt.sh.disabled" in found
    assert b"etc/init.d/hostname" not in found
    assert b".profile" not in found
    assert b"lib/ld-musl-x86_64.so.1" not in found


def test_lists_of_protected_paths_add_and_take_away():
    lists = [b"# ours\n-etc/profile.d\n+lib/ld-*\n", b"-etc/motd\n!.profile\n"]
    rules = [rule for data in lists for rule in apk.parse_rules(data)]
    found = dict(apk.conffiles(apk.listed(INSTALLED), rules))
    assert found.keys() - {b"etc"} == {b".profile", b"lib/ld-musl-x86_64.so.1"}


def test_a_path_of_a_million_directories_takes_no_stack():
    deep = b"/".join([b"a"] * 100_000)
    found = dict(apk.conffiles({"x": [b"etc/" + deep]}, []))
    assert len(found) == 1


def test_fields_after_the_first_directory_are_those_of_files():
    data = INSTALLED.replace(b"F:etc\n", b"F:etc\nV:9\nP:other\n")
    assert [p.name for p in apk.parse(data)] == ["musl", "alpine-baselayout"]


def test_a_version_that_is_told_twice_is_refused():
    with pytest.raises(ValueError, match="line 1, the field V appears twice"):
        apk.parse(b"P:x\nV:1\nV:2\n")
