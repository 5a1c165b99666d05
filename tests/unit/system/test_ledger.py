"""The ledger: append-only, and whole again after a crash."""

import pytest

from updater.errors import HostError
from updater.model import LedgerEntry
from updater.system.ledger import Ledger


def entry(number, text="staged"):
    return LedgerEntry(number, "stage", text, "root", {"number": number})


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "ledger.jsonl")


def test_absent_ledger_is_empty(path):
    assert Ledger(path).read() == []


def test_entries_come_back_in_order(path):
    ledger = Ledger(path)
    for number in range(3):
        ledger.append(entry(number))
    assert ledger.read() == [entry(0), entry(1), entry(2)]


@pytest.mark.parametrize("cut", [1, 20, 10_000, 200_000])
def test_a_torn_last_line_is_cut_off_by_the_next_entry(path, cut):
    ledger = Ledger(path)
    ledger.append(entry(1))
    with open(path, "rb") as file:
        first = file.read()
    ledger.append(entry(2, "x" * 300_000))
    with open(path, "rb") as file:
        data = file.read()
    with open(path, "wb") as file:
        file.write(data[:-cut])

    assert ledger.read() == [entry(1)]
    ledger.append(entry(3))
    assert ledger.read() == [entry(1), entry(3)]
    with open(path, "rb") as file:
        assert file.read().startswith(first)


def test_a_torn_first_line_leaves_an_empty_ledger(path):
    with open(path, "wb") as file:
        file.write(b'{"at": 1')
    ledger = Ledger(path)
    assert ledger.read() == []
    ledger.append(entry(1))
    assert ledger.read() == [entry(1)]


def test_a_broken_line_in_the_middle_is_shown_as_unreadable(path):
    ledger = Ledger(path)
    ledger.append(entry(1))
    with open(path, "ab") as file:
        file.write(b"garbage\n")
    ledger.append(entry(2))
    events = ledger.read()
    assert [item.event for item in events] == ["stage", "unreadable", "stage"]
    assert "line 2 of" in events[1].text


def test_text_with_line_feeds_stays_on_one_line(path):
    ledger = Ledger(path)
    ledger.append(entry(1, "a\nb"))
    with open(path, "rb") as file:
        assert file.read().count(b"\n") == 1
    assert ledger.read()[0].text == "a\nb"


def test_a_ledger_that_cannot_be_written_is_a_host_error(tmp_path):
    with pytest.raises(HostError, match=r"cannot append .*: No such file or directory"):
        Ledger(str(tmp_path / "no" / "ledger.jsonl")).append(entry(1))
