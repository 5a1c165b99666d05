"""The story of an update, over real releases: taken, looked at, left, taken care of."""

import contextlib
import errno
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
from support import story as stories
from support import trees
from support.factory import make_rootfs, publish_release
from support.machine import Machine

from updater.system import signature
from updater.system.git.pack import PackWriter

NOBODY = 65534
# Another user, who may read everything: the interpreter may be in root's home.
UNPRIVILEGED = [
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"),
]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return stories.tell(tmp_path_factory.mktemp("story"))


@pytest.fixture
def machine(story, tmp_path):
    """Runs nothing yet."""
    return stories.machine_of(story, tmp_path / "machine")


@pytest.fixture
def updated(machine):
    """Runs 1.1, and 1.0 is kept."""
    machine.run("apply", "1.0")
    machine.run("apply", "1.1", "--allow-downgrade")
    return machine


def hook(machine, text):
    path = machine.etc / "hooks/health.d/check"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("first", [True, False])
def test_content_that_is_not_what_its_id_says_is_refused(story, tmp_path, first):
    """The remote's pack has a good checksum, and another file's content in it."""
    lying = tmp_path / "lying.git"
    shutil.copytree(story.repo, lying)
    machine = Machine(tmp_path / "machine", lying, signers=story.signers)
    if not first:
        machine.run("apply", "1.0")
    before = {b"": ("dir", None)} if first else trees.contents(machine.deployments)
    listing = subprocess.run(
        ["git", "-C", lying, "ls-tree", "release/1.1", "usr/bin/hello"],
        capture_output=True,
        text=True,
        check=True,
    )
    oid = listing.stdout.split()[2]
    packs = lying / "objects/pack"
    writer = PackWriter(str(packs))
    writer.add("blob", b"#!/bin/sh\necho ?\n", oid)
    name = writer.finish()
    for end in ("pack", "idx"):  # asked before the others
        (packs / f"{name}.{end}").rename(packs / f"pack-{'0' * 40}.{end}")
    done = machine.run("apply", "1.1", code=3)
    assert f"blob {oid}" in done.err
    assert "/usr/bin/hello" in done.err
    assert "check F2" in done.err
    assert trees.contents(machine.deployments) == before
    assert machine.leftovers() == []
    assert list((machine.state_dir / "incoming").iterdir()) == []
    shutil.rmtree(lying)
    shutil.copytree(story.repo, lying)
    machine.run("apply", "1.1")
    assert machine.running == "1.1"


@contextlib.contextmanager
def gone(repo):
    """The remote cannot be reached."""
    aside = Path(f"{repo}.aside")
    repo.rename(aside)
    try:
        yield
    finally:
        aside.rename(repo)


def assert_runs(machine, story, version):
    assert machine.running == version
    assert trees.contents(machine.current.resolve()) == trees.contents(
        story.trees[version]
    )


# --- there and back


def test_an_update_is_looked_at_taken_and_undone(machine, story):
    first = machine.run("apply", "1.0")
    assert first.out.startswith("Now 1.0")
    assert_runs(machine, story, "1.0")

    done = machine.run("apply", "1.1")
    assert done.out.startswith("Now 1.1 (was 1.0).\nWhat changed: osupdate diff")
    assert_runs(machine, story, "1.1")
    assert machine.run("status", "--json").json["running"]["version"] == "1.1"

    changed = machine.run("diff", "--files").out + machine.run("diff").out
    for path in ("/etc/motd", "/usr/share/words", "/usr/share/doc/new"):
        assert path in changed
    assert "libm" not in changed

    back = machine.run("revert", "--reason", "words are wrong")
    assert back.out.startswith("Now 1.0")
    assert_runs(machine, story, "1.0")
    status = machine.run("status", "--json").json
    assert [hold["version"] for hold in status["holds"]] == ["1.1"]
    assert status["phase"] == "idle"

    texts = machine.run("history").out
    assert "words are wrong" in texts
    assert machine.events[-2:] == ["revert", "reverted"]
    assert machine.leftovers() == []


def test_unchanged_files_are_shared_and_what_people_edit_is_not(updated):
    old, new = (updated.deployments / r["id"] for r in updated.state["deployments"])
    assert (old / "usr/lib/libc.so").samefile(new / "usr/lib/libc.so")
    assert (old / "usr/bin/su").samefile(new / "usr/bin/su")
    for path in ("etc/ssh/sshd_config", "var/lib/seed"):
        assert (old / path).read_bytes() == (new / path).read_bytes()
        assert not (old / path).samefile(new / path)


