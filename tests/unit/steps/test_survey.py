"""A deployment and its stat index: what was touched is looked at, nothing else."""

import os

import pytest

from updater.core.index import Index, Row
from updater.core.tree import object_id
from updater.errors import HostError
from updater.steps.survey import survey
from updater.system import checkout
from updater.system.checkout.directories import Directories

FILES = {b"a": b"one", b"d/b": b"two", b"d/c": b""}


@pytest.fixture
def laid(tmp_path):
    """(path, index) of three files and a symlink."""
    (tmp_path / "d").mkdir()
    for name, content in FILES.items():
        (tmp_path / os.fsdecode(name)).write_bytes(content)
    (tmp_path / "link").symlink_to("a")
    return tmp_path, index_of(tmp_path, {**FILES, b"link": b"a"})


def index_of(path, files):
    root = os.open(path, os.O_RDONLY)
    directories = Directories(root)
    rows = {}
    for name, content in files.items():
        parent, _, base = name.rpartition(b"/")
        found = checkout.stat_entry(directories.open(parent), base)
        ids = [object_id("blob", content, kind) for kind in ("sha1", "sha256")]
        rows[name] = Row(*ids, found)
    directories.close()
    os.close(root)
    return Index(os.stat(path).st_dev, rows)


def kinds(found):
    return {change.path: change.kind for change in found[0]}


def test_nothing_changed(laid):
    path, index = laid
    before = dict(index.rows)
    assert survey(str(path), index) == ((), False)
    assert index.rows == before


def test_every_kind_of_change_is_named(laid):
    path, index = laid
    (path / "a").write_bytes(b"six")
    (path / "d/b").unlink()
    (path / "d/c").chmod(0o600)
    (path / "link").unlink()
    (path / "link").symlink_to("b")
    assert kinds(survey(str(path), index)) == {
        b"a": "modified",
        b"d/b": "missing",
        b"d/c": "metadata",
        b"link": "modified",
    }


def test_a_directory_that_is_gone_or_a_link_loses_its_files(laid, tmp_path):
    path, index = laid
    (path / "d").rename(path / "elsewhere")
    (path / "d").symlink_to("elsewhere")
    assert kinds(survey(str(path), index)) == {b"d/b": "missing", b"d/c": "missing"}


def test_what_only_looks_touched_is_brought_up_to_date(laid):
    path, index = laid
    old = index.rows[b"a"].stat
    os.link(path / "a", path / "second")
    os.unlink(path / "second")
    os.utime(path / "d/b", ns=(1, 1))
    changes, renewed = survey(str(path), index)
    assert (changes, renewed) == ((), True)
    assert index.rows[b"d/b"].stat.mtime == 1
    assert index.rows[b"a"].stat._replace(ctime=0) == old._replace(ctime=0)
    assert survey(str(path), index) == ((), False)


def test_another_file_with_the_same_content_is_the_same(laid):
    path, index = laid
    (path / "new").write_bytes(b"one")
    os.replace(path / "new", path / "a")
    assert kinds(survey(str(path), index)) == {}


def test_a_deployment_that_is_gone_is_an_error(laid):
    path, index = laid
    with pytest.raises(HostError, match=r"cannot open .*nowhere"):
        survey(str(path / "nowhere"), index)
