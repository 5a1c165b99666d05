import time

import pytest
from support import rpmdb

from updater.core import packages
from updater.core.packages import apk, dpkg, owners, pacman, rpm
from updater.core.packages.owners import NOBODY, Conffile
from updater.errors import RefusedError

INFO = dpkg.INFO
DPKG = {
    dpkg.STATUS: b"Package: dash\nVersion: 1\nConffiles:\n"
    b" /etc/dash 0123456789abcdef0123456789abcdef\n\n",
    INFO + b"dash.list": b"/.\n/bin\n/bin/dash\n/bin/sh\n/etc\n/etc/dash\n",
    INFO
    + b"bash.list": b"/.\n/bin\n/bin/bash\n/bin/sh\n/usr\n/usr/bin\n/usr/bin/bug\n",
    INFO + b"libc6:amd64.list": b"/.\n/lib64\n/lib64/ld.so.2\n/lib\n/lib/libc.so.6\n",
    INFO + b"libc6:i386.list": b"/.\n/lib/ld.so.1\n",
    INFO + b"python3.list": b"/usr/lib/python3/mod.py\n",
    INFO + b"dash.md5sums": b"0  bin/dash\n",
    dpkg.DIVERSIONS: b"/bin/sh\n/bin/sh.distrib\ndash\n",
}
MERGED = {b"bin": b"usr/bin", b"lib": b"/usr/lib", b"lib64": b"./usr/lib64"}


def find(files, links=None):
    return packages.find_owners(files, files.__getitem__, (links or {}).get)


def test_a_path_belongs_to_the_package_that_lists_it():
    found = find(DPKG)
    assert found.owner_of(b"bin/dash") == "dash"
    assert found.owner_of(b"lib/libc.so.6") == "libc6"
    assert found.owner_of(b"lib/ld.so.1") == "libc6"
    assert found.owner_of(b"usr/local/bin/mine") is None
    assert found.owner_of(b"") is None


def test_a_shared_path_belongs_to_the_first_package_by_name():
    assert find(DPKG).owner_of(b"bin") == "bash"


def test_a_diverted_path_belongs_to_the_diverter_and_the_rest_lies_aside():
    found = find(DPKG)
    assert found.owner_of(b"bin/sh") == "dash"
    assert found.owner_of(b"bin/sh.distrib") == "bash"


def test_a_diverted_path_that_the_diverter_does_not_have_is_nobodys():
    found = find({**DPKG, dpkg.DIVERSIONS: b"/bin/sh\n/bin/sh.aside\n:\n"})
    assert found.owner_of(b"bin/sh") is None
    assert found.owner_of(b"bin/sh.aside") == "bash"


def test_files_are_found_where_merged_directories_have_them():
    found = find(DPKG, MERGED)
    assert found.owner_of(b"usr/bin/dash") == "dash"
    assert found.owner_of(b"usr/bin/sh") == "dash"
    assert found.owner_of(b"usr/bin/sh.distrib") == "bash"
    assert found.owner_of(b"usr/lib/libc.so.6") == "libc6"
    assert found.owner_of(b"usr/lib64/ld.so.2") == "libc6"
    assert found.owner_of(b"usr/bin/bug") == "bash"
    assert found.owner_of(b"bin/dash") is None


def test_links_that_lead_to_each_other_are_followed():
    arch = {b"lib64": b"usr/lib64", b"usr/lib64": b"lib", b"usr/sbin": b"bin"}
    assert owners.aliases(arch.get) == {
        b"lib64": b"usr/lib",
        b"usr/lib64": b"usr/lib",
        b"usr/sbin": b"usr/bin",
    }


@pytest.mark.parametrize(
    "links",
    [
        {b"bin": b"sbin", b"sbin": b"bin"},
        {b"lib64": b"lib/x", b"lib": b"lib64/y"},
        {b"bin": b"../../outside"},
        {b"bin": b"."},
        {b"bin": b""},
    ],
)
def test_links_that_lead_nowhere_do_no_harm(links):
    found = find(DPKG, links)
    assert found.owner_of(b"usr/lib/python3/mod.py") == "python3"


def test_byte_code_comes_with_its_module():
    found = find(DPKG)
    code = b"usr/lib/python3/__pycache__/mod.cpython-311.opt-1.pyc"
    assert found.owner_of(code) is None
    assert found.maker_of(code) == "python3"
    assert found.maker_of(b"usr/lib/python3/__pycache__/other.cpython-311.pyc") is None


def test_conffiles_are_those_of_the_database():
    found = find(DPKG)
    assert found.is_conffile(b"etc/dash")
    assert found.conffile(b"etc/dash") == Conffile("dash", "0123456789abcdef" * 2)
    assert not found.is_conffile(b"bin/dash")