def test_the_preview_tells_what_the_new_deployment_adds_on_disk(updated):
    """Not how much larger the release is: it lies beside the old one."""
    before = {p.lstat().st_ino for p in updated.deployments.rglob("*")}
    events = [
        json.loads(line) for line in updated.run("apply", "--json").out.splitlines()
    ]
    [shown] = [e["preview"] for e in events if e["event"] == "preview"]
    files = [p.lstat() for p in updated.current.rglob("*")]
    new = [f for f in files if not stat.S_ISDIR(f.st_mode) and f.st_ino not in before]
    assert shown["written_files"] == len(new)
    assert shown["written_bytes"] == sum(f.st_size for f in new)
    report = updated.run("diff", "--json").json
    assert shown["written_bytes"] > report["size"]["installed_delta"]


def test_a_second_apply_has_nothing_to_do(updated):
    updated.run("apply", "1.1")
    before = updated.everything()
    done = updated.run("apply", "1.1")
    assert "runs already" in done.out
    assert updated.everything() == before


def test_the_newest_release_is_up_to_date(machine):
    machine.run("apply")
    assert machine.running == "1.2"
    assert machine.run("apply").out.startswith("Up to date: 1.2")
    assert machine.run("check", "--exit-code").code == 0


def test_check_says_what_is_offered_and_touches_no_deployment(updated):
    before = trees.everything(updated.deployments)
    done = updated.run("check", "--exit-code", code=100)
    assert "1.2" in done.out
    assert trees.everything(updated.deployments) == before


def test_three_releases_leave_the_two_newest(updated, story):
    updated.run("apply")
    assert updated.versions == ["1.1", "1.2"]
    assert_runs(updated, story, "1.2")
    updated.run("revert", "--no-hold")
    assert_runs(updated, story, "1.1")
    assert updated.state["holds"] == []
    updated.run("apply")
    assert_runs(updated, story, "1.2")


def test_without_root_privileges_it_is_the_same_content(story, tmp_path):
    """Run as another user where this is root; else as whoever runs the tests."""
    machine = stories.machine_of(story, tmp_path / "machine")
    if os.geteuid() == 0:
        machine.prefix = UNPRIVILEGED
        for path, _, _ in os.walk(tmp_path):
            os.chown(path, NOBODY, NOBODY)
    machine.finish("apply", "1.0")
    machine.finish("apply")
    machine.finish("revert")
    assert_runs(machine, story, "1.0")
    assert not (machine.current / "usr/bin/su").stat().st_mode & 0o7000
    assert machine.current.lstat().st_uid != 0
    assert "Rights    without root" in machine.finish("status").out
    machine.finish("verify", "--exit-code")
    (machine.state_dir / "state.json").unlink()
    assert "Rights    without root" in machine.finish("status").out


@pytest.mark.skipif(os.geteuid() != 0, reason="root lays out, another one looks")
def test_who_looks_does_not_change_what_was_laid_out(updated):
    """Owners were applied by root, whoever asks."""
    assert "Rights" not in updated.run("status").out
    updated.prefix = UNPRIVILEGED
    status = updated.finish("status", "--json").json
    assert status["running"]["version"] == "1.1"
    assert status["unprivileged"] is False
    assert "Rights" not in updated.finish("status").out


# --- what people changed, and what broke


def test_local_changes_are_announced_and_fetched_completely(updated, story):
    words = updated.current / "usr/share/words"
    words.write_text("my words\n")
    done = updated.run("apply", "1.2")
    assert "/usr/share/words" in done.err
    assert "complete" in done.err
    assert_runs(updated, story, "1.2")


def test_edited_configuration_costs_no_complete_fetch(updated, story):
    (updated.current / "etc/motd").write_text("mine\n")
    done = updated.run("apply", "1.2")
    assert "complete" not in done.err
    assert_runs(updated, story, "1.2")


def test_local_changes_are_still_announced_after_verify_has_seen_them(updated):
    (updated.current / "usr/share/words").write_text("my words\n")
    assert "/usr/share/words" in updated.run("verify").out
    assert "changed here (/usr/share/words)" in updated.run("apply").err


