import contextlib
import json
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import rpmdb

from updater.core import packages
from updater.core.packages import apk, dpkg, pacman, rpm
from updater.errors import RefusedError
from updater.model import Package

DPKG = b"""\
Package: libssl3
Status: install ok installed
Architecture: amd64
Source: openssl
Version: 3.0.13-1~deb12u1

Package: adduser
Status: install ok installed
Architecture: all
Version: 3.134
"""
APK = b"P:musl\nV:1.2.5-r0\nA:x86_64\nI:667648\no:musl\n\n"


@pytest.mark.parametrize(
    ("path", "data", "reason"),
    [
        (dpkg.STATUS, b"Package: x\nStatus: install ok installed\n", "Version"),
        (dpkg.STATUS, DPKG[:-1], "line 10 does not end in a line feed: it is cut"),
        (dpkg.STATUS, DPKG.replace(b"3.134", b"3.\0"), "line 10 holds a NUL byte"),
        (dpkg.STATUS, DPKG + b"\n" + DPKG, "line 12: package libssl3 of amd64 appears"),
        (dpkg.STATUS_D + b"x", b"Package: x\nVersion: \n", "Version"),
        (apk.INSTALLED[0], b"P:x\n", "in the paragraph at line 1, x: V"),
        (apk.INSTALLED[1], APK + APK, "line 7: package musl appears twice"),
        (apk.INSTALLED[0], APK[:-9], "is cut"),
        (pacman.LOCAL + b"x-1/desc", b"%NAME%\nx\n", "%VERSION%"),
        (pacman.LOCAL + b"x-1/desc", b"%NAME%\nx\n\n%NAME%\ny\n", "appears twice"),
        (rpm.SQLITE[0], b"not sqlite", "not a database of SQLite"),
        (rpm.SQLITE[1], b"", "not a database of SQLite"),
    ],
)
def test_a_damaged_database_is_refused_with_its_name_and_place(path, data, reason):
    with pytest.raises(RefusedError) as caught:
        packages.find([path], lambda _: data)
    assert f"the package database /{path.decode()} cannot be read" in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        (dpkg.STATUS, packages.text.MAX_DATABASE),
        (apk.INSTALLED[0], packages.text.MAX_DATABASE),
        (rpm.SQLITE[0], rpm.MAX_DATABASE),
    ],
)
def test_a_database_without_measure_is_refused_unread(path, limit):
    class Huge(bytes):
        def __len__(self):
            return limit + 1

    with pytest.raises(RefusedError, match=f"{limit + 1} bytes, more than {limit}"):
        packages.find([path], lambda _: Huge(b"x"))


def test_packages_json_has_one_package_a_line_sorted_and_reads_back(tmp_path):
    data = rpmdb.database(tmp_path / "db", [rpmdb.package("bash", "5.2", "3.fc40")])
    files = {dpkg.STATUS: DPKG, apk.INSTALLED[0]: APK, rpm.SQLITE[0]: data}
    found = packages.find(files, files.__getitem__)
    written = packages.to_json(found)
    lines = written.decode().splitlines()
    assert [json.loads(line.rstrip(","))["name"] for line in lines[1:-1]] == [
        "adduser",
        "bash",
        "libssl3",
        "musl",
    ]
    assert [package.family for package in found] == ["dpkg", "rpm", "dpkg", "apk"]
    assert packages.from_json(written) == found


def test_packages_json_tells_the_source_version_only_where_it_differs():
    same = Package("a", "1", "a", "all", 5, "dpkg")
    rebuilt = Package("b", "1+b2", "b", "amd64", None, "dpkg", "1")
    first, second = json.loads(packages.to_json([same, rebuilt]))
    assert list(first) == ["name", "version", "source", "arch", "size", "family"]
    assert second["source_version"] == "1"
    assert second["size"] is None
    assert (same.built_from, rebuilt.built_from) == ("1", "1")


def test_packages_json_without_families_is_read():
    row = b'[{"name":"a","version":"1","source":"a","arch":"all","size":null}]'
    assert packages.from_json(row) == [Package("a", "1", "a", "all")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b'[{"name": 1}]',
        b'[{"name":"a","version":"1\\u001b[2J","source":"a","arch":""}]',
        b'[{"name":"a b","version":"1","source":"a","arch":""}]',
        b'[{"name":"","version":"1","source":"a","arch":""}]',
        b'[{"name":"a","version":"1","source":"a","arch":"","size":-1}]',
        b'[{"name":"a","version":"%s","source":"a","arch":""}]' % (b"1" * 600),
        b"[" * 5000,
        b"\xff",
    ],
)
def test_packages_json_from_elsewhere_is_not_believed(data):
    with pytest.raises(RefusedError, match=r"packages\.json"):
        packages.from_json(data)


