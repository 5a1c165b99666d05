"""Why packages changed: from documentation, real .deb files, and what publish says."""

import gzip
import os
import shutil
import subprocess

import pytest
from support import rpmdb
from support.factory import Symlink, make_key, make_rootfs, publish_to

from updater.core import changes
from updater.core.changelogs import debian
from updater.errors import HostError, RefusedError
from updater.model import CHANGES_PATH

DOC = "usr/share/doc"


def stanza(name, version, source=None):
    lines = [f"Package: {name}", "Status: install ok installed", "Architecture: amd64"]
    if source:
        lines.append(f"Source: {source}")
    return "\n".join([*lines, f"Version: {version}", ""])


def entry(source, version, text="* Fix.", urgency="medium", distribution="bookworm"):
    return (
        f"{source} ({version}) {distribution}; urgency={urgency}\n\n  {text}\n\n"
        " -- A B <a@b.example>  Sat, 22 Jun 2024 21:38:08 +0200\n\n"
    )


def log(source, *versions):
    return "".join(entry(source, version) for version in versions)


def packed(text):
    return gzip.compress(text.encode(), mtime=0)


@pytest.fixture(scope="session")
def key(tmp_path_factory):
    return make_key(tmp_path_factory.mktemp("keys"))[0]


@pytest.fixture
def publish(tmp_path, key):
    """Publish a root filesystem of these packages and other files."""

    def run(version, packages, files=None, **kw):
        rootfs = tmp_path / "rootfs"
        shutil.rmtree(rootfs, ignore_errors=True)
        status = "\n".join(stanza(*package) for package in packages)
        make_rootfs(
            rootfs,
            {"etc/version": version, "var/lib/dpkg/status": status, **(files or {})},
        )
        return publish_to(tmp_path / "repo.git", rootfs, version, key, **kw)

    return run


@pytest.fixture
def git(tmp_path):
    """stock git in the repository."""

    def run(*arguments):
        return subprocess.run(
            ["git", "-c", "safe.directory=*", *arguments],
            cwd=tmp_path / "repo.git",
            check=True,
            capture_output=True,
        ).stdout

    return run


@pytest.fixture
def told(git):
    """changes.json of the newest release."""
    return lambda revision="releases": git(
        "show", f"{revision}:{CHANGES_PATH.decode()}"
    )


def versions(data):
    found = changes.parse(data).sources
    return {
        source: [change.version for change in list_] for source, list_ in found.items()
    }


def test_a_first_release_tells_no_changes(publish, told):
    outcome = publish(
        "1", [("foo", "1")], {f"{DOC}/foo/changelog.gz": packed(log("foo", "1"))}
    )
    assert changes.parse(told()) == changes.Changes(1)
    assert outcome.notices == ()


def test_entries_since_the_release_before_are_told_with_urgency_and_cves(publish, told):
    publish("1", [("ssh", "1:9-1", "openssh")])
    text = (
        entry("openssh", "1:9-3", "* CVE-2024-6387", "high", "bookworm-security")
        + entry("openssh", "1:9-2")
        + entry("openssh", "1:9-1")
    )
    outcome = publish(
        "2",
        [("ssh", "1:9-3", "openssh")],
        {f"{DOC}/ssh/changelog.Debian.gz": packed(text)},
    )
    newest, older = changes.parse(told()).sources["openssh"]
    assert (newest.version, newest.urgency, newest.security, newest.release) == (
        *("1:9-3", "high", True, 2),
    )
    assert newest.cves == ("CVE-2024-6387",)
    assert older.version == "1:9-2"
    assert outcome.notices == ()


def test_notices_for_those_who_run_it_stand_in_front(publish, told):
    publish("1", [("foo", "1"), ("foo-data", "1", "foo")])
    news = entry("foo", "2", "The configuration moved.")
    publish(
        "2",
        [("foo", "2"), ("foo-data", "2", "foo")],
        {
            f"{DOC}/foo-data/changelog.Debian.gz": packed(log("foo", "2", "1")),
            f"{DOC}/foo-data/NEWS.Debian.gz": packed(news),
            f"{DOC}/foo/NEWS.Debian": news,
        },
    )
    first, second = changes.parse(told()).sources["foo"]
    assert (first.news, first.text) == (True, ("The configuration moved.",))
    assert (second.news, second.version) == (False, "2")