@pytest.mark.parametrize("path", ["usr/lib/libc.so", "usr/share/words", "etc/motd"])
def test_a_damaged_file_never_stops_an_update(updated, story, path):
    content = (updated.current / path).read_bytes()
    updated.damage(path, b"#" * len(content))
    updated.run("apply", "1.2")
    assert updated.running == "1.2"
    updated.run("verify", "--repair")
    assert_runs(updated, story, "1.2")


def test_damage_to_a_file_that_must_be_written_anew_is_fetched(story, tmp_path):
    """Its owner's word about it changes, not its content: a share is not possible."""
    repo = tmp_path / "repo.git"
    rootfs = make_rootfs(tmp_path / "fs", stories.FIRST)
    publish_release(repo, rootfs, "1", story.key)
    (rootfs / "usr/share/words").chmod(0o600)
    (rootfs / "usr/share/words").chmod(0o640)
    publish_release(repo, rootfs, "2", story.key)
    machine = Machine(tmp_path / "machine", repo, signers=story.signers)
    machine.run("apply", "1")
    size = (machine.current / "usr/share/words").stat().st_size
    machine.damage("usr/share/words", b"#" * size)
    machine.run("apply")
    assert trees.contents(machine.current.resolve()) == trees.contents(rootfs)


def test_a_deployment_that_somebody_deleted_does_not_stop_updates(updated, story):
    shutil.rmtree(updated.deployments / updated.state["deployments"][0]["id"])
    updated.run("apply", "1.2")
    assert_runs(updated, story, "1.2")
    assert updated.versions == ["1.1", "1.2"]


def test_a_lost_stat_index_is_made_again(updated, story):
    for path in (updated.state_dir / "index").iterdir():
        path.write_bytes(b"no index")
    done = updated.run("apply", "1.2")
    assert "hashed again" in done.err
    assert_runs(updated, story, "1.2")


@pytest.mark.parametrize("what", ["commits", "everything"])
def test_a_broken_object_store_is_moved_aside_and_made_again(updated, story, what):
    repository = updated.state_dir / "objects.git"
    if what == "everything":
        shutil.rmtree(repository)
    else:
        for path in (repository / "objects/pack").iterdir():
            path.chmod(0o600)
            path.write_bytes(path.read_bytes()[:40])
    updated.run("apply", "1.2")
    assert_runs(updated, story, "1.2")
    if what == "commits":
        assert "repaired" in updated.events
    updated.run("verify", "--exit-code")
    updated.run("revert")
    assert_runs(updated, story, "1.1")


def flip_a_byte(repository, part):
    """Damage what is a given part of the way into the largest pack."""
    pack = max(repository.glob("objects/pack/*.pack"), key=lambda p: p.stat().st_size)
    data = bytearray(pack.read_bytes())
    data[int(len(data) * part)] ^= 0xFF
    pack.chmod(0o600)
    pack.write_bytes(data)


@pytest.mark.parametrize("options", [(), ("--full",)])
@pytest.mark.parametrize("part", [0.3, 0.5, 0.8])
def test_a_flipped_byte_in_the_object_store_heals(updated, story, part, options):
    flip_a_byte(updated.state_dir / "objects.git", part)
    updated.run("apply", "1.2", *options)
    assert_runs(updated, story, "1.2")
    updated.run("verify", "--exit-code")
    updated.run("apply", "1.2", "--full")
    assert "repaired" in updated.events


@pytest.fixture
def old(updated):
    """The deployment that `revert` goes to."""
    return updated.deployments / updated.state["deployments"][0]["id"]


def test_going_back_puts_back_what_the_other_deployment_has(updated, old, story):
    (old / "usr/lib/libc.so").unlink()
    shutil.rmtree(old / "usr/share")
    with gone(story.repo):
        done = updated.run("revert")
    assert "Now 1.0" in done.out
    assert "1 file of 1.0 had been lost, and put back" in done.err
    assert "2 files of 1.0 missing" in done.err
    assert "/usr/share/empty is one; going back without" in done.err
    assert (old / "usr/lib/libc.so").read_text() == "c" * 30_000
    assert updated.running == "1.0"
    assert ("repair", "3 paths of 1.0") in told(updated)
    assert updated.leftovers() == []
    updated.run("verify", "--repair")
    assert_runs(updated, story, "1.0")


def told(machine):
    return [(entry["event"], entry["text"]) for entry in machine.ledger]


