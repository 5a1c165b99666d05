import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.core import changes
from updater.core.changelogs import URGENCIES, Entry
from updater.core.changes import Changes
from updater.errors import UntrustedError
from updater.model import Package

SSH = Entry(
    source="openssh",
    version="1:9.2p1-2+deb12u3",
    distribution="bookworm-security",
    urgency="high",
    date=1719085088,
    author="Salvatore Bonaccorso <carnil@debian.org>",
    lines=("* Fix a race (CVE-2024-6387)",),
)


def package(name, version, source=None):
    return Package(name, version, source or name, "amd64", None, "dpkg")


def entry(version, lines=1):
    return Entry("foo", version, lines=tuple(f"line {i}" for i in range(lines)))


def brought(number, **sources):
    found = {name: [entry(v) for v in versions] for name, versions in sources.items()}
    return changes.from_entries(found, number, number - 1)


def versions(found):
    return {source: [c.version for c in list_] for source, list_ in found.items()}


def refusal(data):
    with pytest.raises(UntrustedError) as caught:
        changes.parse(data)
    assert caught.value.check == "F3"
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_an_entry_is_one_line_that_tells_everything():
    made = changes.from_entries({"openssh": [SSH], "bash": [entry("5.2-2")]}, 42, 41)
    lines = changes.write(made).decode().splitlines()
    assert lines[:4] == [
        '{"format": 1, "since": 41,',
        '"left_out": {},',
        '"sources": {',
        '"bash": [',
    ]
    assert lines[5:7] == ["],", '"openssh": [']
    assert json.loads(lines[7]) == {
        "version": "1:9.2p1-2+deb12u3",
        "release": 42,
        "date": "2024-06-22T19:38:08Z",
        "urgency": "high",
        "distribution": "bookworm-security",
        "security": True,
        "news": False,
        "cves": ["CVE-2024-6387"],
        "text": ["* Fix a race (CVE-2024-6387)"],
        "cut": 0,
    }
    assert lines[8:] == ["]", "}}"]
    assert json.loads(changes.write(made))["format"] == 1


def test_a_first_release_tells_nothing():
    data = changes.write(Changes(7))
    assert data == b'{"format": 1, "since": 7,\n"left_out": {},\n"sources": {\n}}\n'
    assert changes.parse(data) == Changes(7)


TEXT = st.text(max_size=20)
ENTRIES = st.builds(
    Entry,
    source=st.just("foo"),
    version=st.none() | TEXT,
    distribution=TEXT,
    urgency=st.sampled_from(["", *URGENCIES]),
    date=st.none() | st.integers(0, 2**40),
    lines=st.lists(TEXT | st.just("CVE-2024-1234"), max_size=5).map(tuple),
    news=st.booleans(),
)


@given(st.dictionaries(TEXT, st.lists(ENTRIES, max_size=3), max_size=3))
def test_what_is_written_is_read_back_whatever_people_wrote(found):
    made = changes.from_entries(found, 3, 2)
    read = changes.parse(changes.write(made))
    assert read.sources == {
        source: list_ for source, list_ in made.sources.items() if list_
    }
    assert changes.write(read) == changes.write(made)


def test_text_is_made_safe_for_terminals():
    nasty = Entry("foo", "1", lines=("\x1b[2J\u202egnp", "x" * 500))
    (change,) = changes.from_entries({"foo": [nasty]}, 2, 1).sources["foo"]
    assert change.text[0] == r"\x1b[2J\u202egnp"
    assert change.text[1] == "x" * changes.MAX_LINE + "..."


def test_what_is_cut_of_an_entry_is_counted():
    made = changes.from_entries({"foo": [entry("1", lines=100)]}, 2, 1)
    (change,) = made.sources["foo"]
    assert len(change.text) == changes.MAX_LINES
    assert change.cut == 100 - changes.MAX_LINES


def test_the_cves_of_an_entry_stay_when_its_text_is_cut():
    long = Entry("foo", "1", lines=("x",) * 100 + ("CVE-2024-1234",))
    (change,) = changes.from_entries({"foo": [long]}, 2, 1).sources["foo"]
    assert change.cves == ("CVE-2024-1234",)
    assert change.security


