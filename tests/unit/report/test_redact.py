"""What everybody may read has nothing that only root may."""

import msgspec
from support.snapshots import take

from updater.model import Metadata
from updater.report import redact
from updater.report.compare import compare
from updater.report.diff import Kind, Report
from updater.report.diff_json import to_json

HASH = "$6$salt$tellnobody"
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVua25vd24 secretname@example"
CLOSED = {
    b"etc/shadow": Metadata(mode=0o640, gid=42),
    b"root": Metadata(mode=0o700),
    b"etc/closed.socket": Metadata(mode=0o600),
    b"etc/note": Metadata(mode=0o600, xattrs=(("user.n", b"tellnobody"),)),
}
OLD = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
    "etc/shadow": "root:*:1::::::\n",
    "root/.ssh/authorized_keys": "",
    "etc/note": "1",
    "usr/bin/x": "1",
    "etc/same": "1",
}
NEW = {
    **OLD,
    "etc/shadow": f"root:{HASH}:1::::::\n",
    "root/.ssh/authorized_keys": SSH + "\n",
    "root/plans": "tellnobody",
    "etc/note": "tellnobody",
    "usr/bin/x": "2",
}


def both():
    old, new = take(OLD, CLOSED), take(NEW, CLOSED)
    report = compare(old, new)
    return report, redact.redact(report, redact.closed_directories((old, new)))


def test_the_whole_report_has_what_the_public_one_must_not():
    report, public = both()
    secrets = [
        c.new.oid for c in report.files if c.path in (b"etc/shadow", b"etc/note")
    ]
    assert len(secrets) == 2
    text = repr(report)
    for word in (*secrets, "plans", "secretname", "has a password"):
        assert word in text
        assert word not in repr(public)
        assert word not in msgspec.json.encode(to_json(public)).decode()


def test_everything_else_stays():
    report, public = both()
    kinds = {change.path: change.kind for change in public.files}
    assert kinds == {
        b"etc/shadow": Kind.MODIFIED,
        b"etc/note": Kind.MODIFIED,
        b"usr/bin/x": Kind.MODIFIED,
    }
    assert public.counts == report.counts
    [open_file] = [c for c in public.files if c.path == b"usr/bin/x"]
    assert open_file.new.oid is not None


def test_metadata_of_a_closed_file_that_changes_alone_is_no_other_content():
    old = take({"a": "1"}, {b"a": Metadata(mode=0o600)})
    new = take({"a": "1"}, {b"a": Metadata(mode=0o400)})
    public = redact.redact(compare(old, new), ())
    assert [c.kind for c in public.files] == [Kind.METADATA]


def test_it_is_kept_and_read_again_as_it_is():
    _, public = both()
    assert msgspec.json.decode(msgspec.json.encode(public), type=Report) == public


def test_a_report_for_everybody_is_no_longer_than_it_may_be(monkeypatch):
    monkeypatch.setattr(redact, "LISTED", 2)
    _, public = both()
    assert len(public.files) == 2
    assert "1 more paths: sudo osupdate diff --files" in public.problems
