"""A small real Debian, all the way: published, applied, entered, compared, reverted."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.factory import make_key

ROOT = Path(__file__).parents[2]
PACKAGES = "iputils-ping,passwd,python3-minimal"
CONFIG = """\
[remote]
url = "file://{}"
channel = "releases"

[trust]
mode = "tag"
product = "debian"
"""
EMPTIED = {"dev", "proc", "run", "sys", "tmp", "var/tmp"}
EMPTIED |= {"var/lib/osupdate", "var/cache/osupdate"}
WITHOUT_FILES = ("var/log", "var/cache/apt", "var/cache/man", "var/lib/apt/lists")
LEFT_OUT = {"var/cache/ldconfig", "var/cache/fontconfig"}
OWN = "usr/lib/osupdate"

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="mmdebstrap is missing"),
]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A Debian as published, and with updates and all that a filesystem can hold."""
    place = tmp_path_factory.mktemp("debian")
    subprocess.run(
        [ROOT / "fixtures/debian-pair.sh", place],
        env={**os.environ, "VARIANT": "essential", "PACKAGES": PACKAGES},
        check=True,
    )
    old, new = place / "as-published", place / "with-updates"
    (new / "opt/demo/empty").mkdir(parents=True)
    (new / "opt/demo/empty").chmod(0o2770)
    os.chown(new / "opt/demo/empty", 1234, 42)
    os.mknod(new / "opt/demo/console", stat.S_IFCHR | 0o600, os.makedev(5, 1))
    os.mkfifo(new / "opt/demo/fifo", 0o620)
    (new / "opt/demo/tool").write_text("#!/bin/sh\necho updated\n")
    (new / "opt/demo/tool").chmod(0o4755)
    os.link(new / "opt/demo/tool", new / "opt/demo/same-tool")
    (new / "opt/demo/link").symlink_to("nowhere/at all")
    (new / os.fsdecode(b"opt/demo/not-utf8-\xff")).write_bytes(b"\0")
    os.setxattr(new / "opt/demo/tool", "user.note", b"kept")
    yield old, new
    shutil.rmtree(place)


def osupdate(*words):
    done = subprocess.run(
        [sys.executable, "-m", "updater", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def enter(machine, *words):
    done = subprocess.run(
        ["chroot", machine / "osupdate/current", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def kept(path, is_directory):
    """Whether a release has this path of a root filesystem."""
    parent = path.rpartition("/")[0]
    if path in LEFT_OUT and not is_directory:
        return False
    if any(path.startswith(f"{place}/") for place in WITHOUT_FILES):
        return is_directory
    return not any(parent == top or parent.startswith(f"{top}/") for top in EMPTIED)


def facts(root):
    """What a person could find out about each path that a release has."""
    found, links = {}, {}
    for directory, names, files in os.walk(root):
        for name in names + files:
            full = os.path.join(directory, name)
            path = os.path.relpath(full, root)
            status = os.lstat(full)
            if not kept(path, stat.S_ISDIR(status.st_mode)):
                continue
            if path.startswith(OWN):
                continue
            found[path] = (
                oct(status.st_mode),
                (status.st_uid, status.st_gid),
                status.st_rdev if not stat.S_ISREG(status.st_mode) else 0,
                content(full, status),
                sorted(
                    (key, os.getxattr(full, key, follow_symlinks=False))
                    for key in os.listxattr(full, follow_symlinks=False)
                ),
            )
            if stat.S_ISREG(status.st_mode):
                links.setdefault(status.st_ino, set()).add(path)
    return found, {frozenset(group) for group in links.values() if len(group) > 1}


def content(full, status):
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(full)
    if not stat.S_ISREG(status.st_mode):
        return None
    # The head of compiled Python says how it is checked; publishing changes that.
    skipped = 16 if full.endswith(".pyc") else 0
    return Path(full).read_bytes()[skipped:]


def same(left, right):
    """Compare by entry, so that a difference is named and contents are not printed."""
    different = [
        path
        for path in sorted(set(left[0]) | set(right[0]))
        if left[0].get(path) != right[0].get(path)
    ]
    assert different == []
    assert left[1] == right[1]


def test_a_debian_is_published_applied_entered_and_left_again(pair, tmp_path):
    old, new = pair
    key, trust = make_key(tmp_path)
    machine, repository = tmp_path / "machine", tmp_path / "debian.git"
    (machine / "etc/osupdate/trust").mkdir(parents=True)
    (machine / "etc/osupdate/trust/release").write_text(trust)
    (machine / "etc/osupdate/config.toml").write_text(CONFIG.format(repository))

    notes = tmp_path / "notes.md"
    notes.write_text("Debian, published for a test\n")
    for version, tree in (("1", old), ("2", new)):
        osupdate(
            *("publish", tree, "--repo", repository, "--product", "debian"),
            *("--version", version, "--key", key, "--notes", notes),
        )
        osupdate("--root", machine, "apply", "--yes")
        same(facts(machine / "osupdate/current"), facts(tree))
        assert enter(machine, "python3", "-c", "print(6 * 7)") == "42\n"
        assert enter(machine, "dpkg-query", "-W", "bash").startswith("bash\t")

    assert enter(machine, "/opt/demo/tool") == "updated\n"
    osupdate("--root", machine, "verify")
    osupdate("--root", machine, "revert", "--reason", "trying the way back")
    same(facts(machine / "osupdate/current"), facts(old))
