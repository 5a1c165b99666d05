import json

import pytest
from support.keys import tag_payload
from support.releases import Store

from updater.core import changes, history, packages
from updater.errors import UntrustedError
from updater.model import (
    CHANGES_PATH,
    MANIFEST_PATH,
    NOTES_PATH,
    PACKAGES_PATH,
    RELEASE_TOML_PATH,
    GitMode,
    Package,
)

TOML = b"""format = 1
product = "acme"
arch = "amd64"
version = "2026.05.1"
number = 42
security_floor = 40
bootable = false
created = "2026-05-16T14:02:11Z"
previous = ""
source = "https://git.example.org/recipe#3f2c9a1"
"""
CURL = Package("curl", "7.88-1", "curl", "amd64", 5, family="dpkg")
OWN = {
    MANIFEST_PATH: b"osupdate-manifest 1\n",
    RELEASE_TOML_PATH: TOML,
    NOTES_PATH: "# Fix of CVE-2024-6387\n\nWhy: \xe9\n".encode(),
    PACKAGES_PATH: packages.to_json([CURL]),
}
FILES = {b"etc/motd": b"hi\n", b"usr/bin/x": (b"#!", GitMode.EXECUTABLE), **OWN}


@pytest.fixture
def store():
    return Store()


def test_a_release_says_what_it_is(store):
    commit = store.commit(FILES, message="Fix\n\nMore CVE-2023-44487\n")
    told = history.tell(commit, store.read)
    assert (told.known.version, told.known.number) == ("2026.05.1", 42)
    assert told.known.created == 1_778_940_131
    assert (told.known.headline, told.known.text) == ("Fix", "More CVE-2023-44487")
    assert told.known.source == "https://git.example.org/recipe#3f2c9a1"
    assert told.known.cves == ("CVE-2023-44487", "CVE-2024-6387")
    assert told.notes == "# Fix of CVE-2024-6387\n\nWhy: \xe9\n"
    assert history.packages_of(told.tree, store.read) == (CURL,)
    assert told.changes is None


def test_a_plain_commit_goes_by_its_date_and_id(store):
    commit = store.commit({b"etc/motd": b"hi\n"}, at=1_344_211_200)
    known = history.tell(commit, store.read).known
    assert known.version == f"2012-08-06-{commit[:7]}"
    assert known.number == known.created == 1_344_211_200
    assert history.tell(commit, store.read, version="v13", number=5).known.number == 5


def test_a_tag_of_another_commit_is_not_believed(store):
    commit = store.commit(FILES)
    payload = tag_payload()
    tag = store.add("tag", payload)
    assert history.tell(commit, store.read, tag=tag).known.tag is None


def test_packages_of_a_plain_rootfs_come_from_its_database(store):
    status = b"Package: x\nStatus: install ok installed\nVersion: 1\nArchitecture: a\n"
    root = store.tree({b"var/lib/dpkg/status": status, b"etc/motd": b""})
    [package] = history.packages_of(root, store.read)
    assert (package.name, package.version) == ("x", "1")
    assert history.packages_of(store.tree({b"a": b""}), store.read) is None


def test_a_package_list_that_is_not_here_is_not_known(store):
    root = store.tree(FILES)
    entry = history.entry_at(root, PACKAGES_PATH, store.read)
    del store.objects[entry.oid]
    assert history.packages_of(root, store.read) is None


def test_changed_paths_are_those_that_git_and_the_manifest_tell(store):
    old = store.tree(FILES)
    manifest = b"osupdate-manifest 1\n/etc/motd mode=0600\n"
    files = {**FILES, b"usr/bin/x": b"#!", b"usr/new": b"", MANIFEST_PATH: manifest}
    new = store.tree(files)
    expected = [b"etc/motd", b"usr/bin/x", MANIFEST_PATH, b"usr/new"]
    assert history.changed_paths(old, new, store.read) == sorted(expected)
    assert history.touched(old, new, b"etc", store.read)
    assert history.touched(old, new, b"usr/bin", store.read)
    assert history.touched(old, new, b"etc/motd", store.read)
    assert not history.touched(old, new, b"etc/mot", store.read)


def test_of_a_closed_directory_only_that_something_in_it_changed_is_told():
    store = Store()
    closed = b"osupdate-manifest 1\n/etc/sudoers.d mode=0750\n/root mode=0700\n"
    old = store.tree({**FILES, MANIFEST_PATH: closed})
    new = {**FILES, MANIFEST_PATH: closed, b"etc/sudoers.d/web": b"", b"root/a/b": b""}
    paths = history.changed_paths(old, store.tree(new), store.read)
    assert paths == [b"etc/sudoers.d/", b"root/"]


def test_the_first_release_changed_everything_that_it_has(store):
    new = store.tree(FILES)
    assert history.changed_paths(None, new, store.read) == sorted(FILES)


def test_what_comes_and_goes_is_touched(store):
    old, new = store.tree({b"a/b": b"1"}), store.tree({b"a/c": b"1"})
    assert history.touched(old, new, b"a/b", store.read)
    assert history.touched(old, new, b"a/c", store.read)
    assert not history.touched(old, new, b"a/d", store.read)


def test_ancestors_end_where_they_are_not_here(store):
    first = store.commit(FILES, parent="0" * 40)
    second = store.commit(FILES, parent=first, at=2)
    third = store.commit(FILES, parent=second, at=3)
    assert list(history.ancestors(third, store.read)) == [second, first]


def test_a_tree_in_the_place_of_a_commit_is_refused(store):
    with pytest.raises(UntrustedError):
        history.tell(store.tree(FILES), store.read)


def test_a_broken_file_of_its_own_does_not_hide_the_release(store):
    broken = {**FILES, RELEASE_TOML_PATH: b"[", CHANGES_PATH: b"{", NOTES_PATH: b"\xff"}
    told = history.tell(store.commit(broken), store.read)
    assert told.known.version.startswith("2026-02-02-")
    assert told.notes == "\ufffd"
    assert told.changes is None


def test_changelogs_of_a_release_are_read(store):
    entry = changes.Change(
        version="1",
        release=42,
        date=None,
        urgency="high",
        distribution="x-security",
        security=True,
        news=False,
        cves=("CVE-2024-1111",),
        text=("a",),
        cut=0,
    )
    data = changes.write(changes.Changes(41, {"curl": (entry,)}))
    told = history.tell(store.commit({**FILES, CHANGES_PATH: data}), store.read)
    assert told.changes.sources["curl"][0].cves == ("CVE-2024-1111",)
    assert json.loads(data)["since"] == 41
