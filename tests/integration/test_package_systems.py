"""Versions and databases, held to the package systems themselves."""

import ctypes
import ctypes.util
import os
import random
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from support.version_cases import pairs

from updater.core import packages
from updater.core.changelogs import rpm as rpm_changelogs
from updater.core.packages import apk, order, pacman, rpm
from updater.model import Package

needs_dpkg = pytest.mark.skipif(
    not shutil.which("dpkg"), reason="dpkg is not installed: nothing to compare with"
)
needs_rpm = pytest.mark.skipif(
    not shutil.which("rpmbuild"), reason="rpm is not installed (Debian package rpm)"
)
needs_pacman = pytest.mark.skipif(
    not shutil.which("pacman"),
    reason="pacman is not installed (Debian package pacman-package-manager)",
)
needs_apk = pytest.mark.skipif(not shutil.which("apk"), reason="apk is not installed")


def made_up(letters, count, first=""):
    """Pairs of versions that nobody thought of, always the same ones."""
    rng = random.Random(7)
    word = lambda: first + "".join(rng.choices(letters, k=rng.randint(1, 6)))  # noqa: E731
    return [(word(), word()) for _ in range(count)]


def sign(number):
    return (number > 0) - (number < 0)


@needs_dpkg
def test_dpkg_agrees_about_the_order():
    cases = [(a, b) for a, b, _ in pairs("dpkg")] + made_up("0019aZ.+~", 300, "1")
    for left, right in cases:
        relation = {-1: "lt", 0: "eq", 1: "gt"}[order.compare("dpkg", left, right)]
        done = subprocess.run(
            ["dpkg", "--compare-versions", left, relation, right],
            check=False,
            capture_output=True,
        )
        assert (done.returncode, done.stderr) == (0, b""), (left, relation, right)


@needs_rpm
def test_rpm_agrees_about_the_order(tmp_path):
    cases = [(a, b) for a, b, _ in pairs("rpm")] + made_up("0019aB.~^_", 2000)
    script = tmp_path / "compare.lua"
    script.write_text(
        "".join(f'io.write(rpm.vercmp("{a}", "{b}"), "\\n")\n' for a, b in cases)
    )
    done = subprocess.run(
        ["rpm", "--eval", f"%{{lua: dofile('{script}')}}"],
        check=True,
        capture_output=True,
        text=True,
    )
    found = [int(line) for line in done.stdout.split()]
    assert len(found) == len(cases)
    for (left, right), expected in zip(cases, found, strict=True):
        assert order.compare("rpm", left, right) == expected, (left, right)


def libalpm():
    name = ctypes.util.find_library("alpm")
    places = [name, "libalpm.so.13", "libalpm.so.14", "libalpm.so.15"]
    for place in filter(None, places):
        try:
            return ctypes.CDLL(place)
        except OSError:
            continue
    return None


@pytest.mark.skipif(
    libalpm() is None, reason="libalpm is not installed (Debian package libalpm13)"
)
def test_pacman_agrees_about_the_order():
    compare = libalpm().alpm_pkg_vercmp
    cases = [(a, b) for a, b, _ in pairs("pacman")] + made_up("0019aB.-:_+", 5000)
    for left, right in cases:
        expected = sign(compare(left.encode(), right.encode()))
        assert order.compare("pacman", left, right) == expected, (left, right)


@needs_apk
def test_apk_agrees_about_the_order():
    for left, right, _ in pairs("apk"):
        if any(word.endswith(("_foo", "bc")) for word in (left, right)):
            continue  # what apk calls invalid
        done = subprocess.run(
            ["apk", "version", "-t", left, right],
            check=True,
            capture_output=True,
            text=True,
        )
        found = {"<": -1, "=": 0, ">": 1}[done.stdout.strip()]
        assert order.compare("apk", left, right) == found, (left, right)


