"""The JSON of diff is what docs/json says, and says what the model says."""

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from support.factory import Symlink
from support.snapshots import dpkg, stanza, take

from updater.model import Metadata
from updater.report.compare import compare
from updater.report.diff_json import to_json

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/json/diff-1.json").read_text())
FULL_OLD = {
    **dpkg(stanza("bash", "5.1", kib=10), stanza("linux-image-amd64", "6.1")),
    "etc/motd": "1",
    "gone": "1",
    "link": "1",
}
FULL_NEW = {
    **dpkg(
        stanza("bash", "5.2"), stanza("zsh", "5.9"), stanza("linux-image-amd64", "6.2")
    ),
    "etc/motd": "2",
    "link": Symlink("gone"),
    b"usr/\xff\x1b": "1",
    "usr/b": "1",
}
META = {
    b"dev/null": Metadata(type="char", dev=(1, 3), mode=0o666),
    b"usr/b": Metadata(mode=0o4755, uid=7, xattrs=(("user.x", b"1"),)),
}


def full(**kw):
    old = take(FULL_OLD, name="running")
    return compare(old, take(FULL_NEW, META), **kw)


REPORTS = {
    "everything": full(download=12),
    "paths": full(paths=[b"etc"]),
    "first": compare(None, take(FULL_NEW, META)),
    "same": compare(take(FULL_OLD), take(FULL_OLD)),
    "no packages": compare(take({"x": "1"}), take({"x": "2"}, sizes={})),
}


@pytest.mark.parametrize("name", REPORTS)
def test_the_object_is_what_the_schema_says(name):
    found = json.loads(msgspec.json.encode(to_json(REPORTS[name])))
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(found)


def test_the_object_says_what_differs():
    found = to_json(REPORTS["everything"])
    assert found["from"]["name"] == "running"
    assert found["to"]["name"] is None
    assert found["to"]["created"] == "2026-05-16T00:00:00Z"
    assert found["kernel"] == {"old": ["6.1"], "new": ["6.2"]}
    assert [group["source"] for group in found["packages"]["added"]] == ["zsh"]
    assert found["config"] == [
        {
            "path": "/etc/motd",
            "change": "modified",
            "package": None,
            "conffile": False,
            "locally_modified": None,
        }
    ]
    assert found["size"]["download"] == 12
    files = found["files"]
    assert (files["added"], files["removed"], files["modified"]) == (3, 1, 3)
    assert files["bookkeeping"] == 1
    changes = {change["path"]: change for change in files["changes"]}
    assert set(changes) == {
        "/dev/null",
        "/etc/motd",
        "/gone",
        "/link",
        "/usr/\\xff\\x1b",
        "/usr/b",
        "/var/lib/dpkg/status",
    }
    assert changes["/dev/null"]["new"]["device"] == "1:3"
    assert changes["/usr/b"]["new"]["mode"] == "4755"
    assert changes["/gone"]["new"] is None


def test_packages_are_null_when_only_paths_were_asked_about():
    found = to_json(REPORTS["paths"])
    assert found["packages"] is None
    assert found["paths"] == ["/etc"]
    assert [change["path"] for change in found["files"]["changes"]] == ["/etc/motd"]


def test_what_is_not_known_is_null():
    found = to_json(REPORTS["no packages"])
    assert found["size"] == {"download": None, "installed_delta": None}
    assert found["packages"]["problem"] == "no package database"
    assert to_json(REPORTS["first"])["from"] is None
