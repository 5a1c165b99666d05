"""`publish` against real git, real ssh-keygen, real tar, and a real HTTP server."""

import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import subprocess
import tarfile

import pytest
from support import factory
from support.factory import Symlink, make_key, make_rootfs, publish_release, publish_to
from support.remote import HttpServer

from updater.core import manifest
from updater.errors import (
    BusyError,
    RefusedError,
    TransportError,
    UsageError,
)
from updater.model import Metadata
from updater.publish.target import Target

FILES = {
    "etc/os-release": "ID=acme\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/:/bin/false\n",
    "etc/group": "root:x:0:\nweb:x:33:\n",
    "usr/bin/sh": ("#!", 0o755),
    "usr/bin/su": ("su", 0o4755),
    "usr/share/big": b"\x00\x01" * 5_000_000,
    b"usr/share/\xff\xfe": "not UTF-8",
    "usr/share/x y": "",
    "bin": Symlink("usr/bin"),
    "srv": None,
    "tmp/left": "x",
    "var/log/apt/term.log": "x",
}


@pytest.fixture(scope="session")
def signer(tmp_path_factory):
    directory = tmp_path_factory.mktemp("keys")
    key, line = make_key(directory)
    (directory / "signers").write_text(line)
    return key, directory / "signers"


@pytest.fixture
def key(signer):
    return signer[0]


@pytest.fixture
def rootfs(tmp_path):
    return make_rootfs(tmp_path / "rootfs", FILES)


@pytest.fixture
def repo(tmp_path):
    return tmp_path / "repo.git"


def git(repo, *arguments, check=True, **kw):
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", *map(str, arguments)],
        cwd=repo,
        check=check,
        capture_output=True,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "LC_ALL": "C"},
        **kw,
    )
    return done.stdout.decode("utf-8", "backslashreplace").strip()


def show(repo, path, revision="releases"):
    return git(repo, "show", f"{revision}:{path}") + "\n"


def state_of(directory):
    """Every path below, with content: what a refusal must not change."""
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
        for path in sorted(directory.rglob("*"))
    }


def test_stock_git_accepts_and_verifies_what_was_published(repo, rootfs, signer):
    key, signers = signer
    publish_release(repo, rootfs, "1", key)
    assert git(repo, "fsck", "--full", "--strict") == ""
    git(
        repo,
        *("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={signers}"),
        *("verify-tag", "release/1"),
    )
    assert git(repo, "symbolic-ref", "HEAD") == "refs/heads/releases"
    assert git(repo, "rev-parse", "release/1^{commit}") == git(
        repo, "rev-parse", "releases"
    )


def test_the_tree_is_the_rootfs_and_the_manifest_says_the_rest(repo, rootfs, key):
    publish_release(repo, rootfs, "1", key)
    names = git(
        repo, "-c", "core.quotePath=true", "ls-tree", "-r", "--name-only", "HEAD"
    )
    assert set(names.split("\n")) == {
        *("bin", "etc/group", "etc/os-release", "etc/passwd"),
        *("usr/bin/sh", "usr/bin/su", "usr/share/big", "usr/share/x y"),
        '"usr/share/\\377\\376"',
        *(f"usr/lib/osupdate/{n}" for n in ("changes.json", "manifest", "notes.md")),
        *(f"usr/lib/osupdate/{n}" for n in ("packages.json", "release.toml")),
    }
    data = show(repo, "usr/lib/osupdate/manifest").encode()
    found = manifest.parse(data)
    assert found[b"srv"] == found[b"tmp"] == Metadata(type="dir")
    assert found[b"var/log/apt"] == Metadata(type="dir")
    assert found[b"usr/bin/su"] == Metadata(mode=0o4755)
    assert b"usr/bin/sh" not in found


def test_a_sha256_repository_of_stock_git_gives_the_id_in_the_tag(
    repo, rootfs, key, tmp_path
):
    outcome = publish_to(repo, rootfs, "1", key)
    made = tmp_path / "sha256"
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    archive = subprocess.run(
        ["git", "archive", "releases"], cwd=repo, capture_output=True, check=True
    )
    subprocess.run(["tar", "-x"], cwd=checkout, input=archive.stdout, check=True)
    made.mkdir()
    git(made, "init", "-q", "--bare", "--object-format=sha256", ".")
    where = (f"--git-dir={made}", "-c", "core.bare=false", f"--work-tree={checkout}")
    git(checkout, *where, "add", "-A", "-f", ".")
    assert git(checkout, *where, "write-tree") == outcome.tree_sha256
    assert f"Tree-SHA256: {outcome.tree_sha256}" in git(
        repo, "cat-file", "tag", "release/1"
    )


