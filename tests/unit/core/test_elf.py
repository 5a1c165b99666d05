"""The build id of ELF files, also of ones that lie about themselves."""

import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.core import elf


def elf_file(build_id, *, bits=64, order="<", before=b""):
    """A file with one PT_NOTE segment."""
    note = struct.pack(order + "III", 4, len(build_id), 3) + b"GNU\0" + build_id
    notes = before + note
    if bits == 64:
        head = struct.pack(
            order + "4sBB10xHHIQQQIHHHHHH",
            *(b"\x7fELF", 2, 1 if order == "<" else 2, 2, 62, 1, 0, 64, 0, 0),
            *(64, 56, 1, 0, 0, 0),
        )
        segment = struct.pack(
            order + "IIQQQQQQ", 4, 4, 120, 0, 0, len(notes), len(notes), 4
        )
    else:
        head = struct.pack(
            order + "4sBB10xHHIIIIIHHHHHH",
            *(b"\x7fELF", 1, 1 if order == "<" else 2, 2, 3, 1, 0, 52, 0, 0),
            *(52, 32, 1, 0, 0, 0),
        )
        segment = struct.pack(
            order + "IIIIIIII", 4, 84, 0, 0, len(notes), len(notes), 4, 4
        )
    return head + segment + notes


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_id_is_found(bits, order):
    data = elf_file(bytes(range(20)), bits=bits, order=order)
    assert elf.build_id(data) == bytes(range(20)).hex()


def test_other_notes_are_passed_over():
    other = struct.pack("<III", 4, 5, 1) + b"GNU\0" + b"12345\0\0\0"
    assert elf.build_id(elf_file(b"\xab\xcd", before=other)) == "abcd"


def test_a_real_program_has_one_or_is_none():
    data = Path(sys.executable).resolve().read_bytes()
    found = elf.build_id(data)
    assert data.startswith(elf.MAGIC)
    assert found is None or set(found) <= set("0123456789abcdef")


@given(st.binary(max_size=200))
def test_nothing_makes_it_fail(data):
    elf.build_id(data)
    elf.build_id(elf.MAGIC + data)


@given(st.integers(0, 140), st.binary(min_size=1, max_size=8))
def test_no_damage_makes_it_fail(at, junk):
    data = elf_file(bytes(20))
    elf.build_id(data[:at] + junk + data[at + len(junk) :])
    elf.build_id(data[:at])


def test_many_headers_of_the_same_notes_share_one_budget(monkeypatch):
    head = bytearray(64)
    head[:6] = b"\x7fELF\2\1"
    struct.pack_into("<Q", head, 32, 64)
    struct.pack_into("<HH", head, 54, 0, 1024)
    segment = struct.pack("<IIQQQQQQ", 4, 0, 120, 0, 0, 1 << 19, 0, 0)
    read = []
    real = elf._note
    monkeypatch.setattr(
        elf,
        "_note",
        lambda notes, order: (read.append(len(notes)), real(notes, order))[1],
    )
    assert elf.build_id(bytes(head) + segment + bytes(1 << 19)) is None
    assert read == [1 << 19, 1 << 19]
