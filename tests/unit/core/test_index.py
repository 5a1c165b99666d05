"""The stat index survives its file, and says so when it did not."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.core import index
from updater.core.index import Index, Row, Stat
from updater.errors import HostError

names = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name)
big, small = st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1)
times = st.integers(-(2**63), 2**63 - 1)
stats = st.builds(Stat, big, times, times, big, small, small, small, small)
rows = st.builds(
    Row, st.binary(min_size=20, max_size=20), st.binary(min_size=32, max_size=32), stats
)


@given(big, st.dictionaries(names, rows, max_size=5))
def test_what_is_written_is_read(device, given_rows):
    found = index.from_bytes(Index(device, given_rows).to_bytes())
    assert found.device == device
    assert found.rows == given_rows
    assert list(found.rows) == list(given_rows)


WHOLE = Index(
    7, {b"a": Row(b"o" * 20, b"s" * 32, Stat(1, 2, 3, 4, 5, 6, 7, 8))}
).to_bytes()


@given(st.integers(0, len(WHOLE) - 1))
def test_a_truncated_index_is_damaged(length):
    with pytest.raises(HostError, match="stat index is damaged"):
        index.from_bytes(WHOLE[:length])


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_is_never_believed(at, flip):
    changed = bytearray(WHOLE)
    changed[at] ^= flip
    try:
        found = index.from_bytes(bytes(changed))
    except HostError:
        return
    assert found.to_bytes() == WHOLE  # bits of the stream that mean nothing


def test_another_format_is_damaged():
    body = zlib.compress(b"")
    with pytest.raises(HostError, match="checksum is wrong"):
        index.from_bytes(b"osupdate-index 2\n" + bytes(4) + body)


def row(inode, ctime, **kw):
    facts = {"size": 1, "mtime": 2, "mode": 3, "uid": 4, "gid": 5, "links": 1} | kw
    return Row(b"o" * 20, b"s" * 32, Stat(inode=inode, ctime=ctime, **facts))


def test_a_blob_is_found_at_the_first_place_that_holds_it():
    one, two = {b"x": row(1, 1)}, {b"y": row(2, 2)}
    assert index.blobs([one, two]) == {b"o" * 20: (0, b"x")}
    assert index.blobs([]) == {}


@given(big, st.dictionaries(names, rows, max_size=5))
def test_columns_give_the_size_of_a_blob_where_it_is(device, given_rows):
    columns = index.Columns(Index(device, given_rows).to_bytes())
    for path, row in given_rows.items():
        expected = row.stat.size if row.stat.inode else None
        assert columns.size(path, row.oid) == expected
        assert columns.size(path, b"\0" * 19 + bytes([row.oid[-1] ^ 1])) is None
    assert columns.size(b"not there/", b"o" * 20) is None


@given(st.integers(0, len(WHOLE) - 1))
def test_columns_of_a_truncated_index_are_damaged(length):
    with pytest.raises(HostError, match="stat index is damaged"):
        index.Columns(WHOLE[:length])
