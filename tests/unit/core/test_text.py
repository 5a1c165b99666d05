import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.core.text import plural, safe, safe_lines, show_path, size


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("größe ✓", "größe ✓"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\rb\nc\td", "a\\rb\\nc\\td"),
        ("\x9b31m", "\\x9b31m"),
        ("user\u202egnp.exe", "user\\u202egnp.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("line\u2028break", "line\\u2028break"),
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9", "caf\\xe9"),
        ("\udce9", "\\udce9"),
    ],
)
def test_only_what_can_be_shown_reaches_the_terminal(text, shown):
    assert safe(text) == shown


def test_long_text_is_cut_and_says_so():
    assert safe("x" * 11, 10) == "x" * 10 + "..."
    assert safe("x" * 10, 10) == "x" * 10


def test_text_that_grows_when_escaped_is_cut_and_says_so():
    assert safe("\x1b" * 10, 10) == "\\x1b\\x1b\\x" + "..."


@given(st.text() | st.binary())
def test_safe_text_is_always_one_printable_line(text):
    assert "".join(safe(text).split()).isprintable()
    assert not set(safe(text)) & set("\x1c\x1d\x1e\x1f\x85\n\r\t\v\f\u2028\u2029")


def test_lines_stay_lines_and_tabs_become_spaces():
    assert safe_lines("a\tb\n\x1bc") == "a    b\n\\x1bc"


def test_a_path_is_shown_with_its_leading_slash():
    assert show_path(b"etc/x\ny\xff") == "/etc/x\\ny\\xff"


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (18_449_999, "18.4 MB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1_103_456_789, "1.1 GB"),
        (2_000_000_000_000, "2.0 TB"),
        (-1500, "-1.5 kB"),
    ],
)
def test_sizes_are_decimal_with_one_digit(count, shown):
    assert size(count) == shown


def test_one_is_singular():
    assert plural(1, "file") == "1 file"
    assert plural(25013, "file") == "25,013 files"
    assert plural(0, "entry", "entries") == "0 entries"