def test_going_back_to_what_can_be_made_whole_is_silent_about_the_rest(
    updated, old, story
):
    (old / "usr/lib/libc.so").unlink()
    with gone(story.repo):
        done = updated.run("revert")
    assert "without" not in done.err
    assert_runs(updated, story, "1.0")


@pytest.mark.parametrize("kept", ["objects", "no objects"])
def test_going_back_without_a_file_that_is_nowhere_names_it(updated, old, story, kept):
    (old / "usr/share/words").unlink()
    if kept == "no objects":
        shutil.rmtree(updated.state_dir / "objects.git")
    with gone(story.repo):
        done = updated.run("revert")
    assert "1 file of 1.0 missing and nowhere on this machine" in done.err
    assert "/usr/share/words is one; going back without" in done.err
    assert "osupdate verify --repair 1.0" in done.err
    assert updated.running == "1.0"
    assert updated.state["phase"] == "idle"


def test_going_back_to_a_deployment_that_cannot_run_is_refused(updated, old, story):
    for top in (old, updated.current.resolve()):
        shutil.rmtree(top / "usr/bin")
    state, ran = updated.state, updated.running
    with gone(story.repo):
        refused = updated.run("revert", code=1)
    assert "1.0 cannot run any more: 2 files of 1.0 missing" in refused.err
    assert "osupdate verify --repair 1.0" in refused.err
    assert (updated.running, updated.state) == (ran, state)
    updated.run("verify", "--repair", "1.0")
    updated.run("revert")
    assert_runs(updated, story, "1.0")


def test_where_every_other_deployment_is_held_revert_says_so(updated):
    updated.run("revert")
    before = updated.everything()
    refused = updated.run("revert", code=1)
    assert "every other deployment is held; 1.1 is the newest of them" in refused.err
    assert "osupdate revert 1.1" in refused.err
    assert updated.everything() == before
    doctor = updated.run("doctor").out
    assert "revert has nowhere to go: every other deployment is held" in doctor
    updated.run("revert", "1.1")
    assert updated.running == "1.1"


def test_a_kept_release_that_lost_files_is_refused_with_the_way_to_repair(updated, old):
    (old / "usr/bin/hello").unlink()
    refused = updated.run("apply", "1.0", "--allow-downgrade", code=3)
    assert "/usr/bin/hello: blob " in refused.err
    assert "Bring back: osupdate verify --repair 1.0" in refused.err
    assert updated.running == "1.1"
    updated.run("verify", "--repair", "1.0")
    updated.run("apply", "1.0", "--allow-downgrade")
    assert updated.running == "1.0"


TERABYTE = 1 << 40


@pytest.mark.parametrize("indexes", ["known", "lost"])
def test_verify_does_not_read_a_file_of_another_size(updated, old, indexes):
    """Reading it would take minutes: the test would run out of time."""
    for top in (old, updated.current.resolve()):
        os.truncate(top / "usr/bin/hello", TERABYTE)
    if indexes == "lost":
        shutil.rmtree(updated.state_dir / "index")
    found = updated.finish("verify", "--all", "--json").json["deployments"]
    changes = [{"path": "/usr/bin/hello", "kind": "modified"}]
    assert [one["changes"] for one in found] == [changes, changes]
    updated.finish("verify", "--repair")
    assert updated.finish("verify", "--exit-code").code == 0


def test_going_back_to_what_somebody_edited_is_fine(updated, old):
    (old / "usr/bin/hello").write_text("mine")
    (old / "etc/motd").unlink()
    updated.run("revert")
    assert updated.running == "1.0"


@pytest.mark.parametrize("number", [errno.EPERM, errno.EMLINK, errno.EXDEV])
def test_a_file_that_cannot_be_linked_is_copied(updated, story, monkeypatch, number):
    refuse_to_link(monkeypatch, b"libc.so", number)
    updated.run("apply", "1.2")
    assert_runs(updated, story, "1.2")
    old = updated.deployments / updated.state["deployments"][0]["id"]
    assert not (updated.current / "usr/lib/libc.so").samefile(old / "usr/lib/libc.so")
    assert (updated.current / "usr/bin/su").samefile(old / "usr/bin/su")


