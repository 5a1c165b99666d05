"""The directory: replaced page by page, and nothing of anybody else's."""

import fcntl
import os
from pathlib import Path

import msgspec
import pytest

from updater.errors import BusyError, HostError, NoSpaceError, RefusedError
from updater.site import output
from updater.site.output import MARKER, Page, Written

INDEX, RELEASE = "index.html", "releases/1.html"


def page(path, text, digest=None):
    return Page(path, digest or f"digest of {text}", text.encode)


def tree(directory):
    found = {}
    for place, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(place, name)
            found[os.path.relpath(path, directory)] = Path(path).read_bytes()
    return found


@pytest.fixture
def out(tmp_path):
    return str(tmp_path / "www/site")


def test_pages_are_written_once_and_then_kept(out):
    pages = [page(RELEASE, "one"), page(INDEX, "two")]
    assert output.write(out, pages) == Written(2, 0, 0)
    before = tree(out)
    assert before[RELEASE] == b"one"
    assert os.stat(os.path.join(out, INDEX)).st_mode & 0o777 == 0o644
    seconds = os.stat(os.path.join(out, MARKER)).st_mtime_ns
    assert output.write(out, pages) == Written(0, 2, 0)
    assert tree(out) == before
    assert os.stat(os.path.join(out, MARKER)).st_mtime_ns == seconds


def test_a_page_that_is_made_from_something_else_is_made_again(out):
    output.write(out, [page(RELEASE, "one"), page(INDEX, "two")])
    made = output.write(out, [page(RELEASE, "one"), page(INDEX, "three")])
    assert made == Written(1, 1, 0)
    assert tree(out)[INDEX] == b"three"


def test_a_page_that_somebody_deleted_is_made_again(out):
    pages = [page(INDEX, "one")]
    output.write(out, pages)
    os.unlink(os.path.join(out, INDEX))
    assert output.write(out, pages) == Written(1, 0, 0)


def test_a_page_of_a_release_that_is_gone_goes_too(out):
    output.write(out, [page(RELEASE, "one"), page(INDEX, "two")])
    assert output.write(out, [page(INDEX, "two")]) == Written(0, 1, 1)
    assert set(tree(out)) == {INDEX, MARKER}
    assert output.write(out, [page(INDEX, "two")]) == Written(0, 1, 0)


def test_a_directory_with_something_else_is_refused_untouched(out):
    os.makedirs(out)
    Path(out, INDEX).write_text("mine")
    with pytest.raises(RefusedError, match="not made by osupdate site"):
        output.write(out, [page(INDEX, "two")])
    assert tree(out) == {INDEX: b"mine"}


def test_files_of_others_beside_the_site_stay(out):
    output.write(out, [page(INDEX, "two")])
    Path(out, "robots.txt").write_text("mine")
    output.write(out, [page(INDEX, "three")])
    assert tree(out)["robots.txt"] == b"mine"


@pytest.mark.parametrize(
    "name", ["../x", "/etc/passwd", "releases/../../x.html", "releases/a/b.html", "x"]
)
def test_a_marker_cannot_make_us_delete_what_is_no_page(out, tmp_path, name):
    output.write(out, [page(INDEX, "two")])
    victim = tmp_path / "www/x"
    victim.write_text("mine")
    marker = {"format": 1, "pages": {INDEX: "", name: ""}}
    Path(out, MARKER).write_bytes(msgspec.json.encode(marker))
    with pytest.raises(RefusedError, match="no page of a site"):
        output.write(out, [page(INDEX, "three")])
    assert tree(out)[INDEX] == b"two"
    assert victim.read_text() == "mine"


@pytest.mark.parametrize("text", ["", "{", '{"format": 1}', '{"pages": 3}'])
def test_a_damaged_marker_is_said_to_be(out, text):
    output.write(out, [page(INDEX, "two")])
    Path(out, MARKER).write_text(text)
    with pytest.raises(HostError, match="cannot read"):
        output.write(out, [page(INDEX, "three")])
    assert tree(out)[INDEX] == b"two"


def test_a_marker_of_another_format_is_refused(out):
    output.write(out, [page(INDEX, "two")])
    Path(out, MARKER).write_text('{"format": 2, "pages": {}}')
    with pytest.raises(RefusedError, match="format 2; expected 1"):
        output.write(out, [page(INDEX, "three")])


def test_two_at_once_are_one_too_many(out):
    output.write(out, [page(INDEX, "two")])
    fd = os.open(out, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    with pytest.raises(BusyError, match="another osupdate site"):
        output.write(out, [page(INDEX, "three")])
    os.close(fd)
    assert tree(out)[INDEX] == b"two"
    assert output.write(out, [page(INDEX, "three")]) == Written(1, 0, 0)


def test_a_run_that_is_cut_anywhere_is_finished_by_the_next(out):
    old = [page(RELEASE, "old"), page("releases/0.html", "gone"), page(INDEX, "old")]
    new = [page("releases/2.html", "new"), page(RELEASE, "new"), page(INDEX, "new")]

    def broken():
        raise KeyboardInterrupt

    for cut in range(len(new)):
        output.write(out, old)
        pages = [*new[:cut], Page(new[cut].path, new[cut].digest, broken), *new[cut:]]
        with pytest.raises(KeyboardInterrupt):
            output.write(out, pages)
        assert {b"old", b"new", b"gone"} >= set(tree(out).values()) - {
            tree(out)[MARKER]
        }
        output.write(out, new)
        assert {path: text for path, text in tree(out).items() if path != MARKER} == {
            "releases/2.html": b"new",
            RELEASE: b"new",
            INDEX: b"new",
        }


def test_a_disk_that_fails_halfway_is_not_said_to_have_changed_nothing(out):
    output.write(out, [page(RELEASE, "old"), page(INDEX, "old")])

    def full():
        raise NoSpaceError("the disk is full")

    with pytest.raises(NoSpaceError) as caught:
        output.write(out, [page(RELEASE, "new"), Page(INDEX, "other", full)])
    assert caught.value.unchanged.startswith("Every page is whole")
    assert tree(out)[RELEASE] == b"new"
    assert tree(out)[INDEX] == b"old"


def test_a_page_is_not_trusted_to_be_there_after_a_cut(out):
    """A page that was as wanted before the cut may not be afterwards."""
    output.write(out, [page(INDEX, "a")])

    def broken():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        output.write(out, [page(INDEX, "b"), Page(RELEASE, "x", broken)])
    assert tree(out)[INDEX] == b"b"
    output.write(out, [page(INDEX, "a")])
    assert tree(out)[INDEX] == b"a"


@pytest.mark.parametrize("gone", [False, True])
def test_nothing_is_written_or_deleted_behind_a_link(out, tmp_path, gone):
    output.write(out, [page(RELEASE, "one"), page(INDEX, "two")])
    victim = tmp_path / "victim"
    os.rename(os.path.join(out, "releases"), victim)
    (victim / "1.html").write_text("precious")
    os.symlink(victim, os.path.join(out, "releases"))
    before = tree(out), tree(victim)
    pages = [page(INDEX, "two")] if gone else [page(RELEASE, "new"), page(INDEX, "two")]
    with pytest.raises(RefusedError, match="releases is a symlink"):
        output.write(out, pages)
    assert (tree(out), tree(victim)) == before