def test_the_same_input_gives_the_same_commit_byte_for_byte(rootfs, key, tmp_path):
    made = [
        publish_to(tmp_path / name, rootfs, "1", key, created=1_770_000_000)
        for name in ("a.git", "b.git")
    ]
    assert made[0].commit == made[1].commit
    assert made[0].tag == made[1].tag


def test_a_second_release_follows_the_first_and_counts_on(repo, rootfs, key):
    first = publish_to(repo, rootfs, "1", key)
    make_rootfs(rootfs, {"etc/os-release": "ID=acme\nVERSION=2\n"})
    second = publish_to(repo, rootfs, "2", key)
    assert (first.number, second.number) == (1, 2)
    assert git(repo, "rev-parse", "releases^") == first.commit
    assert f'previous = "{first.commit}"' in show(repo, "usr/lib/osupdate/release.toml")
    assert git(repo, "diff", "--name-only", "releases^", "releases").split() == [
        "etc/os-release",
        "usr/lib/osupdate/notes.md",
        "usr/lib/osupdate/release.toml",
    ]


def test_an_unchanged_rootfs_publishes_nothing(repo, rootfs, key):
    first = publish_to(repo, rootfs, "1", key)
    before = state_of(repo)
    again = publish_to(repo, rootfs, "2", key)
    assert again.outcome == "unchanged"
    assert (again.commit, again.tree) == (first.commit, first.tree)
    assert (again.tree_sha256, again.size) == (first.tree_sha256, first.size)
    assert state_of(repo) == before


def age(rootfs):
    """Wait until the filesystem's clock has left the rootfs behind."""
    newest = max(
        p.lstat().st_ctime_ns for p in [rootfs, *rootfs.rglob("*")] if p.exists()
    )
    clock = rootfs.parent / "clock"
    clock.touch()
    while clock.stat().st_mtime_ns <= newest:
        clock.unlink()
        clock.touch()


def test_an_unchanged_file_is_not_read_again(repo, rootfs, key):
    age(rootfs)
    first = publish_to(repo, rootfs, "1", key)
    make_rootfs(rootfs, {"etc/new": "new"})
    age(rootfs)
    second = publish_to(repo, rootfs, "2", key)
    assert first.read_files == 8
    assert (second.read_files, second.read_bytes) == (1, 3)