def test_a_damaged_file_is_not_copied_unseen(updated, monkeypatch):
    refuse_to_link(monkeypatch, b"libc.so", errno.EMLINK)
    (updated.current / "usr/lib/libc.so").write_text("x" * 30_000)
    updated.pretend_untouched()
    refused = updated.run("apply", "1.2", code=None)
    assert refused.code != 0
    assert "/usr/lib/libc.so read back is not what was written" in refused.err
    assert updated.running == "1.1"
    assert updated.leftovers() == []


def refuse_to_link(monkeypatch, name, number):
    link = os.link

    def refuse(source, target, **kw):
        if source == name:
            raise OSError(number, os.strerror(number))
        link(source, target, **kw)

    monkeypatch.setattr(os, "link", refuse)


def test_a_leftover_that_cannot_be_deleted_is_named_and_stops_no_other(
    updated, monkeypatch
):
    stuck = updated.state_dir / "incoming/stuck"
    others = [
        updated.state_dir / "incoming/other",
        updated.state_dir / "index/other.idx",
        updated.state_dir / "other.tmp",
    ]
    for path in (stuck, *others):
        path.write_bytes(b"left")
    unlink = os.unlink

    def refuse(path, *args, **kw):
        if os.fspath(path) == str(stuck):
            raise PermissionError(errno.EPERM, "Operation not permitted")
        unlink(path, *args, **kw)

    monkeypatch.setattr(os, "unlink", refuse)
    done = updated.run("gc")
    assert str(stuck) in done.err
    assert stuck.exists()
    assert not any(path.exists() for path in others)


def test_verify_names_what_differs_and_repair_puts_it_back(updated, story):
    root = updated.current.resolve()
    (root / "usr/bin/hello").write_text("evil")
    (root / "usr/share/doc/new").unlink()
    (root / "usr/lib/libz").write_text("stray")
    (root / "etc/motd").write_text("mine\n")
    (root / "usr/bin/su").chmod(0o700)
    found = updated.run("verify", "--exit-code", "--json", code=1).json
    changes = {c["path"]: c["kind"] for c in found["deployments"][0]["changes"]}
    assert changes == {
        "/etc/motd": "modified",
        "/usr/bin/hello": "modified",
        "/usr/bin/su": "metadata",
        "/usr/lib/libz": "extra",
        "/usr/share/doc/new": "missing",
    }
    done = updated.run("verify", "--repair", "--exit-code", "--json", code=1).json
    assert sorted(done["deployments"][0]["repaired"]) == [
        "/usr/bin/hello",
        "/usr/bin/su",
        "/usr/share/doc/new",
    ]
    assert not done["clean"]
    left = updated.run("verify", "--json").json["deployments"][0]["changes"]
    assert [change["path"] for change in left] == ["/etc/motd", "/usr/lib/libz"]
    (root / "usr/lib/libz").unlink()
    (root / "etc/motd").write_text("hello again\n")
    updated.run("verify", "--exit-code")
    assert_runs(updated, story, "1.1")


def test_repair_does_not_reach_into_the_other_deployment(updated):
    old = updated.deployments / updated.state["deployments"][0]["id"]
    shared = updated.current / "usr/lib/libc.so"
    assert shared.samefile(old / "usr/lib/libc.so")
    shared.write_text("x" * 30_000)
    updated.run("verify", "--repair")
    assert shared.read_text() == "c" * 30_000
    assert (old / "usr/lib/libc.so").read_text() == "x" * 30_000
    updated.run("verify", "1.0", "--repair")
    assert (old / "usr/lib/libc.so").read_text() == "c" * 30_000


# --- as far as it was asked for


def test_a_dry_run_changes_nothing_that_runs_or_is_kept(updated):
    before = trees.everything(updated.current.resolve())
    done = updated.run("apply", "--dry-run")
    assert "1.2" in done.out
    assert "Nothing that runs was changed" in done.out
    assert trees.everything(updated.current.resolve()) == before
    assert updated.state["phase"] == "idle"
    assert updated.versions == ["1.0", "1.1"]
    assert updated.leftovers() == []


def test_a_download_is_applied_later_without_the_network(updated, story):
    done = updated.run("apply", "--download-only")
    assert "downloaded and verified" in done.out
    assert updated.versions == ["1.0", "1.1"]
    with gone(story.repo):
        updated.run("apply", code=4)
        assert updated.running == "1.1"
        updated.run("apply", "--offline")
    assert_runs(updated, story, "1.2")
    assert updated.leftovers() == []