def test_images_without_dpkg_list_their_files_with_checksums():
    found = find(
        {
            dpkg.STATUS_D + b"tzdata": b"Package: tzdata\nVersion: 1\n",
            dpkg.STATUS_D + b"tzdata.md5sums": b"0a  usr/share/a\n0b  ./usr/share/b\n",
        }
    )
    assert found.owner_of(b"usr/share/a") == "tzdata"
    assert found.owner_of(b"usr/share/b") == "tzdata"


def test_every_family_is_understood_even_side_by_side(tmp_path):
    header = rpmdb.package(
        "setup",
        numbers=[(1116, [0]), (1037, [1])],
        lists=[(1117, ["hosts"]), (1118, ["/etc/"])],
    )
    found = find(
        {
            apk.INSTALLED[0]: b"P:musl\nV:1\nF:lib\nR:ld-musl\nF:etc\nR:musl.conf\n\n",
            apk.PROTECTED + b"a.list": b"-etc/musl.conf\n",
            apk.PROTECTED + b"a.list.apk-new": b"+etc/musl.conf\n",
            apk.PROTECTED + b".b.list": b"+etc/musl.conf\n",
            pacman.LOCAL + b"zsh-5.9-5/files": b"%FILES%\nusr/bin/zsh\netc/zsh\n\n"
            b"%BACKUP%\netc/zsh\t0\n",
            pacman.LOCAL + b"zsh-5.9-5/desc": b"%NAME%\nzsh\n",
            rpm.SQLITE[0]: rpmdb.database(tmp_path / "db", [header]),
        }
    )
    assert found.owner_of(b"lib/ld-musl") == "musl"
    assert found.owner_of(b"usr/bin/zsh") == "zsh"
    assert found.owner_of(b"etc/hosts") == "setup"
    assert [found.is_conffile(p) for p in (b"etc/hosts", b"etc/zsh")] == [True, True]
    assert not found.is_conffile(b"etc/musl.conf")


def test_no_database_owns_nothing():
    found = find({b"etc/passwd": b""})
    assert not found
    assert not NOBODY
    assert found.owner_of(b"etc/passwd") is None
    assert find(DPKG)


def test_what_a_package_gained_and_lost_is_told():
    new = {**DPKG, INFO + b"dash.list": b"/bin\n/bin/dash\n/bin/new\n/etc\n/etc/dash\n"}
    gained, lost = owners.changed_files("dash", find(DPKG), find(new))
    assert (gained, lost) == ({b"bin/new"}, {b"bin/sh"})


def test_a_file_is_explained_by_a_changed_package_that_has_or_had_it():
    without = {**DPKG, INFO + b"bash.list": b"/bin\n"}
    old, new = find(DPKG), find(without)
    bug = b"usr/bin/bug"
    assert owners.explained_by(bug, old, new, {"bash"}) == "bash"
    assert owners.explained_by(bug, old, new, {"dash"}) is None
    assert owners.explained_by(b"nobodys", old, new, {"bash", "dash"}) is None


@pytest.mark.parametrize(
    ("path", "data", "reason"),
    [
        (INFO + b"bash.list", b"/.\n/bin", "line 2 does not end"),
        (INFO + b"bash.list", b"/.\n/b\0n\n", "line 2 holds a NUL"),
        (dpkg.DIVERSIONS, b"/a\n/b\n", "line 2"),
        (pacman.LOCAL + b"a-1-1/files", b"%FILES%\nusr", "line 2 does not end"),
        (apk.INSTALLED[0], b"P:a\n\nV:1\nF:x\nR:y\n", "at line 3, P"),
        (apk.PROTECTED + b"a.list", b"+x\n" * 2000, "more than 1000 protected"),
    ],
)
def test_a_damaged_list_is_refused_with_its_place(path, data, reason):
    with pytest.raises(RefusedError) as caught:
        find({**DPKG, path: data})
    assert path.decode() in str(caught.value)
    assert reason in str(caught.value)


def test_more_paths_than_a_release_can_have_are_refused():
    line = b"/a\n"
    many = {INFO + b"%d.list" % i: line * 1_500_000 for i in range(3)}
    with pytest.raises(RefusedError, match=r"2\.list.*more than 4000000 paths"):
        find(many)


def test_a_debian_of_27000_files_is_read_in_a_tenth_of_a_second():
    files = {
        INFO + b"p%d.list" % i: b"".join(
            b"/usr/share/p%d/dir/file%d\n" % (i, j) for j in range(90)
        )
        for i in range(300)
    }
    took = []
    for _ in range(3):
        began = time.process_time()
        found = find(files, MERGED)
        took.append(time.process_time() - began)
    assert found.owner_of(b"usr/share/p299/dir/file89") == "p299"
    assert min(took) < 0.1
