"""A tree on disk is the one that was published, in everything that root can set."""

import os
import shutil
import stat
import struct
import subprocess

import pytest
from support import trees
from support.factory import CREATED, Symlink, make_key, make_rootfs, publish_release
from support.machine import Machine

pytestmark = pytest.mark.root

# Version 2; user::rw-, user:33:r--, group::r--, mask::r--, other::r--
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, bits, who)
    for tag, bits, who in (
        (0x01, 6, 0xFFFFFFFF),
        (0x02, 4, 33),
        (0x04, 4, 0xFFFFFFFF),
        (0x10, 4, 0xFFFFFFFF),
        (0x20, 4, 0xFFFFFFFF),
    )
)
DEFAULT_ACL = ACL.replace(struct.pack("<HH", 1, 6), struct.pack("<HH", 1, 7))
NOT_UTF8 = b"usr/share/caf\xe9 \\x2d name"
GREEK = "usr/share/όνομα".encode()


def setcap(path, text):
    subprocess.run(["setcap", text, path], check=True)


def own(root, path, uid, gid, mode=None):
    full = os.path.join(os.fsencode(root), os.fsencode(path))
    os.lchown(full, uid, gid)
    if mode is not None:
        os.chmod(full, mode)


def link(root, target, *names):
    for name in names:
        (root / name).unlink(missing_ok=True)
        os.link(root / target, root / name)


