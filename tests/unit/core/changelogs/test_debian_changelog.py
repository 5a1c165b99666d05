import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.core.changelogs import debian

LOG = """\
openssh (1:9.2p1-2+deb12u3) bookworm-security; urgency=high

  * Non-maintainer upload by the Security Team.
  * Disable async-signal-unsafe code from the sshsigdie() function
    (CVE-2024-6387).

  [ Colin Watson ]
  * Something else.

 -- Salvatore Bonaccorso <carnil@debian.org>  Sat, 22 Jun 2024 21:38:08 +0200

openssh (1:9.2p1-2) unstable experimental; urgency=LOW (it is small), binary-only=yes

  * Fix.
 -- Colin Watson <cjwatson@debian.org>  Sun, 12 Feb 2023 10:11:12 +0000
"""


def parse(text, **kw):
    data = text if isinstance(text, bytes) else text.encode()
    return list(debian.parse(data, **kw))


def test_an_entry_tells_version_distribution_urgency_author_date_and_text():
    first, second = parse(LOG)
    assert first.source == "openssh"
    assert first.version == "1:9.2p1-2+deb12u3"
    assert first.distribution == "bookworm-security"
    assert first.urgency == "high"
    assert first.author == "Salvatore Bonaccorso <carnil@debian.org>"
    assert first.date == 1719085088
    assert first.lines == (
        "* Non-maintainer upload by the Security Team.",
        "* Disable async-signal-unsafe code from the sshsigdie() function",
        "  (CVE-2024-6387).",
        "",
        "[ Colin Watson ]",
        "* Something else.",
    )
    assert second.distribution == "unstable experimental"
    assert second.urgency == "low"
    assert second.date == 1676196672
    assert not first.news


def test_news_are_marked():
    assert [entry.news for entry in parse(LOG, news=True)] == [True, True]


@pytest.mark.parametrize(
    "mess",
    [
        "\nvim:sw=2:et:\n",
        "\n  vim: set ts=8:\n",
        "\nLocal variables:\nmode: debian-changelog\nEnd:\n",
        "\nOld Changelog:\n",
        "\nChanges from version 0.9 to 1.0:\n\n* something in an old format\n",
        "Tue Jul 14 1998 Somebody <x@y>\n\n* Initial release\n",
        "-- Nobody\n",
        "openssh (no version)\n",
        "openssh (1.0) unstable urgency=low\n",
        "<<<<<<< HEAD\n",
        "\x00\x01\x02\n",
    ],
)
def test_mess_after_an_entry_changes_none(mess):
    assert parse(LOG + mess) == parse(LOG)


def test_mess_inside_an_entry_loses_only_itself():
    first, second = parse(LOG.replace("  * Something else.", "<<<< HEAD\n  * Else."))
    assert first.lines[-1] == "* Else."
    assert second == parse(LOG)[1]


def test_text_that_is_not_utf_8_is_latin_1():
    (entry,) = parse(b"a (1) x; urgency=low\n\n  * L\xf6sung, L\xc3\xb6sung\n")[:1]
    assert entry.lines == ("* Lösung, L\ufffdsung".replace("\ufffd", "Ã¶"),)


def test_lines_of_other_systems_are_read():
    assert parse(LOG.replace("\n", "\r\n")) == parse(LOG)


@pytest.mark.parametrize(
    "date", ["", "yesterday", "Sat, 99 Jun 2024 21:38:08 +0200", "Sat, 1 Jan 99999999"]
)
def test_a_date_that_is_none_is_not_told(date):
    first, _ = parse(LOG.replace("Sat, 22 Jun 2024 21:38:08 +0200", date))
    assert first.date is None
    assert first.author == "Salvatore Bonaccorso <carnil@debian.org>"
    assert len(first.lines) == 6


def test_an_urgency_that_nobody_defined_is_not_told():
    assert parse(LOG.replace("urgency=high", "urgency=soon"))[0].urgency == ""
    assert parse(LOG.replace("urgency=high", ""))[0].urgency == ""


def test_an_entry_without_its_last_line_ends_at_the_next():
    cut = LOG.replace(" -- Salvatore", "   Salvatore")
    first, second = parse(cut)
    assert first.date is None
    assert second == parse(LOG)[1]


@pytest.mark.parametrize("length", range(0, len(LOG), 17))
def test_a_changelog_that_is_cut_tells_what_is_left(length):
    found = parse(LOG[:length])
    whole = parse(LOG)
    assert len(found) <= 2
    assert [e.version for e in found] == [e.version for e in whole][: len(found)]


@given(st.binary(max_size=300), st.integers(0, len(LOG)))
def test_no_bytes_make_it_fail(noise, place):
    data = LOG.encode()
    parse(data[:place] + noise + data[place:])


def test_an_entry_without_end_takes_no_more_than_its_share():
    found = parse("a (1) x; urgency=low\n" + "  * line\n" * 100_000)
    assert len(found[0].lines) == debian.MAX_LINES


def test_a_line_without_end_takes_no_time():
    rng = random.Random(1)
    parse("a (" + " " * 200_000)
    parse("a (1)" + " x" * 100_000 + "\n")
    parse("a (1) x; " + "k=v," * 100_000)
    parse("a (1) x; " + "k" * 1_000_000)
    parse(" -- " + "<" * 200_000)
    parse("".join(rng.choice("a (1);=-") for _ in range(200_000)))
