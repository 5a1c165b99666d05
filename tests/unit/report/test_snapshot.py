"""A release of which only the metadata is here tells what names and ids tell."""

import pytest
from support.snapshots import CREATED, dpkg, stanza, take

from updater.core import changes, files, manifest
from updater.core import packages as lists
from updater.core.changes import Change, Changes
from updater.core.tree import object_id
from updater.errors import UntrustedError
from updater.model import GitMode, Metadata, Package, TreeEntry
from updater.report import diff_text, snapshot
from updater.report.compare import compare
from updater.report.diff_json import to_json
from updater.report.sections import Danger

TOML = b"""\
format = 1
product = "acme"
arch = "amd64"
version = "2026.05.1"
number = 42
security_floor = 0
created = "2026-05-16T00:00:00Z"
previous = ""
"""
OWNERS = {b"usr/bin/sudo": "sudo", b"usr/bin/x": "x", b"etc/x.conf": "x"}
SOCKET = b"etc/systemd/system/sockets.target.wants/x.socket"


def entry(path, content="x", mode=GitMode.FILE):
    return TreeEntry(path, mode, object_id("blob", content.encode(), "sha1").hex())


def offered(contents, metadata=None, packages=(), told=None, owners=OWNERS, **kw):
    """A snapshot from what a channel tells of these files: path -> content."""
    rows = lists.to_json(packages)
    listed = [
        entry(path, content, kw.get(path.decode(), GitMode.FILE))
        for path, content in contents.items()
    ]
    listed.append(entry(b"usr/lib/osupdate/packages.json", rows.decode()))
    return snapshot.from_metadata(
        "offered",
        "c" * 40,
        files=files.write(listed, owners.get),
        manifest=manifest.write(metadata or {}),
        release=TOML,
        packages=rows,
        changes=told,
    )


def package(name, version):
    return Package(name, version, name, "amd64", 1000, family="dpkg")


def here(contents, versions=(("x", "1"),)):
    rows = dpkg(*(stanza(name, version) for name, version in versions))
    listed = {"var/lib/dpkg/info/x.list": "/usr/bin/x\n/etc/x.conf\n"}
    return take({**rows, **listed, **contents}, name="running")


def test_it_is_called_what_the_release_says():
    side = offered({b"a": "1"}).side
    assert (side.name, side.version, side.commit) == ("offered", "2026.05.1", "c" * 40)
    assert side.created == CREATED


def test_names_ids_packages_and_privileges_are_told_before_the_download():
    old = here({"usr/bin/x": "1", "etc/x.conf": "1"})
    new = offered(
        {b"usr/bin/x": "2", b"etc/x.conf": "1", b"usr/bin/sudo": "s"},
        {b"usr/bin/sudo": Metadata(mode=0o4755)},
        [package("x", "2"), package("sudo", "1.9")],
    )
    found = compare(old, new)
    assert found.told == "channel"
    changed = {c.path: c.package for c in found.files if not c.bookkeeping}
    assert changed == {b"usr/bin/x": "x", b"usr/bin/sudo": "sudo"}
    assert [g.source for g in found.packages.added] == ["sudo"]
    assert [(g.source, g.new) for g in found.packages.changed] == [("x", "2")]
    [one] = found.attention
    assert (one.kind, one.package) == (Danger.SETUID, "sudo")
    assert found.unexplained.changed == ()
    assert found.problems == ()


def test_what_the_channel_says_of_changes_is_told():
    change = Change(
        "2", 42, None, "high", "", True, False, ("CVE-2026-1234",), ("fix",), 0
    )
    told = changes.parse(changes.write(Changes(41, {"x": (change,)})))
    new = offered({b"usr/bin/x": "2"}, packages=[package("x", "2")], told=told)
    found = compare(here({"usr/bin/x": "1"}), new)
    assert [(a.source, a.fixes[0].cve) for a in found.security] == [
        ("x", "CVE-2026-1234")
    ]


def test_a_change_that_no_package_admits_is_seen_before_the_download():
    new = offered({b"usr/bin/x": "2", b"opt/y": "1"}, packages=[package("x", "1")])
    found = compare(here({"usr/bin/x": "1"}), new).unexplained
    assert (b"usr/bin/x", "x") in found.changed
    assert [one.path for one in found.unowned] == [b"opt/y"]


def test_what_needs_content_is_said_to_be_known_after_the_download():
    old = here({"etc/passwd": "root:x:0:0::/:/bin/sh\n"})
    new = offered(
        {
            b"etc/passwd": "root:x:0:0::/:/bin/sh\nx:x:1:1::/:/bin/sh\n",
            SOCKET: "/usr/lib/systemd/system/x.socket",
            b"usr/lib/systemd/system/x.socket": "[Socket]\nListenStream=80\n",
            b"etc/ssl/certs/x.pem": "pem",
        },
        **{SOCKET.decode(): GitMode.SYMLINK},
    )
    found = compare(old, new)
    assert found.unknown == (
        "where sockets listen, and when timers run out",
        "users and groups",
        "whom new certificates and keys trust",
    )
    assert found.problems == ()
    assert [(u.unit, u.listens) for u in found.units] == [("x.socket", ())]
    assert found.grows is None
    kinds = {one.kind for one in found.attention}
    assert {Danger.SOCKET, Danger.CERTIFICATE} <= kinds
    shown = diff_text.summary(found)
    assert "! As told by the channel: the content is not here yet." in shown
    assert "Known after the download: where sockets listen" in shown
    told = to_json(found)
    assert (told["told"], told["sockets"]) == ("channel", None)


def test_the_whole_report_after_the_download_has_nothing_unknown():
    old = here({"usr/bin/x": "1"})
    new = here({"usr/bin/x": "2"}, [("x", "2")])
    found = compare(old, new)
    assert (found.told, found.unknown) == ("release", ())


@pytest.mark.parametrize(
    ("part", "data", "check"),
    [
        ("files", b"osupdate-files 2\n", "F3"),
        ("files", b"", "F3"),
        ("manifest", b"osupdate-manifest 1\n/x mode=9\n", "F4"),
        ("release", b"format = 2\n", "F3"),
    ],
)
def test_metadata_that_is_none_is_refused(part, data, check):
    parts = {
        "files": files.write([], {}.get),
        "manifest": manifest.write({}),
        "release": TOML,
        "packages": b"[]\n",
    }
    with pytest.raises(UntrustedError) as caught:
        snapshot.from_metadata("offered", "c" * 40, **{**parts, part: data})
    assert caught.value.check == check


def test_package_lists_that_are_none_are_a_sentence():
    new = snapshot.from_metadata(
        "offered",
        "c" * 40,
        files=files.write([entry(b"usr/lib/osupdate/packages.json", "{")], OWNERS.get),
        manifest=manifest.write({}),
        release=TOML,
        packages=b"{",
    )
    found = compare(here({"usr/bin/x": "1"}), new)
    assert "packages.json cannot be read" in found.packages.problem
