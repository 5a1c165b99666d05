import contextlib
import sqlite3
import struct

import pytest

from updater.core import packages
from updater.core.packages import apk, dpkg, pacman, rpm
from updater.errors import RefusedError
from updater.model import Package

DPKG = b"""\
Package: libssl3
Status: install ok installed
Installed-Size: 5905
Architecture: amd64
Source: openssl (3.0.13-1)
Version: 3.0.13-1~deb12u1
Description: Secure Sockets Layer toolkit
 Package: not a field
 .

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: never
Status: unknown ok not-installed
Architecture: amd64

Package: adduser
Status: install ok half-configured
Architecture: all
Version: 3.134
"""
APK = b"""\
C:Q1p78yvTLG094tHE1+dToJGbmYzQE=
P:musl
V:1.2.5-r0
A:x86_64
S:407278
I:667648
o:musl
F:lib
R:ld-musl-x86_64.so.1

P:ssl_client
V:1.36.1-r29
A:x86_64
I:28672
o:busybox
"""
PACMAN = b"""\
%NAME%
openssl

%VERSION%
3.3.0-1

%BASE%
openssl

%ARCH%
x86_64

%SIZE%
12345678

%VALIDATION%
pgp
"""


def rpm_header(strings, numbers=()):
    """An rpm header as the RPM documentation lays it out."""
    rows, data = [], b""
    for tag, text in strings:
        rows.append((tag, 6, len(data), 1))
        data += text.encode() + b"\0"
    data += b"\0" * (-len(data) % 4)
    for tag, value in numbers:
        rows.append((tag, 4, len(data), 1))
        data += struct.pack(">I", value)
    index = b"".join(struct.pack(">IIiI", *row) for row in rows)
    return struct.pack(">II", len(rows), len(data)) + index + data


def rpm_database(path, headers, journal="delete"):
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute(f"PRAGMA journal_mode={journal}")
        db.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)")
        db.executemany(
            "INSERT INTO Packages (blob) VALUES (?)", [(h,) for h in headers]
        )
    return path.read_bytes()


BASH = rpm_header(
    [
        (1000, "bash"),
        (1001, "5.2.26"),
        (1002, "3.fc40"),
        (1022, "x86_64"),
        (1044, "bash-5.2.26-3.fc40.src.rpm"),
    ],
    [(1009, 8_376_543)],
)
SHADOW = rpm_header(
    [
        (1000, "shadow-utils"),
        (1001, "4.15.1"),
        (1002, "3.fc40"),
        (1022, "x86_64"),
        (1044, "shadow-utils-4.15.1-3.fc40.src.rpm"),
    ],
    [(1003, 2)],
)
KEY = rpm_header([(1000, "gpg-pubkey"), (1001, "a15b79cc"), (1002, "63d04c2c")])


def test_dpkg_lists_what_is_unpacked_and_its_source():
    assert dpkg.parse_status(DPKG) == [
        Package("libssl3", "3.0.13-1~deb12u1", "openssl", "amd64", 5905 * 1024),
        Package("adduser", "3.134", "adduser", "all", None),
    ]


def test_status_d_of_images_without_dpkg_needs_no_status_field():
    control = b"Package: tzdata\nVersion: 2024a-0\nArchitecture: all\n"
    found = packages.find(
        [b"var/lib/dpkg/status.d/tzdata", b"var/lib/dpkg/status.d/tzdata.md5sums"],
        {b"var/lib/dpkg/status.d/tzdata": control}.__getitem__,
    )
    assert found == [Package("tzdata", "2024a-0", "tzdata", "all", None)]


def test_apk_lists_origin_and_installed_size():
    assert apk.parse(APK) == [
        Package("musl", "1.2.5-r0", "musl", "x86_64", 667648),
        Package("ssl_client", "1.36.1-r29", "busybox", "x86_64", 28672),
    ]


def test_pacman_lists_one_package_a_file():
    assert pacman.parse_desc(PACMAN) == [
        Package("openssl", "3.3.0-1", "openssl", "x86_64", 12345678)
    ]


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_rpm_lists_epoch_and_source_and_leaves_keys_out(tmp_path, journal):
    data = rpm_database(tmp_path / "rpmdb.sqlite", [BASH, KEY, SHADOW], journal)
    assert rpm.parse(data) == [
        Package("bash", "5.2.26-3.fc40", "bash", "x86_64", 8_376_543),
        Package("shadow-utils", "2:4.15.1-3.fc40", "shadow-utils", "x86_64", None),
    ]


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (dpkg.STATUS, b"Package: x\nStatus: install ok installed\n"),
        (apk.INSTALLED[0], b"P:x\n"),
        (b"var/lib/pacman/local/x-1/desc", b"%NAME%\nx\n"),
        (rpm.SQLITE[0], b"not sqlite"),
    ],
)
def test_a_damaged_database_is_refused_with_its_name(path, data):
    with pytest.raises(RefusedError, match=path.decode()):
        packages.find([path], lambda _: data)


def test_an_rpm_header_that_points_outside_its_record_is_refused(tmp_path):
    data = rpm_database(tmp_path / "db", [struct.pack(">II", 70000, 5) + b"x"])
    with pytest.raises(RefusedError, match="rpm header"):
        packages.find([rpm.SQLITE[1]], lambda _: data)


def test_packages_json_has_one_package_a_line_sorted_and_reads_back():
    files = {dpkg.STATUS: DPKG, apk.INSTALLED[0]: APK}
    found = packages.find(files, files.__getitem__)
    data = packages.to_json(found)
    lines = data.decode().splitlines()
    assert [line.split('"')[3] for line in lines[1:-1]] == [
        "adduser",
        "libssl3",
        "musl",
        "ssl_client",
    ]
    assert packages.from_json(data) == found


def test_no_database_is_no_packages():
    assert packages.find([b"etc/passwd"], lambda _: b"") == []
    assert packages.from_json(packages.to_json([])) == []


def test_the_architecture_is_that_of_most_packages_that_have_one():
    made = [Package(str(i), "1", "s", arch) for i, arch in enumerate("aaabbc")]
    made += [Package(str(i), "1", "s", "all") for i in range(9)]
    assert packages.main_arch(made) == "a"
    assert packages.main_arch([]) is None
