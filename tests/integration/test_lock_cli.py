"""The lock's verbs on the command line, against a service."""

import json
import re
import threading
from pathlib import Path

import jsonschema
import pytest
from support.certificates import Authority
from support.fake_fleetlock import FakeAirlock, FakePoseidon
from support.lock_service import LockService

from updater.cli import main

SCHEMAS = Path(__file__).parents[2] / "docs/json"
MACHINE_ID = "1c09ca98649c4c7abc779cd04c96812e"


@pytest.fixture
def service(tmp_path):
    with LockService(tmp_path / "service") as running:
        yield running


@pytest.fixture
def machine(tmp_path):
    root = tmp_path / "root"
    (root / "etc/osupdate").mkdir(parents=True)
    (root / "etc/machine-id").write_text(MACHINE_ID)
    return root


@pytest.fixture
def lock(machine, service, capsys):
    """Runs `osupdate lock ...` on the machine: (exit code, stdout, stderr)."""

    def run(*argv, url=None):
        path = machine / "etc/osupdate/config.toml"
        path.write_text(f'[lock]\nurl = "{url or service.url}"\n')
        code = main(["lock", *argv, "--root", str(machine)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def valid(text, name):
    value = json.loads(text)
    jsonschema.validate(value, json.loads((SCHEMAS / f"{name}-1.json").read_text()))
    return value


def test_a_machine_takes_and_gives_back_its_lock(lock, service):
    code, out, _ = lock("acquire", "--reason", "kernel")
    assert (code, out.splitlines()[0]) == (
        0,
        "Granted: this node holds the lock of default",
    )
    code, out, _ = lock("acquire", "--id", "other")
    assert code == 6
    assert out.splitlines()[1].startswith("Place 1 of 1 in default, expected in ")
    code, out, _ = lock("release")
    assert (code, out) == (
        0,
        "Released: this node does not hold the lock of default\n",
    )
    assert service.log()[-1][0] == "released"
    assert MACHINE_ID not in json.dumps(service.log())


def test_status_says_who_why_and_what_to_do(lock, service):
    service.lock("49d77c9c02aa4d3e", Osupdate_Name="web3", Osupdate_Target="2.0")
    lock("acquire", "--reason", "kernel")
    code, out, _ = lock("status")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "Group default: 1 of 1 slot held, 1 waiting"
    assert re.match(r"web3 49d77c9c02aa +\d\d:\d\d:\d\d \(\ds\) +granted", lines[4])
    assert "-> 2.0" in lines[4]
    assert re.match(r"1 \S+ 3b9e689dc22b \(you\) +\d\d:\d\d:\d\d", lines[6])
    assert (
        "Stuck? osupdate lock release 49d77c9c02aa4d3e --group default --reason TEXT"
        in lines
    )


def test_what_a_node_says_does_not_reach_the_terminal_as_it_is(lock, service):
    service.lock("a", Osupdate_Name="%1B%5D0;x%07", Osupdate_Why="%E2%80%AEevil%0Aline")
    for verb in ("status", "log"):
        _, out, _ = lock(verb)
        assert "\x1b" not in out
        assert "\u202e" not in out
        assert "\nline" not in out
        assert "\\u202eevil\\nline" in out


@pytest.mark.parametrize("wanted", ["web3", "49d77c9c02aa4d3e", "49d7"])
def test_a_person_takes_a_lock_away_with_a_reason(lock, service, wanted):
    service.lock("49d77c9c02aa4d3e", Osupdate_Name="web3")
    code, _, err = lock("release", wanted)
    assert code == 2
    assert "needs --reason TEXT" in err
    assert service.log()[-1][0] == "granted"
    code, out, _ = lock("release", wanted, "--reason", "disk died")
    assert (code, out) == (
        0,
        "Released: 49d77c9c02aa4d3e in default (it held the lock)\n",
    )
    assert service.log()[-1] == ("forced", "49d77c9c02aa4d3e")


def test_a_name_that_several_nodes_have_takes_nothing_away(lock, service):
    for node in ("a" * 8, "b" * 8):
        service.lock(node, Osupdate_Name="web")
    before = service.log()
    code, _, err = lock("release", "web", "--reason", "x")
    assert code == 2
    assert "may be any of aaaaaaaa in default, bbbbbbbb in default" in err
    assert service.log() == before


def test_slots_and_drain_change_a_group_and_are_in_the_log(lock, service):
    assert lock("slots", "web", "2", "--reason", "hurry")[:2] == (
        0,
        "web has 2 slots\n",
    )
    code, out, _ = lock("drain", "web", "--reason", "freeze")
    assert (code, out) == (0, "web grants nothing more (0 nodes may still be down)\n")
    code, out, _ = lock("acquire", "--group", "web")
    assert code == 6
    assert out.startswith("Not granted: no reboots in this group: freeze")
    assert lock("drain", "web", "--off", "--reason", "over")[1] == "web grants again\n"
    _, out, _ = lock("log")
    assert [line.split()[2] for line in out.splitlines()[1:]] == [
        *("slots", "drained", "waiting", "resumed")
    ]
    assert "1 -> 2 slots: hurry" in out


def test_proof_is_asked_for_and_given(lock, service):
    node = "3b9e689dc22b65634b3da07917bdeada"
    service.lock(node, Osupdate_Target="2.0")
    code, out, _ = lock("release")
    assert code == 3
    assert out.startswith("Not released: 2.0 was announced")
    code, _, err = lock("release", "--booted", "2.0")
    assert (code, "go together" in err) == (2, True)
    assert lock("release", "--booted", "2.0", "--verdict", "good")[0] == 0


def test_it_waits_as_often_as_it_is_told_until_it_is_granted(lock, service):
    service.lock("other")
    timer = threading.Timer(0.5, service.unlock, ["other"])
    timer.start()
    code, out, err = lock("acquire", "--wait", "2s")
    timer.join()
    # Retry-After is minutes: the last try is when the time is up.
    assert code == 0
    assert out.startswith("Granted")
    assert "asking again in 2s" in err


def test_json_is_what_the_schemas_say(lock, service):
    assert valid(lock("acquire", "--json")[1], "lock-answer")["answer"] == "granted"
    code, out, _ = lock("acquire", "--json", "--id", "b")
    assert (code, valid(out, "lock-answer")["answer"]) == (6, "wait")
    code, out, _ = lock("acquire", "--json", "--group", "nope")
    assert (code, valid(out, "lock-answer")["answer"]) == (3, "refused")
    code, out, _ = lock("acquire", "--json", url="http://127.0.0.1:1")
    assert (code, valid(out, "lock-answer")["answer"]) == (4, "unreachable")
    value = valid(lock("status", "--json")[1], "lock")
    assert [group["name"] for group in value["groups"]] == ["default"]
    valid(lock("log", "--json", "-n", "1")[1], "lock-log")
    valid(lock("slots", "web", "1", "--reason", "x", "--json")[1], "lock-change")
    valid(lock("drain", "web", "--reason", "x", "--json")[1], "lock-change")
    valid(lock("release", "b", "--reason", "x", "--json")[1], "lock-change")
    value = valid(lock("status", "--json", "--group", "web")[1], "lock")
    assert [group["name"] for group in value["groups"]] == ["web"]
    code, out, _ = lock("status", "--json", url="http://127.0.0.1:1")
    assert (code, valid(out, "error")["code"]) == (4, "network")


def test_another_server_grants_and_tells_nothing(lock):
    with FakeAirlock() as airlock:
        assert lock("acquire", "--group", "web", url=airlock.url)[0] == 0
        code, out, _ = lock("acquire", "--group", "web", "--id", "b", url=airlock.url)
        assert (code, out.startswith("Not granted")) == (6, True)
        code, _, err = lock("status", url=airlock.url)
        assert code != 0
        assert "Traceback" not in err
    with FakePoseidon() as poseidon:
        assert lock("acquire", "--group", "web", url=poseidon.url)[0] == 0
        code, out, _ = lock("release", "--group", "web", "--id", "b", url=poseidon.url)
        assert (code, out.startswith("Not released")) == (6, True)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["acquire", "--wait", "soon"], '"soon" is not a duration'),
        (["slots", "web", "many", "--reason", "x"], "invalid"),
        (["slots", "web", "-1", "--reason", "x"], "N"),
        (["drain", "web"], "--reason"),
        (["release", "--reason", "x"], "another NODE"),
        (["status", "--group", "nope"], 'no group "nope"'),
        (["status", "--offline"], "--offline forbids"),
        (["log", "-n", "0"], "invalid"),
        (["nonsense"], "nonsense"),
        ([], "COMMAND"),
    ],
)
def test_a_mistake_on_the_command_line_is_a_sentence(lock, argv, sentence):
    code, out, err = lock(*argv)
    assert (code, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err


def test_without_a_service_it_says_how_to_name_one(machine, capsys):
    code = main(["lock", "status", "--root", str(machine)])
    assert code == 2
    assert "[lock] url is not set" in capsys.readouterr().err


def test_certificates_come_from_the_configuration(tmp_path, machine, capsys):
    authority = Authority(tmp_path / "ca")
    server = authority.issue("server")
    config = (
        f'[tls]\ncert = "{server}"\nkey = "{server}"\nclient_ca = "{authority.path}"\n'
        '[auth]\nnodes = "certificate"\n'
    )
    path = machine / "etc/osupdate/config.toml"
    with LockService(tmp_path / "service", config) as service:
        path.write_text(
            f'[node]\nid = "web1"\n[lock]\nurl = "{service.url}"\n'
            f'ca = "{authority.path}"\ncert = "{authority.issue("web1")}"\n'
        )
        assert main(["lock", "acquire", "--root", str(machine)]) == 0
        drain = ["lock", "drain", "--reason", "x", "--root", str(machine)]
        assert main(drain) == 3
        assert "administrator" in capsys.readouterr().err
        assert service.holders() == ["web1"]
