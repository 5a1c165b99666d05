import struct
import time
import tracemalloc

import pytest
from support import rpmdb

from updater.core import packages
from updater.core.packages import rpm
from updater.errors import RefusedError
from updater.model import Package

FILES = [
    (1117, ["bash", "bashrc", "bash"]),
    (1118, ["/usr/bin/", "/etc/", "/usr/share/doc/"]),
]
BASH = rpmdb.package(
    "bash",
    "5.2.26",
    "3.fc40",
    numbers=[(1009, 8_376_543), (1116, [0, 1, 2]), (1037, [0, 1 | 16, 2])],
    lists=FILES,
)
SHADOW = rpmdb.package("shadow-utils", "4.15.1", "3.fc40", numbers=[(1003, 2)])
KEY = rpmdb.header([(1000, "gpg-pubkey"), (1001, "a15b79cc"), (1002, "63d04c2c")])


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_the_list_tells_epoch_and_source_and_leaves_keys_out(tmp_path, journal):
    data = rpmdb.database(tmp_path / "db", [BASH, KEY, SHADOW], journal)
    assert rpm.parse(data) == [
        Package("bash", "5.2.26-3.fc40", "bash", "x86_64", 8_376_543, "rpm"),
        Package(
            "shadow-utils", "2:4.15.1-3.fc40", "shadow-utils", "x86_64", None, "rpm"
        ),
    ]


def test_a_part_with_a_version_of_its_own_knows_that_of_its_source(tmp_path):
    part = rpmdb.package(
        "perl-vars", "1.05", "506", source="perl-5.38.2-506.fc40.src.rpm"
    )
    (package,) = rpm.parse(rpmdb.database(tmp_path / "db", [part]))
    assert (package.source, package.built_from) == ("perl", "5.38.2-506.fc40")


def test_files_are_joined_from_their_lists(tmp_path):
    data = rpmdb.database(tmp_path / "db", [BASH])
    assert list(rpm.listed(data)) == [
        (
            "bash",
            [b"usr/bin/bash", b"etc/bashrc", b"usr/share/doc/bash"],
            [b"etc/bashrc"],
        )
    ]


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ([(1116, [0, 1])], "not equally long"),
        ([(1116, [0, 1, 3])], "in no directory"),
        ([(1116, [0, 1, 2]), (1037, [1])], "not equally long"),
    ],
)
def test_lists_of_files_that_do_not_fit_are_refused(tmp_path, numbers, reason):
    header = rpmdb.package("bash", numbers=numbers, lists=FILES)
    data = rpmdb.database(tmp_path / "db", [header])
    with pytest.raises(RefusedError, match=reason):
        packages.find_owners([rpm.SQLITE[0]], lambda _: data)


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\0" * 7,
        struct.pack(">II", 70000, 5) + b"x",
        struct.pack(">II", 1, 5) + struct.pack(">IIiI", 1000, 6, 6, 1) + b"bash\0",
        struct.pack(">II", 1, 5) + struct.pack(">IIiI", 1000, 6, -9, 1) + b"bash\0",
        struct.pack(">II", 1, 5) + struct.pack(">IIiI", 1000, 6, 0, 1) + b"bashx",
        struct.pack(">II", 1, 4) + struct.pack(">IIiI", 1003, 4, 0, 2**31) + b"aaaa",
        struct.pack(">II", 1, 4) + struct.pack(">IIiI", 1003, 4, 1, 1) + b"aaaa",
        rpmdb.header([(1000, "x"), (1001, "1")]),
        rpmdb.header([(1000, "x y"), (1001, "1"), (1002, "1")]),
        rpmdb.header([(1000, "x\n"), (1001, "1"), (1002, "1")]),
    ],
)
def test_a_damaged_header_is_refused_with_its_number(tmp_path, blob):
    data = rpmdb.database(tmp_path / "db", [BASH, blob])
    with pytest.raises(RefusedError, match=r"rpmdb\.sqlite cannot be read: header 2"):
        packages.find([rpm.SQLITE[1]], lambda _: data)