def test_no_database_is_no_packages():
    assert packages.find([b"etc/passwd"], lambda _: b"") == []
    assert packages.from_json(packages.to_json([])) == []


def test_the_architecture_is_that_of_most_packages_that_have_one():
    made = [Package(str(i), "1", "s", arch) for i, arch in enumerate("aaabbc")]
    made += [Package(str(i), "1", "s", "all") for i in range(9)]
    assert packages.main_arch(made) == "a"
    assert packages.main_arch([]) is None


HEAD = b"Package: x\nStatus: a b installed\nVersion: 1"


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (dpkg.STATUS, HEAD + b"\n" + b"a\n" * 1_900_000),
        (dpkg.STATUS, HEAD + b" " * 5_000_000 + b"x\n"),
        (dpkg.STATUS, HEAD + b"\n" + b"Conffiles:\n" + b" /a " * 1_000_000 + b"\n"),
        (dpkg.STATUS, b" " * 5_000_000 + b"\n"),
        (dpkg.STATUS, b"\n" * 1_900_000),
        (apk.INSTALLED[0], b"P:x\nV:1\n" + b"a\n" * 1_900_000),
        (pacman.LOCAL + b"a-1-1/desc", b"%NAME%\n" + b"a\n" * 1_900_000),
        (pacman.LOCAL + b"a-1-1/files", b"%BACKUP%\n" + b"\t" * 5_000_000 + b"\n"),
    ],
    ids=[
        "short lines",
        "spaces in a field",
        "a long line of conffiles",
        "spaces",
        "empty lines",
        "fields of apk",
        "a long section",
        "a long backup",
    ],
)
def test_a_database_that_is_odd_takes_no_time_and_no_memory(path, data):
    tracemalloc.start()
    try:
        began = time.process_time()
        for read in (packages.find, packages.find_owners):
            with contextlib.suppress(RefusedError):
                read([path], lambda _: data)
        assert time.process_time() - began < 10
        assert tracemalloc.get_traced_memory()[1] < 8 * len(data) + (1 << 24)
    finally:
        tracemalloc.stop()


def test_more_lines_than_any_database_has_are_refused():
    with pytest.raises(RefusedError, match="more than 2000000 lines"):
        packages.find([dpkg.STATUS], lambda _: b"a\n" * 2_000_001)


WHOLE = {
    dpkg.STATUS: DPKG + b"Conffiles:\n /etc/a 0123456789abcdef0123456789abcdef\n",
    dpkg.INFO + b"adduser.list": b"/.\n/usr\n/usr/sbin/adduser\n",
    dpkg.DIVERSIONS: b"/bin/sh\n/bin/sh.distrib\ndash\n",
    dpkg.STATUS_D + b"a.md5sums": b"0123456789abcdef  usr/bin/a\n",
    apk.INSTALLED[0]: APK[:-1] + b"F:etc\nR:a\n\n",
    apk.PROTECTED + b"a.list": b"+etc/[a-z]*\n",
    pacman.LOCAL + b"a-1-1/desc": b"%NAME%\na\n\n%VERSION%\n1-1\n",
    pacman.LOCAL + b"a-1-1/files": b"%FILES%\nusr/\nusr/a\n\n%BACKUP%\nusr/a\t0\n",
}


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_no_damage_is_anything_but_refused_or_read(path, data):
    whole = WHOLE[path]
    place = data.draw(st.integers(0, len(whole)))
    noise = data.draw(st.binary(max_size=12))
    length = data.draw(st.integers(0, 12))
    files = {**WHOLE, path: whole[:place] + noise + whole[place + length :]}
    for read in (packages.find, packages.find_owners):
        with contextlib.suppress(RefusedError):
            read(files, files.__getitem__)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_to_an_rpm_database_is_anything_but_refused_or_read(tmp_path, data):
    lists = [(1117, ["a", "b"]), (1118, ["/etc/", "/usr/"])]
    header = rpmdb.package("a", numbers=[(1116, [0, 1]), (1037, [1, 0])], lists=lists)
    (tmp_path / "db").unlink(missing_ok=True)
    whole = bytearray(rpmdb.database(tmp_path / "db", [header]))
    blob = whole.index(header[:8])
    low, high = data.draw(st.sampled_from([(0, 200), (4096, 4200), (blob, len(whole))]))
    place = data.draw(st.integers(low, high - 1))
    noise = data.draw(st.binary(min_size=1, max_size=8))
    whole[place : place + len(noise)] = noise
    for read in (packages.find, packages.find_owners):
        with contextlib.suppress(RefusedError):
            read([rpm.SQLITE[0]], lambda _: bytes(whole))
