import importlib.util
import marshal
import struct

import pytest

from updater.core.pyc import unchecked

CODE = marshal.dumps(compile("x = 1", "x.py", "exec"))
MAGIC = importlib.util.MAGIC_NUMBER


def pyc(flags=0, field=b"\x01\x02\x03\x04\x05\x06\x07\x08", magic=MAGIC):
    return magic + struct.pack("<I", flags) + field + CODE


def test_a_timestamp_file_becomes_an_unchecked_hash_file_with_the_same_code():
    made = unchecked(pyc())
    assert made[:4] == MAGIC
    assert struct.unpack("<I", made[4:8]) == (0b01,)  # PEP 552: hash, not checked
    assert made[16:] == CODE


def test_two_mtimes_of_one_code_give_the_same_bytes():
    assert unchecked(pyc(field=b"12345678")) == unchecked(pyc(field=b"abcdefgh"))


def test_python_loads_what_was_made(tmp_path):
    file = tmp_path / "made.pyc"
    file.write_bytes(unchecked(pyc()))
    spec = importlib.util.spec_from_file_location("made", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.x == 1


@pytest.mark.parametrize(
    "data",
    [
        pyc(flags=0b01),
        pyc(flags=0b11),
        pyc(magic=struct.pack("<H", 3379) + b"\r\n"),  # Python 3.6, before PEP 552
        pyc(magic=struct.pack("<H", 3500) + b"\n\n"),
        MAGIC + bytes(12),
        MAGIC + bytes(12) + b"text, not marshalled code",
        b"",
        b"hello",
    ],
)
def test_anything_else_stays_as_it_is(data):
    assert unchecked(data) == data
