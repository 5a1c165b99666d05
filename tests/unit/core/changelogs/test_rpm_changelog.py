import pytest
from support import rpmdb

from updater.core.changelogs import rpm as changelog
from updater.core.packages import rpm


def package(*entries, name="openssh", source=None):
    """Entries are (time, author, text)."""
    return rpmdb.package(
        name,
        "9.6p1",
        "1.fc40.4",
        numbers=[(1080, [time for time, _, _ in entries])],
        lists=[
            (1081, [author for _, author, _ in entries]),
            (1082, [text for _, _, text in entries]),
        ],
        source=source,
    )


def parse(header):
    return list(changelog.parse("openssh", rpm.parse_header(header, rpm.CHANGES)))


def test_an_entry_tells_date_author_version_and_text():
    (entry,) = parse(
        package(
            (
                1719831600,
                "Dmitry Belyavskiy <dbelyavs@redhat.com> - 9.6p1-1.4",
                "- Possible remote code execution\n  Resolves: CVE-2024-6387\n",
            )
        )
    )
    assert entry.source == "openssh"
    assert entry.version == "9.6p1-1.4"
    assert entry.author == "Dmitry Belyavskiy <dbelyavs@redhat.com>"
    assert entry.date == 1719831600
    assert entry.lines == (
        "- Possible remote code execution",
        "  Resolves: CVE-2024-6387",
    )


@pytest.mark.parametrize(
    ("author", "version"),
    [
        ("Jane Doe <j@example.org> 1:2.3-4", "1:2.3-4"),
        ("Jane Doe <j@example.org> - 2:4.15.1-3", "2:4.15.1-3"),
        ("Jane Doe <j@example.org> - 2.3~rc1-0.1.fc40", "2.3~rc1-0.1.fc40"),
        ("Jane Doe <j@example.org> 2.3-4", "2.3-4"),
        ("jane@suse.de", None),
        ("Jane Doe <j@example.org>", None),
        ("Jane Doe <j@example.org> - new", None),
        ("", None),
    ],
)
def test_the_version_stands_behind_the_author_or_nowhere(author, version):
    (entry,) = parse(package((1, author, "- x")))
    assert entry.version == version
    assert "2.3" not in entry.author


def test_lists_that_are_not_equally_long_tell_what_fits():
    header = rpmdb.package("a", numbers=[(1080, [2, 1])], lists=[(1081, ["x"])])
    assert parse(header) == []


def test_a_header_without_a_changelog_has_none():
    assert parse(rpmdb.package("a")) == []


def test_changelogs_are_those_of_the_asked_packages(tmp_path):
    data = rpmdb.database(
        tmp_path / "db",
        [
            package((2, "a@b - 9.6p1-1", "- new"), name="openssh-server",
                    source="openssh-9.6p1-1.fc40.4.src.rpm"),
            package((1, "a@b", "- x"), name="bash"),
        ],
    )  # fmt: skip
    found = changelog.read(data, {"openssh-server"})
    assert list(found) == [("openssh", "9.6p1-1.fc40.4")]
    assert found["openssh", "9.6p1-1.fc40.4"][0].lines == ("- new",)