def first(root):
    """Everything that a root filesystem can hold."""
    make_rootfs(
        root,
        {
            "bin": Symlink("usr/bin"),
            "etc/shadow": "root:*:1::::::\n",
            "etc/motd": "1\n",
            "etc/acl": "for www-data too\n",
            "usr/bin/ping": ("ping", 0o755),
            "usr/bin/sudo": ("sudo", 0o755),
            "usr/bin/write": ("write", 0o755),
            "usr/bin/perl": ("perl" * 500, 0o755),
            "usr/bin/gzip": ("gzip", 0o755),
            "usr/bin/many": ("many", 0o755),
            "usr/lib/noted": "noted",
            "usr/lib/libx.so.1.0": "x" * 9000,
            "usr/lib/libx.so": Symlink("libx.so.1.0"),
            "usr/lib/owned": Symlink("/nowhere/at all"),
            "usr/share/empty": "",
            "usr/share/deep/a/b/c/d/e/f": "deep",
            "usr/share/secret/key": "key",
            "var/mail/root": "mail",
            NOT_UTF8: "odd",
            GREEK: "greek",
            "srv/a/b": None,
            "opt/spool": None,
            "var/empty": None,
            "usr/share/nothing": None,
        },
    )
    own(root, "etc/shadow", 0, 42, 0o640)
    own(root, "usr/bin/sudo", 0, 27, 0o4750)
    own(root, "usr/bin/write", 0, 5, 0o2755)
    own(root, "usr/lib/owned", 7, 8)
    own(root, "var/mail", 0, 8, 0o2775)
    own(root, "var/mail/root", 12, 8, 0o660)
    own(root, "srv/a", 1000, 1001, 0o3770)
    own(root, "srv/a/b", 2000, 0, 0o000)
    own(root, "opt/spool", 0, 0, 0o1777)
    own(root, "usr/share/secret", 0, 0, 0o711)
    own(root, "usr/share/secret/key", 0, 0, 0o000)
    own(root, NOT_UTF8, 3, 4, 0o444)
    own(root, "usr/lib/libx.so.1.0", 0, 0, 0o755)
    os.chmod(root, 0o755)
    (root / "dev").mkdir(exist_ok=True)
    os.mknod(root / "opt/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.chmod(root / "opt/null", 0o666)
    os.mknod(root / "opt/disk", stat.S_IFBLK | 0o660, os.makedev(259, 300))
    own(root, "opt/disk", 0, 6, 0o660)
    os.mkfifo(root / "opt/initctl")
    own(root, "opt/initctl", 0, 5, 0o620)
    setcap(root / "usr/bin/ping", "cap_net_raw+ep")
    os.setxattr(root / "usr/lib/noted", "user.note", b"\0any\xffbytes\n")
    os.setxattr(root / "usr/lib/noted", "user.empty", b"")
    os.setxattr(root / "etc/acl", "system.posix_acl_access", ACL)
    os.setxattr(root / "opt/spool", "system.posix_acl_default", DEFAULT_ACL)
    os.setxattr(root / "usr/share", "user.kind", b"directory")
    link(root, "usr/bin/perl", "usr/bin/perl5.36.0", "usr/lib/perl")
    link(root, "usr/bin/gzip", "usr/bin/gunzip")
    link(root, "usr/bin/many", *(f"usr/bin/many{n}" for n in range(12)))
    return root


def second(root):
    """A little of everything changes, without a change of content wherever possible."""
    make_rootfs(root, {"etc/motd": "2\n", "usr/share/new/dir/file": "new"})
    own(root, "usr/bin/sudo", 0, 27, 0o4755)
    own(root, "usr/lib/libx.so.1.0", 0, 0, 0o644)
    own(root, "usr/lib/owned", 0, 9)
    own(root, "srv/a/b", 2000, 0, 0o700)
    own(root, "opt/initctl", 0, 0, 0o600)
    os.removexattr(root / "usr/bin/ping", "security.capability")
    setcap(root / "usr/bin/write", "cap_kill+ep")
    os.setxattr(root / "usr/lib/noted", "user.note", b"other")
    os.removexattr(root / "usr/lib/noted", "user.empty")
    os.removexattr(root / "etc/acl", "system.posix_acl_access")
    # perl's group splits, gzip's grows, many's loses its target, two files join.
    (root / "usr/lib/perl").unlink()
    make_rootfs(root, {"usr/lib/perl": ("perl" * 500, 0o755)})
    link(root, "usr/bin/gzip", "usr/bin/zcat")
    (root / "usr/bin/many").unlink()
    link(root, "usr/share/deep/a/b/c/d/e/f", "usr/share/deep/g")
    (root / "opt/null").unlink()
    (root / "opt/null").write_bytes(b"a file now")
    (root / "usr/share/nothing").rmdir()
    os.mkfifo(root / "usr/share/nothing")
    shutil.rmtree(root / "usr/share/secret")
    (root / "usr/lib/libx.so").unlink()
    link(root, "usr/lib/libx.so.1.0", "usr/lib/libx.so")
    return root


def third(root):
    """Files, directories and links take each other's places."""
    shutil.rmtree(root / "usr/share/deep")
    make_rootfs(root, {"usr/share/deep": "a file now"})
    (root / "usr/lib/noted").unlink()
    make_rootfs(root, {"usr/lib/noted/inside/file": "a directory now"})
    (root / "usr/lib/owned").unlink()
    make_rootfs(root, {"usr/lib/owned": "no link any more", "etc/motd": "3\n"})
    (root / "usr/bin/sudo").unlink()
    make_rootfs(root, {"usr/bin/sudo": Symlink("write")})
    shutil.rmtree(root / "usr/share/new")
    make_rootfs(root, {"usr/share/new": Symlink("../lib")})
    own(root, "var/mail", 0, 0, 0o755)
    own(root, "srv/a", 0, 0, 0o755)
    os.removexattr(root / "usr/share", "user.kind")
    os.removexattr(root / "opt/spool", "system.posix_acl_default")
    for number in range(6):
        (root / f"usr/bin/many{number}").unlink()
    (root / "usr/bin/zcat").unlink()
    (root / "usr/share/nothing").unlink()
    (root / "usr/share/nothing").mkdir()
    return root


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """kind -> (repo, signers); the two trees are beside them."""
    directory = tmp_path_factory.mktemp("exact")
    key, signers = make_key(directory)
    one = first(directory / "1")
    subprocess.run(["cp", "-a", one, directory / "2"], check=True)
    two = second(directory / "2")
    subprocess.run(["cp", "-a", two, directory / "3"], check=True)
    three = third(directory / "3")
    repos = {"directory": directory / "a.git", "tar": directory / "b.git"}
    for number, root in enumerate((one, two, three), 1):
        publish_release(repos["directory"], root, f"{number}", key)
        subprocess.run(
            [
                *("tar", "-C", root, "--xattrs", "--xattrs-include=*"),
                *("--sort=name", "-cf", f"{root}.tar", "."),
            ],
            check=True,
        )
        publish_release(repos["tar"], f"{root}.tar", f"{number}", key)
    return repos, signers, {"1": one, "2": two, "3": three}


@pytest.fixture(params=["directory", "tar"])
def machine(request, published, tmp_path):
    repos, signers, _ = published
    return Machine(tmp_path / "machine", repos[request.param], signers=signers)


def assert_exact(machine, originals, version):
    """Every entry, in type, owner, mode, content, xattrs and link group."""
    assert machine.running == version
    here = trees.read_tree(machine.current.resolve())
    there = trees.read_tree(originals[version])
    assert sorted(here) == sorted(there)
    different = {p: (here[p], there[p]) for p in there if here[p] != there[p]}
    assert different == {}


def test_a_release_is_laid_out_exactly_updated_and_left(machine, published):
    originals = published[2]
    machine.run("apply", "1")
    assert_exact(machine, originals, "1")
    machine.run("apply", "2")
    assert_exact(machine, originals, "2")
    machine.run("verify", "--exit-code", "--all")
    machine.run("revert")
    assert_exact(machine, originals, "1")
    machine.run("apply", "2", "--full", code=3)
    machine.run("unhold")
    machine.run("apply", "2", "--full")
    assert_exact(machine, originals, "2")
    machine.run("apply", "1", "--allow-downgrade")
    assert_exact(machine, originals, "1")


def test_directory_and_tar_give_the_same_tree(published):
    repos = published[0]
    found = {
        subprocess.run(
            ["git", f"--git-dir={repo}", "rev-parse", f"release/{version}^{{tree}}"],
            check=True,
            capture_output=True,
        ).stdout
        for repo in repos.values()
        for version in ("1", "2")
    }
    assert len(found) == 2


def test_a_downgrade_is_laid_out_exactly_too(machine, published):
    machine.run("apply", "2")
    machine.run("apply", "1", "--allow-downgrade")
    assert_exact(machine, published[2], "1")
    machine.run("apply", "2")
    assert_exact(machine, published[2], "2")


def test_times_follow_the_release_only_where_something_changed(machine, published):
    """Of what is written, of directories whose entries changed, and of /usr."""
    one, two = ((CREATED + 86400 * number) * 10**9 for number in (1, 2))
    machine.run("apply", "1")
    assert set(trees.times(machine.current.resolve()).values()) == {one}
    machine.run("apply", "2")
    now = trees.times(machine.current.resolve())
    for path in (
        b"etc/motd",
        b"usr/share/new/dir/file",
        b"usr",
        b"etc",  # an entry was replaced
        b"usr/bin",  # one came
        b"usr/share",  # a directory came and one went
        b"usr/share/new",
        b"opt",
        b"opt/null",
    ):
        assert now[path] == two, path
    for path in (
        b"",
        b"srv",
        b"srv/a",
        b"bin",
        b"usr/bin/ping",
        b"usr/bin/sudo",  # other attributes, the same content
        b"usr/lib/owned",
        b"usr/share/deep/a",
        b"var/mail/root",
        b"etc/shadow",
        NOT_UTF8,
    ):
        assert now[path] == one, path


ROUNDS = ("1", "2", "3", "1", "2", "3", "2", "1", "3")


def test_many_updates_in_old_directories_are_as_exact_as_in_new_ones(
    published, tmp_path
):
    """Of both machines, entry by entry and with every time; only one has a spare."""
    repos, signers, originals = published
    old, new = (
        Machine(tmp_path / name, repos["directory"], signers=signers)
        for name in ("old", "new")
    )
    used = 0
    for version in ROUNDS:
        spare = old.deployments / ".spare"
        inode = spare.stat().st_ino if spare.exists() else None
        new.run("gc")
        assert not (new.deployments / ".spare").exists()
        for machine in (old, new):
            machine.run("apply", version, "--allow-downgrade")
            assert_exact(machine, originals, version)
        used += old.current.resolve().stat().st_ino == inode
        times = [trees.times(machine.current.resolve()) for machine in (old, new)]
        assert times[0] == times[1]
        old.run("verify", "--exit-code", "--all")
    # Of nine, the first three find no spare, and one finds its release still here.
    assert used == 5


def spare_of(machine):
    for version in ("1", "2", "3"):
        machine.run("apply", version)
    return machine.deployments / ".spare"


def test_a_spare_holds_no_content_of_its_own(machine, published):
    spare = spare_of(machine)
    lone = [
        path
        for path in spare.rglob("*")
        if not path.is_dir() or path.is_symlink()
        if not os.path.samestat(
            path.lstat(), (machine.current / path.relative_to(spare)).lstat()
        )
    ]
    assert lone == []
    assert not (spare / "etc/motd").exists()
    assert (spare / GREEK.decode()).read_text() == "greek"
    assert (spare / "bin").is_symlink()


def test_what_was_done_to_a_spare_reaches_no_release(machine, published, tmp_path):
    spare = spare_of(machine)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("not ours")
    (spare / "etc").mkdir(exist_ok=True)
    (spare / "etc/cron.evil").write_text("evil")
    (spare / "usr/stray/of").mkdir(parents=True)
    (spare / "usr/stray/of/mine").write_text("evil")
    shutil.rmtree(spare / "usr/share")
    (spare / "usr/share").symlink_to(tmp_path / "outside")
    kept = spare / "usr/lib/libx.so.1.0"
    kept.unlink(missing_ok=True)
    kept.write_text("evil")
    os.chmod(spare / "usr/bin", 0o2777)
    os.chown(spare / "usr/bin", 1, 1)
    os.setxattr(spare / "usr/lib", "system.posix_acl_default", DEFAULT_ACL)
    os.setxattr(spare / "usr", "user.stray", b"1")
    machine.run("apply", "1", "--allow-downgrade")
    assert_exact(machine, published[2], "1")
    assert (tmp_path / "outside" / "file").read_text() == "not ours"
    machine.run("verify", "--exit-code", "--all")


def test_a_spare_with_a_mount_below_it_is_left_alone(machine, published, tmp_path):
    spare = spare_of(machine)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "file").write_text("data")
    subprocess.run(["mount", "--bind", tmp_path / "data", spare / "usr"], check=True)
    try:
        machine.run("apply", "1", "--allow-downgrade")
        assert_exact(machine, published[2], "1")
    finally:
        subprocess.run(["umount", spare / "usr"], check=True)
    assert (tmp_path / "data" / "file").read_text() == "data"
    machine.run("gc")
    assert not spare.exists()


