import gzip
import os

import pytest
from support.releases import known

from updater.core.changes import Change, Changes
from updater.errors import HostError
from updater.model import Package
from updater.system import seen
from updater.system.seen import Seen

CURL = Package("curl", "7.88-1", "curl", "amd64", 5, family="dpkg")
FIX = Change(
    version="1", release=2, date=None, urgency="high", distribution="x", security=True,
    news=False, cves=("CVE-2024-1111",), text=("a",), cut=0,
)  # fmt: skip
TOLD = Changes(1, {"curl": (FIX,)})


@pytest.fixture
def store(tmp_path):
    return Seen(str(tmp_path / "releases"))


def fill(store, release, paths=(b"etc/motd", b"usr/bin/\xff x")):
    store.add(release, "Notes \udcff é\n", [CURL], TOLD, paths)


def test_everything_that_was_told_is_told_again(store):
    release = known("1.1", 2)
    fill(store, release)
    assert store.releases() == (release,)
    assert store.packages(release.commit) == (CURL,)
    assert store.changes(release.commit) == TOLD
    assert store.paths(release.commit) == b"\0etc/motd\0usr/bin/\xff x\0"
    assert store.notes(release.commit) == "Notes ? é\n"
    assert store.changes_name(release.commit, "CVE-2024-1111")
    assert not store.changes_name(release.commit, "CVE-2024-111")


def test_everybody_may_read_it(store, tmp_path):
    fill(store, known("1.1", 2))
    for top, _, names in os.walk(tmp_path / "releases"):
        assert os.stat(top).st_mode & 0o777 == 0o755
        for name in names:
            assert os.stat(os.path.join(top, name)).st_mode & 0o777 == 0o644


def test_what_was_not_told_is_not_known(store):
    release = known("1.0", 1)
    store.add(release, None, None, None, None)
    assert store.notes(release.commit) is None
    assert store.packages(release.commit) is None
    assert store.changes(release.commit) is None
    assert store.paths(release.commit) is None
    assert not store.changes_name(release.commit, "CVE-2024-1111")


def test_nothing_is_there_before_the_first(store):
    assert store.releases() == ()
    assert store.commits() == set()
    store.tidy()


def test_a_release_that_is_there_stays_as_it_is(store):
    fill(store, known("1.1", 2))
    fill(store, known("1.1", 2, headline="Another"), paths=())
    assert store.releases()[0].headline == "What changed in 1.1"
    assert store.paths("02" * 20) != b"\0"


@pytest.mark.parametrize(
    "data", [b"", b"junk", gzip.compress(b"{")[:-4], gzip.compress(b"[]\n")]
)
def test_what_is_damaged_is_not_known_and_breaks_nothing(store, tmp_path, data):
    release = known("1.1", 2)
    fill(store, release)
    (tmp_path / "releases" / f"{release.commit}.gz").write_bytes(data)
    for read in (store.packages, store.changes, store.paths):
        assert read(release.commit) is None
    assert not store.changes_name(release.commit, "CVE-2024-1111")
    assert store.releases() == (release,)


def test_parts_that_are_not_what_they_should_be_are_not_known(store, tmp_path):
    release = known("1.1", 2)
    fill(store, release)
    parts = b'{"packages":1,"changes":1,"paths":0}\n[{'
    (tmp_path / "releases" / f"{release.commit}.gz").write_bytes(gzip.compress(parts))
    assert store.packages(release.commit) is None
    assert store.changes(release.commit) is None
    assert store.paths(release.commit) == b"\0"


def test_facts_that_are_damaged_or_of_another_release_are_not_believed(store, tmp_path):
    for number in (1, 2):
        fill(store, known(f"1.{number}", number))
    first, second = (tmp_path / "releases" / f"{f'0{n}' * 20}.json" for n in (1, 2))
    second.write_bytes(first.read_bytes())
    assert [r.version for r in store.releases()] == ["1.1"]
    first.write_bytes(b'{"known": 1}')
    assert store.releases() == ()


def test_an_interrupted_run_leaves_nothing_that_counts(store, tmp_path):
    directory = tmp_path / "releases"
    fill(store, known("1.1", 2))
    commit = "01" * 20
    (directory / f"{commit}.gz").write_bytes(b"whole, but told of by nobody")
    (directory / f"{commit}.json.tmp").write_text("{")
    assert store.commits() == {"02" * 20}
    store.tidy()
    assert sorted(path.name for path in directory.iterdir()) == [
        f"{'02' * 20}.gz",
        f"{'02' * 20}.json",
    ]


def test_only_the_newest_are_kept(store, monkeypatch):
    monkeypatch.setattr(seen, "LIMIT", 2)
    for number in (3, 1, 2):
        fill(store, known(f"1.{number}", number))
    store.tidy()
    assert [r.version for r in store.releases()] == ["1.3", "1.2"]


def test_a_full_disk_is_a_host_error_and_the_release_is_not_there(store, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(seen.fs, "rename", full)
    with pytest.raises(HostError):
        fill(store, known("1.0", 1))
    assert store.releases() == ()
