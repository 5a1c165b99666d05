"""Every kind of danger, from packages as Debian makes them.

The second release has packages that the first has not; what packages do not do by
themselves is done with the tools that an administrator would use.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
from support.factory import make_key, publish_to
from support.machine import Machine

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs/json/diff-1.json").read_text())
BOTH = "passwd,libcap2-bin,tcpdump,login"
MORE = "sudo,iputils-ping,cron,cups-daemon,ca-certificates,logrotate,dbus,ucf"
EDITED = "etc/login.defs"
BY_SCRIPTS = {
    "/etc/apparmor.d/local/usr.sbin.cupsd",
    "/etc/cups/cupsd.conf",
    "/etc/inputrc",
    "/etc/papersize",
}
"""What maintainer scripts wrote, of which no rule says what it is made of."""

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="mmdebstrap is missing"),
]


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A machine that runs the first Debian, with a change of its own, staged second."""
    place = tmp_path_factory.mktemp("debian")
    subprocess.run(
        [ROOT / "fixtures/debian-pair.sh", place],
        env={**os.environ, "VARIANT": "apt", "PACKAGES": BOTH, "MORE": MORE},
        check=True,
    )
    old, new = place / "as-published", place / "with-updates"
    _administer(new)
    key, signers = make_key(place)
    repo = place / "repo.git"
    publish_to(repo, old, "1", key)
    publish_to(repo, new, "2", key, allow_id_changes=_changed_ids(old, new))
    found = Machine(place / "machine", repo, signers=signers)
    found.run("apply", "1")
    edited = found.current / EDITED
    edited.write_text(edited.read_text() + "# ours\n")
    found.run("apply", "2", "--no-arm")
    yield found
    shutil.rmtree(place)


def _administer(root):
    """What an administrator does to a root filesystem: overrides, keys, edits."""
    override = ["dpkg-statoverride", "--update", "--add"]
    subprocess.run(
        ["chroot", root, *override, "root", "adm", "0664", "/etc/crontab"], check=True
    )
    for snake_oil in root.glob("etc/ssl/*/ssl-cert-snakeoil.*"):
        snake_oil.unlink()  # a key that every machine would share is not published
    with open(root / EDITED, "a") as file:
        file.write("# upstream\n")
    with open(root / "usr/bin/passwd", "ab") as file:
        file.write(b"\0")
    keys = root / "root/.ssh/authorized_keys"
    keys.parent.mkdir(mode=0o700, exist_ok=True)
    keys.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVua25vd24 ops@example\n")
    keys.chmod(0o600)


def _accounts(root, name):
    lines = (root / "etc" / name).read_text().splitlines()
    return {line.split(":")[0]: line.split(":")[2] for line in lines}


def _changed_ids(old, new):
    """Names whose number differs, for whichever order packages were set up in."""
    return tuple(
        name
        for file in ("passwd", "group")
        for name, number in _accounts(old, file).items()
        if _accounts(new, file).get(name, number) != number
    )


@pytest.fixture(scope="module")
def report(machine):
    found = machine.run("diff", "--json").json
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    assert found["problems"] == []
    return found


@pytest.fixture(scope="module")
def dangers(report):
    """kind -> path -> the row."""
    found = {}
    for row in report["attention"]:
        found.setdefault(row["kind"], {})[row["path"]] = row
    return found


def test_a_program_that_runs_as_root_is_told(dangers):
    row = dangers["setuid"]["/usr/bin/sudo"]
    assert row["package"] == "sudo"
    assert (row["old"], row["new"]) == (None, "4755")
    assert row["command"] == ["osupdate", "diff", "--files", "/usr/bin/sudo"]


def test_a_program_that_runs_as_its_group_is_told(dangers):
    row = dangers["setgid"]["/usr/bin/crontab"]
    assert (row["package"], row["new"]) == ("cron", "2755")


def test_a_program_with_a_capability_is_told(dangers):
    row = dangers["capability"]["/usr/bin/ping"]
    assert (row["package"], row["new"]) == ("iputils-ping", "cap_net_raw=ep")


def test_a_file_that_a_group_may_write_is_told(dangers):
    row = dangers["loosened"]["/etc/crontab"]
    assert row["new"] == "0664"
    assert "may write" in row["text"]