def test_a_download_is_not_fetched_again(updated):
    updated.run("apply", "--download-only")
    assert "here already" in updated.run("apply").err
    assert updated.running == "1.2"


def test_offline_without_a_download_is_refused(updated):
    before = updated.everything()
    assert "--offline" in updated.run("apply", "--offline", code=3).err
    assert updated.everything() == before


def test_staged_now_and_switched_to_later(updated, story):
    updated.run("apply", "--no-arm")
    assert updated.running == "1.1"
    status = updated.run("status", "--json", "--exit-code", code=101).json
    assert status["target"]["version"] == "1.2"
    assert_runs(updated, story, "1.1")
    with gone(story.repo):
        updated.run("apply", "staged")
    assert_runs(updated, story, "1.2")


def test_what_is_staged_can_be_dropped(updated):
    updated.run("apply", "--no-arm")
    done = updated.run("revert", "--no-hold")
    assert done.out.startswith("Dropped 1.2")
    assert updated.running == "1.1"
    assert updated.state["phase"] == "idle"


def test_a_kept_deployment_is_applied_without_the_network(updated, story):
    with gone(story.repo):
        updated.run("apply", "1.0", "--allow-downgrade", "--offline")
        assert_runs(updated, story, "1.0")
        updated.run("apply", "1.1")
    assert_runs(updated, story, "1.1")


def test_everything_anew_on_request(updated, story):
    before = updated.state["deployments"][-1]["id"]
    updated.run("apply", "1.1", "--full")
    assert_runs(updated, story, "1.1")
    after = os.path.basename(os.readlink(updated.current))
    assert after != before
    assert (updated.current / "usr/lib/libc.so").stat().st_nlink == 1


# --- refusals


def test_a_release_that_was_named_tells_nothing_of_the_channel(machine):
    machine.run("apply", "1.0")
    done = machine.run("status", "--exit-code", code=4)
    assert done.out.startswith("Not checked yet: cannot tell if 1.0 is current\n")
    machine.run("check")
    machine.run("apply", "1.1")
    done = machine.run("status", "--exit-code", code=100)
    assert done.out.startswith("Update available: 1.2 ")


def test_revert_does_not_go_forward_to_what_never_ran(machine):
    machine.run("apply", "1.0")
    machine.run("apply", "1.1", "--no-arm")
    machine.run("revert")
    machine.run("unhold")
    before = trees.everything(machine.deployments)
    refused = machine.run("revert", code=1)
    assert "no deployment here is older, or ran before" in refused.err
    assert "To run it all the same: osupdate revert 1.1" in refused.err
    assert machine.running == "1.0"
    assert trees.everything(machine.deployments) == before


def test_an_older_release_is_refused_until_it_is_allowed(machine, story):
    machine.run("apply", "1.1")
    before = trees.everything(machine.deployments)
    done = machine.run("apply", "1.0", code=3)
    assert "older than the running one" in done.err
    assert "R4" in done.err
    assert trees.everything(machine.deployments) == before
    assert_runs(machine, story, "1.1")
    machine.run("apply", "1.0", "--allow-downgrade")
    assert_runs(machine, story, "1.0")


def test_a_held_release_is_refused_until_it_is_let_go(updated, story):
    updated.run("check")
    updated.run("hold", "1.2", "--reason", "printers")
    before = trees.everything(updated.deployments)
    done = updated.run("apply", code=3)
    assert "printers" in done.err
    assert trees.everything(updated.deployments) == before
    updated.run("unhold", "1.2")
    updated.run("apply")
    assert_runs(updated, story, "1.2")


def test_a_pinned_machine_stays(updated, story):
    updated.run("pin", "1.1")
    done = updated.run("apply", code=3)
    assert "pinned to 1.1" in done.err
    assert_runs(updated, story, "1.1")
    updated.run("pin", "--off")
    updated.run("apply")
    assert_runs(updated, story, "1.2")


@pytest.mark.parametrize(
    ("signers", "says"),
    [
        (None, "no key is trusted for the role release"),
        ("# none\n", "no key is trusted for the role release"),
        ("release ssh-ed25519 AAAA\n", "etc/osupdate/trust/release:1: expected"),
    ],
)
def test_keys_are_looked_at_before_anything_is_fetched(updated, story, signers, says):
    """Not even the refs: the remote could not be reached."""
    path = updated.etc / "trust/release"
    path.unlink() if signers is None else path.write_text(signers)
    before = updated.everything()
    with gone(story.repo):
        refused = updated.run("apply", code=2)
    assert says in refused.err
    assert updated.everything() == before


