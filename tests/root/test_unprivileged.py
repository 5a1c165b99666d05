"""What people without privileges may ask, where only root may look at what runs."""

import pytest
from support import story

pytestmark = pytest.mark.root


@pytest.fixture
def machine(tmp_path):
    found = story.machine_of(story.tell(tmp_path), tmp_path / "machine")
    for version in ("1.0", "1.1"):
        found.run("apply", version)
    for path in (tmp_path, *tmp_path.parents):
        if path.name.startswith(("pytest", "test_")):
            path.chmod(0o755)
    found.prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    return found


@pytest.mark.parametrize("argv", [["log"], ["notes"], ["notes", "1.0"], ["history"]])
def test_everybody_may_ask_what_releases_say(machine, argv):
    told = machine.finish(*argv).out
    machine.prefix = []
    assert told
    assert told == machine.finish(*argv).out


def test_everybody_may_ask_when(machine):
    assert "no package curl" in machine.finish("when", "curl", code=1).out


def test_blame_tells_everybody_which_release_changed_a_path(machine):
    done = machine.finish("blame", "/etc/motd")
    assert "only root may look" in done.out
    assert " changed   1.1 " in done.out
    found = machine.finish("blame", "/etc/motd", "--json").json
    assert (found["state"], found["complete_look"]) == ("unknown", False)


@pytest.mark.parametrize(
    ("argv", "code", "reason"),
    [
        (["restore", "/etc/motd"], 1, "Permission denied"),
        (["patch"], 3, "only root may look"),
    ],
)
def test_what_needs_the_files_is_refused_in_a_sentence(machine, argv, code, reason):
    before = machine.everything()
    done = machine.finish(*argv, code=code)
    assert reason in done.err
    assert "mistake in osupdate" not in done.err
    assert machine.everything() == before
