"""What the doctor finds on a machine that is well, and on those that are not."""

import contextlib
import json
import os
import shutil
import time

import pytest
from msgspec.structs import replace
from support import story as stories
from support import trees
from support.factory import make_key
from support.keys import keygen

from updater.agent import doctor
from updater.agent.room import Room
from updater.system import clock
from updater.system.lockfile import locked

NOBODY = 65534


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return stories.tell(tmp_path_factory.mktemp("story"))


@pytest.fixture
def updated(story, tmp_path, monkeypatch):
    """Runs 1.1, and 1.0 is kept; its clock is right."""
    monkeypatch.setattr(clock, "is_synchronised", lambda: True)
    machine = stories.machine_of(story, tmp_path / "machine")
    machine.run("apply", "1.0")
    machine.run("apply", "1.1", "--allow-downgrade")
    return machine


def findings(machine, code=None):
    """(level, topic) -> text and hint of its findings; no file comes or goes."""
    before = trees.everything(machine.root)
    done = machine.run("doctor", "--json", code=code)
    after = trees.everything(machine.root)
    before.pop(b"var/lib/osupdate/lock", None)
    after.pop(b"var/lib/osupdate/lock", None)
    assert after.keys() == before.keys()
    found = {}
    for one in done.json["findings"]:
        text = f"{one['text']} | {one['hint']}"
        found.setdefault((one["level"], one["topic"]), []).append(text)
    problems = any(level == "problem" for level, _ in found)
    assert done.json["healthy"] is not problems
    assert done.code == int(problems)
    return found


def bad(machine, code=None):
    found = findings(machine, code)
    return {key: texts for key, texts in found.items() if key[0] != "ok"}


def test_a_machine_that_is_well_has_no_finding(updated):
    assert bad(updated, 0) == {}
    out = updated.run("doctor").out
    assert out.startswith("No problem found\n")
    for text in (
        "revert goes to 1.0, which is complete",
        "1 release key is valid now",
        "every object can be read",
        "1.1 looks as it was laid out",
        f"releases of file://{updated.repo}",
    ):
        assert text in out


def test_a_machine_before_its_first_release_is_well(story, tmp_path, monkeypatch):
    monkeypatch.setattr(clock, "is_synchronised", lambda: True)
    machine = stories.machine_of(story, tmp_path / "machine")
    assert machine.run("doctor").out.startswith("No problem found\n")
    assert not machine.state_dir.exists()


def spoil_object(machine):
    for path in (machine.state_dir / "objects.git/objects/pack").glob("*.pack"):
        path.chmod(0o600)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)


def old(machine):
    return machine.deployments / machine.state["deployments"][0]["id"]


DAMAGE = {
    "no url": (
        lambda m: m.configure(remote={"url": ""}),
        ("problem", "remote"),
        "[remote] url is not set",
    ),
    "no repository": (
        lambda m: m.configure(remote={"url": "file:///nonexistent/a.git"}),
        ("problem", "remote"),
        "/nonexistent/a.git is not a directory",
    ),
    "plain": (
        lambda m: m.configure(
            remote={"url": "http://h/a.git"}, trust={"mode": "unsigned"}
        ),
        ("problem", "remote"),
        "protects nothing on the way",
    ),
    "mistake": (
        lambda m: m.configure(deploy={"keep": "two"}),
        ("problem", "config"),
        'deploy.keep: expected a whole number from 1 to 1000, got "two" | All: osup',
    ),
    "no keys": (
        lambda m: (m.etc / "trust/release").unlink(),
        ("problem", "trust"),
        "no key is trusted for the role release",
    ),
    "lost program": (
        lambda m: (old(m) / "usr/lib/libc.so").unlink(),
        ("warning", "way back"),
        "1 file of 1.0 missing, /usr/lib/libc.so is one | Bring back: osupdate",
    ),
    "lost way back": (
        lambda m: shutil.rmtree(old(m)),
        ("problem", "way back"),
        "the deployment of 1.0 is gone: revert has nowhere to go",
    ),
    "edited": (
        lambda m: (m.current / "usr/bin/hello").write_text("mine"),
        ("warning", "running"),
        "1 file of 1.1 changed, /usr/bin/hello is one | See all: osupdate verify",
    ),
    "damaged object": (
        spoil_object,
        ("problem", "objects.git"),
        "is damaged | Fetch anew what it had: osupdate apply --full",
    ),
    "lost objects": (
        lambda m: shutil.rmtree(m.state_dir / "objects.git"),
        ("problem", "objects.git"),
        "is missing",
    ),
    "leftovers": (
        lambda m: [(m.state_dir / n).write_text("") for n in ("a.tmp", "b.tmp")],
        ("warning", "leftovers"),
        "2 leftovers of interrupted runs, ",
    ),
    "dangling": (
        lambda m: (m.current.unlink(), m.current.symlink_to("deployments/9-x.0")),
        ("problem", "current"),
        "points at no deployment that is known here",
    ),
    "broken state": (
        lambda m: (m.state_dir / "state.json").write_text("{"),
        ("problem", "state"),
        "state.json",
    ),
    "pause": (
        lambda m: m.run("hold", "--reason", "trade fair"),
        ("warning", "hold"),
        "all updates are on hold: trade fair | Take them again: osupdate unhold",
    ),
    "unsigned": (
        lambda m: m.configure(trust={"mode": "unsigned"}),
        ("warning", "trust"),
        "UNSIGNED: whoever controls the remote",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_what_is_wrong_is_found_with_what_to_do(updated, name):
    damage, key, says = DAMAGE[name]
    damage(updated)
    found = bad(updated)
    assert says in "\n".join(found[key])


def test_a_failed_check_is_remembered(updated, story):
    updated.configure(remote={"channel": "nowhere"})
    updated.run("check", code=3)
    assert "has no branch nowhere" in "".join(bad(updated, 0)["warning", "check"])


def stamp(days):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400))


