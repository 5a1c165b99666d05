"""`publish` and words: notes that say something, a draft of them, provenance."""

import json
import subprocess

import pytest
from support import trees
from support.factory import PRODUCT, make_key, make_rootfs, publish_release
from support.releases import HOSTILE, assert_tame

from updater.cli import main
from updater.publish.notes import FILL_IN

STATUS = "Package: {0}\nStatus: install ok installed\nVersion: {1}\nArchitecture: all\n"
FILES = {
    "etc/motd": "hello\n",
    "usr/bin/x": ("x", 0o755),
    "var/lib/dpkg/status": STATUS.format("curl", "7.88-1"),
}


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A repository with one release, the rootfs of the next, and a key."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    key, _ = make_key(tmp_path)
    rootfs = make_rootfs(tmp_path / "rootfs", FILES)
    publish_release(tmp_path / "repo.git", rootfs, "1.0", key)
    make_rootfs(
        rootfs,
        {
            "etc/motd": "hello again\n",
            "var/lib/dpkg/status": STATUS.format("curl", "8.1-1"),
        },
    )
    return tmp_path


def publish(tmp_path, *argv):
    command = ["publish", tmp_path / "rootfs", "--repo", tmp_path / "repo.git"]
    command += ["--product", PRODUCT, "--version", "1.1", "--arch", "amd64", *argv]
    return main([str(word) for word in command])


def everything(tmp_path):
    return trees.everything(tmp_path / "repo.git")


def test_a_draft_is_printed_and_nothing_is_published(published, capsys):
    before = everything(published)
    assert publish(published, "--draft-notes") == 0
    out = capsys.readouterr().out
    lines = out.split("\n")
    assert lines[0] == "curl 8.1-1"
    for topic in ("Why now: ", "You may notice: ", "Known issues: "):
        assert any(line.startswith(topic + FILL_IN) for line in lines)
    assert "- curl 7.88-1 -> 8.1-1" in lines
    assert "- `/etc/motd`" in lines
    assert everything(published) == before


def test_a_draft_of_the_first_release_makes_no_repository(tmp_path, capsys):
    make_rootfs(tmp_path / "rootfs", FILES)
    assert publish(tmp_path, "--draft-notes") == 0
    assert capsys.readouterr().out.startswith(f"First release of {PRODUCT}\n")
    assert not (tmp_path / "repo.git").exists()


def test_a_draft_that_is_filled_in_is_published(published, capsys):
    publish(published, "--draft-notes")
    notes = published / "notes.md"
    notes.write_text(capsys.readouterr().out)
    key = published / "release.key"
    before = everything(published)
    assert publish(published, "--notes", notes, "--key", key) == 3
    assert "not filled in yet" in capsys.readouterr().err
    assert everything(published) == before
    lines = notes.read_text().split("\n")
    notes.write_text("\n".join(line.partition(FILL_IN)[0] for line in lines))
    assert publish(published, "--notes", notes, "--key", key) == 0


def test_a_draft_from_a_tar_on_stdin(published, capsys, monkeypatch):
    tar = subprocess.run(
        ["tar", "-C", published / "rootfs", "-c", "."], check=True, capture_output=True
    )
    archive = published / "rootfs.tar"
    archive.write_bytes(tar.stdout)
    command = ["publish", archive, "--repo", published / "repo.git", "--product"]
    command += [PRODUCT, "--version", "1.1", "--arch", "amd64", "--draft-notes"]
    assert main([str(word) for word in command]) == 0
    assert "- curl 7.88-1 -> 8.1-1" in capsys.readouterr().out


def test_a_draft_tames_what_packages_are_called(published, capsys):
    evil = HOSTILE.replace("\n", "").replace("\r", "")
    text = STATUS.format("evil", "1") + f"Source: {evil}`<script>[x](y)\n"
    status = published / "rootfs/var/lib/dpkg/status"
    status.write_bytes(text.encode("utf-8", "surrogatepass"))
    publish(published, "--draft-notes")
    out = capsys.readouterr().out
    assert_tame(out)
    assert "<script>" not in out.replace("\\<", "")


@pytest.mark.parametrize("headline", ["Release", "update", "1.1", f"{PRODUCT} 1.1"])
def test_a_release_that_says_nothing_is_refused(published, capsys, headline):
    notes = published / "notes.md"
    notes.write_text(f"{headline}\n\nmore\n")
    before = everything(published)
    key = published / "release.key"
    assert publish(published, "--notes", notes, "--key", key) == 3
    err = capsys.readouterr().err
    assert f'the headline of the release notes is "{headline}"; expected what' in err
    assert everything(published) == before


def test_a_release_without_notes_is_refused(published, capsys):
    before = everything(published)
    assert publish(published, "--unsigned") == 2
    assert "a release needs notes: --notes FILE" in capsys.readouterr().err
    assert everything(published) == before


def provenance(published, table, *argv):
    file = published / "provenance.json"
    file.write_text(json.dumps(table))
    notes = published / "notes.md"
    notes.write_text("Curl 8 and a greeting\n")
    key = published / "release.key"
    return publish(
        published, "--provenance", file, "--notes", notes, "--key", key, *argv
    )


def show(tmp_path, path):
    return subprocess.run(
        ["git", "-C", tmp_path / "repo.git", "show", f"releases:{path}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_provenance_is_in_the_release_one_path_a_line(published):
    assert provenance(published, {"/usr/bin": "src/", "/etc/motd": "overlay/motd"}) == 0
    assert show(published, "usr/lib/osupdate/provenance.json") == (
        '{\n"/etc/motd": "overlay/motd",\n"/usr/bin": "src/"\n}\n'
    )


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"/etc/nothing": "x"}, "1 path of it are not in the release"),
        ({"/etc/motd": "../x"}, "expected a path in the recipe"),
        (["/etc/motd"], "expected an object"),
    ],
)
def test_wrong_provenance_is_refused_and_nothing_is_published(
    published, capsys, table, reason
):
    before = everything(published)
    assert provenance(published, table) == 3
    assert reason in capsys.readouterr().err
    assert everything(published) == before


def test_provenance_that_the_rootfs_brings_is_checked_as_well(published, capsys):
    inside = published / "rootfs/usr/lib/osupdate"
    inside.mkdir(parents=True)
    (inside / "provenance.json").write_text('{"/etc/gone": "x"}')
    key, notes = published / "release.key", published / "notes.md"
    notes.write_text("Curl 8 and a greeting\n")
    assert publish(published, "--notes", notes, "--key", key) == 3
    (inside / "provenance.json").write_text('{"/etc/motd":   "x"}')
    assert publish(published, "--notes", notes, "--key", key) == 0
    text = '{\n"/etc/motd": "x"\n}\n'
    assert show(published, "usr/lib/osupdate/provenance.json") == text
    capsys.readouterr()
    assert publish(published, "--notes", notes, "--key", key) == 0
    assert "Nothing to publish" in capsys.readouterr().out
