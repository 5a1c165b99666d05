"""state.json: durable, and kind to newer versions."""

import json
import os

import pytest

from updater.errors import HostError
from updater.model import DeploymentId, Hold, ObjectId, Phase, Record, State
from updater.system.store import Store

COMMIT = ObjectId("4be1a90" + "0" * 33)


def record(name):
    return Record(
        id=DeploymentId(name),
        commit=COMMIT,
        version="2026.05.1",
        number=42,
        tag=None,
        created=1778900000,
        staged_at=1778940131,
        size=1103456789,
        headline="OpenSSH fix",
        signed=True,
    )


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "state.json")


def test_absent_file_is_first_contact(path):
    assert Store(path).load() == State()
    assert not os.path.exists(path)


def test_what_was_saved_is_loaded(path):
    state = State(
        phase=Phase.STAGED,
        deployments=(record("41-91c0f3d.1"), record("42-4be1a90.1")),
        target=DeploymentId("42-4be1a90.1"),
        holds=(Hold("2026.04.3", COMMIT, 40, "nginx 502s", 1778940131),),
    )
    Store(path).save(state)
    assert Store(path).load() == state


def test_keys_of_a_newer_version_are_written_back_at_every_level(path):
    store = Store(path)
    store.save(State(deployments=(record("1-aaaaaaa.0"), record("2-bbbbbbb.0"))))
    with open(path) as file:
        raw = json.load(file)
    raw["lease"] = {"until": 5}
    raw["deployments"][1]["slot"] = "b"
    with open(path, "w") as file:
        json.dump(raw, file)

    store = Store(path)
    loaded = store.load()
    store.save(State(deployments=(loaded.deployments[1], record("3-ccccccc.0"))))
    with open(path) as file:
        after = json.load(file)
    assert after["lease"] == {"until": 5}
    assert [item.get("slot") for item in after["deployments"]] == ["b", None]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is broken: "),
        ("{", "is broken: "),
        ("[]", "is broken: Expected `object`, got `array`"),
        ('{"format": 1, "deployments": 3}', "$.deployments"),
        ('{"format": 2}', "says format 2, which this osupdate does not know"),
        ('{"format": 1, "phase": "flying"}', "says phase flying, which this osupdate"),
    ],
)
def test_broken_or_newer_file_is_said_to_be_so_and_kept(path, text, says):
    with open(path, "w") as file:
        file.write(text)
    with pytest.raises(HostError) as caught:
        Store(path).load()
    assert path in str(caught.value)
    assert says in str(caught.value)
    assert "deployments on disk are untouched" in caught.value.hint
    with open(path) as file:
        assert file.read() == text


def test_save_replaces_the_file_and_leaves_no_other(path):
    store = Store(path)
    store.save(State())
    before = os.stat(path).st_ino
    store.save(State(pin="2026.05.1"))
    assert os.stat(path).st_ino != before
    assert os.listdir(os.path.dirname(path)) == ["state.json"]


def test_a_file_that_is_not_utf8_is_said_to_be_broken(path):
    with open(path, "wb") as file:
        file.write(b'{"pin": "\xff"}')
    with pytest.raises(HostError, match="is broken: "):
        Store(path).load()
