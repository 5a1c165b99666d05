"""`osupdate diff` on a machine: names, views, what is not here, and who may see it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
from support import story
from support.factory import make_rootfs, publish_release
from support.machine import Machine

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/json/diff-1.json").read_text())


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    return story.tell(tmp_path_factory.mktemp("story"))


@pytest.fixture
def machine(told, tmp_path):
    """1.0 is there, 1.1 runs, 1.2 is staged."""
    found = story.machine_of(told, tmp_path / "machine", deploy={"keep": 5})
    found.run("apply", "1.0")
    found.run("apply", "1.1")
    found.run("apply", "1.2", "--no-arm")
    return found


def ends(machine, *argv):
    found = machine.run("diff", "--json", *argv).json
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    before = found["from"] and found["from"]["version"]
    return before, found["to"]["version"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ("1.1", "1.2")),
        (["staged"], ("1.1", "1.2")),
        (["running..staged"], ("1.1", "1.2")),
        (["previous..running"], ("1.0", "1.1")),
        (["1.0..1.2"], ("1.0", "1.2")),
        (["1.2..1.0"], ("1.2", "1.0")),
        (["number:1..number:3"], ("1.0", "1.2")),
        (["release/1.0..release/1.1"], ("1.0", "1.1")),
        (["1.0"], ("1.1", "1.0")),
        (["..1.2"], ("1.1", "1.2")),
        (["1.0..1.2", "/etc"], ("1.0", "1.2")),
    ],
    ids=" ".join,
)
def test_a_release_may_be_called_by_any_of_its_names(machine, words, expected):
    assert ends(machine, *words) == expected


def test_a_release_may_be_called_by_its_commit(machine, told):
    commits = told.commits
    asked = f"{commits['1.0'][:7]}..{commits['1.2']}"
    assert ends(machine, asked) == ("1.0", "1.2")


def test_what_was_downloaded_is_offered(told, tmp_path):
    machine = story.machine_of(told, tmp_path / "machine")
    machine.run("apply", "1.0")
    machine.run("apply", "--download-only")
    for words in ([], ["offered"], ["available"], ["1.0..offered"]):
        assert ends(machine, *words) == ("1.0", "1.2")


def test_what_was_not_downloaded_cannot_be_compared_and_says_so(told, tmp_path):
    machine = story.machine_of(told, tmp_path / "machine")
    machine.run("apply", "1.0")
    machine.run("check")
    before = machine.everything()
    done = machine.run("diff", "offered", code=2)
    assert "not downloaded yet" in done.err
    assert "no release" in machine.run("diff", "9.9", code=2).err
    assert "no release" in machine.run("diff", "abcdef0..1.0", code=2).err
    assert machine.everything() == before


def test_options_may_stand_between_names_and_paths(machine):
    expected = machine.run("diff", "--files", "1.0..1.1", "/etc").out
    assert "/etc/motd" in expected
    assert "/usr" not in expected.partition("/etc/motd")[2]
    assert machine.run("diff", "1.0..1.1", "--files", "/etc").out == expected
    assert machine.run("diff", "1.0..1.1", "/etc", "--files").out == expected


@pytest.mark.parametrize("view", ["packages", "files", "changelogs", "unexplained"])
def test_every_view_is_text(machine, view):
    assert machine.run("diff", f"--{view}").out.startswith("1.1 (")
    assert "view of text" in machine.run("diff", f"--{view}", "--json", code=2).out


def test_the_exit_code_says_whether_something_differs(machine):
    machine.run("diff", "--exit-code", code=1)
    machine.run("diff", "1.0..1.0", "--exit-code")
    machine.run("diff", "--local", "--exit-code")


def test_a_patch_brings_one_release_to_the_next(machine, told, tmp_path):
    target = tmp_path / "tree"
    first = machine.state["deployments"][0]["id"]
    shutil.copytree(machine.deployments / first, target, symlinks=True)
    done = machine.finish("diff", "1.0..1.1", "--patch", "/usr", "/etc")
    applied = subprocess.run(
        ["git", "apply", "-"],
        cwd=target,
        input=done.out,
        text=True,
        capture_output=True,
        check=False,
    )
    assert applied.returncode == 0, applied.stderr + done.out
    for name in (*story.SECOND, *story.FIRST):
        new = told.trees["1.1"] / name
        if new.is_file() and not name.startswith("var"):
            assert (target / name).read_bytes() == new.read_bytes(), name


def test_what_a_person_changed_is_local(machine):
    root = machine.current
    os.chmod(root / "usr/bin/hello", 0o700)
    (root / "etc/motd").write_text("ours\n")
    (root / "etc/extra/deep").mkdir(parents=True)
    (root / "etc/extra/deep/file").write_text("extra\n")
    (root / "usr/share/doc/new").unlink()
    (root / "usr/lib/libm.so.6").unlink()
    (root / "usr/lib/libm.so.6").symlink_to("elsewhere")
    before = machine.everything()
    found = machine.run("diff", "--local", "--json").json
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    changes = {row["path"]: row["change"] for row in found["files"]["changes"]}
    assert changes == {
        "/etc/extra/deep/file": "added",
        "/etc/motd": "modified",
        "/usr/bin/hello": "metadata",
        "/usr/lib/libm.so.6": "modified",
        "/usr/share/doc/new": "removed",
    }
    assert found["to"]["name"] == "this machine"
    patch = machine.finish("diff", "--local", "--patch", "/etc/motd").out
    assert patch.endswith("@@ -1 +1 @@\n-hello again\n+ours\n")
    assert machine.everything() == before


def test_local_takes_one_release(machine):
    assert "one release" in machine.run("diff", "--local", "1.0..1.1", code=2).err
    machine.run("diff", "--local", "1.0")


def test_configuration_that_is_changed_on_both_sides_is_attention(told, tmp_path):
    machine = story.machine_of(told, tmp_path / "machine")
    machine.run("apply", "1.0")
    (machine.current / "etc/motd").write_text("ours\n")
    machine.run("apply", "1.1", "--no-arm")
    found = machine.run("diff", "--json").json
    [row] = [row for row in found["config"] if row["path"] == "/etc/motd"]
    assert row["locally_modified"] is True
    assert [(a["kind"], a["path"]) for a in found["attention"]] == [
        ("conffile", "/etc/motd")
    ]
    assert "! conffile" in machine.run("status").out


def test_unrelated_releases_are_compared(told, tmp_path):
    other = publish_release(
        told.repo.parent / "other.git",
        make_rootfs(tmp_path / "other", {"opt/x": "1", "usr/bin/hello": "2"}),
        "7.0",
        told.key,
        number=70,
    )
    machine = story.machine_of(told, tmp_path / "machine", deploy={"keep": 5})
    machine.run("apply", "1.0")
    machine.configure(remote={"url": f"file://{told.repo.parent / 'other.git'}"})
    machine.run("apply", "7.0")
    found = machine.run("diff", f"1.0..{other}", "--json").json
    changes = {row["path"]: row["change"] for row in found["files"]["changes"]}
    assert changes["/opt/x"] == "added"
    assert changes["/etc/motd"] == "removed"
    assert changes["/usr/bin/hello"] == "modified"


def test_content_that_is_lost_costs_its_section_only(machine):
    """The release is known by its trees, its files are gone from this machine."""
    state = machine.state
    lost = machine.deployments / state["deployments"][0]["id"]
    shutil.rmtree(lost)
    found = machine.run("diff", "1.0..1.1", "--json").json
    changes = {row["path"]: row["change"] for row in found["files"]["changes"]}
    assert changes["/usr/bin/hello"] == "modified"
    patch = machine.finish("diff", "1.0..1.1", "--patch", "/usr/bin/hello").out
    assert patch == (
        "# /usr/bin/hello: the content of /usr/bin/hello is not on this machine\n"
    )


def test_the_report_that_everybody_may_read_has_nothing_secret(tmp_path, told):
    first = {
        **story.FIRST,
        "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
        "etc/shadow": ("root:*:1::::::\n", 0o640),
    }
    root = make_rootfs(tmp_path / "rootfs", first)
    repo = tmp_path / "repo.git"
    publish_release(repo, root, "1", told.key)
    make_rootfs(root, {"etc/shadow": ("root:$6$x$tellnobody:1::::::\n", 0o640)})
    publish_release(repo, root, "2", told.key, allow_secrets=("/etc/shadow",))
    machine = Machine(tmp_path / "machine", repo, signers=told.signers)
    machine.run("apply", "1")
    machine.run("apply", "2")
    [path] = (machine.state_dir / "public/diff").glob("*.json")
    public = path.read_text()
    whole = machine.run("diff", "1..2", "--json").json
    [change] = [c for c in whole["files"]["changes"] if c["path"] == "/etc/shadow"]
    assert change["new"]["id"] not in public
    assert "has a password" in json.dumps(whole)
    assert "password" not in public
    assert path.stat().st_mode & 0o777 == 0o644