def test_an_immutable_file_in_a_spare_stops_no_update(machine, published):
    spare = spare_of(machine)
    (spare / "usr/stuck").write_text("stuck")
    if subprocess.run(["chattr", "+i", spare / "usr/stuck"], check=False).returncode:
        pytest.skip("this filesystem has no immutable files")
    try:
        machine.run("apply", "1", "--allow-downgrade")
        assert_exact(machine, published[2], "1")
    finally:
        subprocess.run(["chattr", "-i", spare / "usr/stuck"], check=True)
    machine.run("apply", "2", "--allow-downgrade")
    assert_exact(machine, published[2], "2")


def test_what_somebody_took_away_by_hand_comes_back_with_the_update(machine, published):
    """A lost capability, owner, ACL or link is neither kept nor overlooked."""
    machine.run("apply", "1")
    root = machine.current.resolve()
    os.removexattr(root / "usr/bin/ping", "security.capability")
    os.setxattr(root / "usr/lib/libx.so.1.0", "user.stray", b"1")
    os.removexattr(root / "usr/lib/noted", "user.empty")
    os.chown(root / "usr/bin/gzip", 1, 1)
    (root / "usr/bin/many3").unlink()
    shutil.copy(root / "usr/bin/many", root / "usr/bin/many3")
    os.chmod(root / "srv/a/b", 0o755)
    found = machine.run("verify", "--json").json["deployments"][0]["changes"]
    assert {change["path"]: change["kind"] for change in found} == {
        "/srv/a/b": "metadata",
        "/usr/bin/gunzip": "metadata",
        "/usr/bin/gzip": "metadata",
        "/usr/bin/many3": "modified",
        "/usr/bin/ping": "metadata",
        "/usr/lib/libx.so.1.0": "metadata",
        "/usr/lib/noted": "metadata",
    }
    machine.run("apply", "2")
    assert_exact(machine, published[2], "2")


def test_repair_brings_attributes_back(machine, published):
    machine.run("apply", "1")
    root = machine.current.resolve()
    os.removexattr(root / "usr/bin/ping", "security.capability")
    os.chown(root / "usr/bin/gzip", 1, 1)
    (root / "usr/bin/perl").write_text("evil")
    (root / "usr/share/nothing").rmdir()
    (root / "opt/initctl").unlink()
    (root / "opt/disk").unlink()
    os.mknod(root / "opt/disk", stat.S_IFBLK | 0o660, os.makedev(8, 0))
    os.removexattr(root / "opt/spool", "system.posix_acl_default")
    shutil.rmtree(root / "usr/share/deep/a/b")
    (root / "usr/share/deep/a/b").symlink_to("/etc")
    machine.run("verify", "--repair")
    assert_exact(machine, published[2], "1")
    machine.run("verify", "--exit-code")
