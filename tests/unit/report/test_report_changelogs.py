"""What changelogs say between two versions: fixes, urgency, lies and damage."""

import gzip

import pytest
from support.factory import Symlink
from support.snapshots import dpkg, stanza, take

from updater.core import changes
from updater.core import packages as lists
from updater.core.changes import Change, Changes
from updater.model import Package
from updater.report.compare import compare
from updater.report.sections import Fix, Urgency

LOG = """\
openssh (1:9.2p1-2+deb12u3) bookworm-security; urgency=high

  * sshd(8): fix a signal handler
    race condition (CVE-2024-6387).
  * CVE-2024-0001: second

 -- A <a@example.org>  Sat, 22 Jun 2024 20:38:33 +0100

openssh (1:9.2p1-2+deb12u2) bookworm; urgency=medium

  * CVE-2023-48795: old

 -- A <a@example.org>  Tue, 19 Dec 2023 14:51:56 +0000
"""
OLD, NEW = "1:9.2p1-2+deb12u2", "1:9.2p1-2+deb12u3"
PATH = "usr/share/doc/openssh-server/changelog.Debian.gz"


def release(version, files=None, source="openssh"):
    row = stanza("openssh-server", version, source=source)
    return take({**dpkg(row), **(files or {})})


def told(log, old=OLD, new=NEW, path=PATH, **files):
    data = gzip.compress(log.encode()) if path.endswith(".gz") else log
    found = compare(release(old), release(new, {path: data, **files}))
    assert found.problems == ()
    return found


def test_what_an_update_fixes_is_told_in_the_words_of_its_changelog():
    [advisory] = told(LOG).security
    assert (advisory.source, advisory.old, advisory.new) == ("openssh", OLD, NEW)
    assert advisory.urgency is Urgency.HIGH
    assert advisory.binaries == ("openssh-server",)
    assert advisory.fixes == (
        Fix("CVE-2024-6387", "sshd(8): fix a signal handler race condition"),
        Fix("CVE-2024-0001", "second"),
    )


def test_entries_newer_than_the_old_version_are_told_whole():
    [log] = told(LOG).changelogs
    [entry] = log.entries
    assert (entry.version, entry.distribution) == (NEW, "bookworm-security")
    assert entry.date == 1_719_085_113  # by date(1)
    assert entry.lines[0] == "* sshd(8): fix a signal handler"
    assert log.problem is None


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("  * One\n  * CVE-2024-0001", ""),
        ("  * Fix CVE-2024-0001 (heap overflow)", "Fix (heap overflow)"),
        ("  * debian/patches/CVE-2024-0001.patch: Bound the copy.", "Bound the copy."),
        ("  * Fix two things\n    - CVE-2024-0001", "Fix two things"),
        ("  * CVE-2024-0001", ""),
        ("  * Bound the copy. (CVE-2024-0001) (Closes: #123)", "Bound the copy."),
        ("  * CVE-2024-0001: " + "long " * 60, ("long " * 60)[:157] + "..."),
    ],
)
def test_the_words_beside_an_id_are_found(line, text):
    log = f"x (2) unstable; urgency=low\n\n{line}\n\n -- A <a@b>  x\n"
    [advisory] = told(log, "1", "2").security
    assert advisory.fixes == (Fix("CVE-2024-0001", text),)


def test_an_update_that_is_not_about_security_is_no_advisory():
    log = "x (2) unstable; urgency=medium\n\n  * New upstream.\n\n -- A <a@b>  x\n"
    found = told(log, "1", "2")
    assert found.security == ()
    assert found.changelogs[0].urgency is Urgency.MEDIUM


def test_a_changelog_that_speaks_of_other_versions_is_not_believed():
    found = told(LOG, "1:9.2p1-2+deb12u4", "1:9.2p1-2+deb12u5")
    assert found.security == ()
    assert found.changelogs[0].problem is not None
    future = LOG.replace("deb12u3)", "deb12u9)")
    assert told(future).security == ()


