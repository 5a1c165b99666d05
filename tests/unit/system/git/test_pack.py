"""Packs as libgit2 reads them; stock git reads them in tests/integration."""

import os

import pygit2
import pytest

from updater.core.tree import object_id
from updater.system.git.pack import PackWriter

CONTENTS = [b"", b"x", b"y" * 15, b"z" * 16, os.urandom(5000), b"long" * (1 << 19)]


def odb(directory):
    found = pygit2.Odb()
    found.add_disk_alternate(str(directory))
    return found


def test_every_object_comes_back(tmp_path):
    writer = PackWriter(str(tmp_path / "pack"))
    given = {
        writer.add(kind, content): (kind, content)
        for kind in ("blob", "tag")
        for content in CONTENTS
    }
    assert len(writer) == len(given) == 2 * len(CONTENTS)
    name = writer.finish()
    found = odb(tmp_path)
    for oid, (kind, content) in given.items():
        assert oid == object_id(kind, content, "sha1").hex()
        number, read = found.read(pygit2.Oid(hex=oid))
        assert read == content
        assert number == getattr(pygit2.enums.ObjectType, kind.upper())
    assert sorted(os.listdir(tmp_path / "pack")) == [f"{name}.idx", f"{name}.pack"]
    for path in (tmp_path / "pack").iterdir():
        assert path.stat().st_mode & 0o777 == 0o444


def test_an_object_is_written_once(tmp_path):
    writer = PackWriter(str(tmp_path / "pack"))
    oid = writer.add("blob", b"same")
    assert writer.add("blob", memoryview(b"same")) == oid
    assert oid in writer
    assert len(writer) == 1
    assert writer.finish()


@pytest.mark.parametrize("full", [True, False])
def test_nothing_is_left_of_an_empty_or_given_up_pack(tmp_path, full):
    writer = PackWriter(str(tmp_path / "pack"))
    if full:
        writer.add("blob", os.urandom(3 << 20))
        writer.abort()
    else:
        assert writer.finish() is None
    assert os.listdir(tmp_path / "pack") == []


def test_giving_up_works_on_a_disk_that_takes_nothing(tmp_path, monkeypatch):
    writer = PackWriter(str(tmp_path / "pack"))
    writer.add("blob", b"x")
    writer._file.close()
    writer._file = _Full()
    writer.abort()
    assert os.listdir(tmp_path / "pack") == []


class _Full:
    def close(self):
        raise OSError(28, "No space left on device")
