"""log, notes, when, blame, patch, restore on a machine, with real releases and git."""

import json
import os
import shutil
import stat
import subprocess

import pytest
from support.factory import make_key, make_rootfs, publish_release
from support.machine import Machine
from support.releases import HOSTILE, assert_tame

from updater.system import fs

HELLO = "#!/bin/sh\necho {}\n"
STATUS = """Package: curl
Status: install ok installed
Version: {curl}
Architecture: amd64
Conffiles:
 /etc/curlrc 5d41402abc4b2a76b9719d911017c592

Package: libssl3
Source: openssl
Status: install ok installed
Version: {ssl}
Architecture: amd64
"""
LISTS = {
    "var/lib/dpkg/info/curl.list": "/.\n/etc\n/etc/curlrc\n/usr/bin/curl\n",
    "var/lib/dpkg/info/libssl3.list": "/.\n/usr/lib/libssl.so\n",
}
FIRST = {
    "etc/motd": "hello\n",
    "etc/curlrc": "silent\n",
    "etc/shadow": ("root:*:1:::::\n", 0o640),
    "usr/bin/curl": ("curl 1\n", 0o755),
    "usr/bin/hello": (HELLO.format(1), 0o755),
    "usr/lib/libssl.so": "ssl 1\n",
    "usr/share/win.txt": "a\r\nb\r\n",
    "usr/share/logo": bytes(range(256)) * 9,
    "srv": None,
    "opt": None,
    "var/lib/dpkg/status": STATUS.format(curl="7.88-1", ssl="3.0.10-1"),
    "var/lib/seed": "seed\n",
    **LISTS,
}
SECOND = {
    "etc/motd": "hello again\n",
    "usr/lib/libssl.so": "ssl 2\n",
    "var/lib/dpkg/status": STATUS.format(curl="7.88-1", ssl="3.0.11-1"),
}
THIRD = {"usr/bin/hello": (HELLO.format(3), 0o755)}
NOTES = {
    "1.0": "First release of the gateway\n\nNothing before it.\n",
    "1.1": "OpenSSL fix (CVE-2023-5678)\n\nWhy now: because.\n",
    "1.2": "A friendlier hello\n",
}
PROVENANCE = json.dumps({"/etc/motd": "overlay/etc/motd", "/opt": "app"}).encode()


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A repository with three releases: (repo, signers)."""
    directory = tmp_path_factory.mktemp("releases")
    key, signers = make_key(directory)
    repo, rootfs = directory / "repo.git", directory / "rootfs"
    for version, files in (("1.0", FIRST), ("1.1", SECOND), ("1.2", THIRD)):
        make_rootfs(rootfs, files)
        publish_release(
            repo,
            rootfs,
            version,
            key,
            notes=NOTES[version],
            source="https://git.example.org/recipe#3f2c9a1",
            provenance=PROVENANCE,
        )
    return repo, signers


@pytest.fixture
def machine(tmp_path, published):
    """Runs 1.1, has 1.0 beside it."""
    repo, signers = published
    found = Machine(tmp_path / "machine", repo, signers=signers)
    for version in ("1.0", "1.1"):
        found.run("apply", version)
    return found


def versions(done):
    return [release["version"] for release in done.json["releases"]]


def edit(machine, path, text, *, mode="a"):
    """Change a file of what runs, as a person with an editor: by a new inode."""
    full = machine.current / path
    old = full.read_bytes() if mode == "a" and full.exists() else b""
    full.parent.mkdir(parents=True, exist_ok=True)
    beside = full.with_name(full.name + "~")
    beside.write_bytes(old + (text if isinstance(text, bytes) else text.encode()))
    if full.exists():
        beside.chmod(stat.S_IMODE(full.stat().st_mode))
    beside.replace(full)
    return full


def test_the_log_has_what_was_here_and_what_this_machine_does_with_it(machine):
    done = machine.run("log", "--json")
    assert versions(done) == ["1.1", "1.0"]
    assert [r["here"] for r in done.json["releases"]] == ["running", "previous"]
    assert done.json["complete"] is True
    assert "OpenSSL fix (CVE-2023-5678)" in machine.run("log").out


def test_the_log_outlives_deployments(machine):
    machine.run("apply", "1.2")
    assert machine.versions == ["1.1", "1.2"]
    done = machine.run("log", "--json")
    assert versions(done) == ["1.2", "1.1", "1.0"]
    assert done.json["releases"][2]["here"] is None
    assert "First release of the gateway" in machine.run("notes", "1.0").out


def test_the_log_of_a_path_has_the_releases_that_changed_it(machine):
    machine.run("apply", "1.2")
    assert versions(machine.run("log", "--json", "--", "/etc/motd")) == ["1.1", "1.0"]
    assert versions(machine.run("log", "--json", "--", "/usr")) == ["1.2", "1.1", "1.0"]
    done = machine.run("log", "--json", "1.1..", "--", "/usr")
    assert versions(done) == ["1.2"]
    assert done.json["untold"] == []
    assert machine.run("log", "--", "/nowhere").out.startswith("No release that is")


def test_releases_that_were_passed_over_are_a_gap(tmp_path, published):
    repo, signers = published
    machine = Machine(tmp_path / "machine", repo, signers=signers)
    machine.run("apply", "1.0")
    machine.run("apply", "1.2")
    done = machine.run("log", "--json")
    assert versions(done) == ["1.2", "1.0"]
    assert done.json["releases"][0]["gap"] is True
    assert done.json["complete"] is False
    assert "releases in between are not known here" in machine.run("log").out
    row = machine.run("log", "--json", "--", "/etc/motd").json["releases"][0]
    assert (row["version"], row["changed_since"]) == ("1.2", "1.0")
    blamed = machine.run("blame", "/etc/motd")
    assert "or a release before it, after 1.0" in blamed.out


def test_full_history_brings_every_release(tmp_path, published):
    repo, signers = published
    machine = Machine(
        tmp_path / "machine", repo, signers=signers, remote={"history": "full"}
    )
    machine.run("apply", "1.2")
    assert versions(machine.run("log", "--json")) == ["1.2", "1.1", "1.0"]
    assert versions(machine.run("log", "--json", "--", "/etc/motd")) == ["1.1", "1.0"]
    found = machine.run("when", "openssl >= 3.0.11", "--json").json["channels"][0]
    assert found["since"]["version"] == "1.1"
    assert found["exact"] is True
    assert "remembered" in machine.events


def test_a_release_that_is_refused_is_not_remembered(tmp_path, published):
    repo, _ = published
    _, strangers = make_key(tmp_path, "stranger")
    machine = Machine(tmp_path / "machine", repo, signers=strangers)
    machine.run("apply", "1.0", code=3)
    assert not (machine.state_dir / "public/releases").exists()
    assert versions(machine.run("log", "--json")) == []


def test_a_store_that_cannot_be_written_does_not_stop_an_update(tmp_path, published):
    repo, signers = published
    machine = Machine(tmp_path / "machine", repo, signers=signers)
    public = machine.state_dir / "public"
    public.mkdir(parents=True)
    (public / "releases").write_text("in the way")
    done = machine.run("apply", "1.0")
    assert "Not remembered for osupdate log" in done.err
    assert machine.running == "1.0"
    assert versions(machine.run("log", "--json")) == ["1.0"]


def test_a_machine_that_was_there_before_remembers_what_it_has(machine):
    shutil.rmtree(machine.state_dir / "public/releases")
    machine.run("apply", "1.2")
    done = machine.run("log", "--json")
    assert versions(done) == ["1.2", "1.1", "1.0"]
    assert versions(machine.run("log", "--json", "--", "/etc/motd")) == ["1.1", "1.0"]


def test_a_repository_answers_as_a_machine_does(machine, published):
    repo, _ = published
    assert versions(machine.run("log", "--json", "--repo", repo)) == [
        "1.2",
        "1.1",
        "1.0",
    ]
    done = machine.run("log", "--json", "--repo", repo, "--", "/etc/motd")
    assert versions(done) == ["1.1", "1.0"]
    assert "Why now: because." in machine.run("notes", "1.1", "--repo", repo).out
    machine.run("when", "openssl >= 3.0.11", "--repo", repo)
    machine.run("when", "openssl >= 3.0.12", "--repo", repo, code=1)
    machine.run("when", "CVE-2023-5678", "--repo", repo)
    machine.run("when", "CVE-2023-567", "--repo", repo, code=2)
    done = machine.run("log", "--repo", machine.root / "etc", code=1)
    assert "cannot read the repository" in done.err


def test_notes_are_those_of_what_is_new_then_of_what_runs(machine):
    assert machine.run("notes").out.startswith("1.1 - OpenSSL fix (CVE-2023-5678)")
    machine.run("apply", "1.2", "--no-arm")
    assert machine.run("notes").out.startswith("1.2 - A friendlier hello")
    assert machine.run("notes", "running").out.startswith("1.1 - ")
    assert machine.run("notes", "number:1").out.startswith("1.0 - ")
    assert machine.run("notes", "release/1.0").out.startswith("1.0 - ")


def test_notes_count_what_changed_and_name_the_recipe(machine):
    found = machine.run("notes", "1.1", "--json").json
    changed = found["changed"]
    assert (changed["since"], changed["packages"], changed["config"]) == ("1.0", 1, 1)
    assert found["recipe"] == {
        "url": "https://git.example.org/recipe",
        "commit": "3f2c9a1",
    }
    assert found["markdown"] == NOTES["1.1"]
    assert found["signed"] is True


def test_of_what_is_offered_only_that_is_told(machine):
    machine.run("check")
    found = machine.run("notes", "available", "--json").json
    assert machine.run("notes", "offered", "--json").json == found
    assert found["release"] is None
    assert found["offer"]["commit"]
    assert "available" in machine.run("log").out
    machine.run("apply", "--download-only")
    assert machine.run("notes", "available").out.startswith("1.2 - A friendlier hello")


def test_when_knows_what_runs_and_since_when(machine):
    done = machine.run("when", "libssl3 >= 3.0.11")
    assert done.out.startswith("Yes: libssl3 3.0.11-1, since 1.1 (2026-02-04); it runs")
    found = machine.run("when", "libssl3 >= 3.0.11", "--json").json["channels"][0]
    assert (found["satisfied"], found["exact"]) == (True, True)
    assert machine.run("when", "curl", "--json").json["channels"][0]["since"][
        "version"
    ] == "1.0"  # fmt: skip
    done = machine.run("when", "libssl3", ">", "3.0.11-1", code=1)
    assert "Not yet: 1.1" in done.out
    machine.run("when", "emacs", code=1)
    machine.run("when", "CVE-2023-5678")
    done = machine.run("when", "CVE-2023-9999", code=1)
    assert done.out.startswith("Not said: ")


def test_when_says_that_an_offer_is_not_known_yet(machine):
    machine.run("check")
    done = machine.run("when", "emacs", code=1)
    assert "is offered and not downloaded" in done.out


def test_blame_tells_package_recipe_and_release(machine):
    found = machine.run("blame", "/usr/lib/libssl.so", "--json").json
    assert found["state"] == "clean"
    assert found["package"] == {
        "name": "libssl3",
        "version": "3.0.11-1",
        "source": "openssl",
        "conffile": False,
    }
    assert [change["version"] for change in found["changes"]] == ["1.1", "1.0"]
    assert found["shipped"]["version"] == "1.1"
    found = machine.run("blame", "/etc/motd", "--json").json
    assert found["recipe"] == {
        "file": "overlay/etc/motd",
        "url": "https://git.example.org/recipe",
        "commit": "3f2c9a1",
    }
    assert found["package"] is None
    assert machine.run("blame", "/etc/curlrc", "--json").json["package"]["conffile"]


def test_blame_sees_what_was_done_here(machine):
    edit(machine, "etc/motd", "mine\nmine too\n")
    (machine.current / "usr/bin/hello").unlink()
    (machine.current / "etc/curlrc").chmod(0o600)
    edit(machine, "etc/new", "x")
    states = {
        path: machine.run("blame", path, "--json").json
        for path in ("/etc/motd", "/usr/bin/hello", "/etc/curlrc", "/etc/new")
    }
    assert [found["state"] for found in states.values()] == [
        "modified",
        "deleted",
        "metadata",
        "untracked",
    ]
    assert states["/etc/motd"]["local"]["lines_added"] == 2
    assert states["/etc/motd"]["local"]["lines_removed"] == 0
    assert states["/etc/curlrc"]["released"]["mode"] == "0644"
    assert "2 lines added, 0 removed" in machine.run("blame", "/etc/motd").out
    done = machine.run("blame", "/nowhere", code=2)
    assert "there is no /nowhere, neither here nor in 1.1" in done.err


def test_blame_does_not_call_a_file_changed_that_was_only_touched(machine):
    os.utime(machine.current / "etc/motd", (1, 1))
    assert machine.run("blame", "/etc/motd", "--json").json["state"] == "clean"


def test_blame_makes_a_lost_index_anew(machine):
    for path in (machine.state_dir / "index").iterdir():
        path.unlink()
    assert machine.run("blame", "/etc/motd", "--json").json["state"] == "clean"


def apply_mail(repo, tmp_path, mail):
    """`git am` on a clone; its path."""
    clone = tmp_path / "clone"
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", "clone", "-q", repo, clone], check=True)
    subprocess.run(["git", "checkout", "-q", "release/1.1"], cwd=clone, check=True)
    done = subprocess.run(
        ["git", *identity, "am", "-q"],
        cwd=clone,
        input=mail,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()
    return clone


CHANGES = {
    "etc/motd": b"hello again\nFrom me 12:00:00 2001\n-- \ncaf\xc3\xa9\n",
    "usr/share/win.txt": b"a\r\nB\r\nc\n",
    "usr/share/logo": bytes(range(256)) * 10,
    "usr/share/new dir/a \"quoted\" name": b"new\n",
    "opt/empty": b"",
    "opt/no-newline": b"end",
}  # fmt: skip


def test_git_am_on_a_clone_gives_the_same_bytes(machine, published, tmp_path):
    for path, content in CHANGES.items():
        edit(machine, path, content, mode="w")
    (machine.current / "usr/bin/hello").unlink()
    os.symlink("hello", machine.current / "usr/bin/greet")
    (machine.current / "etc/curlrc").chmod(0o755)
    with machine.start("patch", "/etc", "/usr", "/opt") as process:
        mail = process.stdout.buffer.read()
    clone = apply_mail(published[0], tmp_path, mail)
    for path, content in CHANGES.items():
        assert (clone / path).read_bytes() == content, path
    assert not (clone / "usr/bin/hello").exists()
    assert os.readlink(clone / "usr/bin/greet") == "hello"
    assert os.access(clone / "etc/curlrc", os.X_OK)
    base = machine.state["deployments"][-1]["commit"].encode()
    assert b"base-commit: " + base in mail


def test_a_patch_leaves_out_what_should_not_leave_the_machine(machine):
    edit(machine, "etc/shadow", "evil:*:1:::::\n")
    edit(machine, "etc/secret", "secret\n").chmod(0o600)
    edit(machine, "var/lib/data", "data\n")
    edit(machine, "etc/machine-id", "0123456789abcdef0123456789abcdef\n")
    edit(machine, "etc/motd", "fine\n")
    done = machine.run("patch", "--json").json
    assert done["paths"] == ["/etc/motd"]
    left = {row["path"]: row["why"] for row in done["left_out"]}
    assert left.keys() == {
        "/etc/shadow",
        "/etc/secret",
        "/etc/machine-id",
        "/var/lib/data",
    }
    assert "secret" not in done["mail"].partition("---")[2]
    named = machine.run("patch", "--json", "/etc/secret").json
    assert named["paths"] == ["/etc/secret"]
    below = machine.run("patch", "--json", "/etc").json
    assert "/etc/secret" not in below["paths"]


def test_a_patch_leaves_out_what_lies_in_a_closed_directory(machine):
    inside = edit(machine, "etc/closed/deep/file", "CANARY\n")
    edit(machine, "etc/motd", "fine\n")
    (machine.current / "etc/closed").chmod(0o700)
    inside.chmod(0o644)
    done = machine.run("patch", "--json").json
    assert done["paths"] == ["/etc/motd"]
    assert "CANARY" not in done["mail"]
    assert "closed" not in done["mail"]
    left = {row["path"]: row["why"] for row in done["left_out"]}
    assert left["/etc/closed/deep/file"].startswith("not everybody may read /etc/close")
    named = machine.run("patch", "--json", "/etc/closed/deep/file").json
    assert named["paths"] == ["/etc/closed/deep/file"]


def test_a_patch_tells_beside_git_what_git_cannot(machine):
    (machine.current / "etc/curlrc").chmod(0o604)
    done = machine.run("patch", "--json").json
    assert done["paths"] == []
    assert done["beyond_git"] == [{"path": "/etc/curlrc", "why": "mode 0644 -> 0604"}]
    done = machine.run("patch")
    assert done.out == ""
    assert "Nothing to send" in done.err


def test_a_named_file_that_cannot_be_sent_is_refused(machine):
    os.mkfifo(machine.current / "etc/pipe")
    before = machine.everything()
    done = machine.run("patch", "/etc/pipe", code=3)
    assert "/etc/pipe: git cannot hold a device, socket or pipe" in done.err
    assert machine.everything() == before
    assert "left out: /etc/pipe" in machine.finish("patch").err


def test_names_of_hosts_and_files_do_not_break_the_mail(machine, monkeypatch, tmp_path):
    names = os.uname()
    evil = os.uname_result((names[0], "evil\nSubject: x <a@b>", *names[2:]))
    monkeypatch.setattr(os, "uname", lambda: evil)
    full = machine.current / "etc"
    with open(os.fsencode(full) + b"/\xff\x1b[31m", "w") as file:
        file.write("x")
    edit(machine, "etc/motd", "x\n")
    done = machine.run("patch", "--json")
    head = done.json["mail"].partition("\n\n")[0].split("\n")
    assert head[1] == "From: evil-Subject-x-a-b <root@evil-Subject-x-a-b.invalid>"
    assert len([line for line in head if line.startswith("Subject:")]) == 1
    assert any(
        "git cannot hold its name" in row["why"] for row in done.json["left_out"]
    )
    assert_tame(machine.finish("patch").err)


def test_restore_takes_back_content_type_mode_and_what_is_gone(machine):
    original = {
        path: (machine.current / path).read_bytes()
        for path in ("etc/motd", "etc/curlrc", "usr/bin/hello", "usr/share/logo")
    }
    edit(machine, "etc/motd", "mine\n")
    (machine.current / "etc/curlrc").chmod(0o600)
    (machine.current / "usr/bin/hello").unlink()
    (machine.current / "usr/share/logo").unlink()
    os.symlink("/etc/passwd", machine.current / "usr/share/logo")
    paths = [f"/{path}" for path in original]
    done = machine.run("restore", *paths)
    assert done.out.startswith(
        "Restored 4 paths as 1.1 has it, content from objects.git"
    )
    for path, content in original.items():
        assert not (machine.current / path).is_symlink()
        assert (machine.current / path).read_bytes() == content
    assert stat.S_IMODE((machine.current / "etc/curlrc").stat().st_mode) == 0o644
    assert stat.S_IMODE((machine.current / "usr/bin/hello").stat().st_mode) == 0o755
    assert machine.events[-2:] == ["restore", "restored"]
    assert machine.run("verify", "--json").json["clean"] is True
    assert machine.run("restore", *paths).out.startswith("Nothing to restore")


def test_restore_of_a_directory_leaves_alone_what_is_not_the_releases(machine):
    edit(machine, "etc/motd", "mine\n")
    edit(machine, "etc/mine", "mine\n")
    done = machine.run("restore", "/etc", "--json").json
    assert [row["path"] for row in done["restored"]] == ["/etc/motd"]
    assert done["left_alone"] == ["/etc/mine"]
    assert (machine.current / "etc/mine").exists()


def test_a_dry_run_only_says_what_would_be(machine):
    edit(machine, "etc/motd", "mine\n")
    before = machine.everything()
    done = machine.run("restore", "/etc/motd", "--dry-run")
    assert done.out.startswith("Would restore 1 path")
    assert machine.everything() == before


REFUSED = {
    "/etc/mine": (2, "is not in 1.1, so there is nothing to restore"),
    "/var/lib/seed": (3, "is data"),
    "/var": (3, "is data"),
    "etc/motd": (2, "restore takes paths from the root"),
}


@pytest.mark.parametrize("path", REFUSED)
def test_what_is_not_the_releases_is_refused_and_nothing_changes(machine, path):
    edit(machine, "etc/mine", "mine\n")
    edit(machine, "var/lib/seed", "mine\n")
    before = machine.everything()
    code, reason = REFUSED[path]
    assert reason in machine.run("restore", path, code=code).err
    assert machine.everything() == before


def test_the_way_to_be_rid_of_a_path_is_that_of_the_deployment(machine):
    extra = machine.current.resolve() / "etc/it is mine"
    extra.write_text("x")
    done = machine.run("restore", "/etc/it is mine", code=2)
    assert f"To be rid of it: rm -r '{extra}'" in done.err
    assert extra.exists()
    done = machine.run("restore", "/etc/nothing", code=2)
    assert "there is no /etc/nothing, neither here nor in" in done.err
    assert "rm " not in done.err


def test_release_owned_paths_below_persistent_ones_are_restored(machine):
    edit(machine, "var/lib/dpkg/status", "mine\n")
    machine.run("restore", "/var/lib/dpkg/status")
    assert "mine" not in (machine.current / "var/lib/dpkg/status").read_text()


def test_restore_does_not_write_through_a_link(machine, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "motd").write_text("outside\n")
    etc = machine.current / "etc"
    etc.resolve().rename(machine.current / "etc.aside")
    os.symlink(outside, machine.current / "etc")
    done = machine.run("restore", "/etc/motd", code=3)
    assert "lies behind /etc, which is no directory here" in done.err
    assert (outside / "motd").read_text() == "outside\n"
    machine.run("restore", "/etc")
    assert (outside / "motd").read_text() == "outside\n"
    assert not (machine.current / "etc").is_symlink()
    assert (machine.current / "etc/motd").read_text() == "hello again\n"


def test_a_directory_in_the_place_of_a_file_is_not_deleted(machine):
    (machine.current / "usr/bin/hello").unlink()
    edit(machine, "usr/bin/hello/inside", "precious\n")
    done = machine.run("restore", "/usr/bin/hello", code=3)
    assert "is a directory here, and a file in the release" in done.err
    assert (machine.current / "usr/bin/hello/inside").read_text() == "precious\n"


def test_content_that_is_nowhere_here_is_fetched(machine):
    """A file that both deployments share is written in place: both have lost it."""
    with open(machine.current / "usr/share/logo", "ab") as file:
        file.write(b"!")
    before = machine.everything()
    done = machine.run("restore", "/usr/share/logo", "--offline", code=3)
    assert "needs the network" in done.err
    assert machine.everything() == before
    done = machine.run("restore", "/usr/share/logo")
    assert "content from a complete fetch" in done.out
    assert (machine.current / "usr/share/logo").read_bytes() == FIRST["usr/share/logo"]


def test_many_paths_are_restored_only_with_a_yes(machine):
    shutil.rmtree(machine.current / "usr/share")
    for path in ("usr/bin/curl", "usr/bin/hello", "usr/lib/libssl.so", "etc/motd"):
        (machine.current / path).unlink()
    for path in ("etc/curlrc", "var/lib/dpkg/status", *LISTS):
        (machine.current / path).chmod(0o600)
    before = machine.everything()
    argv = [a for a in machine.command("restore", "/") if a != "--yes"]
    done = subprocess.run(
        [str(a) for a in argv],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 3, done.stderr
    assert "needs a yes" in done.stderr
    assert machine.everything() == before
    machine.run("restore", "/")
    assert machine.run("verify", "--json").json["clean"] is True


@pytest.mark.parametrize("call", ["rename", "fsync"])
def test_a_file_is_the_old_or_the_new_one_whenever_it_is_cut(
    machine, monkeypatch, call
):
    """Killed before each rename and each sync of a restore, in turn."""
    real = getattr(fs.os, call)
    released = b"hello again\n"
    for stop in range(30):
        edit(machine, "etc/motd", "mine\n")
        count = [0]

        def cut(*args, count=count, stop=stop, **kw):
            if count[0] == stop:
                raise KeyboardInterrupt
            count[0] += 1
            return real(*args, **kw)

        monkeypatch.setattr(fs.os, call, cut)
        code = machine.run("restore", "/etc/motd", code=None).code
        monkeypatch.setattr(fs.os, call, real)
        content = (machine.current / "etc/motd").read_bytes()
        assert content in (released, released + b"mine\n")
        machine.run("restore", "/etc/motd")
        assert (machine.current / "etc/motd").read_bytes() == released
        assert not list((machine.current / "etc").glob(".osupdate*"))
        if code == 0:
            break
    else:
        pytest.fail("it never came to an end")


@pytest.fixture
def hostile(tmp_path):
    """A plain repository whose every word is hostile, and a machine that took it."""
    repo = tmp_path / "evil"
    subprocess.run(["git", "init", "-q", "-b", "master", repo], check=True)
    files = {
        "etc/motd": "hi\n",
        "usr/lib/osupdate/notes.md": f"# {HOSTILE[:-1]}\n\n{HOSTILE[:-1]}\n",
        "usr/lib/osupdate/packages.json": json.dumps(
            [
                {
                    "name": "x",
                    "version": HOSTILE[:-1],
                    "source": HOSTILE[:-1],
                    "arch": "a",
                    "size": None,
                    "family": "dpkg",
                }
            ]
        ),
        "usr/lib/osupdate/provenance.json": json.dumps({"/etc/motd": "x"}),
    }
    make_rootfs(repo, files)
    message = HOSTILE.replace("\x00", "").encode("utf-8", "surrogatepass") + b"\xff\n"
    subprocess.run(["git", "add", "-A"], cwd=repo, check=True)
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(
        ["git", *identity, "commit", "-q", "--cleanup=verbatim", "-F", "-"],
        cwd=repo,
        input=message,
        check=True,
    )
    machine = Machine(tmp_path / "machine", repo / ".git", channel="master")
    machine.run("apply")
    return machine


@pytest.mark.parametrize(
    "argv",
    [
        ["log"],
        ["notes"],
        ["when", "x"],
        ["when", "x > 1"],
        ["blame", "/etc/motd"],
        ["patch"],
        ["restore", "/etc/motd"],
        ["log", "--json"],
        ["notes", "--json"],
        ["when", "x", "--json"],
    ],
)
def test_what_a_release_says_is_never_obeyed(hostile, argv):
    edit(hostile, "etc/motd", "x\n")
    done = hostile.finish(*argv, code=None)
    assert done.code in (0, 1)
    assert_tame(done.out)
    assert_tame(done.err)


def test_verify_patch_restore_and_diff_see_the_same_strays_in_empty_directories(
    machine,
):
    edit(machine, "opt/own/tool", "mine\n", mode="w")
    told = machine.run("verify", "--json").json["deployments"][0]["changes"]
    assert {"path": "/opt/own", "kind": "extra"} in told
    assert "/opt/own/tool" in machine.run("diff", "--local", "--files").out
    assert "opt/own/tool" in machine.run("patch", "--json").out
    assert machine.run("restore", "/opt").out.startswith("Nothing to restore")
    assert (machine.current / "opt/own/tool").read_text() == "mine\n"