def test_a_machine_that_skips_a_release_still_reads_of_it(publish, told):
    docs = {f"{DOC}/foo/changelog.gz": packed(log("foo", "3", "2", "1"))}
    publish("1", [("foo", "1"), ("bar", "1")], docs)
    publish("2", [("foo", "2"), ("bar", "1")], docs)
    bar = {f"{DOC}/bar/changelog": log("bar", "2", "1")}
    publish("3", [("foo", "3"), ("bar", "2")], docs | bar)
    found = changes.parse(told())
    assert found.since == 1
    assert versions(told()) == {"foo": ["3", "2"], "bar": ["2"]}
    assert versions(told("releases~1")) == {"foo": ["2"]}
    assert changes.after(found, 2).sources.keys() == {"foo", "bar"}
    assert [c.version for c in changes.after(found, 2).sources["foo"]] == ["3"]


def test_other_files_may_change_and_the_list_stays_byte_for_byte(publish, told):
    docs = {f"{DOC}/foo/changelog.gz": packed(log("foo", "2", "1"))}
    publish("1", [("foo", "1")], docs)
    publish("2", [("foo", "2")], docs)
    before = told()
    publish("3", [("foo", "2")], {**docs, "etc/motd": "new"}, number=9)
    assert told() == before


def test_the_same_rootfs_publishes_nothing_and_a_repetition_gives_the_same_commit(
    publish, told, tmp_path
):
    docs = {f"{DOC}/foo/changelog.gz": packed(log("foo", "2", "1")), "etc/version": "x"}
    publish("1", [("foo", "1")], docs)
    first = publish("2", [("foo", "2")], docs)
    assert publish("3", [("foo", "2")], docs).outcome == "unchanged"
    assert publish("3", [("foo", "2")], docs, number=77).outcome == "unchanged"
    shutil.rmtree(tmp_path / "repo.git")
    shutil.rmtree(tmp_path / "repo.git.cache")
    publish("1", [("foo", "1")], docs)
    assert publish("2", [("foo", "2")], docs).commit == first.commit


def test_documentation_is_read_although_it_is_left_out(publish, told):
    docs = {f"{DOC}/foo/changelog.gz": packed(log("foo", "2", "1"))}
    excludes = (f"/{DOC}",)
    publish("1", [("foo", "1")], docs, excludes=excludes)
    outcome = publish("2", [("foo", "2")], docs, excludes=excludes)
    assert versions(told()) == {"foo": ["2"]}
    assert outcome.notices == ()


def test_documentation_that_is_a_link_is_followed_but_never_out_of_the_rootfs(
    publish, told, tmp_path
):
    outside = tmp_path / "outside"
    make_rootfs(outside, {"changelog.gz": packed(log("bar", "2", "1"))})
    publish("1", [("foo", "1"), ("bar", "1"), ("baz", "1")])
    outcome = publish(
        "2",
        [("foo", "2"), ("bar", "2"), ("baz", "2")],
        {
            f"{DOC}/foo": Symlink("libfoo"),
            f"{DOC}/libfoo/changelog.Debian.gz": Symlink(f"/{DOC}/x/log"),
            f"{DOC}/x/log": packed(log("foo", "2", "1")),
            f"{DOC}/bar": Symlink(str(outside)),
            f"{DOC}/baz": Symlink("../../../../../../../outside"),
        },
    )
    assert versions(told()) == {"foo": ["2"]}
    assert (
        "no changelog was found for 2 of 3 changed source packages: bar, baz"
        in (outcome.notices[0])
    )


def test_an_archive_tells_the_same_as_its_directory(publish, told, git, tmp_path):
    docs = {f"{DOC}/foo/changelog.gz": packed(log("foo", "2", "1"))}
    publish("1", [("foo", "1")], docs)
    publish("2", [("foo", "2")], docs, excludes=(f"/{DOC}",))
    expected = told()
    git("update-ref", "refs/heads/releases", "releases~1")
    git("update-ref", "-d", "refs/tags/release/2")
    tar = tmp_path / "rootfs.tar"
    subprocess.run(["tar", "-cf", tar, "-C", tmp_path / "rootfs", "."], check=True)
    kept = tmp_path / "kept"
    (tmp_path / "rootfs").rename(kept)
    publish_to(tmp_path / "repo.git", tar, "2", None, excludes=(f"/{DOC}",))
    assert told() == expected


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x1f\x8b",
        packed(log("foo", "2", "1"))[:20],
        b"not gzip",
        packed("nothing that a changelog has"),
        packed(log("another", "2", "1")),
        packed(log("foo", "7", "1")),
    ],
)
def test_a_changelog_that_tells_nothing_is_missed_but_stops_no_release(
    publish, told, content
):
    publish("1", [("foo", "1")])
    outcome = publish("2", [("foo", "2")], {f"{DOC}/foo/changelog.gz": content})
    assert outcome.outcome == "published"
    assert changes.parse(told()) == changes.Changes(1)
    assert outcome.notices == (
        "no changelog was found for 1 of 1 changed source package: foo "
        "(--changelogs DIR, with their .deb files)",
    )


