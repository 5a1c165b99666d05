from updater.core.packages import pacman
from updater.core.packages.owners import Conffile
from updater.model import Package

DESC = b"""\
%NAME%
openssl

%VERSION%
3.3.0-1

%BASE%
openssl-src

%DESC%
The 100% library
%weird% text

%ARCH%
x86_64

%SIZE%
12345678

%VALIDATION%
pgp
"""
FILES = b"""\
%FILES%
etc/
etc/ssl/
etc/ssl/openssl.cnf
usr/
usr/bin/
usr/bin/openssl

%BACKUP%
etc/ssl/openssl.cnf\t78ff4a5cb5b2a0a1b9b5a1b5b1a5b5a1
"""


def test_one_file_describes_one_package():
    assert pacman.parse_desc(DESC) == [
        Package("openssl", "3.3.0-1", "openssl-src", "x86_64", 12345678, "pacman")
    ]


def test_files_and_directories_are_listed():
    assert pacman.listed(FILES) == [
        b"etc",
        b"etc/ssl",
        b"etc/ssl/openssl.cnf",
        b"usr",
        b"usr/bin",
        b"usr/bin/openssl",
    ]


def test_backup_files_are_configuration():
    md5 = "78ff4a5cb5b2a0a1b9b5a1b5b1a5b5a1"
    assert dict(pacman.conffiles("openssl", FILES)) == {
        b"etc/ssl/openssl.cnf": Conffile("openssl", md5)
    }


def test_the_directory_names_the_package():
    path = b"var/lib/pacman/local/gcc-libs-13.2.1+r814+g4a6f2f5-1/files"
    assert pacman.listed_by(path) == "gcc-libs"
    assert pacman.listed_by(b"var/lib/pacman/local/ALPM_DB_VERSION") is None


def test_a_package_without_files_lists_none():
    assert pacman.listed(b"") == []
    assert dict(pacman.conffiles("x", b"%FILES%\n\n")) == {}
