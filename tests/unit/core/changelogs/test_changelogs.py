from functools import partial

import pytest

from updater.core.changelogs import (
    PATIENCE,
    Entry,
    between,
    cves,
    is_security,
    of_source,
    worst,
)
from updater.core.packages import order

DPKG = partial(order.compare, "dpkg")


def entries(*versions):
    return [Entry("foo", version) for version in versions]


def versions(found):
    return [entry.version for entry in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fix CVE-2024-6387 (regreSSHion).", ["CVE-2024-6387"]),
        ("(CVE-2023-1234/CVE-2023-12345)", ["CVE-2023-1234", "CVE-2023-12345"]),
        ("cve-2024-1234, CVE-2024-1234", ["CVE-2024-1234"]),
        ("CVE-2024-10000 CVE-2024-9999", ["CVE-2024-9999", "CVE-2024-10000"]),
        ("CVE-2024-1, -2 and CVE-2024-123", []),
        ("CAN-2004-0001, XCVE-2024-1234, CVE-2024-12345678901", []),
        ("patches/CVE-2024-1234.patch", ["CVE-2024-1234"]),
        ("", []),
    ],
)
def test_only_whole_cve_ids_are_found_and_they_are_in_order(text, expected):
    assert list(cves([text])) == expected


def test_the_most_urgent_of_several_counts():
    assert worst(["low", "high", "medium"]) == "high"
    assert worst(["critical", "emergency"]) == "emergency"
    assert worst(["", ""]) == ""
    assert worst([]) == ""


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (Entry("a", "1-1", "unstable", "high"), False),
        (Entry("a", "1-1+deb12u1", "bookworm", "medium"), False),
        (Entry("a", "1-1+deb12u1", "bookworm", "high"), True),
        (Entry("a", "1~deb11u2", "bullseye", "critical"), True),
        (Entry("a", "1-1", "bookworm-security", "low"), True),
        (Entry("a", "1-1", "jammy-security jammy-updates"), True),
        (Entry("a", "1-1", "unstable", "low", lines=("CVE-2024-1234",)), True),
        (Entry("a", None), False),
    ],
)
def test_what_closes_a_hole_is_security(entry, expected):
    assert is_security(entry) is expected


def test_entries_are_those_after_the_old_up_to_the_new_version():
    log = entries("2-1", "1.1-2", "1.1-1", "1.0-1", "0.9-1")
    assert versions(between(log, "1.0-1", "1.1-2", DPKG)) == ["1.1-2", "1.1-1"]
    assert between(log, "1.1-2", "1.1-2", DPKG) == []


def test_entries_follow_the_order_of_the_system():
    log = entries("1:1.0-1", "1.1-1+deb12u1", "1.1-1", "1.1~rc1-1", "1.0-9")
    assert versions(between(log, "1.0-9", "1:1.0-1", DPKG)) == versions(log)[:4]
    assert versions(between(log, "1.1~rc1-1", "1.1-1", DPKG)) == ["1.1-1"]


def test_a_downgrade_brings_no_entries():
    assert between(entries("2-1", "1-1"), "2-1", "1-1", DPKG) == []


def test_a_rebuild_is_not_an_entry_of_the_source():
    log = entries("1.0-1+b2", "1.0-1", "0.9-1")
    assert versions(between(log, "0.9-1", "1.0-1", DPKG)) == ["1.0-1"]


def test_versions_that_a_changelog_does_not_have_are_bounds_as_well():
    log = entries("1.4-1", "1.2-1", "1.0-1")
    assert versions(between(log, "1.1-1", "1.3-1", DPKG)) == ["1.2-1"]


def test_a_changelog_out_of_order_yields_what_is_in_between():
    log = entries("1.2-1", "1.0-1", "0.1-1", "1.1-1")
    assert versions(between(log, "1.0-1", "1.2-1", DPKG)) == ["1.2-1", "1.1-1"]


def test_a_changelog_of_another_source_tells_nothing_and_one_of_an_older_name_does():
    log = entries("2-1", "1-1")
    assert of_source(log, "bar") == []
    renamed = [Entry("bar", "3-1"), *log]
    assert of_source(renamed, "bar") == renamed
    assert of_source([], "bar") == []


def test_without_an_old_version_everything_up_to_the_new_one_is_new():
    assert versions(between(entries("3", "2", "1"), None, "2", DPKG)) == ["2", "1"]


def test_entries_without_a_version_are_new_above_the_first_old_one():
    log = [Entry("foo", None), *entries("1.0-1"), Entry("foo", None)]
    assert between(log, "1.0-1", "1.1-1", DPKG) == log[:1]


def test_a_long_changelog_is_not_read_to_its_end():
    read = []

    def log():
        for number in range(100_000, 0, -1):
            read.append(number)
            yield Entry("foo", f"{number}")

    assert len(between(log(), "99990", "100000", DPKG)) == 10
    assert len(read) <= 10 + PATIENCE + 1
