"""A report in one line."""

import pytest
from support import reports
from support.snapshots import dpkg, stanza, take

from updater.model import Metadata
from updater.report.compare import compare
from updater.report.oneline import brief, one_line


def test_the_line_counts_what_matters():
    old = dpkg(stanza("a", "1"), stanza("linux-image-amd64", "6.1.90", source="linux"))
    new = dpkg(stanza("a", "2"), stanza("linux-image-amd64", "6.1.94", source="linux"))
    log = "a (2) x-security; urgency=low\n\n  * CVE-2026-0001: x\n\n -- A <a@b>  x\n"
    files = {"etc/a": "1", "usr/share/doc/a/changelog.Debian": log}
    found = compare(take({**old}), take({**new, **files}))
    assert one_line(found) == (
        "2 packages (1 security), 1 config, kernel 6.1.90 -> 6.1.94"
    )


def test_without_packages_files_are_counted():
    assert one_line(compare(take({"a": "1"}), take({"a": "2", "b": ""}))) == "2 files"


def test_the_first_warnings_are_told_and_the_others_counted():
    files = {f"usr/bin/{n}": ("x", 0o755) for n in range(8)}
    meta = {name.encode(): Metadata(mode=0o4755) for name in files}
    found = brief(compare(take({}), take(files, meta)))
    assert found[1] == "setuid added: /usr/bin/0, runs as uid 0"
    assert len(found) == 7
    assert found[-1] == "3 more: osupdate diff"


@pytest.mark.parametrize("word", reports.HOSTILE)
def test_no_name_can_move_the_cursor(word):
    path = f"usr/bin/{word}".replace("\0", "")
    found = compare(
        take({}), take({path: ("x", 0o755)}, {path.encode(): Metadata(mode=0o4755)})
    )
    assert all(line.isprintable() for line in brief(found))
