"""A state.json that cannot be read: the machine goes back, and takes nothing new."""

import json

import pytest
from support import story as stories
from support import trees


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return stories.tell(tmp_path_factory.mktemp("story"))


@pytest.fixture
def updated(story, tmp_path):
    """Runs 1.1, and 1.0 is kept."""
    machine = stories.machine_of(story, tmp_path / "machine")
    machine.run("apply", "1.0")
    machine.run("apply", "1.1")
    return machine


def cut(text):
    return text[: len(text) // 2]


def changed(**keys):
    return lambda text: json.dumps(json.loads(text) | keys)


def in_record(**keys):
    def change(text):
        state = json.loads(text)
        state["deployments"][0] |= keys
        return json.dumps(state)

    return change


BROKEN = {
    "cut": cut,
    "empty": lambda _: "",
    "zeros": lambda _: "\0" * 400,
    "deep": lambda _: "[" * 100_000,
    "unknown phase": changed(phase="flying"),
    "newer format": changed(format=2),
    "a path as id": in_record(id="../../../../victim"),
    "a path as target": changed(target="../../victim"),
    "a time beyond all years": in_record(staged_at=10**18),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_machine_goes_back_whatever_its_state_says(updated, story, broken):
    path = updated.state_dir / "state.json"
    text = broken(path.read_text())
    path.write_text(text)
    before = updated.everything()
    status = updated.run("status").out
    assert str(path) in status.splitlines()[0]
    assert "1.1" in status
    told = updated.run("status", "--json").json
    assert str(path) in told["trouble"]
    assert told["running"]["version"] == "1.1"
    refused = updated.run("apply", "1.2", code=1)
    assert str(path) in refused.err
    assert updated.everything() == before

    assert "Now 1.0" in updated.run("revert").out
    aside = updated.state_dir / "state.json.broken"
    assert aside.read_text() == text
    assert trees.contents(updated.current.resolve()) == trees.contents(
        story.trees["1.0"]
    )
    assert str(aside) in updated.run("history").out
    assert updated.run("status", "--json").json["trouble"] is None


def test_nothing_new_is_taken_until_somebody_looked_at_what_was_broken(updated):
    (updated.state_dir / "state.json").write_text("{")
    updated.run("revert", "--no-hold")
    aside = updated.state_dir / "state.json.broken"
    before = updated.everything()
    refused = updated.run("apply", "1.2", code=1)
    assert str(aside) in refused.err
    assert "floors, holds and pin are not known" in refused.err
    assert updated.everything() == before
    assert str(aside) in updated.run("doctor", code=1).out
    updated.run("revert", "1.1", "--no-hold")  # never in the way of going back
    aside.unlink()
    updated.run("apply", "1.2")
    assert updated.running == "1.2"


def test_a_second_break_does_not_lose_what_the_first_left(updated):
    path = updated.state_dir / "state.json"
    path.write_text("first")
    updated.run("revert", "--no-hold")
    path.write_text("second")
    updated.run("revert", "1.1", "--no-hold")
    kept = [p.read_text() for p in sorted(updated.state_dir.glob("state.json.broken*"))]
    assert kept == ["first", "second"]
