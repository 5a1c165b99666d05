import msgspec
import pytest
from msgspec.structs import replace

from updater.core import channel
from updater.errors import UntrustedError
from updater.model import Entry, Mark, Rollout

ENTRY = Entry(
    channel="stable",
    product="acme-gw",
    number=17,
    created=1_790_000_000,
    expires=1_792_592_000,
    release="2026.05.1",
    tag="ab" * 20,
    rollout=Rollout(1_790_003_600, 24, 0.5),
    barriers=(Mark(30, "new partition table"),),
    dead_ends=(Mark(12, 'needs a "reinstall"'),),
    withdrawn=(Mark(41, "eats disks"),),
)
TEXT = """format = 1
channel = "stable"
product = "acme-gw"
number = 17
created = "2026-09-21T14:13:20Z"
expires = "2026-10-21T14:13:20Z"
release = "2026.05.1"
tag = "abababababababababababababababababababab"

[rollout]
start = "2026-09-21T15:13:20Z"
hours = 24
limit = 0.5

[[barriers]]
number = 30
reason = "new partition table"

[[dead_ends]]
number = 12
reason = "needs a \\"reinstall\\""

[[withdrawn]]
number = 41
reason = "eats disks"
"""


def test_an_entry_is_written_as_documented_and_read_back():
    assert channel.write(ENTRY).decode() == TEXT
    assert channel.parse(TEXT.encode()) == ENTRY


def test_unknown_keys_are_ignored_within_the_format():
    more = TEXT.replace("hours = 24", 'hours = 24\ncurve = "slow"')
    assert channel.parse(b'wisdom = ["x"]\n' + more.encode()) == ENTRY


def test_lists_may_be_absent():
    head = TEXT.partition("[[barriers]]")[0]
    assert channel.parse(head.encode()).withdrawn == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("format = 1", "format = 2", "format 2; expected 1"),
        ("format = 1", "format = true", "format True"),
        ("format = 1\n", "", "format nothing"),
        ('channel = "stable"', 'channel = "../x"', "channel: expected a plain name"),
        ('"acme-gw"', '"acme gw"', "product: expected a plain name"),
        ("number = 17", "number = 0", "number: 0 is not in"),
        ("number = 17", "number = 9007199254740992", "is not in 1..9007199254740991"),
        ("number = 17", "number = true", "number: expected a number, got True"),
        ("number = 17", "number = 17.0", "number: expected a number"),
        ("2026-09-21T14:13:20Z", "2026-09-21 14:13:20", "created: expected a time"),
        ("2026-09-21T14:13:20Z", "2026-09-21T14:13:20+02:00", "created: expected"),
        ("2026-10-21T14:13:20Z", "2026-09-21T14:13:20Z", "expires before it was"),
        ('"2026.05.1"', '"2026..1"', "release: expected a version"),
        ("abab", "ABAB", "tag: expected 40 hex digits"),
        ("hours = 24", "hours = -1", "hours: -1 is not in"),
        ("hours = 24", "hours = 99999", "rollout.hours: 99999 is more than"),
        ("limit = 0.5", "limit = nan", "rollout.limit: expected 0 to 1"),
        ("limit = 0.5", "limit = 1.5", "rollout.limit: expected 0 to 1"),
        ("limit = 0.5", 'limit = "1"', "rollout.limit: expected a number"),
        ("[rollout]", "[roll]", "rollout: expected a table, got nothing"),
        ("number = 30", "number = -30", "number: -30"),
        (
            '"eats disks"',
            '"eats\\u001b[2J disks"',
            "withdrawn: reason: expected a line",
        ),
        ('"eats disks"', '"a\\nb"', "withdrawn: reason: expected a line"),
        ("[[barriers]]", "[barriers]", "barriers: expected a list"),
        (TEXT, "", "format nothing"),
        (TEXT, "\ud800", "not TOML"),
        (TEXT, "x = [" * 2000, "not TOML"),
    ],
)
def test_what_is_not_the_format_is_refused(old, new, said):
    data = TEXT.replace(old, new).encode("utf-8", "surrogatepass")
    with pytest.raises(UntrustedError) as caught:
        channel.parse(data)
    assert caught.value.check == "C5"
    assert said in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_release_that_is_marked_twice_is_refused():
    twice = replace(ENTRY, withdrawn=(Mark(41, "a"), Mark(41, "b")))
    with pytest.raises(UntrustedError, match="a number is there twice"):
        channel.parse(channel.write(twice))


def test_a_megabyte_is_refused_before_it_is_parsed():
    with pytest.raises(UntrustedError, match="at most 1,048,576"):
        channel.parse(b"#" * ((1 << 20) + 1))


def refused(check, function, *arguments):
    with pytest.raises(UntrustedError) as caught:
        function(*arguments)
    assert caught.value.check == check
    return str(caught.value)


def test_an_entry_of_another_channel_or_product_is_refused():
    channel.check_content(ENTRY, "stable", "acme-gw")
    channel.check_content(ENTRY, "stable", None)
    assert "another channel" in refused(
        "C5", channel.check_content, ENTRY, "testing", None
    )
    assert "another product" in refused(
        "C5", channel.check_content, ENTRY, "stable", "acme-ap"
    )


def test_the_number_is_the_place_in_the_log():
    channel.check_number(ENTRY, 17)
    assert "a leap" in refused("C4", channel.check_number, ENTRY, 16)
    assert "not larger" in refused("C4", channel.check_number, ENTRY, 18)


def test_an_entry_is_good_until_the_second_it_expires():
    channel.check_time(ENTRY, ENTRY.expires - 1, None)
    said = refused("C6", channel.check_time, ENTRY, ENTRY.expires, None)
    assert "expired 2026-10-21 14:13 UTC" in said


def test_an_entry_from_the_future_is_refused_by_a_synchronised_clock_only():
    before = ENTRY.created - channel.AHEAD
    channel.check_time(ENTRY, before, before)
    channel.check_time(ENTRY, before - 1, None)
    assert "ahead" in refused("C6", channel.check_time, ENTRY, before, before - 1)


def test_what_is_accepted_survives_json():
    data = msgspec.json.encode(ENTRY)
    assert msgspec.json.decode(data, type=Entry) == ENTRY