def test_an_unchanged_file_is_not_even_opened(repo, rootfs, key, tmp_path):
    age(rootfs)
    publish_release(repo, rootfs, "1", key)
    make_rootfs(rootfs, {"etc/new": "new"})
    trace = tmp_path / "trace"
    done = subprocess.run(
        [
            *("strace", "-f", "-qq", "-e", "trace=openat", "-o", trace),
            *("python3", "-c", PUBLISH, rootfs, repo, key, f"{repo}.cache"),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(factory.sys_path())},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    opened = trace.read_text()
    assert f"{rootfs}/etc/new" in opened
    assert f"{rootfs}/usr/share/big" not in opened
    assert f"{rootfs}/usr/bin/sh" not in opened


PUBLISH = """
import sys
from updater.publish.release import publish
from updater.publish.request import PublishRequest
rootfs, repo, key, cache = sys.argv[1:]
publish(PublishRequest(rootfs=rootfs, repo=repo, product="acme-gw", version="2",
    arch="amd64", machine="", key=key, cache=cache, created=1_770_090_000))
"""


def test_a_change_that_keeps_size_and_mtime_is_seen(repo, rootfs, key):
    age(rootfs)
    publish_release(repo, rootfs, "1", key)
    file = rootfs / "etc/os-release"
    was = file.stat()
    file.write_text("ID=ACME\n")
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert publish_to(repo, rootfs, "2", key).outcome == "published"
    assert show(repo, "etc/os-release") == "ID=ACME\n"


def test_a_damaged_index_means_hashing_again(repo, rootfs, key):
    age(rootfs)
    first = publish_to(repo, rootfs, "1", key)
    [index] = repo.parent.rglob("*.index")
    index.write_bytes(index.read_bytes()[:-9])
    make_rootfs(rootfs, {"etc/new": "new"})
    assert publish_to(repo, rootfs, "2", key).read_files == first.read_files + 1


def test_notes_source_and_floor_are_in_the_release(repo, rootfs, key):
    publish_release(
        repo,
        rootfs,
        "1",
        key,
        number=42,
        security_floor=40,
        source="https://example.org/recipe@abc",
        notes="# Fix\n\nWhy now: read.\n",
    )
    said = show(repo, "usr/lib/osupdate/release.toml")
    assert "number = 42\nsecurity_floor = 40\nbootable = false\n" in said
    assert 'source = "https://example.org/recipe@abc"' in said
    assert show(repo, "usr/lib/osupdate/notes.md") == "# Fix\n\nWhy now: read.\n"
    assert git(repo, "log", "-1", "--format=%s|%b").startswith("Fix|Why now: read.")
    tag = git(repo, "cat-file", "tag", "release/1")
    assert "Number: 42\nSecurity-Floor: 40\n" in tag


def test_packages_and_architecture_come_from_dpkg(repo, rootfs, key):
    status = (
        "Package: hello\nStatus: install ok installed\nVersion: 2.10-3\n"
        "Architecture: arm64\nInstalled-Size: 280\n"
    )
    make_rootfs(rootfs, {"var/lib/dpkg/status": status})
    publish_release(repo, rootfs, "1", key, arch=None)
    assert json.loads(show(repo, "usr/lib/osupdate/packages.json")) == [
        {
            "name": "hello",
            "version": "2.10-3",
            "source": "hello",
            "arch": "arm64",
            "size": 280 * 1024,
            "family": "dpkg",
        }
    ]
    assert 'arch = "arm64"' in show(repo, "usr/lib/osupdate/release.toml")


def test_the_updaters_own_files_in_the_input_are_replaced(repo, rootfs, key):
    make_rootfs(rootfs, {"usr/lib/osupdate/manifest": "of the release before\n"})
    publish_release(repo, rootfs, "1", key)
    assert show(repo, "usr/lib/osupdate/manifest").startswith("osupdate-manifest 1\n")


def test_hardlinks_are_one_blob_and_a_line(repo, rootfs, key):
    os.link(rootfs / "usr/bin/sh", rootfs / "usr/bin/dash")
    publish_release(repo, rootfs, "1", key)
    assert "/usr/bin/sh hardlink=/usr/bin/dash\n" in show(
        repo, "usr/lib/osupdate/manifest"
    )


def test_a_socket_is_left_out_and_named(repo, rootfs, key):
    os.mknod(rootfs / "srv/s", 0o140600)
    outcome = publish_to(repo, rootfs, "1", key)
    assert any("/srv/s" in notice for notice in outcome.notices)
    assert "srv/s" not in git(repo, "ls-tree", "-r", "--name-only", "HEAD")


def test_user_xattrs_are_recorded(repo, rootfs, key):
    try:
        os.setxattr(rootfs / "etc/os-release", "user.note", b"\x00hi")
    except OSError:
        pytest.skip("this filesystem has no user xattrs")
    publish_release(repo, rootfs, "1", key)
    assert "/etc/os-release xattr.user.note=0sAGhp\n" in show(
        repo, "usr/lib/osupdate/manifest"
    )


REFUSED = {
    "an ssh host key": ({"etc/ssh/ssh_host_rsa_key": "x"}, {}, "ssh_host_rsa_key"),
    "a name that git cannot hold": ({"srv/.git": "x"}, {}, "/srv/.git"),
    "a repository inside": ({".git/config": "x"}, {}, "/.git: "),
    "another product": ({"etc/n": "x"}, {"product": "other"}, "acme-gw"),
    "another architecture": ({"etc/n": "x"}, {"arch": "arm64"}, "amd64"),
    "a lower number": ({"etc/n": "x"}, {"number": 5}, "not larger than 5"),
    "a published version": ({"etc/n": "x"}, {"version": "1"}, "version 1 exists"),
    "a floor above the number": ({"etc/n": "x"}, {"security_floor": 99}, "floor 99"),
    "a lower floor": ({"etc/n": "x"}, {"security_floor": 1}, "floor 1"),
    "a moved user": (
        {"etc/passwd": "root:x:0:0::/:/bin/sh\nweb:x:34:33::/:/bin/sh\n"},
        {},
        "user web: 33 -> 34",
    ),
    "empty notes": ({"etc/n": "x"}, {"notes": " \n"}, "headline"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_and_changes_nothing(repo, rootfs, key, case):
    files, options, message = REFUSED[case]
    publish_release(repo, rootfs, "1", key, number=5, security_floor=2)
    make_rootfs(rootfs, files)
    before = state_of(repo)
    version = options.get("version", "2")
    rest = {name: value for name, value in options.items() if name != "version"}
    with pytest.raises(RefusedError, match=message):
        publish_release(repo, rootfs, version, key, **rest)
    assert state_of(repo) == before


def test_a_refused_first_release_leaves_no_repository(repo, rootfs, key):
    make_rootfs(rootfs, {"etc/ssh/ssh_host_rsa_key": "x"})
    with pytest.raises(RefusedError, match="1 secret"):
        publish_release(repo, rootfs, "1", key)
    assert not repo.exists()


def test_a_secret_is_published_when_asked_for_every_time(repo, rootfs, key):
    make_rootfs(rootfs, {"root/key": "-----BEGIN PRIVATE KEY-----\n"})
    age(rootfs)
    publish_release(repo, rootfs, "1", key, allow_secrets=("/root/key",))
    make_rootfs(rootfs, {"etc/new": "x"})
    with pytest.raises(RefusedError, match="/root/key"):
        publish_release(repo, rootfs, "2", key)


@pytest.mark.parametrize(
    "options",
    [
        {"version": "../x"},
        {"product": "a b"},
        {"number": 0},
        {"number": 2**53},
        {"key": None, "unsigned": False},
        {"unsigned": True},
        {"created": -1},
        {"source": "a\nb"},
        {"excludes": ("/a/../b",)},
    ],
)
def test_a_wrong_option_is_a_usage_error(repo, rootfs, key, options):
    given = {"version": "1", "key": key} | options
    with pytest.raises(UsageError):
        publish_to(repo, rootfs, given.pop("version"), given.pop("key"), **given)
    assert not repo.exists()


def test_a_repository_with_a_working_tree_is_refused(rootfs, key, tmp_path):
    made = tmp_path / "worktree"
    made.mkdir()
    git(made, "init", "-q", ".")
    before = state_of(made)
    with pytest.raises(RefusedError, match="working tree"):
        publish_release(made, rootfs, "1", key)
    assert state_of(made) == before


def test_a_branch_that_is_not_a_release_is_refused(repo, rootfs, key):
    repo.mkdir()
    git(repo, "init", "-q", "--bare", ".")
    empty = git(repo, "mktree", input=b"")
    who = ("-c", "user.name=x", "-c", "user.email=x@x")
    commit = git(repo, *who, "commit-tree", "-m", "x", empty)
    git(repo, "update-ref", "refs/heads/releases", commit)
    before = state_of(repo)
    with pytest.raises(RefusedError, match="not a release"):
        publish_release(repo, rootfs, "1", key)
    assert state_of(repo) == before


def test_a_publication_that_was_cut_before_the_branch_moved_can_be_finished(
    repo, rootfs, key
):
    first = publish_to(repo, rootfs, "1", key, created=1_770_000_000)
    git(repo, "update-ref", "-d", "refs/heads/releases")
    again = publish_to(repo, rootfs, "1", key, created=1_770_000_000)
    assert again.commit == first.commit
    assert git(repo, "rev-parse", "releases") == first.commit


def test_a_branch_that_moved_meanwhile_is_not_overwritten(
    repo, rootfs, key, monkeypatch
):
    first = publish_to(repo, rootfs, "1", key)
    make_rootfs(rootfs, {"etc/new": "x"})
    announce = Target.announce

    def late(self, *arguments):
        git(repo, "update-ref", "refs/heads/releases", theirs)
        announce(self, *arguments)

    who = ("-c", "user.name=x", "-c", "user.email=x@x")
    tree = git(repo, "rev-parse", f"{first.commit}^{{tree}}")
    theirs = git(repo, *who, "commit-tree", "-p", first.commit, "-m", "x", tree)
    monkeypatch.setattr(Target, "announce", late)
    with pytest.raises(BusyError, match="moved"):
        publish_release(repo, rootfs, "2", key)
    assert git(repo, "rev-parse", "releases") == theirs


COMPRESS = {
    "tar": lambda data: data,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: (
        subprocess.run(
            ["zstd", "-q", "-c"], input=data, capture_output=True, check=True
        ).stdout
    ),
}


def tar_of(rootfs, *options):
    done = subprocess.run(
        ["tar", "--numeric-owner", "--owner=0", "--group=0", *options, "-c", "."],
        cwd=rootfs,
        capture_output=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_tar_archive_is_published_as_the_directory_is(rootfs, key, tmp_path, kind):
    os.link(rootfs / "usr/bin/sh", rootfs / "usr/bin/dash")
    packed = tmp_path / f"rootfs.{kind}"
    packed.write_bytes(COMPRESS[kind](tar_of(rootfs, "--format=pax", "--sparse")))
    created = {"created": 1_770_000_000}
    from_directory = publish_to(tmp_path / "a.git", rootfs, "1", key, **created)
    from_archive = publish_to(tmp_path / "b.git", packed, "1", key, **created)
    assert from_archive.commit == from_directory.commit


def test_stdin_is_an_archive(rootfs, key, tmp_path):
    packed = tmp_path / "rootfs.tar"
    packed.write_bytes(tar_of(rootfs))
    created = {"created": 1_770_000_000}
    named = publish_to(tmp_path / "a.git", packed, "1", key, **created)
    with packed.open("rb") as stdin:
        piped = publish_to(tmp_path / "b.git", "-", "1", key, stdin=stdin, **created)
    assert piped.commit == named.commit


def member(name, data=None, **fields):
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    info.size = len(data or b"")
    return info, data


def write_tar(path, *members):
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, data and io.BytesIO(data))
    return path


def test_a_tar_says_owners_modes_devices_links_and_capabilities(repo, key, tmp_path):
    capability = b"\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00" + bytes(8)
    held = capability.decode("utf-8", "surrogateescape")
    packed = write_tar(
        tmp_path / "made.tar",
        member("./opt/dev/console", type=tarfile.CHRTYPE, devmajor=5, devminor=1),
        member("/opt/pipe", type=tarfile.FIFOTYPE, mode=0o620, gid=5),
        member(
            "opt/ping",
            b"ping",
            mode=0o755,
            uid=7,
            pax_headers={"SCHILY.xattr.security.capability": held},
        ),
        member("opt/again", type=tarfile.LNKTYPE, linkname="opt/ping"),
        member("opt/\udcff", b"name"),
        member("opt/l", type=tarfile.SYMTYPE, linkname="/x", uid=9),
        member("opt/twice", b"first"),
        member("opt/twice", b"second"),
    )
    publish_release(repo, packed, "1", key)
    assert show(repo, "usr/lib/osupdate/manifest") == (
        "osupdate-manifest 1\n/opt/again mode=0755 uid=7"[: -len(" mode=0755 uid=7")]
        + " uid=7 xattr.security.capability=0sAQAAAgAgAAAAAAAAAAAAAAAAAAA=\n"
        "/opt/dev type=dir\n"
        "/opt/dev/console type=char dev=5:1 mode=0644\n"
        "/opt/l uid=9\n"
        "/opt/ping hardlink=/opt/again\n"
        "/opt/pipe type=fifo mode=0620 gid=5\n"
    )
    assert git(repo, "show", "HEAD:opt/twice") == "second"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([member("../etc/passwd", b"x")], "leads out"),
        ([member("a/../../b", b"x")], "leads out"),
        ([member("a", type=tarfile.LNKTYPE, linkname="b")], "hardlink of /b"),
        ([member("a", b"x"), member("a/b", b"y")], "below /a"),
        (
            [member("a", type=tarfile.SYMTYPE, linkname="/etc"), member("a/b", b"y")],
            "/a",
        ),
        ([member("a", b"x", pax_headers={"SCHILY.acl.access": "user::rw-"})], "ACL"),
    ],
)
def test_an_archive_that_means_no_tree_is_refused(
    repo, key, tmp_path, members, message
):
    packed = write_tar(tmp_path / "bad.tar", *members)
    with pytest.raises(RefusedError, match=message):
        publish_release(repo, packed, "1", key)
    assert not repo.exists()


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_cut_archive_is_refused(rootfs, repo, key, tmp_path, kind):
    data = COMPRESS[kind](tar_of(rootfs))
    packed = tmp_path / "cut"
    packed.write_bytes(data[: len(data) // 2])
    with pytest.raises(RefusedError, match=r"damaged|not a whole tar"):
        publish_release(repo, packed, "1", key)
    assert not repo.exists()


def test_what_is_no_archive_is_refused(repo, key, tmp_path):
    (tmp_path / "text").write_text("hello")
    with pytest.raises(RefusedError, match="not tar"):
        publish_release(repo, tmp_path / "text", "1", key)


def test_a_pyc_in_the_release_does_not_depend_on_its_sources_mtime(repo, rootfs, key):
    (rootfs / "usr/lib").mkdir()
    source = rootfs / "usr/lib/m.py"
    source.write_text("x = 1\n")
    subprocess.run(["python3", "-m", "py_compile", source], check=True)
    publish_release(repo, rootfs, "1", key)
    os.utime(source, (1, 1))
    shutil.rmtree(rootfs / "usr/lib/__pycache__")
    subprocess.run(["python3", "-m", "py_compile", source], check=True)
    assert publish_to(repo, rootfs, "2", key).outcome == "unchanged"


def test_an_unreachable_url_is_a_transport_error(rootfs, key, tmp_path):
    cache = tmp_path / "cache"
    with pytest.raises(TransportError, match=r"127\.0\.0\.1:1/"):
        publish_release("http://127.0.0.1:1/x.git", rootfs, "1", key, cache=str(cache))


@pytest.fixture
def remote(tmp_path):
    """A bare repository behind HTTP that takes pushes: (its path, its URL)."""
    served = tmp_path / "served"
    bare = served / "acme.git"
    bare.mkdir(parents=True)
    git(bare, "init", "-q", "--bare", "--initial-branch=releases", ".")
    git(bare, "config", "http.receivepack", "true")
    with HttpServer(served) as server:
        yield bare, f"{server.base}/acme.git"


def test_a_release_is_pushed_to_a_url_and_the_next_one_follows(
    remote, rootfs, signer, tmp_path
):
    bare, url = remote
    key, signers = signer
    cache = {"cache": str(tmp_path / "cache")}
    first = publish_to(url, rootfs, "1", key, **cache)
    make_rootfs(rootfs, {"etc/new": "x"})
    second = publish_to(url, rootfs, "2", key, **cache)
    assert git(bare, "rev-parse", "releases") == second.commit
    assert git(bare, "rev-parse", "releases^") == first.commit
    assert git(bare, "fsck", "--full", "--strict") == ""
    verify = ("-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={signers}")
    git(bare, *verify, "verify-tag", "release/1", "release/2")


def test_another_publisher_without_a_copy_goes_on_from_the_remote(
    remote, rootfs, key, tmp_path
):
    bare, url = remote
    publish_to(url, rootfs, "1", key, cache=str(tmp_path / "one"))
    make_rootfs(rootfs, {"etc/new": "x"})
    second = publish_to(url, rootfs, "2", key, cache=str(tmp_path / "two"))
    assert second.number == 2
    assert git(bare, "rev-parse", "releases") == second.commit
    assert git(bare, "fsck", "--full", "--strict") == ""


def test_a_server_that_refuses_a_ref_is_an_error_that_names_it(
    remote, rootfs, key, tmp_path
):
    bare, url = remote
    hook = bare / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\ncase "$1" in *heads*) exit 1;; esac\n')
    hook.chmod(0o755)
    with pytest.raises(RefusedError, match="refs/heads/releases: hook declined"):
        publish_to(url, rootfs, "1", key, cache=str(tmp_path / "cache"))
    assert git(bare, "for-each-ref", "refs/heads") == ""


def test_a_url_that_takes_no_pushes_is_a_transport_error(remote, rootfs, key, tmp_path):
    bare, url = remote
    git(bare, "config", "http.receivepack", "false")
    with pytest.raises(TransportError, match="cannot push"):
        publish_to(url, rootfs, "1", key, cache=str(tmp_path / "cache"))
    assert git(bare, "for-each-ref") == ""
