"""What only root can make: owners, devices, capabilities, ACLs."""

import os
import stat
import struct
import subprocess

import pytest
from support.factory import Symlink, make_key, make_rootfs, publish_to

from updater.core import manifest
from updater.model import Metadata
from updater.system.rootfs import Directory

pytestmark = pytest.mark.root

# VFS_CAP_REVISION_2 with the effective bit, CAP_NET_RAW (13) permitted.
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
# Version 2; user::rw-, user:33:r--, group::r--, mask::r--, other::---
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, bits, who)
    for tag, bits, who in (
        (0x01, 6, 0xFFFFFFFF),
        (0x02, 4, 33),
        (0x04, 4, 0xFFFFFFFF),
        (0x10, 4, 0xFFFFFFFF),
        (0x20, 0, 0xFFFFFFFF),
    )
)


@pytest.fixture
def rootfs(tmp_path):
    root = make_rootfs(
        tmp_path / "rootfs",
        {
            "usr/bin/ping": ("ping", 0o755),
            "usr/bin/sudo": ("sudo", 0o755),
            "etc/shadow": ("root:*:1::::::\n", 0o640),
            "etc/acl": "acl",
            "usr/bin/l": Symlink("ping"),
            "opt/spool": None,
            "opt/dev": None,
        },
    )
    os.chown(root / "usr/bin/sudo", 0, 27)
    os.chmod(root / "usr/bin/sudo", 0o4755)
    os.chown(root / "etc/shadow", 0, 42)
    os.chown(root / "opt/spool", 1000, 1001)
    os.chmod(root / "opt/spool", 0o3770)
    os.lchown(root / "usr/bin/l", 5, 6)
    os.mknod(root / "opt/dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "opt/dev/sda", stat.S_IFBLK | 0o660, os.makedev(8, 0))
    os.chmod(root / "opt/dev/null", 0o666)
    os.chmod(root / "opt/dev/sda", 0o660)
    os.chown(root / "opt/dev/sda", 0, 6)
    os.mkfifo(root / "opt/dev/initctl", 0o600)
    os.link(root / "usr/bin/sudo", root / "usr/bin/sudoedit")
    os.setxattr(root / "usr/bin/ping", "security.capability", CAPABILITY)
    os.setxattr(root / "etc/acl", "system.posix_acl_access", ACL)
    os.setxattr(root / "etc/acl", "trusted.note", b"not a release's")
    return root


EXPECTED = {
    b"etc/acl": Metadata(mode=0o640, xattrs=(("system.posix_acl_access", ACL),)),
    b"etc/shadow": Metadata(mode=0o640, gid=42),
    b"opt": Metadata(type="dir"),
    b"opt/dev": Metadata(type="dir"),
    b"opt/dev/initctl": Metadata(type="fifo", mode=0o600),
    b"opt/dev/null": Metadata(type="char", dev=(1, 3), mode=0o666),
    b"opt/dev/sda": Metadata(type="block", dev=(8, 0), mode=0o660, gid=6),
    b"opt/spool": Metadata(type="dir", mode=0o3770, uid=1000, gid=1001),
    b"usr/bin/l": Metadata(uid=5, gid=6),
    b"usr/bin/ping": Metadata(xattrs=(("security.capability", CAPABILITY),)),
    b"usr/bin/sudo": Metadata(mode=0o4755, gid=27),
    b"usr/bin/sudoedit": Metadata(hardlink=b"usr/bin/sudo"),
}


def manifest_of(repo):
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "show", "HEAD:usr/lib/osupdate/manifest"],
        cwd=repo,
        capture_output=True,
        check=True,
    )
    return manifest.parse(done.stdout)


def test_everything_that_git_cannot_say_of_a_directory_is_in_the_manifest(
    rootfs, tmp_path
):
    key, _ = make_key(tmp_path)
    outcome = publish_to(tmp_path / "a.git", rootfs, "1", key)
    assert manifest_of(tmp_path / "a.git") == EXPECTED
    assert "trusted.note of 1 path is not recorded" in outcome.notices


def test_a_tar_with_xattrs_says_the_same_as_its_directory(rootfs, tmp_path):
    key, _ = make_key(tmp_path)
    packed = tmp_path / "rootfs.tar"
    subprocess.run(
        [
            *("tar", "--numeric-owner", "--xattrs", "--xattrs-include=*"),
            *("-C", rootfs, "-cf", packed, "."),
        ],
        check=True,
    )
    created = {"created": 1_770_000_000}
    first = publish_to(tmp_path / "a.git", rootfs, "1", key, **created)
    second = publish_to(tmp_path / "b.git", packed, "1", key, **created)
    assert manifest_of(tmp_path / "b.git") == EXPECTED
    assert second.commit == first.commit


def test_what_belongs_to_an_unprivileged_publisher_is_recorded_as_roots(rootfs):
    os.chown(rootfs / "etc/acl", 65534, 65533)
    walked = Directory(str(rootfs), (65534, 65533)).walk(lambda _: True)
    assert (walked[b"etc/acl"].uid, walked[b"etc/acl"].gid) == (0, 0)
    assert (walked[b"opt/spool"].uid, walked[b"opt/spool"].gid) == (1000, 1001)
