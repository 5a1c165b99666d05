"""Plain repositories, made with git itself, in mode `unsigned`."""

import subprocess

import pytest
from support import evil

from updater.errors import UntrustedError
from updater.model import (
    Candidate,
    MachineFacts,
    Metadata,
    Offer,
    TrustMode,
    TrustSettings,
)
from updater.steps.verify import verify
from updater.system.git.objects import open_objects

FIRST = MachineFacts()
UNSIGNED = TrustSettings(mode=TrustMode.UNSIGNED)
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
    "GIT_COMMITTER_DATE": "1700000123 +0200",
    "GIT_AUTHOR_DATE": "1600000000 +0200",
}


@pytest.fixture
def git(tmp_path):
    path = tmp_path / "rootfs"
    path.mkdir()

    def run(*arguments, **environment):
        done = subprocess.run(
            ["git", *arguments],
            cwd=path,
            env=ENVIRONMENT | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    run("init", "-q", "-b", "main")
    run.path = path
    return run


def commit(git, message="Import the rootfs", **environment):
    git("add", "-A")
    git("commit", "-q", "-m", message, **environment)
    return git("rev-parse", "HEAD")


def verified(git, oid, facts=FIRST, version=None, sizes=None):
    offer = Offer(url="/r", channel="main", ref="refs/heads/main", commit=oid)
    if version is not None:
        offer = Offer(url="/r", channel="main", ref="r", commit=oid, version=version)
    objects = str(git.path / ".git/objects")
    return verify(
        Candidate(offer, objects),
        open_objects([objects]),
        UNSIGNED,
        facts,
        0,
        sizes=sizes,
    )


def test_a_commit_by_hand_is_a_release(git):
    (git.path / "dev").mkdir()
    (git.path / "dev/.gitkeep").touch()
    (git.path / "etc").mkdir()
    (git.path / "etc/motd").write_text("Welcome.\n")
    (git.path / "etc/mtab").symlink_to("../proc/self/mounts")
    (git.path / "run me").write_text("#!/bin/sh\n")
    (git.path / "run me").chmod(0o755)
    oid = commit(git, "Import the rootfs\n\nAll of it.")
    release = verified(git, oid)
    assert release.version == f"2023-11-14-{oid[:7]}"
    assert release.number == release.created == 1_700_000_123
    assert release.headline == "Import the rootfs"
    assert (release.commit, release.tree) == (oid, git("rev-parse", "HEAD^{tree}"))
    assert [(e.path, e.mode, e.oid) for e in release.entries] == sorted(
        (path.encode(), mode, blob)
        for mode, _, blob, path in (
            line.replace("\t", " ", 1).split(" ", 3)
            for line in git("ls-tree", "-r", "HEAD").splitlines()
        )
    )
    assert (release.files, release.size) == (4, 9 + 19 + 10)
    assert release.metadata == {}
    assert release.notices == ()
    assert release.tag is release.product is release.arch is release.tree_sha256 is None


def test_a_tag_names_the_version(git):
    (git.path / "a").write_text("a")
    assert verified(git, commit(git), version="v12.0").version == "v12.0"


def test_a_tag_that_would_reach_the_terminal_is_refused(git):
    (git.path / "a").write_text("a")
    with pytest.raises(UntrustedError) as caught:
        verified(git, commit(git), version="v1\u202e2")
    assert caught.value.check == "R3"


def test_submodules_are_left_out_and_named(git):
    (git.path / "a").write_text("a")
    first = commit(git)
    for name in ("lib", "lib-x", "m", "n"):
        git("update-index", "--add", "--cacheinfo", f"160000,{first},{name}")
    git("commit", "-q", "-m", "With submodules")
    release = verified(git, git("rev-parse", "HEAD"))
    assert [entry.path for entry in release.entries] == [b"a"]
    assert release.notices == ("4 submodules left out: /lib, /lib-x, /m and 1 more",)


def test_an_empty_tree_is_left_out_and_named(git):
    repository = evil.Repository(git.path / ".git")
    tree = repository.tree(
        ("100644", "a", repository.blob(b"a")), ("40000", "none", repository.tree())
    )
    release = verified(git, repository.commit(tree))
    assert release.notices == ("1 empty tree left out: /none",)


def test_a_commit_without_any_file_is_refused(git):
    git("commit", "-q", "--allow-empty", "-m", "Nothing")
    with pytest.raises(UntrustedError, match="holds no file") as caught:
        verified(git, git("rev-parse", "HEAD"))
    assert caught.value.check == "F2"


def test_names_that_are_odd_but_legal_are_taken(git):
    names = [b"caf\xe9", b"a b", b"\\x2d", b"-rf", b"..."]
    for name in names:
        (git.path / name.decode("utf-8", "surrogateescape")).write_bytes(b"x")
    found = [entry.path for entry in verified(git, commit(git)).entries]
    assert found == sorted(names)


def test_a_name_with_a_control_character_is_refused(git):
    (git.path / "a\nb").write_text("x")
    with pytest.raises(UntrustedError, match=r"/a\\nb is not a name") as caught:
        verified(git, commit(git))
    assert caught.value.check == "F2"


def test_a_manifest_counts_in_a_plain_repository_too(git):
    own = git.path / "usr/lib/osupdate"
    own.mkdir(parents=True)
    (own / "manifest").write_text(
        "osupdate-manifest 1\n/usr mode=0700\n/var type=dir\n"
    )
    assert verified(git, commit(git)).metadata == {
        b"usr": Metadata(mode=0o700),
        b"var": Metadata(type="dir"),
    }


def test_an_older_commit_is_refused_and_taken_when_a_person_allows_it(git):
    (git.path / "a").write_text("a")
    oid = commit(git)
    with pytest.raises(UntrustedError, match="is older") as caught:
        verified(git, oid, MachineFacts(running_number=1_700_000_124))
    assert caught.value.check == "R4"
    facts = MachineFacts(running_number=1_700_000_124, allow_downgrade=True)
    assert verified(git, oid, facts).commit == oid


def test_two_commits_of_one_second_follow_each_other(git):
    (git.path / "a").write_text("a")
    first = commit(git)
    (git.path / "a").write_text("b")
    second = commit(git)
    facts = MachineFacts(running_number=1_700_000_123, running_commit=first)
    assert verified(git, second, facts).commit == second


def test_signed_and_merged_commits_are_read(git):
    (git.path / "a").write_text("a")
    commit(git)
    git("checkout", "-q", "-b", "other")
    (git.path / "b").write_text("b")
    commit(git, "Other")
    git("checkout", "-q", "main")
    git("-c", "i18n.commitEncoding=ISO-8859-1", "merge", "-q", "--no-ff", "other")
    oid = git("rev-parse", "HEAD")
    assert "encoding ISO-8859-1" in git("cat-file", "commit", oid)
    assert verified(git, oid).headline == "Merge branch 'other'"


def test_blobs_that_deployments_hold_are_not_asked_for(git):
    (git.path / "a").write_text("a" * 5)
    (git.path / "b").write_text("b" * 7)
    oid = commit(git)
    blob = git("rev-parse", "HEAD:a")
    evil.Repository(git.path / ".git").remove(blob)
    with pytest.raises(UntrustedError, match=f"/a: blob {blob} is missing"):
        verified(git, oid)
    assert verified(git, oid, sizes={blob: 5}).size == 12
