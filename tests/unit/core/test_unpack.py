"""Compressed files are unpacked as far as asked, and no further."""

import bz2
import gzip
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.core import unpack

PACKERS = {"gzip": gzip.compress, "xz": lzma.compress, "bzip2": bz2.compress}


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_what_was_packed_comes_back(pack):
    data = pack(b"text\n" * 100)
    assert unpack.is_packed(data)
    assert unpack.unpack(data, 500) == (b"text\n" * 100, True)
    assert unpack.unpack(data, 499) == ((b"text\n" * 100)[:499], False)


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_a_bomb_is_cut(pack):
    found, whole = unpack.unpack(pack(bytes(50 << 20)), 1000)
    assert (len(found), whole) == (1000, False)


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_damage_is_said(pack):
    data = pack(bytes(range(256)) * 20)
    with pytest.raises(ValueError, match="damaged"):
        unpack.unpack(data[:12] + b"\xff" * 20 + data[32:], 10_000)


def test_plain_files_are_cut_too():
    assert unpack.unpack(b"12345", 5) == (b"12345", True)
    assert unpack.unpack(b"12345", 4) == (b"1234", False)


def test_zstd_is_said_not_to_be_read():
    assert unpack.is_packed(unpack.ZSTD + b"x")
    with pytest.raises(ValueError, match="zstd"):
        unpack.unpack(unpack.ZSTD + b"x", 10)


@given(st.binary(max_size=60))
def test_nothing_else_makes_it_fail(data):
    for magic in (b"\x1f\x8b\x08\0", b"\xfd7zXZ\0", b"BZh9", b""):
        try:
            unpack.unpack(magic + data, 100)
        except ValueError:
            continue