def test_the_program_that_decides_is_looked_for_before_anything_is_fetched(
    updated, story, monkeypatch
):
    monkeypatch.setattr(signature, "PROGRAM", "ssh-keygen-of-nobody")
    before = updated.everything()
    with gone(story.repo):
        refused = updated.run("apply", code=1)
    assert "the program ssh-keygen-of-nobody is not installed" in refused.err
    assert "Install OpenSSH's client" in refused.err
    assert updated.everything() == before


def fetched(machine):
    """What a download left, told from a refusal before it."""
    return list((machine.state_dir / "incoming").iterdir())


def test_what_a_pin_excludes_is_not_offered_as_an_update(updated):
    updated.run("pin", "1.1")
    done = updated.run("check", "--exit-code", code=102)
    assert done.out.startswith("On hold: 1.2 (")
    assert "This machine is pinned to 1.1; 1.2 is another release\n" in done.out
    assert "Take it: " not in done.out
    assert "osupdate pin --off" in done.out
    status = updated.run("status", "--exit-code", code=102)
    assert status.out.startswith("On hold: 1.2 (")
    assert "Take it: " not in status.out
    for verb in ("check", "status"):
        told = updated.run(verb, "--json").json["obstacle"]
        assert told["kind"] == "pinned"
    refused = updated.run("apply", code=3)
    assert "pinned to 1.1" in refused.err
    assert fetched(updated) == []
    assert updated.events[-1] == "refused"
    updated.run("pin", "--off")
    updated.run("check", "--exit-code", code=100)


def test_an_older_offer_that_was_here_is_not_offered_as_an_update(machine, story):
    with channel_at(story, "1.1"):
        machine.run("apply", "1.2")
        machine.run("check", "--exit-code", code=100)  # nobody here knows its number
        refused = machine.run("apply", code=3)
        assert "older than the running one" in refused.err
        done = machine.run("check", "--exit-code", code=102)
        assert "1.1 (number 2) is older than the running one (number 3)" in done.out
        assert "osupdate apply 1.1 --allow-downgrade" in done.out
        assert machine.run("status", "--exit-code", code=102).out.startswith("On hold")
        assert machine.run("status", "--json").json["available"]["number"] == 2
        machine.run("apply", "1.1", "--allow-downgrade")
        assert machine.running == "1.1"
    machine.run("check", "--exit-code", code=100)


@contextlib.contextmanager
def channel_at(story, version):
    """The branch that machines follow was set back."""
    ref = ("git", "-C", story.repo, "update-ref", "refs/heads/releases")
    subprocess.run([*ref, story.commits[version]], check=True)
    try:
        yield
    finally:
        subprocess.run([*ref, story.commits["1.2"]], check=True)


def test_a_pinned_deployment_is_not_collected(machine):
    machine.run("apply", "1.0")
    machine.run("pin", "1.0")
    machine.run("pin", "--off")
    machine.run("apply", "1.1")
    machine.run("pin", "1.0")
    machine.run("apply", "1.0", "--allow-downgrade")
    machine.run("pin", "1.1")
    machine.run("apply", "1.1")
    machine.run("pin", "--off")
    machine.run("apply", "1.2")
    machine.run("pin", "1.1")
    machine.run("gc")
    assert "1.1" in machine.versions


@pytest.mark.parametrize("name", ["var/lib/seed", "var/lib/new", "srv/precious"])
def test_gc_keeps_a_deployment_whose_seeds_somebody_wrote(updated, name):
    old = updated.deployments / updated.state["deployments"][0]["id"]
    (old / name).write_text("precious\n")
    updated.run("apply")
    assert "1.0" in updated.versions
    done = updated.run("gc")
    assert f"/{name}" in done.out + done.err
    assert (old / name).read_text() == "precious\n"


