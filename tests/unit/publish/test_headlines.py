import pytest

from updater.errors import RefusedError, UsageError
from updater.publish import notes

GOOD = [
    "OpenSSH fix (CVE-2024-6387), kernel 6.1.94",
    "# First release",
    "2026.05.1: no password logins over ssh",
    "Security update",
    "Update of glibc",
    "最初のリリースです",
    "Обновление ядра",
]
EMPTY = [
    "Release",
    "update",
    "Updates",
    "fixups",
    "up",
    "tweaks",
    "2026.05.1",
    "# 2026.05.1",
    "acme-gw 2026.05.1",
    "Release 2026.05.1 of acme-gw",
    "New version",
    "various fixes",
    "bug fixes and some minor changes",
    "OpenSSH",
    "...",
    "🚀 🚀",
    "新版",
]


@pytest.mark.parametrize("headline", GOOD)
def test_a_headline_that_says_what_changed_is_taken(headline):
    notes.check(f"{headline}\n\nWhy now.\n", "acme-gw", "2026.05.1")


@pytest.mark.parametrize("headline", EMPTY)
def test_a_headline_that_says_nothing_is_refused_with_what_is_expected(headline):
    with pytest.raises(RefusedError, match="expected what changes") as caught:
        notes.check(f"{headline}\n\nA long text below it.\n", "acme-gw", "2026.05.1")
    assert "--draft-notes" in caught.value.hint


def test_missing_notes_are_a_mistake_of_usage():
    with pytest.raises(UsageError, match="a release needs notes: --notes FILE"):
        notes.check(None, "acme-gw", "2026.05.1")


def test_empty_notes_are_refused():
    with pytest.raises(RefusedError, match="headline"):
        notes.check(" \n", "acme-gw", "2026.05.1")


def test_a_draft_that_nobody_filled_in_is_refused():
    text = "curl 8.1 and more\n\nWhy now: <!-- fill in: what happens -->\n"
    with pytest.raises(RefusedError, match=r"not filled in yet: .Why now"):
        notes.check(text, "acme-gw", "2026.05.1")


def test_the_name_of_the_product_counts_only_as_a_word():
    notes.check("Ghost in the shell script\n", "os", "1")
    with pytest.raises(RefusedError):
        notes.check("os 1\n", "os", "1")
