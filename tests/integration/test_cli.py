"""The command as a process: what it prints, where, with which exit code."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from support.factory import make_key, make_rootfs, publish_release

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "docs/json"
CHANGING = ["apply", "check", "hold", "unhold", "pin"]


@pytest.fixture
def machine(tmp_path):
    """A directory that stands for /."""
    root = tmp_path / "machine"
    (root / "etc/osupdate").mkdir(parents=True)
    return root


def osupdate(*argv, **kw):
    kw.setdefault("stdin", subprocess.DEVNULL)
    kw.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(
        [sys.executable, "-m", "updater", *map(str, argv)],
        check=False,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        **kw,
    )


def everything_below(root):
    return {
        (path.relative_to(root), path.lstat().st_mtime_ns, path.lstat().st_ino)
        for path in root.rglob("*")
    }


def test_help_is_on_stdout_and_names_the_commands():
    done = osupdate("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "    apply " in done.stdout
    assert osupdate("apply", "--help").stdout.startswith("usage: osupdate apply")


def test_a_wrong_option_is_one_sentence_on_stderr():
    done = osupdate("apply", "--now")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "osupdate: usage: unrecognized arguments: --now\n"
        "  See: osupdate --help  (exit 2)\n"
    )


@pytest.mark.parametrize("verb", CHANGING)
@pytest.mark.parametrize(
    "text",
    ["[remote]\nurll = 1\n", "[deploy]\nkeep = 0\n", "[remote\n", "[zoo]\nkey = 1\n"],
)
def test_a_wrong_configuration_is_refused_and_nothing_changes(machine, verb, text):
    path = machine / "etc/osupdate/config.toml"
    path.write_text(text)
    before = everything_below(machine)
    argv = [verb, "1"] if verb == "pin" else [verb]
    done = osupdate(*argv, "--root", machine, "--yes")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("osupdate: configuration: ")
    assert f"{path}:" in done.stderr
    assert everything_below(machine) == before


def test_two_mistakes_are_told_at_once(machine):
    path = machine / "etc/osupdate/config.toml"
    path.write_text("[remote]\nurll = 1\n[deploy]\nkeep = 0\n")
    done = osupdate("apply", "--root", machine)
    assert done.stderr.split("\n")[:3] == [
        "osupdate: configuration: 2 mistakes:",
        f"  {path}:2: remote.urll: unknown key; did you mean url?",
        f"  {path}:4: deploy.keep: expected a whole number from 1 to 1000, got 0",
    ]


def test_with_json_the_error_is_an_object_of_its_schema(machine):
    (machine / "etc/osupdate/config.toml").write_text("[remote]\nurll = 1\n")
    done = osupdate("apply", "--json", "--root", machine)
    assert (done.returncode, done.stderr) == (2, "")
    value = json.loads(done.stdout)
    jsonschema.validate(value, json.loads((SCHEMAS / "error-1.json").read_text()))
    assert value["code"] == "config"


@pytest.mark.parametrize("argv", [["status"], ["status", "--json"], ["history"]])
def test_looking_works_on_an_empty_machine_and_changes_nothing(machine, argv):
    before = everything_below(machine)
    done = osupdate(*argv, "--root", machine)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    assert everything_below(machine) == before


def test_looking_does_not_load_what_it_does_not_need(machine):
    code = (
        "import sys; from updater.cli import main; "
        f"code = main(['status', '--root', {str(machine)!r}]); "
        "heavy = {'pygit2', 'cffi', 'ssl', 'zstandard', 'subprocess'}; "
        "print(sorted(heavy & set(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_reader_that_goes_away_is_no_error():
    read, write = os.pipe()
    os.close(read)
    try:
        done = osupdate("help", "exit-codes", stdout=write)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_output_that_cannot_be_written_is_an_error(machine):
    with open("/dev/full", "w") as full:
        done = osupdate("help", "exit-codes", stdout=full)
        json_ = osupdate("--json", "status", "--root", machine, stdout=full)
    for one in (done, json_):
        assert one.returncode == 7
        assert one.stderr == (
            "osupdate: no space: cannot write the output: No space left on device\n"
            "  (exit 7)\n"
        )


def test_a_terminal_without_utf8_gets_ascii(machine):
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"}
    environment["PYTHONIOENCODING"] = "ascii"
    done = osupdate("config", "--root", machine, env=environment)
    assert done.returncode == 0
    assert done.stdout.isascii()


def test_the_environment_of_git_and_python_does_not_matter(machine):
    environment = {**os.environ, "GIT_DIR": "/nonexistent", "PAGER": "false"}
    done = osupdate("help", "exit-codes", env=environment)
    assert done.returncode == 0
    assert "no space" in done.stdout


@pytest.fixture
def updatable(machine, tmp_path):
    """A machine with two signed releases to go to, nothing applied yet."""
    key, line = make_key(tmp_path)
    repository = tmp_path / "acme.git"
    for number, version in enumerate(("1.0", "2.0"), 1):
        rootfs = make_rootfs(
            tmp_path / version, {"etc/motd": f"{version}\n", "srv": None}
        )
        publish_release(repository, rootfs, version, key, number=number)
    trust = machine / "etc/osupdate/trust"
    trust.mkdir()
    (trust / "release").write_text(line)
    (machine / "etc/osupdate/config.toml").write_text(
        f'[remote]\nurl = "file://{repository}"\nchannel = "releases"\n'
        '[trust]\nmode = "tag"\nproduct = "acme-gw"\n'
    )
    return machine


def motd(machine):
    return (machine / "osupdate/current/etc/motd").read_text()


def test_every_event_and_object_of_an_update_is_of_its_schema(updatable):
    done = osupdate("apply", "1.0", "--yes", "--json", "--root", updatable)
    assert done.returncode == 0, done.stdout
    events = [json.loads(line) for line in done.stdout.splitlines()]
    schema = json.loads((SCHEMAS / "event-1.json").read_text())
    for event in events:
        jsonschema.validate(event, schema)
    assert events[0]["event"] == "stage"
    assert events[-1]["event"] == "result"
    assert events[-1]["outcome"] == "switched"
    assert motd(updatable) == "1.0\n"

    assert osupdate("apply", "--yes", "--root", updatable).returncode == 0
    assert motd(updatable) == "2.0\n"
    for argv, name in [
        (["status"], "status"),
        (["check"], "check"),
        (["diff"], "diff"),
        (["verify"], "verified"),
        (["history"], "history"),
        (["hold", "2.0"], "holds"),
        (["unhold", "2.0"], "holds"),
        (["pin", "2.0"], "pin"),
        (["pin", "--off"], "pin"),
        (["gc", "--dry-run"], "collected"),
        (["doctor"], "doctor"),
        (["revert"], "reverted"),
        (["config"], "config"),
    ]:
        done = osupdate(*argv, "--json", "--root", updatable)
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        value = json.loads(done.stdout)
        assert value["schema"] == f"osupdate.{name}/1"
        jsonschema.validate(value, json.loads((SCHEMAS / f"{name}-1.json").read_text()))
    assert motd(updatable) == "1.0\n"


def test_exit_codes_follow_the_situation(updatable):
    def codes(*argv):
        return osupdate(*argv, "--exit-code", "--root", updatable).returncode

    osupdate("apply", "1.0", "--yes", "--root", updatable)
    assert codes("check") == 100
    assert codes("status") == 100
    assert codes("verify") == 0
    osupdate("hold", "2.0", "--root", updatable)
    assert codes("status") == 102
    osupdate("unhold", "2.0", "--root", updatable)
    assert osupdate("apply", "--no-arm", "--yes", "--root", updatable).returncode == 0
    assert codes("status") == 101
    assert motd(updatable) == "1.0\n"
    assert osupdate("apply", "--yes", "--root", updatable).returncode == 0
    assert codes("check") == 0
    assert codes("status") == 0
    assert codes("diff") == 1
    (updatable / "osupdate/current/etc/motd").write_text("mine\n")
    assert codes("verify") == 1


def test_without_a_terminal_and_without_yes_nothing_is_applied(updatable):
    done = osupdate("apply", "--root", updatable)
    assert (done.returncode, done.stdout) == (3, "")
    assert "osupdate: refused: this needs a yes" in done.stderr
    assert not (updatable / "osupdate/current").exists()
    assert list((updatable / "osupdate/deployments").iterdir()) == []
    assert osupdate("status", "--root", updatable).stdout.startswith("No release is")


def test_the_second_one_is_told_who_is_at_work(updatable):
    lock = updatable / "var/lib/osupdate/lock"
    osupdate("gc", "--root", updatable)
    with lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write('{"command":"apply","pid":4242,"uid":0,"since":1778940131}\n')
        file.flush()
        done = osupdate("apply", "--yes", "--root", updatable)
        assert done.returncode == 5
        assert (
            "another osupdate is at work: apply, process 4242 of root, "
            "since 2026-05-16 14:02 UTC" in done.stderr
        )
        assert osupdate("status", "--root", updatable).returncode == 0
    assert osupdate("apply", "--yes", "--root", updatable).returncode == 0


def test_broken_state_stops_changes_and_is_kept(updatable):
    osupdate("apply", "1.0", "--yes", "--root", updatable)
    state = updatable / "var/lib/osupdate/state.json"
    state.write_text("{")
    done = osupdate("apply", "--yes", "--root", updatable)
    assert done.returncode == 1
    assert f"{state} is broken" in done.stderr
    assert "deployments on disk are untouched" in done.stderr
    assert state.read_text() == "{"
    assert motd(updatable) == "1.0\n"
