import pytest
from support.releases import known

from updater.core import chronicle
from updater.core.chronicle import Range
from updater.errors import UsageError

ALL = chronicle.newest_first([known("1.0", 1), known("1.2", 3), known("1.1", 2)])


def test_the_largest_number_is_the_newest_whatever_the_version_says():
    mixed = [known("9", 1), known("1", 7), known("10", 3)]
    assert [r.version for r in chronicle.newest_first(mixed)] == ["1", "10", "9"]


def test_of_commits_of_one_second_a_child_comes_before_its_parent():
    chain = [
        known(f"{n}", 5, commit=f"{n}" * 40, parent=f"{n - 1}" * 40 if n else None)
        for n in (3, 0, 8, 2, 1, 9)
    ]
    ordered = [r.version for r in chronicle.newest_first(chain)]
    assert [v for v in ordered if v < "4"] == ["3", "2", "1", "0"]
    assert [v for v in ordered if v > "4"] == ["9", "8"]
    assert chronicle.is_complete(
        chronicle.newest_first(r for r in chain if r.version < "4")
    )


@pytest.mark.parametrize(
    ("wanted", "version"),
    [
        ("1.1", "1.1"),
        ("release/1.2", "1.2"),
        ("number:1", "1.0"),
        ("02" * 20, "1.1"),
        ("0202020", "1.1"),
        ("running", "1.2"),
    ],
)
def test_a_release_is_found_by_every_name(wanted, version):
    found = chronicle.named(ALL, wanted, {"running": "03" * 20})
    assert found.version == version


def test_six_digits_of_a_commit_are_too_few():
    with pytest.raises(UsageError, match='no release "020202" is known here'):
        chronicle.named(ALL, "020202")


def test_a_role_that_nobody_has_is_no_release():
    with pytest.raises(UsageError, match="staged"):
        chronicle.named(ALL, "staged", {})


def test_a_version_that_two_commits_have_is_asked_back():
    twice = [known("1.0", 1), known("1.0", 2)]
    with pytest.raises(UsageError, match="may be any of"):
        chronicle.named(twice, "1.0")


def test_a_range_begins_after_its_left_end_and_ends_with_its_right():
    asked = Range(older=ALL[2], newest=ALL[1])
    assert [r.version for r in chronicle.within(ALL, asked)] == ["1.1"]
    assert [r.version for r in chronicle.within(ALL, Range(older=ALL[1]))] == ["1.2"]
    assert [r.version for r in chronicle.within(ALL, Range(newest=ALL[2]))] == ["1.0"]


def test_knowledge_is_complete_only_without_a_gap_and_back_to_the_first():
    assert chronicle.is_complete(ALL)
    assert not chronicle.is_complete((ALL[0], ALL[2]))
    assert not chronicle.is_complete(ALL[:2])
    assert not chronicle.is_complete(())


def test_a_gap_is_where_the_parent_is_not_the_next_older_one():
    assert chronicle.gap_after((ALL[0], ALL[2]), 0)
    assert not chronicle.gap_after(ALL, 0)
    assert not chronicle.gap_after(ALL, 2)


def test_vulnerabilities_are_found_once_and_bounded():
    text = "CVE-2024-6387, CVE-2024-6387 (XCVE-2024-1, CVE-24-1) CVE-2023-44487."
    assert chronicle.cves(text, "CVE-2024-6387") == ("CVE-2024-6387", "CVE-2023-44487")
    many = " ".join(f"CVE-2024-{number}" for number in range(10_000, 12_000))
    assert len(chronicle.cves(many)) == chronicle.MAX_CVES


def test_a_path_is_touched_by_itself_and_by_what_is_below_it():
    paths = [b"etc/ssh/sshd_config", b"usr/bin/x"]
    assert chronicle.touches(paths, [b"etc/ssh"])
    assert chronicle.touches(paths, [b"usr/bin/x"])
    assert not chronicle.touches(paths, [b"etc/ss", b"usr/bin/x/y"])