def test_a_service_that_starts_is_told(report, dangers):
    row = dangers["unit"]["/usr/lib/systemd/system/cron.service"]
    assert row["package"] == "cron"
    assert row["text"].startswith("cron.service enabled by multi-user.target")
    units = {unit["unit"]: unit for unit in report["units"]}
    assert units["cron.service"]["by"] == ["multi-user.target"]


def test_a_socket_is_told_with_where_it_listens(report, dangers):
    row = dangers["socket"]["/usr/lib/systemd/system/cups.socket"]
    assert "/run/cups/cups.sock" in row["text"]
    assert row["package"] == "cups-daemon"
    [socket] = [one for one in report["sockets"] if one["unit"] == "cups.socket"]
    assert socket["listens"] == ["/run/cups/cups.sock"]


def test_a_timer_is_told_with_its_times(dangers):
    row = dangers["timer"]["/usr/lib/systemd/system/logrotate.timer"]
    assert "OnCalendar daily" in row["text"]


def test_a_user_that_comes_is_told(dangers):
    row = dangers["user"]["/etc/passwd"]
    assert row["text"].startswith("user messagebus added: uid ")


def test_a_number_that_belongs_to_another_name_is_told(report):
    """What adduser gives depends on what was installed before."""
    rows = [row for row in report["attention"] if row["kind"] == "id"]
    told = {row["text"].split()[1].rstrip(":") for row in rows}
    users = [u for u in report["users"] if u["change"] == "id"]
    assert told == {user["name"] for user in users}
    assert users, "both releases gave the same numbers: this proves nothing"


def test_every_new_authority_is_told_once(machine, dangers):
    rows = dangers["certificate"]
    new = machine.deployments / machine.state["target"]
    roots = list((new / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    assert len(roots) > 100
    assert len(rows) == len(roots)
    assert {row["package"] for row in rows.values()} == {"ca-certificates"}
    some = rows["/usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt"]
    assert some["text"] == "trusts ISRG Root X1"


def test_a_key_that_opens_a_login_is_told(dangers):
    row = dangers["key"]["/root/.ssh/authorized_keys"]
    assert row["text"] == "trusts the ssh-ed25519 key ops@example"


def test_configuration_that_both_changed_is_told(dangers, report):
    row = dangers["conffile"]["/etc/login.defs"]
    assert row["package"] == "login"
    [config] = [c for c in report["config"] if c["path"] == "/etc/login.defs"]
    assert (config["conffile"], config["locally_modified"]) == (True, True)


def test_a_program_that_changed_without_its_package_is_told(dangers, report):
    changed = {row["path"]: row["package"] for row in report["unexplained"]["changed"]}
    assert changed["/usr/bin/passwd"] == "passwd"
    assert "passwd" in {row["package"] for row in dangers["unexplained"].values()}


def test_what_was_done_by_hand_is_all_that_is_unexplained(report):
    odd = report["unexplained"]
    assert {row["path"] for row in odd["changed"]} <= {
        "/usr/bin/passwd",
        "/etc/login.defs",
    }
    assert {row["path"] for row in odd["unowned"]} == {
        "/root/.ssh/authorized_keys",
        "/etc/apt/sources.list.d/0000debian.list",
        *BY_SCRIPTS,
    }


def test_the_patch_of_a_real_update_applies(machine, tmp_path):
    """To the first release, and what comes out is the second one's text."""
    state = machine.state
    old, new = (
        machine.deployments / name
        for name in (state["deployments"][0]["id"], state["target"])
    )
    patch = machine.finish("diff", "1..2", "--patch", "/etc").out
    (tmp_path / "etc").mkdir()
    shutil.copytree(old / "etc", tmp_path / "etc", symlinks=True, dirs_exist_ok=True)
    shutil.copy(new / EDITED, tmp_path / "expected")
    text = (tmp_path / EDITED).read_text().removesuffix("# ours\n")
    (tmp_path / EDITED).write_text(text)
    done = subprocess.run(
        ["git", "apply", "--verbose", "-"],
        cwd=tmp_path,
        input=patch,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / EDITED).read_text() == (tmp_path / "expected").read_text()
    assert (tmp_path / "etc/crontab").read_text() == (new / "etc/crontab").read_text()


def test_only_what_this_machine_changed_is_local(machine):
    found = machine.run("diff", "--local", "--json").json
    changes = {row["path"]: row["change"] for row in found["files"]["changes"]}
    assert changes == {"/etc/login.defs": "modified"}
    patch = machine.finish("diff", "--local", "--patch", "/etc/login.defs").out
    assert "\n+# ours\n" in patch