def test_a_database_that_is_cut_is_refused(tmp_path):
    data = rpmdb.database(tmp_path / "db", [BASH] * 200)
    for length in (100, 4096, len(data) // 2, len(data) - 4096):
        with pytest.raises(RefusedError, match="SQLite"):
            packages.find([rpm.SQLITE[0]], lambda _, n=length: data[:n])


ENDLESS = (
    "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r) "
    "SELECT i AS hnum, zeroblob(1000) AS blob FROM r"
)


@pytest.mark.parametrize(
    "statements",
    [
        [f"CREATE VIEW Packages AS {ENDLESS}"],
        ["CREATE TABLE t (blob)", "CREATE VIEW Packages AS SELECT blob FROM t"],
        ["CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, other BLOB)"],
        ["CREATE TABLE Other (hnum INTEGER PRIMARY KEY, blob BLOB)"],
        [
            "CREATE TABLE Packages (a, blob AS (zeroblob(1000000000)))",
            "INSERT INTO Packages VALUES (1)",
        ],
        [
            "CREATE TABLE Packages (a, blob AS (hex(zeroblob(a))))",
            "INSERT INTO Packages VALUES (100000000)",
        ],
        [
            "CREATE TABLE Packages (x, blob AS (CAST("
            + "||".join(["x"] * 50)
            + " AS BLOB)))",
            f"INSERT INTO Packages VALUES ('{'x' * 30_000}')",
        ],
        ["CREATE VIRTUAL TABLE Packages USING fts4(blob)"],
        [
            "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob)",
            "INSERT INTO Packages VALUES (1, 'text')",
        ],
        [
            "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob)",
            "INSERT INTO Packages VALUES (1, zeroblob(40000000))",
        ],
    ],
    ids=[
        "an endless view",
        "a view",
        "no column",
        "no table",
        "a huge column that is computed",
        "a computed column",
        "a row larger than the file",
        "a virtual table",
        "text",
        "a huge row",
    ],
)
def test_a_database_that_would_run_something_is_refused_at_once(tmp_path, statements):
    data = rpmdb.hostile(tmp_path / "db", *statements)
    began = time.monotonic()
    with pytest.raises(RefusedError, match=r"rpmdb\.sqlite cannot be read"):
        packages.find([rpm.SQLITE[0]], lambda _: data)
    assert time.monotonic() - began < 5


def test_a_trigger_does_not_run(tmp_path):
    data = rpmdb.database(tmp_path / "db", [BASH])
    (tmp_path / "db").write_bytes(data)
    data = rpmdb.hostile(
        tmp_path / "db",
        "CREATE TRIGGER t AFTER INSERT ON Packages BEGIN DELETE FROM Packages; END",
    )
    assert [package.name for package in rpm.parse(data)] == ["bash"]


def test_a_header_is_read_although_tags_nobody_asked_for_are_odd(tmp_path):
    odd = struct.pack(">IIiI", 4242, 99, -5, 2**32 - 1)
    whole = rpmdb.package("bash")
    count, length = struct.unpack_from(">II", whole)
    blob = struct.pack(">II", count + 1, length) + odd + whole[8:]
    data = rpmdb.database(tmp_path / "db", [blob])
    assert [package.name for package in rpm.parse(data)] == ["bash"]


def test_a_tag_that_appears_twice_is_refused():
    twice = rpmdb.header([(1000, "a"), (1000, "b")])
    with pytest.raises(ValueError, match="tag 1000 appears twice"):
        rpm.parse_header(twice, rpm.PACKAGE)


def test_paths_that_grow_beyond_their_header_are_refused_before_they_are_made(tmp_path):
    count = 4096
    bomb = rpmdb.package(
        "bomb",
        numbers=[(1116, [0] * count)],
        lists=[(1117, ["b"] * count), (1118, ["/" + "a" * (1 << 18)])],
    )
    data = rpmdb.database(tmp_path / "db", [bomb])
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="the paths of bomb have over"):
            list(rpm.listed(data))
        assert tracemalloc.get_traced_memory()[1] < 1 << 26  # of 1 GiB
    finally:
        tracemalloc.stop()
