import pytest
from msgspec.structs import replace

from updater.core import commits, release_toml, statements
from updater.core.release_toml import ReleaseToml
from updater.errors import RefusedError
from updater.publish import commit

RELEASE = ReleaseToml(
    product="acme-gw",
    arch="amd64",
    version="2026.05.1",
    number=42,
    security_floor=40,
    created=1_770_000_000,
)
ARMOR = b"-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"
NOTES = "# OpenSSH fix\n\nWhy now:\tread this.\n\nKnown issues: none.\n"


def test_release_toml_reads_back_with_any_source():
    source = 'https://x/"\\é#1'
    data = commit.write_release_toml(RELEASE, "a" * 40, source)
    assert release_toml.parse(data) == replace(RELEASE, source=source)
    assert 'source = "https://x/\\"\\\\é#1"'.encode() in data


def test_a_commit_says_its_tree_parent_time_and_headline():
    raw = commit.write_commit("1" * 40, "2" * 40, RELEASE, NOTES)
    found = commits.parse(raw)
    assert (found.tree, found.parents) == ("1" * 40, ("2" * 40,))
    assert (found.committed, found.headline) == (1_770_000_000, "OpenSSH fix")


def test_the_first_commit_has_no_parent():
    assert (
        commits.parse(commit.write_commit("1" * 40, None, RELEASE, "x")).parents == ()
    )


def tag(notes):
    return commit.write_tag(
        "3" * 40, RELEASE, notes, tree_sha256="e" * 64, files=7, size=250
    )


def test_a_tag_passes_the_parser_that_machines_use():
    found = statements.parse_tag(tag(NOTES) + ARMOR)
    assert (found.name, found.commit) == ("release/2026.05.1", "3" * 40)
    assert (found.headline, found.number, found.size) == ("OpenSSH fix", 42, 250)
    assert "Known issues: none." in found.text
    assert found.tagger_time == 1_770_000_000


@pytest.mark.parametrize(
    "notes",
    ["x\n\nVersion: 9\nNumber: 99\n", "x\n\n\x1b[31mred\x07\n", "x\n" + "y" * 90_000],
)
def test_no_notes_can_break_the_grammar_of_a_tag(notes):
    found = statements.parse_tag(tag(notes) + ARMOR)
    assert (found.version, found.number) == ("2026.05.1", 42)


def test_empty_notes_are_refused():
    with pytest.raises(RefusedError, match="headline"):
        commit.headline_and_text("\n  \n")