@pytest.mark.parametrize(
    ("option", "level", "says"),
    [
        (("valid-before", -1), "problem", "everything is refused"),
        (("valid-before", -1), "warning", " expired "),
        (("valid-before", 7), "warning", " expires "),
        (("valid-after", 7), "problem", "everything is refused"),
        (("valid-after", 7), "warning", " is not valid before "),
    ],
)
def test_keys_are_looked_at_before_they_expire(updated, option, level, says):
    path = updated.etc / "trust/release"
    name, days = option
    line = path.read_text().strip()
    limited = f'namespaces="git",{name}="{stamp(days)}"'
    path.write_text(line.replace('namespaces="git"', limited) + " builder\n")
    found = "\n".join(bad(updated)[level, "trust"])
    assert says in found
    if level == "warning":
        assert "SHA256:" in found
        assert f"(builder) of {path}:1" in found


def test_a_revoked_key_among_good_ones_is_a_warning(updated, tmp_path):
    _, line = make_key(tmp_path)
    path = updated.etc / "trust/release"
    path.write_text(path.read_text() + line)
    (updated.etc / "trust/revoked").write_text(" ".join(line.split()[2:4]) + "\n")
    found = findings(updated, 0)
    assert " is revoked" in "".join(found["warning", "trust"])
    assert "1 release key is valid now" in "".join(found["ok", "trust"])


# --- credentials


def with_ssh(machine, tmp_path, **files):
    url = "ssh://git@os.example.org/acme.git"
    machine.configure(remote={"url": url} | {k: str(v) for k, v in files.items()})


@pytest.fixture
def known_hosts(tmp_path):
    path = tmp_path / "known_hosts"
    path.write_text("os.example.org ssh-ed25519 AAAA\n")
    return path


@pytest.fixture
def ssh_key(tmp_path):
    path = tmp_path / "id"
    keygen("-q", "-t", "ed25519", "-N", "", "-f", str(path))
    return path


def test_good_credentials_are_told(updated, tmp_path, known_hosts, ssh_key):
    with_ssh(updated, tmp_path, known_hosts=known_hosts, ssh_key=ssh_key)
    found = findings(updated, 0)
    assert "known_hosts, ssh_key can be used" in found["ok", "credentials"][0]


@pytest.mark.parametrize(
    ("damage", "level", "says"),
    [
        (lambda hosts, key: hosts.unlink(), "problem", "No such file"),
        (lambda hosts, key: key.unlink(), "problem", "No such file"),
        (lambda hosts, key: key.chmod(0o640), "warning", "mode 0640; expected 0600"),
        (lambda hosts, key: key.write_text("x"), "problem", "no private key without"),
        (
            lambda hosts, key: keygen("-p", "-q", "-N", "secret", "-f", str(key)),
            "problem",
            "is no private key without a passphrase",
        ),
        (
            lambda hosts, key: hosts.write_text("@revoked h ssh-ed25519 AAAA\n"),
            "problem",
            "@revoked is not supported",
        ),
    ],
)
def test_credentials_that_cannot_be_used_are_found(
    updated, tmp_path, known_hosts, ssh_key, damage, level, says
):
    with_ssh(updated, tmp_path, known_hosts=known_hosts, ssh_key=ssh_key)
    damage(known_hosts, ssh_key)
    assert says in "".join(bad(updated)[level, "credentials"])


