import pytest

from updater.core import files, told
from updater.errors import UntrustedError
from updater.model import GitMode, TreeEntry

OWN = "usr/lib/osupdate"
ENTRIES = tuple(
    TreeEntry(path.encode(), GitMode.FILE, f"{number:040x}")
    for number, path in enumerate(
        ["etc/motd", f"{OWN}/manifest", f"{OWN}/notes.md", f"{OWN}/packages.json"]
    )
)
TOLD = {
    b"manifest": f"{1:040x}",
    b"notes.md": f"{2:040x}",
    b"packages.json": f"{3:040x}",
}
LISTED = files.write(ENTRIES, lambda _: None)


def refused(*arguments):
    with pytest.raises(UntrustedError) as caught:
        told.check(*arguments)
    assert caught.value.check == "F3"
    return str(caught.value)


def test_a_release_that_is_as_told_is_taken():
    told.check(TOLD, LISTED, ENTRIES)


def test_owners_are_not_compared():
    told.check(TOLD, files.write(ENTRIES, lambda _: "base-files"), ENTRIES)


@pytest.mark.parametrize("name", list(TOLD))
def test_a_file_that_was_told_otherwise_is_refused(name):
    said = refused(TOLD | {name: "f" * 40}, LISTED, ENTRIES)
    assert name.decode() in said


def test_a_file_that_was_not_told_or_not_kept_is_refused():
    less = {name: oid for name, oid in TOLD.items() if name != b"notes.md"}
    assert "notes.md" in refused(less, LISTED, ENTRIES)
    assert "release.toml" in refused(
        TOLD | {b"release.toml": "f" * 40}, LISTED, ENTRIES
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e[1:],
        lambda e: (*e, TreeEntry(b"usr/x", GitMode.FILE, "f" * 40)),
        lambda e: (TreeEntry(b"etc/motd", GitMode.EXECUTABLE, e[0].oid), *e[1:]),
        lambda e: (TreeEntry(b"etc/motd", GitMode.FILE, "f" * 40), *e[1:]),
    ],
)
def test_a_tree_that_was_listed_otherwise_is_refused(change):
    listed = files.write(change(ENTRIES), lambda _: None)
    assert "list of files" in refused(TOLD, listed, ENTRIES)


def test_a_list_that_is_none_is_refused():
    refused(TOLD, b"nonsense", ENTRIES)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b" - /etc/motd", b" a b /etc/motd"),
        (b" - /etc/motd", b"  /etc/motd"),
        (b"osupdate-files 1", b"osupdate-files 2"),
        (b"/etc/motd\n", b"/etc/motd"),
        (b"/etc/motd\n", b"/etc/motd\n\n"),
        (b"100644 ", b"100644  "),
    ],
)
def test_a_list_that_is_not_of_its_format_is_refused(old, new):
    assert old in LISTED
    refused(TOLD, LISTED.replace(old, new, 1), ENTRIES)


def test_names_that_are_escaped_are_compared_as_they_are():
    odd = tuple(sorted((*ENTRIES, TreeEntry(b"etc/a b\xff", GitMode.FILE, "f" * 40)),
                       key=lambda entry: entry.path))  # fmt: skip
    told.check(TOLD, files.write(odd, lambda _: None), odd)
