"""What a machine knows of an offer before its content is here: as the channel tells."""

import shutil

import pytest
from support.channels import MACHINE_ID, NAMESPACES, make_ring
from support.factory import make_rootfs, publish_release
from support.keys import allowed_signers_line
from support.machine import Machine
from support.releases import assert_tame
from support.remote import HttpServer

STATUS = """Package: curl
Status: install ok installed
Version: {curl}
Architecture: amd64

Package: libssl3
Source: openssl
Status: install ok installed
Version: {ssl}
Architecture: amd64
"""
CHANGELOG = """openssl (3.0.12-1) bookworm-security; urgency=high

  * Fix CVE-2024-0727 \x1b[31mred\x1b[0m.

 -- A Person <a@example.org>  Mon, 05 Feb 2024 10:00:00 +0000

openssl (3.0.11-1) bookworm-security; urgency=medium

  * Fix CVE-2023-5678.

 -- A Person <a@example.org>  Mon, 06 Nov 2023 10:00:00 +0000

openssl (3.0.10-1) bookworm; urgency=medium

  * New.

 -- A Person <a@example.org>  Mon, 02 Oct 2023 10:00:00 +0000
"""
LOG = "usr/share/doc/libssl3/changelog.Debian"
LISTS = {
    "var/lib/dpkg/info/curl.list": "/.\n/etc\n/etc/curlrc\n/usr/bin/curl\n",
    "var/lib/dpkg/info/libssl3.list": f"/.\n/usr/lib/libssl.so\n/{LOG}\n",
}


def _newest(count):
    """The changelog as it was before the newest entries."""
    return CHANGELOG[CHANGELOG.index(f"openssl (3.0.1{count}-1)") :]


RELEASES = {
    "1.0": {
        "etc/curlrc": "silent\n",
        "etc/motd": "hello\n",
        "usr/bin/curl": ("curl 1\n", 0o755),
        "usr/lib/libssl.so": "ssl 0\n",
        "var/lib/dpkg/status": STATUS.format(curl="7.88-1", ssl="3.0.10-1"),
        LOG: _newest(0),
        **LISTS,
    },
    "1.1": {
        "usr/lib/libssl.so": "ssl 1\n",
        "var/lib/dpkg/status": STATUS.format(curl="7.88-1", ssl="3.0.11-1"),
        LOG: _newest(1),
    },
    "1.2": {
        "etc/ssl/certs/one.pem": "one\n",
        "etc/ssl/certs/two.pem": "two\n",
        "etc/motd": "hello again\n",
        "usr/bin/curl": ("curl 2\n", 0o4755),
        "usr/lib/libssl.so": "ssl 2\n",
        "var/lib/dpkg/status": STATUS.format(curl="8.0-1", ssl="3.0.12-1"),
        LOG: _newest(2),
    },
    "1.3": {"usr/lib/libssl.so": "ssl 3\n"},
}
NOTES = {
    "1.0": "The first gateway of all\n",
    "1.1": "OpenSSL fix (CVE-2023-5678)\n",
    "1.2": "Curl 8, and OpenSSL again\n\nWhy now: because.\n",
    "1.3": "Another library, by hand\n",
}


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """A repository with four signed releases: (directory, ring)."""
    path = tmp_path_factory.mktemp("before")
    ring = make_ring(path)
    for version, files in RELEASES.items():
        rootfs = make_rootfs(path / "rootfs", files)
        repo = path / "acme.git"
        publish_release(repo, rootfs, version, ring["release"], notes=NOTES[version])
    return path, ring


class Fleet:
    """A served copy of the repository, and a machine that runs 1.0 of stable."""

    def __init__(self, path, releases, base):
        made, self.ring = releases
        self.repo = path / "served/acme.git"
        shutil.copytree(made / "acme.git", self.repo)
        self.machine = Machine(path / "machine", self.repo)
        self.promote("1.0")
        trust = self.machine.root / "usr/share/osupdate/trust"
        trust.mkdir(parents=True)
        for role, key in (("root", "root1"), ("release",) * 2, ("channel",) * 2):
            given = f'namespaces="{NAMESPACES[role]}"'
            line = allowed_signers_line(self.ring[key], role, given)
            (trust / role).write_text(line)
        (self.machine.root / "etc/machine-id").write_text(MACHINE_ID)
        self.machine.configure(
            remote={"url": f"{base}/acme.git", "channel": "stable"},
            trust={"mode": "signed"},
            update={"clock": "trust"},
        )
        self.machine.run("apply")

    def _run(self, *argv):
        return self.machine.run(*argv, "--repo", self.repo)

    def promote(self, *argv, to="stable"):
        return self._run("promote", *argv, "--to", to, "--key", self.ring["channel"])


@pytest.fixture
def fleet(tmp_path, releases):
    (tmp_path / "served").mkdir()
    with HttpServer(tmp_path / "served") as server:
        yield Fleet(tmp_path, releases, server.base)


