"""A rootfs in git that knows nothing of osupdate, made with stock git alone."""

import os
import subprocess
import time

import pytest
from support import trees
from support.factory import Symlink, make_key, make_rootfs
from support.machine import Machine

SECOND = 1_600_000_000
DAY = 86_400


class Plain:
    """A working copy whose branch `master` is the rootfs."""

    def __init__(self, path):
        self.path = path
        self.at = SECOND
        path.mkdir()
        self.git("init", "-q", "-b", "master")

    def git(self, *arguments, **kw):
        when = f"{self.at} +0000"
        done = subprocess.run(
            ["git", *map(str, arguments)],
            cwd=self.path,
            check=True,
            capture_output=True,
            env={
                "PATH": os.environ["PATH"],
                "HOME": "/nonexistent",
                "GIT_AUTHOR_NAME": "somebody",
                "GIT_AUTHOR_EMAIL": "somebody@example.org",
                "GIT_COMMITTER_NAME": "somebody",
                "GIT_COMMITTER_EMAIL": "somebody@example.org",
                "GIT_AUTHOR_DATE": when,
                "GIT_COMMITTER_DATE": when,
                "GIT_CONFIG_NOSYSTEM": "1",
            },
            **kw,
        )
        return done.stdout.decode().strip()

    def commit(self, message, files=None, *, tag=None):
        """A day later: these files, committed by hand; gives the id."""
        self.at += DAY
        make_rootfs(self.path, files or {})
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        if tag:
            self.git("tag", tag)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def plain(tmp_path):
    """Three commits: two tagged, and one that is the tip of the branch only."""
    plain = Plain(tmp_path / "plain")
    plain.commit(
        "The first",
        {
            "bin": Symlink("usr/bin"),
            "etc/hostname": "webc\n",
            "etc/skel/.gitkeep": "",
            "usr/bin/xinit": ("#!/bin/sh\n", 0o755),
            "usr/lib/firefox": "f" * 40_000,
            "var/log/.gitkeep": "",
        },
        tag="12.0",
    )
    plain.commit("Newer browser", {"usr/lib/firefox": "g" * 40_000}, tag="12.1")
    plain.git(
        *("update-index", "--add", "--cacheinfo"),
        f"160000,{'1' * 40},usr/share/module",
    )
    (plain.path / "usr/lib/firefox").unlink()
    make_rootfs(plain.path, {"usr/lib/firefox/firefox-bin": "h" * 40_000})
    plain.at += DAY
    plain.git("add", "usr/lib")
    plain.git("commit", "-q", "-m", "By hand\n\nIt became a directory.")
    return plain


@pytest.fixture
def machine(plain, tmp_path):
    return Machine(tmp_path / "machine", plain.path / ".git", channel="master")


def checkout(plain, revision, directory):
    """What stock git makes of a revision, without submodules."""
    directory.mkdir()
    archive = subprocess.Popen(
        ["git", "archive", revision], cwd=plain.path, stdout=subprocess.PIPE
    )
    subprocess.run(
        ["tar", "x", "--no-same-owner", "-C", directory],
        stdin=archive.stdout,
        check=True,
    )
    archive.stdout.close()
    assert archive.wait() == 0
    empty = directory / "usr/share/module"
    if empty.is_dir():
        empty.rmdir()
        if not any((directory / "usr/share").iterdir()):
            (directory / "usr/share").rmdir()
    return directory


def assert_runs(machine, plain, revision, tmp_path):
    made = checkout(plain, revision, tmp_path / f"archive-{time.monotonic_ns()}")
    assert trees.contents(machine.current.resolve()) == trees.contents(made)


def test_the_tip_of_a_branch_is_taken_and_left_again(machine, plain, tmp_path):
    commit = plain.git("rev-parse", "HEAD")
    name = f"2020-09-16-{commit[:7]}"
    done = machine.run("check", "--exit-code", code=100)
    assert commit[:7] in done.out

    machine.run("apply", "12.1")
    assert_runs(machine, plain, "12.1", tmp_path)
    done = machine.run("apply")
    assert "1 submodule left out: /usr/share/module" in done.err
    assert machine.running == name
    assert_runs(machine, plain, "HEAD", tmp_path)
    assert machine.state["deployments"][-1]["headline"] == "By hand"

    changed = machine.run("diff", "--files").out
    assert "/usr/lib/firefox" in changed
    assert "hostname" not in changed
    assert "UNSIGNED" in machine.run("status").out

    machine.run("revert")
    assert_runs(machine, plain, "12.1", tmp_path)
    machine.run("verify", "--exit-code", "--all")
    assert machine.leftovers() == []


def test_an_older_tag_needs_to_be_allowed(machine, plain, tmp_path):
    machine.run("apply")
    before = trees.everything(machine.deployments)
    done = machine.run("apply", "12.0", code=3)
    assert "older than the running one" in done.err
    assert trees.everything(machine.deployments) == before
    machine.run("apply", "12.0", "--allow-downgrade")
    assert_runs(machine, plain, "12.0", tmp_path)
    assert machine.running == "12.0"
    assert (machine.current / "etc/skel/.gitkeep").read_bytes() == b""
    machine.run("revert")
    assert_runs(machine, plain, "HEAD", tmp_path)