@needs_dpkg
def test_the_database_of_this_machine_is_read_as_dpkg_reads_it():
    paths = [b"var/lib/dpkg/status", b"var/lib/dpkg/diversions"]
    info = Path("/var/lib/dpkg/info")
    paths += [os.fsencode(path)[1:] for path in info.glob("*.list")]
    found = packages.find(paths, read_here)
    form = "${Package}\t${Version}\t${source:Package}\t${source:Version}\t"
    form += "${Architecture}\t${db:Status-Status}\n"
    listed = subprocess.run(
        ["dpkg-query", "-W", "-f", form], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    rows = [line.split("\t") for line in listed]
    assert sorted(
        (p.name, p.version, p.source, p.built_from, p.arch) for p in found
    ) == (sorted(tuple(row[:5]) for row in rows if row[5] == "installed"))
    owners = packages.find_owners(paths, read_here, readlink_here)
    for path in (b"usr/bin/env", b"usr/lib/os-release", b"etc/debian_version"):
        assert owners.owner_of(path) == dpkg_owner(path)
    some = random.Random(7).sample(sorted(owners.files_of("coreutils")), 20)
    for path in some:
        if not os.path.isdir(b"/" + path):
            assert owners.owner_of(path) == "coreutils"
            assert os.path.lexists(b"/" + path)


def dpkg_owner(path):
    """What dpkg says; it knows a path only by the name that the package lists."""
    names = (path, path.removeprefix(b"usr/"))
    for name in names:
        done = subprocess.run(
            ["dpkg-query", "-S", b"/" + name],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode == 0:
            return done.stdout.split(":")[0]
    return None


def read_here(path):
    return Path(os.fsdecode(b"/" + path)).read_bytes()


def readlink_here(path):
    try:
        return os.readlink(b"/" + path)
    except OSError:
        return None


SPEC = """\
Name: hello-tools
Version: 1.2~rc1
Release: {release}
Epoch: 3
Summary: says hello
License: MIT
BuildArch: noarch
%description
It says hello.
%package -n hello-data
Summary: data
Version: 7
%description -n hello-data
Its data.
%install
mkdir -p %{{buildroot}}/etc %{{buildroot}}/usr/bin %{{buildroot}}/usr/share/hello
echo conf > %{{buildroot}}/etc/hello.conf
echo run > %{{buildroot}}/usr/bin/hello
echo data > "%{{buildroot}}/usr/share/hello/a b"
%files
%config(noreplace) /etc/hello.conf
/usr/bin/hello
%files -n hello-data
%dir /usr/share/hello
"/usr/share/hello/a b"
%changelog
{changelog}* Sat Jun 22 2024 A B <a@b.example> - 1.2~rc1-1
- First.
"""


@pytest.fixture
def rpmdb(tmp_path):
    """Installs a package of two with real rpm; gives the database's bytes."""

    def install(release, changelog=""):
        place = tmp_path / str(release)
        place.mkdir()
        spec = place / "hello.spec"
        spec.write_text(SPEC.format(release=release, changelog=changelog))
        subprocess.run(
            ["rpmbuild", "-bb", "-D", f"_topdir {place}", spec],
            check=True,
            capture_output=True,
        )
        built = sorted((place / "RPMS").rglob("*.rpm"))
        assert len(built) == 2
        db = place / "db"
        common = ["rpm", "--dbpath", db, "-D", "_db_backend sqlite"]
        subprocess.run([*common, "--initdb"], check=True, capture_output=True)
        subprocess.run(
            [*common, "--justdb", "--nodeps", "-i", *built],
            check=True,
            capture_output=True,
        )
        return (db / "rpmdb.sqlite").read_bytes()

    return install


@needs_rpm
def test_a_database_that_rpm_wrote_is_read(rpmdb):
    data = rpmdb(1)
    found = packages.find([rpm.SQLITE[0]], lambda _: data)
    sizes = {package.name: package.size for package in found}
    assert found == [
        Package(
            "hello-data",
            "3:7-1",
            "hello-tools",
            "noarch",
            sizes["hello-data"],
            "rpm",
            "3:1.2~rc1-1",
        ),
        Package(
            "hello-tools",
            "3:1.2~rc1-1",
            "hello-tools",
            "noarch",
            sizes["hello-tools"],
            "rpm",
        ),
    ]
    assert sizes == {"hello-data": len("data\n"), "hello-tools": len("conf\nrun\n")}
    owners = packages.find_owners([rpm.SQLITE[0]], lambda _: data)
    assert owners.owner_of(b"usr/bin/hello") == "hello-tools"
    assert owners.owner_of(b"usr/share/hello/a b") == "hello-data"
    assert owners.owner_of(b"usr/share/hello") == "hello-data"
    assert owners.is_conffile(b"etc/hello.conf")
    assert not owners.is_conffile(b"usr/bin/hello")


@needs_rpm
def test_a_changelog_that_rpm_wrote_is_read(rpmdb):
    entry = "* Sun Jun 23 2024 A B <a@b.example> - 1.2~rc1-2\n- Fix CVE-2024-1234.\n\n"
    found = rpm_changelogs.read(rpmdb(2, entry), {"hello-tools"})
    newest, first = found["hello-tools", "3:1.2~rc1-2"]
    assert (newest.version, newest.lines) == ("1.2~rc1-2", ("- Fix CVE-2024-1234.",))
    assert (first.version, first.author) == ("1.2~rc1-1", "A B <a@b.example>")
    assert newest.date - first.date == 86400


@needs_pacman
def test_a_database_that_pacman_wrote_is_read(tmp_path):
    package = tmp_path / "hello.pkg.tar"
    info = "pkgname = hello\npkgbase = hello-base\npkgver = 1:2.0-3\npkgdesc = x\n"
    info += "size = 12\narch = any\nbackup = etc/hello.conf\n"
    inside = tmp_path / "inside"
    for name, text in (
        (".PKGINFO", info),
        ("etc/hello.conf", "conf\n"),
        ("usr/bin/hello", "run\n"),
    ):
        (inside / name).parent.mkdir(parents=True, exist_ok=True)
        (inside / name).write_text(text)
    with tarfile.open(package, "w") as archive:
        for name in (".PKGINFO", "etc", "usr"):
            archive.add(inside / name, name)
    root = tmp_path / "root"
    database = root / "var/lib/pacman"
    database.mkdir(parents=True)
    config = tmp_path / "pacman.conf"
    config.write_text("[options]\nArchitecture = auto\nSigLevel = Never\n")
    where = ("--root", root, "--dbpath", database, "--config", config)
    subprocess.run(
        ["pacman", *where, "--noconfirm", "--noscriptlet", "-U", package],
        check=True,
        capture_output=True,
    )
    paths = [
        os.fsencode(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file()
    ]
    read = lambda path: (root / os.fsdecode(path)).read_bytes()  # noqa: E731
    found = packages.find(paths, read)
    assert found == [Package("hello", "1:2.0-3", "hello-base", "any", 12, "pacman")]
    assert any(packages.is_database(p) and p.startswith(pacman.LOCAL) for p in paths)
    owners = packages.find_owners(paths, read)
    assert owners.owner_of(b"usr/bin/hello") == "hello"
    assert owners.is_conffile(b"etc/hello.conf")
    assert not owners.is_conffile(b"usr/bin/hello")


@needs_apk
def test_a_database_that_apk_wrote_is_read(tmp_path):
    root = tmp_path / "root"
    subprocess.run(
        ["apk", "--root", root, "--initdb", "--no-network", "--usermode", "add"],
        check=True,
        capture_output=True,
    )
    written = [p for p in apk.INSTALLED if (root / p.decode()).exists()]
    assert written
    assert apk.parse((root / written[0].decode()).read_bytes()) == []