def test_a_downgrade_brings_no_fixes():
    found = told(LOG, NEW, OLD)
    assert found.security == ()
    assert found.changelogs == ()
    assert len(found.packages.downgraded) == 1
    assert found.packages.changed == ()


def test_documentation_that_is_a_link_is_followed():
    doc = "usr/share/doc/openssh-server"
    log = {
        "usr/share/doc/openssh-client/changelog.Debian.gz": gzip.compress(LOG.encode())
    }
    new = release(NEW, {doc: Symlink("openssh-client"), **log})
    assert len(compare(release(OLD), new).security) == 1


def test_news_comes_with_the_changelog():
    news = f"openssh ({NEW}) bookworm; urgency=low\n\n  Read this.\n\n -- A <a@b>  x\n"
    path = "usr/share/doc/openssh-server/NEWS.Debian.gz"
    found = told(LOG, **{path: gzip.compress(news.encode())})
    assert [(e.news, e.lines[0].strip()) for e in found.changelogs[0].entries] == [
        (True, "Read this."),
        (False, "* sshd(8): fix a signal handler"),
    ]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (gzip.compress(LOG.encode())[:60], "damaged"),
        (b"\x1f\x8brubbish", "damaged"),
        (b"", "no changelog"),
        (b"no changelog at all\n" * 50, "no changelog"),
    ],
)
def test_a_damaged_changelog_is_a_sentence(data, word):
    found = compare(release(OLD), release(NEW, {PATH: data}))
    [log] = found.changelogs
    assert word in log.problem
    assert log.entries == ()
    assert len(found.packages.changed) == 1


def test_a_changelog_that_unpacks_without_end_is_cut():
    log = LOG.split("\n\n", maxsplit=1)[0] + "\n\n" + "  * more\n" * (8 << 20)
    [found] = told(log).changelogs
    assert len(found.entries) == 1
    assert len(found.entries[0].lines) <= 200
    assert "longer" in found.problem


def test_sources_are_sorted_by_urgency():
    def log(source, urgency):
        head = f"{source} (2) stable; urgency={urgency}\n\n  * x\n\n -- A <a@b>  x\n"
        return {
            f"usr/share/doc/{source}/changelog.Debian.gz": gzip.compress(head.encode())
        }

    names = {"a": "low", "b": "critical", "c": "medium", "d": "odd", "e": "high"}
    old = take(dpkg(*(stanza(name, "1") for name in names)))
    files = {k: v for n, u in names.items() for k, v in log(n, u).items()}
    new = take({**dpkg(*(stanza(name, "2") for name in names)), **files})
    found = compare(old, new).changelogs
    assert [one.source for one in found] == ["b", "e", "c", "a", "d"]


def test_what_the_release_itself_tells_comes_before_its_documentation():
    change = Change(
        NEW, 2, None, "low", "x-security", True, False, ("CVE-2024-9999",), ("told",), 3
    )
    told_file = changes.write(Changes(1, {"openssh": (change,)}))

    def side(version):
        rows = [Package("openssh-server", version, "openssh", "amd64", family="dpkg")]
        return {"usr/lib/osupdate/packages.json": lists.to_json(rows)}

    new = {**side(NEW), "usr/lib/osupdate/changes.json": told_file, PATH: LOG}
    found = compare(take(side(OLD)), take(new))
    [log] = found.changelogs
    assert [entry.lines for entry in log.entries] == [("told",)]
    assert log.problem == "entries are shortened"
    assert found.security[0].fixes == (Fix("CVE-2024-9999", ""),)


def test_a_damaged_changes_json_is_a_sentence_and_the_documentation_is_read():
    new = release(NEW, {PATH: LOG, "usr/lib/osupdate/changes.json": "{"})
    found = compare(release(OLD), new)
    assert "changes.json" in found.problems[0]
    assert len(found.security) == 1