def test_entries_beyond_a_sources_share_are_counted():
    many = [entry(str(number)) for number in range(50, 0, -1)]
    made = changes.from_entries({"foo": many}, 2, 1)
    assert len(made.sources["foo"]) == changes.MAX_ENTRIES
    assert made.sources["foo"][0].version == "50"
    assert made.left_out == {"foo": 50 - changes.MAX_ENTRIES}


def test_releases_are_united_newest_first_and_nothing_twice():
    first = brought(2, foo=["1.1", "1.0"], bar=["5"])
    second = brought(3, foo=["1.2", "1.1"])
    united = changes.unite([second, first])
    assert united.since == 1
    assert versions(united.sources) == {"foo": ["1.2", "1.1", "1.0"], "bar": ["5"]}
    assert [c.release for c in united.sources["foo"]] == [3, 3, 2]
    assert changes.unite([first, second]).sources.keys() == united.sources.keys()
    assert changes.unite([]) == Changes(0)


def test_a_notice_and_an_entry_of_one_version_are_two():
    news = Entry("foo", "1", lines=("read me",), news=True)
    made = changes.from_entries({"foo": [news, entry("1")]}, 2, 1)
    assert len(changes.unite([made]).sources["foo"]) == 2


def test_a_machine_sees_what_the_releases_after_its_own_brought():
    rolling = changes.unite(
        [brought(4, foo=["3"]), brought(3, bar=["2"]), brought(2, foo=["1"])]
    )
    assert versions(changes.after(rolling, 2).sources) == {"foo": ["3"], "bar": ["2"]}
    assert changes.after(rolling, 2).since == 2
    assert changes.after(rolling, 4).sources == {}


def test_any_two_lists_of_packages_are_told_by_versions():
    rolling = changes.unite(
        [brought(4, foo=["1.3", "1.2"], bar=["9"]), brought(3, foo=["1.1"])]
    )
    old = [package("foo", "1.1"), package("same", "1"), package("mute", "1")]
    new = [package("foo", "1.2"), package("same", "1"), package("mute", "2")]
    found = changes.since(rolling, old, new)
    assert versions(found) == {"foo": ["1.2"], "mute": []}
    back = changes.since(rolling, new, old)
    assert versions(back) == {"foo": [], "mute": []}


def test_the_epoch_that_rpms_changelogs_leave_out_does_not_matter():
    old = [Package("a", "2:1.0-1.fc40", "a", "x86_64", None, "rpm")]
    new = [Package("a", "2:1.2-1.fc40", "a", "x86_64", None, "rpm")]
    rolling = brought(2, a=["1.2-1", "1.1-1", "1.0-1"])
    assert versions(changes.since(rolling, old, new)) == {"a": ["1.2-1", "1.1-1"]}


def test_the_oldest_releases_go_when_there_is_no_more_room():
    def large(number):
        lines = ("x" * 199,) * changes.MAX_LINES
        found = {f"s{i}": [Entry("s", f"{number}", lines=lines)] for i in range(20)}
        return changes.from_entries(found, number, number - 1)

    rolling = changes.unite(large(number) for number in range(9, 1, -1))
    one = len(changes.write(large(9)))
    room = changes.MAX_BYTES // one
    data = changes.write(rolling)
    assert 2 <= room < 8
    assert (room - 1) * one < len(data) <= changes.MAX_BYTES
    found = changes.parse(data)
    assert found == changes.after(rolling, 9 - room)
    assert found.since == 9 - room


def test_releases_stay_as_long_as_there_is_room():
    parts = [brought(n, **{f"s{n}": [str(n)]}) for n in range(9, 1, -1)]
    found = changes.parse(changes.write(changes.unite(parts)))
    assert found.since == 1
    assert len(found.sources) == 8


