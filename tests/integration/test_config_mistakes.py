"""A mistake in the configuration, and the commands that people need in trouble."""

import shutil

import pytest
from support import story as stories


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    return stories.tell(tmp_path_factory.mktemp("story"))


@pytest.fixture(params=["osupdate", "elsewhere"])
def updated(story, tmp_path, request):
    """Runs 1.1, and 1.0 is kept; deployments are where the default says, or not."""
    path = f"/{request.param}"
    machine = stories.machine_of(story, tmp_path / "machine", deploy={"path": path})
    machine.deploy = request.param
    machine.run("apply", "1.0")
    machine.run("apply", "1.1", "--allow-downgrade")
    return machine


def break_(machine, text):
    (machine.etc / "config.toml").write_text(text)


BROKEN = [
    "[deploy\n",
    "[deploy]\npath = 'elsewhere'\n",
    "[deploy]\npaht = '/elsewhere'\n",
    "[delpoy]\npath = '/elsewhere'\n",
    "[DEPLOY]\npath = '/elsewhere'\n",
    "[deploy]\npath = '/{}'\n[boot]\nloader = 'gurb'\n",
    "[deploy]\npath = '/{}'\nmode = 'chekout'\nkeep = 'two'\n",
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_machine_goes_back_whatever_the_configuration_says(updated, story, text):
    break_(updated, text.format(updated.deploy))
    shutil.move(story.repo, f"{story.repo}.aside")
    try:
        status = updated.run("status", "--json").json
        assert status["running"]["version"] == "1.1"
        assert "osupdate: warning: " in updated.run("status").err
        assert "Now 1.0" in updated.run("revert").out
        assert "1.1 is healthy" in updated.run("history").out
        updated.run("gc")
        updated.run("verify", "--exit-code")
    finally:
        shutil.move(f"{story.repo}.aside", story.repo)
    assert updated.running == "1.0"
    assert not (updated.root / "osupdate").exists() or updated.deploy == "osupdate"
    for verb in ("check", "apply", "config"):
        assert updated.run(verb, code=2).out == ""


def test_nobody_guesses_where_deployments_are(updated):
    (updated.state_dir / "public/place").unlink()
    break_(updated, "[deploy]\npath = 'elsewhere'\n")
    before = updated.everything()
    for argv in (["status"], ["revert"], ["gc"], ["verify"]):
        refused = updated.run(*argv, code=2)
        assert "config.toml:2: deploy.path: expected an absolute path" in refused.err
        assert "nobody can tell where deployments are" in refused.err
    assert updated.everything() == before


def test_where_a_newer_version_put_deployments_is_not_guessed_at(updated):
    place = updated.state_dir / "public/place"
    place.write_text('{"mode":"partition","path":"/x","loader":"grub"}\n')
    break_(updated, "[boot]\nloader = 'grub'\n")
    before = updated.everything()
    assert "boot.loader" in updated.run("revert", code=2).err
    assert updated.everything() == before


@pytest.mark.parametrize("key", ["keep = 'five'", "persistent = '/data'"])
def test_gc_removes_no_deployment_that_a_mistake_may_have_kept(updated, key):
    updated.configure(deploy={"keep": 5})
    updated.run("apply", "1.2")
    assert updated.versions == ["1.0", "1.1", "1.2"]
    break_(updated, f"[deploy]\npath = '/{updated.deploy}'\n{key}\n")
    (updated.state_dir / "left.tmp").write_text("left")
    done = updated.run("gc")
    assert "Nothing to remove" in done.out
    assert "no deployment is removed: [deploy] has mistakes" in done.out
    assert updated.versions == ["1.0", "1.1", "1.2"]
    assert not (updated.state_dir / "left.tmp").exists()
    break_(updated, f"[deploy]\npath = '/{updated.deploy}'\nkeep = 2\n")
    updated.run("gc")
    assert updated.versions == ["1.1", "1.2"]


@pytest.mark.parametrize(
    "mistake", [{"trust": {"mode": "none"}}, {"remote": {"url": 1}}]
)
def test_repair_from_the_remote_needs_to_know_whom_to_trust(updated, mistake):
    good = {name: dict(keys) for name, keys in updated.tables.items()}
    hello = updated.current / "usr/bin/hello"
    hello.write_text("evil")
    updated.configure(**mistake)
    refused = updated.run("verify", "--repair", code=2)
    assert f"{next(iter(mistake))}." in refused.err.split("osupdate: configuration")[1]
    assert hello.read_text() == "evil"
    updated.configure(**good, reboot={"users": 3})
    updated.run("verify", "--repair")
    assert "echo 2" in hello.read_text()


def test_repair_needs_to_know_what_is_data_and_not_the_release_s(updated):
    hello = updated.current / "usr/bin/hello"
    hello.write_text("mine")
    updated.configure(deploy={"persistent": "/usr/bin"})
    before = updated.everything()
    refused = updated.run("verify", "--repair", code=2)
    assert "deploy.persistent: " in refused.err.split("osupdate: configuration")[1]
    assert updated.everything() == before
    assert "/usr/bin/hello" in updated.run("verify").out
