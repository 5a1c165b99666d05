"""promote, publish --channel and trust, held to stock git and ssh-keygen."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.channels import MACHINE_ID, make_ring
from support.factory import make_rootfs, publish_release
from support.keys import public
from support.machine import Machine
from support.remote import GIT_ENV, HttpServer, git, snapshot

from updater.core import channel, nodeid, rollout, statements
from updater.publish.place import Place

DAY = 86400
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="session")
def ring(tmp_path_factory):
    return make_ring(tmp_path_factory.mktemp("ring"))


class Publisher:
    """A bare repository of releases 1.0, 1.1 and 1.2, and the command line."""

    def __init__(self, path, ring):
        self.path, self.ring = path, ring
        self.repo = path / "acme.git"
        self.machine = Machine(path / "machine", self.repo)
        for version in ("1.0", "1.1", "1.2"):
            rootfs = make_rootfs(path / "rootfs", {"etc/motd": f"{version}\n"})
            publish_release(self.repo, rootfs, version, ring["release"])

    def promote(self, *argv, code=0, key="channel", to="stable"):
        repo = ("--repo", self.repo, "--to", to, "--key", self.ring[key])
        return self.machine.run("promote", *repo, *argv, code=code)

    def trust(self, *argv, keys=("root1",), code=0):
        signing = [word for name in keys for word in ("--key", self.ring[name])]
        given = ("--repo", self.repo, *signing)
        return self.machine.run("trust", *argv, *given, code=code)

    def init(self, **kw):
        roles = [
            word
            for role in ("root", "release", "channel")
            for word in (f"--{role}-key", f"{self.ring[_first(role)]}.pub")
        ]
        return self.trust("init", *roles, **kw)

    def entry(self, name="stable", repo=None):
        text = git("show", f"channel/{name}:channel.toml", cwd=repo or self.repo)
        return channel.parse(text.encode() + b"\n")

    def refused(self, *argv, code=3, **kw):
        before = snapshot(self.repo)
        done = self.promote(*argv, code=code, **kw)
        assert snapshot(self.repo) == before
        return done.err


def _first(role):
    return "root1" if role == "root" else role


@pytest.fixture
def publisher(tmp_path, ring, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("updater.cli.publisher._CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return Publisher(tmp_path, ring)


def verify_commit(repo, commit, signers):
    """What stock git says of a signed commit."""
    return subprocess.run(
        ["git", "-c", f"gpg.ssh.allowedSignersFile={signers}", "-C", repo,
         "verify-commit", commit],
        env=GIT_ENV, capture_output=True, check=False,
    )  # fmt: skip


def test_an_entry_is_a_signed_commit_that_stock_git_verifies(publisher, tmp_path):
    publisher.promote("1.0")
    publisher.promote("1.1", "--rollout", "24")
    signers = tmp_path / "signers"
    signers.write_text(f'c namespaces="git" {public(publisher.ring["channel"])}\n')
    for commit in ("channel/stable", "channel/stable~1"):
        assert verify_commit(publisher.repo, commit, signers).returncode == 0
    signers.write_text(f'c namespaces="git" {public(publisher.ring["other"])}\n')
    assert verify_commit(publisher.repo, "channel/stable", signers).returncode != 0
    git("fsck", "--strict", cwd=publisher.repo)
    log = git("log", "--format=%s", "channel/stable", cwd=publisher.repo)
    assert log.splitlines() == ["stable: 1.1 (number 2)", "stable: 1.0 (number 1)"]


def test_an_entry_that_git_signs_by_hand_is_taken_by_promote(publisher, tmp_path):
    """docs/by-hand.md: a log can be written with git alone."""
    publisher.promote("1.0")
    work = tmp_path / "work"
    git("clone", "-q", "-b", "channel/stable", publisher.repo, work)
    entry = (work / "channel.toml").read_text().replace("number = 1", "number = 2", 1)
    (work / "channel.toml").write_text(entry)
    key = publisher.ring["channel"]
    git("-c", "gpg.format=ssh", "-c", f"user.signingKey={key}", "commit", "-q",
        "-S", "-a", "-m", "again", cwd=work)  # fmt: skip
    git("push", "-q", "origin", "channel/stable", cwd=work)
    publisher.promote("--refresh")
    assert publisher.entry().number == 3


def test_an_entry_tells_what_the_release_is(publisher):
    publisher.promote("1.1")
    names = git("ls-tree", "-r", "--name-only", "channel/stable", cwd=publisher.repo)
    assert names.splitlines() == [
        "changes.json", "channel.toml", "files", "manifest", "notes.md",
        "packages.json", "release.tag", "release.toml",
    ]  # fmt: skip
    for name in ("manifest", "release.toml", "notes.md", "packages.json"):
        told = git("rev-parse", f"channel/stable:{name}", cwd=publisher.repo)
        path = f"release/1.1:usr/lib/osupdate/{name}"
        assert told == git("rev-parse", path, cwd=publisher.repo)
    tag = git("cat-file", "tag", "release/1.1", cwd=publisher.repo)
    raw = git("show", "channel/stable:release.tag", cwd=publisher.repo)
    assert raw == tag
    assert statements.parse_tag(raw.encode() + b"\n").number == 2
    listed = git("show", "channel/stable:files", cwd=publisher.repo).splitlines()
    tree = git("ls-tree", "-r", "release/1.1", cwd=publisher.repo).splitlines()
    assert len(listed) == len(tree) + 1
    for row in tree:
        mode, _, oid, path = row.split()
        assert f"{mode} {oid} - /{path}" in listed


def test_marks_add_up_and_barriers_keep_their_tags(publisher):
    publisher.promote("1.0", "--barrier", "--reason", "partition table")
    publisher.promote("1.1", "--dead-end", "7", "--reason", "reinstall")
    publisher.promote("--withdraw", "2", "--reason", "eats disks")
    entry = publisher.entry()
    assert [(m.number, m.reason) for m in entry.barriers] == [(1, "partition table")]
    assert [m.number for m in entry.dead_ends] == [7]
    assert [(m.number, m.reason) for m in entry.withdrawn] == [(2, "eats disks")]
    raw = git("show", "channel/stable:tags/1", cwd=publisher.repo)
    assert raw == git("cat-file", "tag", "release/1.0", cwd=publisher.repo)
    assert "withdrawn" in publisher.refused("1.1")


def test_a_rollout_is_paused_and_resumed_where_it_was(publisher):
    publisher.promote("1.0", "--rollout", "24")
    publisher.promote("--pause")
    assert publisher.entry().rollout.limit < 0.01
    publisher.promote("--resume")
    assert publisher.entry().rollout.limit == 1
    assert publisher.entry().rollout.hours == 24


def test_what_everybody_may_have_cannot_be_paused(publisher):
    publisher.promote("1.0")
    assert "no rollout to pause" in publisher.refused("--pause")


def test_a_refresh_says_the_same_with_a_new_expiry(publisher):
    publisher.promote("1.0", "--rollout", "24", "--expires", "1")
    before = publisher.entry()
    publisher.promote("--refresh", "--expires", "9")
    after = publisher.entry()
    assert after.expires - after.created == 9 * DAY
    assert (after.rollout, after.tag) == (before.rollout, before.tag)
    assert after.number == before.number + 1


def test_an_older_release_is_offered_with_a_warning(publisher):
    publisher.promote("1.2")
    assert "machines that have that one wait" in publisher.promote("1.1").err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["9.9"], "has no release 9.9; it has 1.0, 1.1, 1.2"),
        (["--refresh"], "there is no channel stable yet"),
    ],
    ids=str,
)
def test_what_cannot_be_offered_leaves_no_trace(publisher, argv, said):
    assert said in publisher.refused(*argv)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "needs a VERSION"),
        (["1.0", "--withdraw", "2"], "need a --reason"),
        (["1.0", "--reason", "x"], "--reason goes with"),
        (["1.0", "--rollout", "-1"], "--rollout is not in"),
        (["1.0", "--expires", "0"], "--expires is not in"),
        (["--pause", "--resume"], "contradict"),
        (["1.0", "--barrier", "--reason", "a\x1bb"], "--reason is not one line"),
        (["../1.0"], "is not a version"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_said(publisher, argv, said):
    assert said in publisher.refused(*argv, code=2)
    assert "cannot be the name" in publisher.refused("1.0", code=2, to="a/b")


def test_an_unsigned_release_is_not_offered(publisher, tmp_path):
    rootfs = make_rootfs(tmp_path / "rootfs", {"etc/motd": "unsigned\n"})
    publish_release(publisher.repo, rootfs, "2.0", None)
    assert "not signed" in publisher.refused("2.0")


def test_a_branch_that_is_no_log_is_left_alone(publisher):
    git("update-ref", "refs/heads/channel/stable", "releases", cwd=publisher.repo)
    assert "is not a channel log" in publisher.refused("1.0")


def test_a_key_that_cannot_sign_leaves_no_trace(publisher, tmp_path):
    broken = tmp_path / "broken.key"
    broken.write_text("no key\n")
    publisher.ring = publisher.ring | {"broken": broken}
    assert "cannot sign" in publisher.refused("1.0", key="broken", code=1)


def test_a_key_may_live_in_an_agent(publisher, tmp_path, monkeypatch):
    words = subprocess.run(
        ["ssh-agent", "-a", tmp_path / "agent", "-s"], capture_output=True, check=True
    ).stdout.decode()
    pid = words.split("SSH_AGENT_PID=")[1].split(";")[0]
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        subprocess.run(["ssh-add", "-q", publisher.ring["channel"]], check=True)
        only = tmp_path / "only.pub"
        only.write_text(publisher.ring["channel"].with_suffix(".pub").read_text())
        publisher.ring = publisher.ring | {"agent": only}
        publisher.promote("1.0", key="agent")
    finally:
        os.kill(int(pid), 15)
    assert publisher.entry().release == "1.0"


def test_two_publishers_cannot_both_write_the_next_entry(publisher, monkeypatch):
    publisher.promote("1.0")
    original, raced = Place.move, []

    def move(self, ref, new):
        if not raced:
            raced.append(ref)
            publisher.promote("1.1")
        original(self, ref, new)

    monkeypatch.setattr(Place, "move", move)
    done = publisher.promote("1.2", code=5)
    assert "somebody published in the meantime" in done.err
    assert publisher.entry().release == "1.1"


def test_a_remote_takes_entries_of_one_publisher_at_a_time(
    publisher, tmp_path, monkeypatch
):
    (tmp_path / "served").mkdir()
    served = tmp_path / "served/acme.git"
    git("clone", "-q", "--bare", publisher.repo, served)
    git("config", "http.receivepack", "true", cwd=served)
    with HttpServer(tmp_path / "served") as server:
        publisher.repo = f"{server.base}/acme.git"
        publisher.promote("1.0")
        shutil.rmtree(tmp_path / "cache")
        publisher.promote("1.1")
        original, raced = Place.move, []

        def move(self, ref, new):
            if not raced:
                raced.append(ref)
                monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
                monkeypatch.setattr(
                    "updater.cli.publisher._CACHE", str(tmp_path / "other")
                )
                publisher.promote("1.2")
            original(self, ref, new)

        monkeypatch.setattr(Place, "move", move)
        done = publisher.promote("1.0", code=5)
    assert "somebody else published in the meantime" in done.err
    assert publisher.entry(repo=served).release == "1.2"
    assert publisher.entry(repo=served).number == 3


def test_channels_may_be_in_a_repository_of_their_own(publisher, tmp_path):
    logs = tmp_path / "channels.git"
    publisher.promote("1.0", "--channels", logs)
    publisher.promote("1.1", "--channels", logs)
    assert publisher.entry(repo=logs).number == 2
    names = git("for-each-ref", "--format=%(refname)", cwd=logs)
    assert names == "refs/heads/channel/stable"
    assert "channel" not in git("for-each-ref", cwd=publisher.repo)
    git("fsck", "--strict", cwd=logs)


def test_publish_offers_what_it_published(publisher, tmp_path):
    rootfs = make_rootfs(tmp_path / "rootfs", {"etc/motd": "2.0\n"})
    notes = publisher.repo.parent / "notes.md"
    notes.write_text("# A release that is offered at once\n")
    arguments = (
        "publish", rootfs, "--repo", publisher.repo, "--product", "acme-gw",
        "--version", "2.0", "--arch", "amd64", "--key", publisher.ring["release"],
        "--channel", "testing", "--channel-key", publisher.ring["channel"],
        "--notes", notes,
    )  # fmt: skip
    publisher.machine.run(*arguments)
    assert publisher.entry("testing").release == "2.0"
    done = publisher.machine.run(*arguments)
    assert "Nothing to publish" in done.out
    assert publisher.entry("testing").number == 1


def test_a_machine_follows_what_promote_and_trust_write(publisher):
    """The whole way, with nobody lying: publisher, trust, channel, machine."""
    publisher.init()
    publisher.promote("1.0")
    machine = publisher.machine
    place = machine.root / "usr/share/osupdate/trust"
    place.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "-c", "tar.umask=0022", "archive", "trust"], cwd=publisher.repo,
        capture_output=True, check=True, env=GIT_ENV,
    ).stdout  # fmt: skip
    subprocess.run(["tar", "-x", "-C", place], input=archive, check=True)
    machine.configure(remote={"channel": "stable"}, trust={"mode": "signed"})
    machine.run("apply")
    assert machine.running == "1.0"
    new = f"{publisher.ring['other']}.pub"
    publisher.trust("rotate", "channel", f"{publisher.ring['channel']}.pub", new)
    publisher.promote("1.1", key="other")
    machine.run("apply")
    assert machine.running == "1.1"
    publisher.promote("1.2")
    assert "(check C2)" in machine.run("apply", code=3).err


def test_trust_is_not_written_when_machines_would_refuse_it(publisher):
    publisher.init(keys=("other",), code=3)
    publisher.init()
    before = snapshot(publisher.repo)
    other = f"{publisher.ring['other']}.pub"
    for argv in (
        ("add", "release", f"{publisher.ring['release']}.pub"),
        ("revoke", "nobody@hq"),
        ("revoke", f"{publisher.ring['release']}.pub"),
        ("rotate", "root", "root1", other),
    ):
        publisher.trust(*argv, code=3)
    publisher.trust("add", "channel", other, keys=("other",), code=3)
    publisher.trust("init", "--root-key", other, code=2)
    assert snapshot(publisher.repo) == before


def test_a_revoked_key_stays_revoked(publisher):
    publisher.init()
    other = f"{publisher.ring['other']}.pub"
    publisher.trust("add", "release", other, "--until", "2030-01-01")
    publisher.trust("revoke", other)
    done = publisher.trust("add", "release", other, code=3)
    assert "was revoked; it stays so" in done.err
    found = publisher.machine.run("trust", "show", "--repo", publisher.repo, "--json")
    assert len(found.json["revoked"]) == 1
    assert found.json["version"] == 3


# --- docs/channels.md and docs/trust.md, run as they stand


def blocks(page):
    """The shell lines of a page's section "By hand"."""
    text = (DOCS / page).read_text().partition("## By hand")[2]
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def shell(script, cwd, **variables):
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=cwd,
        env=GIT_ENV | {key: str(value) for key, value in variables.items()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_page_on_channels_checks_a_log_by_hand(publisher, tmp_path):
    publisher.promote("1.0")
    accepted = git("rev-parse", "channel/stable", cwd=publisher.repo)
    publisher.promote("1.1", "--rollout", "24")
    signers, machine_id = tmp_path / "signers", tmp_path / "machine-id"
    signers.write_text(
        f'channel namespaces="git" {public(publisher.ring["channel"])}\n'
    )
    machine_id.write_text(f"{MACHINE_ID}\n")
    hand = tmp_path / "hand"
    hand.mkdir()
    lines = shell(
        "".join(blocks("channels.md")), hand, REPO=f"file://{publisher.repo}",
        V="1.1", C="stable", CHANNEL=signers, ACCEPTED=accepted, MACHINE_ID=machine_id,
    )  # fmt: skip
    assert {"signed", "goes on", "same", "2", "number = 2"} <= set(lines)
    tag = git("rev-parse", "release/1.1", cwd=publisher.repo)
    assert tag in lines
    place = rollout.position(nodeid.derive(MACHINE_ID), tag)
    assert int(lines[-1], 16) / 2**64 == pytest.approx(place, abs=2**-52)


def test_the_page_on_trust_makes_and_checks_a_version_by_hand(publisher, tmp_path):
    publisher.init()
    other = f"{publisher.ring['other']}.pub"
    publisher.trust("add", "release", other)
    publisher.trust("revoke", other)  # version 3: the page makes version 4
    make, check = blocks("trust.md")
    for name in ("root1", "new"):
        key = publisher.ring["root1" if name == "root1" else "root2"]
        (tmp_path / name).write_bytes(key.read_bytes())
        (tmp_path / name).chmod(0o600)
        (tmp_path / f"{name}.pub").write_bytes(key.with_suffix(".pub").read_bytes())
    (tmp_path / "root2").write_bytes((tmp_path / "root1").read_bytes())
    (tmp_path / "root2").chmod(0o600)
    script = make.replace("/srv/acme.git", str(publisher.repo))
    shell(script, tmp_path)
    assert (
        publisher.machine.run("trust", "show", "--repo", publisher.repo, "--json").json[
            "version"
        ]
        == 4
    )
    lines = shell(check, tmp_path / "trust")
    digests = [line.split()[0] for line in lines if line.endswith("  -")]
    named = [line.split('"')[1] for line in lines if " = " in line]
    assert digests == named
    assert len(digests) == 4


def test_a_repository_of_many_tags_is_warned_about(publisher, monkeypatch):
    monkeypatch.setattr("updater.publish.channel.MANY_TAGS", 2)
    done = publisher.promote("1.0")
    assert (
        "has 3 tags; every check of every machine receives the whole list" in done.err
    )
    done = publisher.promote("1.1", "--channels", publisher.path / "logs.git")
    assert "tags" not in done.err