def test_a_failing_health_check_goes_back_by_itself(updated, story):
    path = hook(updated, 'echo "no light" >&2; exit 3')
    done = updated.run("apply", code=8)
    assert "no light" in done.err
    assert_runs(updated, story, "1.1")
    assert updated.state["phase"] == "idle"
    assert [hold["version"] for hold in updated.state["holds"]] == ["1.2"]
    assert "failed" in updated.events
    assert "held" in updated.run("apply", code=3).err
    path.unlink()
    updated.run("unhold", "1.2")
    updated.run("apply")
    assert_runs(updated, story, "1.2")


def test_a_first_release_that_fails_has_nothing_to_go_back_to(machine):
    hook(machine, "exit 1")
    done = machine.run("apply", "1.0", code=8)
    assert "nothing else to go back to" in done.err
    assert machine.state["phase"] == "idle"


def test_health_checks_are_told_what_is_on_trial(updated):
    told = updated.root / "told"
    hook(updated, f'echo "$OSUPDATE_VERSION $OSUPDATE_DEPLOYMENT" > {told}')
    updated.run("apply")
    assert told.read_text().split() == ["1.2", str(updated.current.resolve())]


def test_a_second_osupdate_says_who_holds_the_lock(updated):
    fifo = updated.root / "wait"
    os.mkfifo(fifo)
    started = updated.root / "started"
    hook(updated, f": > {started}; read -r word < {fifo}")
    with updated.start("apply") as first:
        while not started.exists():  # state.json is written before what is public
            assert first.poll() is None, first.communicate()
            time.sleep(0.02)
        before = updated.everything()
        for verb in (["apply"], ["revert"], ["gc"], ["hold"], ["check"]):
            done = updated.run(*verb, code=5)
            assert f"apply, process {first.pid}" in done.err
        assert updated.everything() == before
        assert updated.run("status").code == 0
        fifo.write_text("go\n")
        assert first.wait(60) == 0
    assert updated.running == "1.2"


def test_an_interrupt_leaves_what_runs_and_no_leftovers(updated, story):
    fifo = updated.root / "wait"
    os.mkfifo(fifo)
    started = updated.root / "started"
    hook(updated, f": > {started}; read -r word < {fifo}")
    with updated.start("apply") as first:
        while not started.exists():
            assert first.poll() is None, first.communicate()
            time.sleep(0.02)
        first.send_signal(signal.SIGINT)
        _, err = first.communicate(timeout=60)
        assert first.returncode == 130, err
    (updated.etc / "hooks/health.d/check").unlink()
    updated.run("apply")
    assert_runs(updated, story, "1.2")
    assert updated.leftovers() == []


# --- many of them


def _shape(directory, files, size):
    """A rootfs of realistic shape: many small files, few large, deep directories."""
    chance = random.Random(7)
    made = {}
    for number in range(files):
        top = chance.choice(["usr/lib/python3", "usr/share/doc", "usr/lib"])
        made[f"{top}/d{number % 97}/{number:05}"] = chance.paretovariate(1.1)
    whole = sum(made.values())
    for name, weight in made.items():
        made[name] = chance.randbytes(int(size * weight / whole) + 1)
    for number in range(files // 20):
        made[f"etc/d{number % 9}/{number}.conf"] = chance.randbytes(600)
    return make_rootfs(directory, made), list(made), chance


def test_twenty_updates_keep_the_store_small(story, tmp_path):
    rootfs, names, chance = _shape(tmp_path / "fs", 3000, 60 << 20)
    repo = tmp_path / "repo.git"
    machine = Machine(tmp_path / "machine", repo, signers=story.signers)
    for number in range(1, 21):
        changed = {name: chance.randbytes(3000) for name in chance.sample(names, 30)}
        make_rootfs(rootfs, changed)
        publish_release(repo, rootfs, f"{number}", story.key)
        machine.run("apply")
        here = trees.usage(machine.deployments)
        beside = trees.usage(machine.state_dir)
        assert beside <= 0.02 * here, f"update {number}: {beside:,} beside {here:,}"
    assert machine.versions == ["19", "20"]
    assert trees.contents(machine.current.resolve()) == trees.contents(rootfs)
    assert machine.leftovers() == []
    packs = machine.state_dir / "objects.git"
    checked = subprocess.run(
        ["git", f"--git-dir={packs}", "fsck", "--connectivity-only", "--no-dangling"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"GIT_CONFIG_COUNT": "0", "HOME": str(tmp_path)},
    )
    commits = json.dumps(machine.state["deployments"])
    for line in checked.stderr.splitlines():
        assert "commit" not in line or line.split()[-1] not in commits