def test_a_downgrade_and_a_rebuild_miss_no_changelog(publish, told):
    publish("1", [("foo", "2"), ("bar", "1-1", "bar (1)")])
    outcome = publish("2", [("foo", "1"), ("bar", "1-1+b1", "bar (1)")])
    assert outcome.notices == ()
    assert changes.parse(told()).sources == {}


def test_a_step_that_is_taken_again_is_told_again_although_its_changelog_is_gone(
    publish, told
):
    docs = {f"{DOC}/foo/changelog.gz": packed(log("foo", "3", "2", "1"))}
    publish("1", [("foo", "1")])
    publish("2", [("foo", "3")], docs)
    publish("3", [("foo", "2")])
    outcome = publish("4", [("foo", "3")])
    assert outcome.notices == ()
    found = [(c.version, c.release) for c in changes.parse(told()).sources["foo"]]
    assert found == [("3", 4), ("2", 2)]


def test_a_list_of_the_release_before_that_is_damaged_begins_anew(
    publish, told, tmp_path, monkeypatch
):
    docs = {f"{DOC}/foo/changelog.gz": packed(log("foo", "3", "2", "1"))}
    publish("1", [("foo", "1")], docs)
    with monkeypatch.context() as patch:
        patch.setattr(changes, "write", lambda _: b"damaged\n")
        publish("2", [("foo", "2")], docs)
    outcome = publish("3", [("foo", "3")], docs)
    assert outcome.notices[0].startswith("changes are told anew from here on: ")
    assert changes.parse(told()).since == 2
    assert versions(told()) == {"foo": ["3"]}


def build_deb(directory, name, version, files, compression="xz"):
    """A real package, made by dpkg-deb; named as apt's cache names it."""
    tree = directory / "build"
    shutil.rmtree(tree, ignore_errors=True)
    control = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\n"
    control += "Maintainer: A B <a@b.example>\nDescription: x\n"
    make_rootfs(tree, {"DEBIAN/control": control, "usr/bin/x": "x" * 9999, **files})
    place = directory / f"{name}_{version.replace(':', '%3a')}_amd64.deb"
    subprocess.run(
        ["dpkg-deb", f"-Z{compression}", "--root-owner-group", "-b", tree, place],
        check=True,
        capture_output=True,
    )
    shutil.rmtree(tree)
    return place


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is not installed")
@pytest.mark.parametrize("compression", ["xz", "gzip", "zstd", "none"])
def test_packages_beside_a_slim_image_are_asked(publish, told, tmp_path, compression):
    debs = tmp_path / "archives"
    debs.mkdir()
    docs = {
        f"{DOC}/ssh/changelog.Debian.gz": packed(log("openssh", "1:9-2", "1:9-1")),
        f"{DOC}/ssh/NEWS.Debian.gz": packed(entry("openssh", "1:9-2", "Look.")),
    }
    build_deb(debs, "ssh", "1:9-2", docs, compression)
    publish("1", [("ssh", "1:9-1", "openssh"), ("foo", "1")])
    outcome = publish(
        "2",
        [("ssh", "1:9-2", "openssh"), ("foo", "2")],
        changelogs=(str(debs),),
    )
    first, second = changes.parse(told()).sources["openssh"]
    assert (first.news, first.text, second.version) == (True, ("Look.",), "1:9-2")
    assert [n.split(" (")[0] for n in outcome.notices] == [
        "no changelog was found for 1 of 2 changed source packages: foo"
    ]


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is not installed")
def test_only_packages_that_changed_are_opened_and_a_damaged_one_is_named(
    publish, told, tmp_path
):
    debs = tmp_path / "archives"
    debs.mkdir()
    docs = {f"{DOC}/foo/changelog.gz": packed(log("foo", "2", "1"))}
    whole = build_deb(debs, "foo", "2", docs)
    (debs / "foo_1_amd64.deb").write_bytes(b"of another version")
    (debs / "same_1_amd64.deb").write_bytes(b"of a package that stays")
    (debs / "bar_2_amd64.deb").write_bytes(whole.read_bytes()[:-3000])
    (debs / "partial").mkdir()
    (debs / "lock").touch()
    publish("1", [("foo", "1"), ("bar", "1"), ("same", "1")])
    outcome = publish(
        "2", [("foo", "2"), ("bar", "2"), ("same", "1")], changelogs=(str(debs),)
    )
    assert versions(told()) == {"foo": ["2"]}
    assert len(outcome.notices) == 2
    assert "bar_2_amd64.deb is not a whole Debian package" in outcome.notices[0]
    assert "1 of 2 changed source packages: bar" in outcome.notices[1]


