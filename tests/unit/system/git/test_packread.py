"""Whole objects out of packs, and packs that are not what they should be."""

import os
import struct
import zlib

import pytest

from updater.core.tree import object_id
from updater.errors import UntrustedError
from updater.system.git import deflate
from updater.system.git.pack import PackWriter
from updater.system.git.packread import Packs, encoded, inflated

CONTENTS = [b"", b"x", b"y" * 15, b"z" * 16, os.urandom(5000), b"long" * (1 << 19)]
CONTENTS += [os.urandom(3 << 20)]


def pack_of(directory, contents, ids=()):
    writer = PackWriter(str(directory / "pack"), durable=False)
    given = [
        writer.add("blob", content, oid)
        for content, oid in zip(contents, ids or [None] * len(contents), strict=True)
    ]
    return given, writer.finish()


def damage(directory, name, at, data):
    path = directory / "pack" / name
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
        file.write(data)


@pytest.fixture(params=["zlib-ng", "zlib"])
def _inflating(request, monkeypatch):
    if request.param == "zlib":
        monkeypatch.setattr(deflate, "compressobj", zlib.compressobj)
        monkeypatch.setattr(deflate, "decompressobj", zlib.decompressobj)
        monkeypatch.setattr(deflate, "Damaged", zlib.error)


@pytest.mark.usefixtures("_inflating")
@pytest.mark.parametrize("level", [0, 1, 9])
def test_every_object_comes_back(tmp_path, level):
    writer = PackWriter(str(tmp_path / "pack"), level=level)
    given = {writer.add("blob", content): content for content in CONTENTS}
    writer.finish()
    packs = Packs([str(tmp_path)])
    for oid, content in given.items():
        entry = packs.find(oid)
        assert (entry.kind, entry.size) == ("blob", len(content))
        assert b"".join(inflated(entry)) == content
    assert packs.find("0" * 40) is None


def test_a_large_object_comes_in_pieces(tmp_path):
    (oid,), _ = pack_of(tmp_path, [bytes(9 << 20)])
    pieces = list(inflated(Packs([str(tmp_path)]).find(oid)))
    assert max(map(len, pieces)) <= 1 << 20
    assert sum(map(len, pieces)) == 9 << 20


def test_what_is_copied_is_the_same_in_another_pack(tmp_path):
    given, _ = pack_of(tmp_path / "one", CONTENTS)
    packs = Packs([str(tmp_path / "one")])
    writer = PackWriter(str(tmp_path / "two" / "pack"), durable=False)
    for oid in given:
        writer.copy(oid, encoded(packs.find(oid)))
    writer.finish()
    copies = Packs([str(tmp_path / "two")])
    for oid, content in zip(given, CONTENTS, strict=True):
        assert b"".join(inflated(copies.find(oid))) == content
        assert object_id("blob", content, "sha1").hex() == oid


@pytest.mark.usefixtures("_inflating")
@pytest.mark.parametrize("take", [encoded, inflated])
def test_a_damaged_object_is_refused(tmp_path, take):
    (oid,), name = pack_of(tmp_path, [b"content " * 500])
    damage(tmp_path, f"{name}.pack", 30, b"\xff\xff\xff")
    entry = Packs([str(tmp_path)]).find(oid)
    with pytest.raises(UntrustedError, match=f"object {oid} is damaged") as caught:
        list(take(entry))
    assert caught.value.check == "F2"


@pytest.mark.usefixtures("_inflating")
@pytest.mark.parametrize("size", [0, 99, 101, 1 << 40])
def test_a_size_that_the_content_does_not_have_is_refused(tmp_path, size):
    """The header of a pack's entry promises bytes; nobody writes more than those."""
    packs = tmp_path / "pack"
    packs.mkdir()
    writer = PackWriter(str(packs), durable=False)
    oid = object_id("blob", bytes(100), "sha1").hex()
    honest = list(writer._encode("blob", bytes(100)))
    low, high = size & 15, size >> 4
    head = bytes([0x30 | low | (0x80 if high else 0)])
    while high:
        head += bytes([high & 0x7F | (0x80 if high >> 7 else 0)])
        high >>= 7
    writer.copy(oid, [head, *honest[1:]])
    writer.finish()
    entry = Packs([str(tmp_path)]).find(oid)
    assert entry.size == size
    got = 0
    with pytest.raises(UntrustedError, match="damaged"):
        for piece in inflated(entry):
            got += len(piece)
    assert got <= max(100, size)


def test_a_delta_is_left_to_libgit2(tmp_path):
    writer = PackWriter(str(tmp_path / "pack"), durable=False)
    delta = zlib.compress(b"\x01\x01\x01x")
    writer.copy("ab" * 20, [bytes([0x70 | 4]), bytes(20), delta])  # REF_DELTA
    writer.finish()
    assert Packs([str(tmp_path)]).find("ab" * 20) is None


@pytest.mark.parametrize(
    ("what", "at", "data"),
    [
        ("magic", 0, b"\0tOc"),
        ("version", 4, struct.pack(">I", 3)),
        ("more objects than there are", 8 + 255 * 4, struct.pack(">I", 1 << 30)),
        ("a fanout that falls", 8, struct.pack(">I", 1 << 31)),
    ],
)
def test_an_odd_index_is_passed_over(tmp_path, what, at, data):
    (oid,), name = pack_of(tmp_path, [b"content"])
    damage(tmp_path, f"{name}.idx", at, data)
    assert Packs([str(tmp_path)]).find(oid) is None


@pytest.mark.parametrize("offset", [0, 11, 5000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_an_offset_that_leads_elsewhere_is_passed_over(tmp_path, offset):
    (oid,), name = pack_of(tmp_path, [b"content"])
    damage(tmp_path, f"{name}.idx", -44, struct.pack(">I", offset))
    assert Packs([str(tmp_path)]).find(oid) is None


@pytest.mark.parametrize("end", ["idx", "pack"])
def test_what_is_missing_empty_or_a_symlink_is_passed_over(tmp_path, end):
    (oid,), name = pack_of(tmp_path, [b"content"])
    path = tmp_path / "pack" / f"{name}.{end}"
    kept = path.rename(tmp_path / "kept")
    assert Packs([str(tmp_path)]).find(oid) is None
    path.write_bytes(b"")
    assert Packs([str(tmp_path)]).find(oid) is None
    path.unlink()
    path.symlink_to(kept)
    assert Packs([str(tmp_path)]).find(oid) is None
    path.unlink()
    kept.rename(path)
    assert Packs([str(tmp_path)]).find(oid)


def test_descriptors_are_closed_with_their_packs(tmp_path):
    (oid,), _ = pack_of(tmp_path, [b"content"])
    before = os.listdir("/proc/self/fd")
    packs = Packs([str(tmp_path)])
    packs.find(oid)
    assert len(os.listdir("/proc/self/fd")) > len(before)
    del packs
    assert os.listdir("/proc/self/fd") == before
