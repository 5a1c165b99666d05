import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.core.index import Index, Peek, Row, Stat
from updater.errors import HostError


def row(number):
    stat = Stat(number, 2, 3, 4, 0o100644, 5, 6, 7)
    return Row(bytes([number]) * 20, bytes([number]) * 32, stat)


ROWS = {b"bin": row(1), b"etc/motd": row(2), b"etc/motd.d/x": row(3), b"z": row(4)}


def test_every_row_is_found_and_nothing_else():
    peek = Peek(Index(9, ROWS).to_bytes())
    assert {path: peek.row(path) for path in ROWS} == ROWS
    for path in (b"", b"etc", b"etc/mot", b"motd", b"etc/motd/", b"zz"):
        assert peek.row(path) is None
    assert peek.device == 9


def test_a_directory_is_where_something_is_below_it():
    peek = Peek(Index(9, ROWS).to_bytes())
    assert peek.has_below(b"")
    assert peek.has_below(b"etc")
    assert peek.has_below(b"etc/motd.d")
    assert not peek.has_below(b"etc/motd")
    assert not peek.has_below(b"et")


def test_an_empty_index_has_nothing():
    assert Peek(Index(9, {}).to_bytes()).row(b"x") is None


PATHS = st.binary(min_size=1, max_size=9).filter(lambda path: b"\0" not in path)


@given(st.lists(PATHS, unique=True, max_size=20))
def test_it_says_what_reading_all_of_it_says(paths):
    rows = {path: row(number) for number, path in enumerate(paths)}
    peek = Peek(Index(1, rows).to_bytes())
    assert {path: peek.row(path) for path in paths} == rows


@pytest.mark.parametrize("cut", [0, 10, 40, -1])
def test_a_damaged_index_is_refused(cut):
    with pytest.raises(HostError):
        Peek(Index(9, ROWS).to_bytes()[:cut])