@pytest.mark.parametrize("below", ["", f"{DOC}/"])
def test_unpacked_documentation_beside_a_slim_image_is_read(
    publish, told, tmp_path, below
):
    beside = tmp_path / "beside"
    make_rootfs(beside, {f"{below}foo/changelog.gz": packed(log("foo", "2", "1"))})
    publish("1", [("foo", "1")])
    publish("2", [("foo", "2")], changelogs=(str(beside),))
    assert versions(told()) == {"foo": ["2"]}


def test_a_directory_of_changelogs_that_is_missing_is_refused(publish, tmp_path):
    with pytest.raises(HostError, match="there is no directory /nowhere of changelogs"):
        publish("1", [("foo", "1")], changelogs=("/nowhere",))
    assert not (tmp_path / "repo.git").exists()


def test_a_damaged_package_database_publishes_nothing(publish, tmp_path, told):
    publish("1", [("foo", "1")])
    before = told()
    with pytest.raises(RefusedError, match="/var/lib/dpkg/status cannot be read"):
        publish("2", [("foo", "")])
    assert told() == before
    assert not os.path.exists(tmp_path / "repo.git" / "refs/tags/release/2")


@pytest.fixture
def publish_rpm(tmp_path, key):
    """Publish a root filesystem with an rpm database: (package, version) -> entries."""

    def run(version, **installed):
        headers = [
            rpmdb.package(
                name,
                number,
                "1.fc40",
                numbers=[(1003, 2), (1080, [time for time, _, _ in entries])],
                lists=[
                    (1081, [author for _, author, _ in entries]),
                    (1082, [text for _, _, text in entries]),
                ],
            )
            for name, (number, entries) in installed.items()
        ]
        place = tmp_path / "db"
        place.unlink(missing_ok=True)
        database = rpmdb.database(place, headers)
        rootfs = make_rootfs(
            tmp_path / "rootfs",
            {"etc/version": version, "usr/lib/sysimage/rpm/rpmdb.sqlite": database},
        )
        return publish_to(tmp_path / "repo.git", rootfs, version, key)

    return run


ONE = (100, "A B <a@b.example> - 1.0-1", "- One.")
TWO = (200, "A B <a@b.example> - 1.1-1", "- Two, CVE-2024-1234.")
THREE = (300, "A B <a@b.example> - 1.2-1", "- Three.")


def test_rpms_headers_tell_changes_without_documentation(publish_rpm, told):
    publish_rpm("1", bash=("1.0", [ONE]), same=("1.0", [ONE]))
    outcome = publish_rpm("2", bash=("1.2", [THREE, TWO, ONE]), same=("1.0", [ONE]))
    assert outcome.notices == ()
    assert versions(told()) == {"bash": ["1.2-1", "1.1-1"]}
    assert changes.parse(told()).sources["bash"][1].security


def test_entries_without_versions_are_those_that_the_release_before_did_not_have(
    publish_rpm, told
):
    old, new = (100, "a@suse.de", "- Old."), (300, "a@suse.de", "- New.")
    publish_rpm("1", zypper=("1.0", [old]))
    publish_rpm("2", zypper=("1.2", [new, old]))
    (change,) = changes.parse(told()).sources["zypper"]
    assert (change.text, change.version) == (("- New.",), "2:1.2-1.fc40")


def test_an_rpm_without_a_changelog_is_missed(publish_rpm, told):
    publish_rpm("1", bash=("1.0", []))
    outcome = publish_rpm("2", bash=("1.2", []))
    assert changes.parse(told()).sources == {}
    assert "for 1 of 1 changed source package: bash" in outcome.notices[0]


def test_only_changelogs_of_sources_that_changed_are_read(publish, told, monkeypatch):
    names = [f"p{number}" for number in range(50)]
    docs = {f"{DOC}/{n}/changelog.gz": packed(log(n, "2", "1")) for n in names}
    publish("1", [(name, "1") for name in names], docs)
    read = []
    parse = debian.parse
    monkeypatch.setattr(
        debian, "parse", lambda data, **kw: read.append(data) or parse(data, **kw)
    )
    publish("2", [(name, "2" if name == "p7" else "1") for name in names], docs)
    assert versions(told()) == {"p7": ["2"]}
    assert {data[:6] for data in read if data} == {b"p7 (2)"}
    assert len(read) == 2  # its changelog, and the notices that it does not have