def test_a_check_says_in_a_line_what_the_offer_changes(fleet):
    fleet.promote("1.2")
    done = fleet.machine.run("check")
    assert "As told by the channel: 2 packages (1 security)" in done.out
    assert "setuid" in done.out
    again = fleet.machine.run("check", "--json").json["changes"]
    assert again["summary"].startswith("2 packages (1 security)")
    assert any("/usr/bin/curl" in warning for warning in again["attention"])


def test_status_has_the_same_line_without_the_network(fleet):
    fleet.promote("1.2")
    fleet.machine.run("check")
    shutil.rmtree(fleet.repo)
    done = fleet.machine.run("status")
    assert "2 packages (1 security)" in done.out
    assert "as told by the channel" in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines() if "hange" in line)


def test_diff_tells_of_an_offer_without_its_content_and_completely_with_it(fleet):
    fleet.promote("1.2")
    fleet.machine.run("check")
    before = fleet.machine.run("diff", "available", "--json").json
    assert before["told"] == "channel"
    for argv in ((), ("1.2",), ("running..offered",)):
        told = fleet.machine.run("diff", *argv, "--json").json
        assert told["packages"] == before["packages"]
    shown = fleet.machine.run("diff", "available").out
    assert "As told by the channel: the content is not here yet." in shown
    assert_tame(shown)
    fleet.machine.run("apply", "--download-only")
    after = fleet.machine.run("diff", "available", "--json").json
    assert after["told"] == "release"
    assert after["packages"] == before["packages"]


def test_files_of_whom_to_trust_are_counted_until_they_can_be_read(fleet):
    fleet.promote("1.2")
    fleet.machine.run("check")
    told = fleet.machine.run("diff", "available", "--json").json["attention"]
    (one,) = [found for found in told if found["kind"] == "certificate"]
    assert one["text"] == "2 files, told after the download"
    fleet.machine.run("apply", "--download-only")
    told = fleet.machine.run("diff", "available", "--json").json["attention"]
    assert len([found for found in told if found["kind"] == "certificate"]) == 2


def test_a_machine_that_skips_releases_reads_the_changelogs_of_all(fleet):
    fleet.promote("1.1")
    fleet.promote("--refresh")
    fleet.promote("1.2")
    fleet.machine.run("check")
    shown = fleet.machine.run("diff", "available", "--changelogs").out
    assert "CVE-2023-5678" in shown
    assert "CVE-2024-0727" in shown
    assert_tame(shown)


def test_notes_of_an_offer_can_be_read_before_its_download(fleet):
    fleet.promote("1.2")
    fleet.machine.run("check")
    shown = fleet.machine.run("notes", "available").out
    assert "Why now: because." in shown
    assert fleet.machine.run("notes").out == shown


def test_what_was_heard_gives_way_to_what_was_verified(fleet):
    fleet.promote("1.2")
    fleet.machine.run("check")
    done = fleet.machine.run("log", "--json", "--", "/etc/motd").json
    assert done["untold"] == ["1.2"]
    fleet.machine.run("apply")
    done = fleet.machine.run("log", "--json", "--", "/etc/motd").json
    assert [r["version"] for r in done["releases"]] == ["1.2", "1.0"]
    assert done["untold"] == []


def test_a_report_of_an_offer_outlives_gc(fleet):
    fleet.promote("1.2")
    fleet.machine.run("check")
    fleet.machine.run("gc")
    assert "2 packages (1 security)" in fleet.machine.run("status").out


def test_a_barrier_is_told_by_the_entry_that_offered_it(fleet):
    fleet.promote("1.1", "--barrier", "--reason", "first this")
    fleet.promote("1.2")
    done = fleet.machine.run("check")
    assert "1.1" in done.out
    assert "As told by the channel: 1 package (1 security)" in done.out
    assert "curl" not in fleet.machine.run("diff", "available", "--packages").out


def test_when_answers_for_every_channel_that_was_read_here(fleet):
    fleet.promote("1.1", to="testing")
    fleet.promote("1.2", to="testing")
    fleet.machine.run("channel", "testing")
    fleet.machine.run("channel", "stable")
    done = fleet.machine.run("when", "curl >= 8", code=1)
    rows = [line.split() for line in done.out.splitlines()]
    assert ["stable", "no", "7.88-1", "-", "you", "are", "here"] in rows
    assert any(row[:4] == ["testing", "yes", "8.0-1", "1.2"] for row in rows)
    fleet.promote("1.2")
    fleet.machine.run("check")
    assert fleet.machine.run("when", "curl >= 8").out.startswith("Yes: curl 8.0-1")
    told = fleet.machine.run("when", "CVE-2023-5678", "--json").json["channels"]
    assert [one["channel"] for one in told] == ["stable", "testing"]
    assert [one["since"]["version"] for one in told] == ["1.2", "1.1"]


def test_when_asks_the_channels_of_a_repository(fleet):
    fleet.promote("1.2", to="testing")
    done = fleet.machine.run("when", "curl >= 8", "--repo", fleet.repo)
    rows = [line.split()[:4] for line in done.out.splitlines()]
    assert ["testing", "yes", "8.0-1", "1.2"] in rows
    assert ["stable", "no", "7.88-1", "-"] in rows