def test_one_release_without_measure_is_told_in_fewer_words_and_says_so():
    cve = "* CVE-2024-1234 " + "x" * 180
    found = {
        f"source{i}": [
            Entry("s", f"{9 - n}", lines=(cve,) * 30, urgency="low") for n in range(5)
        ]
        for i in range(1000)
    }
    made = changes.from_entries(found, 2, 1)
    data = changes.write(made)
    read = changes.parse(data)
    assert len(data) <= changes.MAX_BYTES
    assert len(read.sources) == 1000
    assert all(list_[0].version == "9" for list_ in read.sources.values())
    assert all(list_[0].cut >= 29 for list_ in read.sources.values())
    assert read.left_out["source0"] >= 3
    assert changes.write(read) == data


def test_more_sources_than_there_is_room_for_are_counted_as_far_as_they_go():
    found = {"s" * 150 + str(i): [entry("1")] for i in range(5000)}
    data = changes.write(changes.from_entries(found, 2, 1))
    assert len(data) <= changes.MAX_BYTES
    assert changes.parse(data).since == 1


GOOD = changes.write(changes.from_entries({"openssh": [SSH]}, 42, 41))


def with_(**fields):
    told = json.loads(GOOD)
    lines = GOOD.decode().splitlines()
    row = json.dumps(told["sources"]["openssh"][0] | fields)
    return "\n".join([*lines[:4], row, *lines[5:], ""]).encode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "Input data was truncated"),
        (b"[]", "Expected `object`"),
        (GOOD[:-2], "truncated"),
        (b"[" * 100_000, "Expected `object`"),
        (b'{"format": ' + b"[" * 100_000, "Expected `int`"),
        (GOOD.replace(b'"format": 1', b'"format": 2'), "expected format 1, got 2"),
        (GOOD.replace(b'"since": 41', b'"since": -1'), "since"),
        (GOOD.replace(b'"since"', b'"more": 1, "since"'), "unknown field `more`"),
        (GOOD.replace(b'"left_out": {}', b'"left_out": {"a": -1}'), "left_out"),
        (GOOD.replace(b"]\n}}", b"],\n\"x\": [\n]\n}}"), 'source "x" has no entry'),
        (GOOD.replace(b'"openssh"', b'"open\\u001bssh"'), "source"),
        (GOOD.replace(b'"openssh"', b'""'), "source"),
        (GOOD.replace(b": 42", b":  42"), "not written as the format says"),
        (GOOD.replace(b"\n", b"\r\n"), "not written as the format says"),
        (GOOD + b"\n", "not written as the format says"),
        (GOOD.replace(b"openssh", b"\xff"), "utf-8"),
        (with_(more=1), 'source "openssh", entry 1: '),
        (with_(version=None), 'source "openssh", entry 1: Expected `str`'),
        (with_(release=-1), "negative"),
        (with_(release=2**60), "too large"),
        (with_(cut=-1), "negative"),
        (with_(date="yesterday"), 'date "yesterday"'),
        (with_(date="2024-6-22T19:38:08Z"), "date"),
        (with_(urgency="soon"), 'urgency "soon" is none of emergency'),
        (with_(version="1" * 300), "more than 200"),
        (with_(distribution="a\u009bb"), "control characters"),
        (with_(text=["\u001b[31m"]), "control characters"),
        (with_(text=["a\u202eb"]), "control characters"),
        (with_(text=["x"] * 41), "more than 40 lines"),
        (with_(text=["x" * 300]), "more than 200"),
        (with_(cves=["CVE-2024-1"]), "CVE ids"),
        (with_(cves=["CVE-2024-9999", "CVE-2024-1000"]), "CVE ids"),
        (b'"' + b"x" * changes.MAX_BYTES, f"more than {changes.MAX_BYTES}"),
    ],
)  # fmt: skip
def test_what_the_format_does_not_say_is_refused_with_its_place(data, reason):
    assert reason in refusal(data)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_one_wrong_byte_is_refused_or_means_something_else(place, byte):
    data = GOOD[:place] + bytes((byte,)) + GOOD[place + 1 :]
    try:
        found = changes.parse(data)
    except UntrustedError:
        return
    assert changes.write(found) == data