def test_a_tag_on_the_tip_names_the_version(machine, plain):
    plain.commit("Tagged", {"etc/hostname": "other\n"}, tag="12.2")
    machine.run("apply")
    assert machine.running == "12.2"


def test_an_annotated_tag_names_the_version(machine, plain):
    plain.commit("Tagged", {"etc/hostname": "other\n"})
    plain.git("tag", "-a", "-m", "thirteen", "13.0")
    machine.run("apply")
    assert machine.running == "13.0"


def test_a_commit_is_named_by_its_id(machine, plain, tmp_path):
    commit = plain.git("rev-parse", "12.1")
    machine.run("apply", commit)
    assert_runs(machine, plain, "12.1", tmp_path)


def test_commit_after_commit_of_a_branch(machine, plain, tmp_path):
    for number in range(4):
        plain.commit(
            f"Number {number}",
            {f"usr/share/n{number}": f"{number}\n", "etc/hostname": f"{number}\n"},
        )
        machine.run("apply")
        assert_runs(machine, plain, "HEAD", tmp_path)
    assert len(machine.versions) == 2
    assert machine.leftovers() == []


def test_a_file_that_becomes_executable_a_symlink_and_a_directory(
    machine, plain, tmp_path
):
    machine.run("apply", "12.0")
    plain.git("rm", "-q", "-r", "--cached", "usr/share/module")
    for message, files in (
        ("executable", {"etc/hostname": ("webc\n", 0o755)}),
        ("symlink", {"etc/hostname": Symlink("skel")}),
        ("file again", {"etc/hostname": "webc\n"}),
    ):
        plain.commit(message, files)
        machine.run("apply")
        assert_runs(machine, plain, "HEAD", tmp_path)
        mode = (machine.current / "etc/hostname").lstat().st_mode
        assert (mode & 0o111 != 0) == (message != "file again")
    (plain.path / "etc/hostname").unlink()
    plain.commit("directory", {"etc/hostname/name": "webc\n"})
    machine.run("apply")
    assert_runs(machine, plain, "HEAD", tmp_path)
    machine.run("verify", "--exit-code", "--all")


def test_a_history_that_was_rewritten_is_taken_by_its_date(machine, plain, tmp_path):
    machine.run("apply")
    plain.git("reset", "-q", "--hard", "12.0")
    plain.commit("Another history", {"etc/hostname": "rewritten\n"})
    machine.run("apply", "--allow-downgrade")
    assert_runs(machine, plain, "HEAD", tmp_path)


def test_without_asking_for_it_unsigned_content_is_refused(machine, plain, tmp_path):
    machine.configure(trust={"mode": "tag"})
    (machine.etc / "trust").mkdir(exist_ok=True)
    (machine.etc / "trust/release").write_text(make_key(tmp_path)[1])
    done = machine.run("apply", code=3)
    assert "not released" in done.err
    assert list(machine.deployments.iterdir()) == []


def test_sixty_thousand_files(tmp_path):
    """A first deployment, and an update of forty files that does not cost the same."""
    count = 60_000
    plain = Plain(tmp_path / "plain")
    stream = [
        b"commit refs/heads/master\ncommitter s <s@example.org> %d +0000\n" % SECOND
    ]
    stream.append(b"data 5\nfirst\n")
    for number in range(count):
        text = b"%d\n" % number
        path = b"usr/share/%d/%d/f%d" % (number % 23, number % 577, number)
        stream.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path, len(text), text))
    plain.git("fast-import", "--quiet", input=b"".join(stream))
    machine = Machine(tmp_path / "machine", plain.path / ".git", channel="master")
    began = time.monotonic()
    machine.run("apply")
    first = time.monotonic() - began
    stream = [
        b"commit refs/heads/master\ncommitter s <s@example.org> %d +0000\n"
        b"data 6\nsecond\nfrom refs/heads/master^0\n" % (SECOND + DAY)
    ]
    for number in range(0, count, count // 40):
        path = b"usr/share/%d/%d/f%d" % (number % 23, number % 577, number)
        stream.append(b"M 100755 inline %s\ndata 4\nnew\n\n" % path)
    plain.git("fast-import", "--quiet", input=b"".join(stream))
    began = time.monotonic()
    done = machine.run("apply")
    second = time.monotonic() - began
    assert "40 written" in done.err
    print(f"first {first:.1f} s, update {second:.1f} s")
    current = machine.current.resolve()
    assert sum(len(files) for _, _, files in os.walk(current)) == count
    assert (current / "usr/share/0/0/f0").read_text() == "new\n"
    assert (current / "usr/share/1/1/f1").read_text() == "1\n"
    assert (current / "usr/share/0/0/f0").stat().st_mode & 0o111


def test_pinned_keys_are_not_passed_over(machine):
    pins = machine.etc / "trust/release"
    pins.write_text('release namespaces="git" ssh-ed25519 AAAA\n')
    before = trees.contents(machine.root)
    refused = machine.run("apply", code=2)
    assert "/etc/osupdate/trust/release says whose signatures count" in refused.err
    after = trees.contents(machine.root)
    assert {p: after[p] for p in before} == before
    assert not machine.current.exists()