def test_ssh_without_known_hosts_is_found(updated, tmp_path):
    with_ssh(updated, tmp_path)
    found = "".join(bad(updated, 1)["problem", "credentials"])
    assert "remote.known_hosts is not set" in found


def test_a_token_that_others_can_read_and_a_setting_without_use_are_found(
    updated, tmp_path
):
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    token.chmod(0o644)
    url = "https://os.example.org/acme.git"
    ca = tmp_path / "ca.pem"
    ca.write_text("-----BEGIN CERTIFICATE-----\n")
    updated.configure(
        remote={
            "url": url,
            "ca": str(ca),
            "token_file": str(token),
            "ssh_key": "/nonexistent",
        }
    )
    found = bad(updated, 0)["warning", "credentials"]
    assert "remote.ssh_key is set, and https:// does not use it" in found[0]
    assert f"{token} has mode 0644; expected 0600 | chmod 600 {token}" in found[1]
    assert "s3cret" not in "".join(found)


# --- the machine around it


@pytest.mark.parametrize(
    ("now", "level", "says"),
    [
        (0, "problem", "it is 1970-01-01 00:00 UTC here, before this version"),
        (1_790_000_001, "warning", "and a release here is of "),
    ],
)
def test_a_clock_that_is_behind_is_found(updated, monkeypatch, now, level, says):
    load = Room.load

    def later(room):
        state = load(room)
        made = [replace(r, created=1_795_000_000) for r in state.deployments]
        return replace(state, deployments=tuple(made))

    monkeypatch.setattr(Room, "now", lambda _: now)
    monkeypatch.setattr(Room, "load", later)
    assert says in "".join(bad(updated)[level, "clock"])


def test_a_clock_that_nobody_keeps_is_found(updated, monkeypatch):
    monkeypatch.setattr(clock, "is_synchronised", lambda: False)
    assert "nobody keeps the clock right" in "".join(
        bad(updated, 0)["warning", "clock"]
    )


def test_the_kernel_says_whether_the_clock_is_kept():
    assert clock.is_synchronised() in (True, False)


def test_a_full_disk_is_found(updated, monkeypatch):
    monkeypatch.setattr(doctor, "LOW_SPACE", 1 << 60)
    found = "".join(bad(updated, 0)["warning", "disk"])
    assert "Free some: osupdate gc" in found


def test_another_osupdate_at_work_is_told_and_its_files_are_no_leftovers(updated):
    (updated.state_dir / "a.tmp").write_text("")
    with locked(str(updated.state_dir / "lock"), "apply", 0):
        found = bad(updated, 0)
    assert "another osupdate is at work" in "".join(found["warning", "lock"])
    assert ("warning", "leftovers") not in found
    assert ("warning", "leftovers") in bad(updated, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="another user looks")
def test_without_privileges_it_says_what_it_cannot_see(updated, tmp_path):
    """As nobody, in a fork: what this process has imported is there already."""
    answer = tmp_path / "answer.json"
    answer.touch()
    os.chown(answer, NOBODY, NOBODY)
    with reachable(updated.root):
        pid = os.fork()
        if pid == 0:
            code = 99
            try:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                done = updated.run("doctor", "--json", code=None)
                answer.write_text(done.out)
                code = done.code
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code == 0
    told = json.loads(answer.read_text())["findings"]
    unseen = {f["topic"]: f for f in told if "cannot be looked at" in f["text"]}
    assert {"running", "way back", "objects.git"} <= unseen.keys()
    assert {f["hint"] for f in unseen.values()} == {"Run it as root."}
    assert {f["level"] for f in unseen.values()} == {"warning"}


@contextlib.contextmanager
def reachable(path):
    """Let others walk to a path, as they can on a machine."""
    closed = [p for p in path.parents if not p.stat().st_mode & 0o001]
    for p in closed:
        p.chmod(p.stat().st_mode | 0o011)
    try:
        yield
    finally:
        for p in closed:
            p.chmod(p.stat().st_mode & ~0o011)
