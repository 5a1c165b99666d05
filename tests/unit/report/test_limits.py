"""What a hostile release makes up costs little, and is said."""

import tracemalloc

import pytest
from support.snapshots import dpkg, stanza, take

from updater.core import tree
from updater.core.treediff import Browser
from updater.model import Metadata
from updater.report import diff_text
from updater.report.compare import compare
from updater.report.diff import Kind, Side
from updater.report.snapshot import Blobs, Snapshot


def wide(directories, files, fill, metadata=None):
    """A release of so many files, no two alike in two releases of another `fill`."""
    objects = {}

    def keep(content):
        oid = tree.object_id("tree", content, "sha1")
        objects[oid.hex()] = content
        return oid

    inside = b"".join(b"100644 f%04d\0%b" % (n, fill * 20) for n in range(files))
    below = [(b"d%04d" % d, keep(inside)) for d in range(directories)]
    root = keep(b"".join(b"40000 %b\0%b" % one for one in below))
    side = Side("", "1", "a" * 40, 0)
    browser = Browser(root.hex(), objects.__getitem__)
    return Snapshot(side, browser, metadata or {}, Blobs({}.__getitem__, {}))


def test_of_very_many_paths_the_first_are_kept_and_all_are_counted():
    old = wide(50, 1000, b"\1")
    meta = {b"d0049/f0999": Metadata(mode=0o4755)}
    new = wide(50, 1000, b"\2", meta)
    tracemalloc.start()
    try:
        found = compare(old, new, listed=500)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.counts.modified == 50_000
    assert len(found.files) == 500
    assert found.problems == (
        "50,000 paths differ: the first 500 by name are compared closely, of the "
        "others only numbers and privileges are told; to see them, name a directory",
    )
    # The last path of all: a danger is found however far behind it hides.
    assert [one.path for one in found.attention] == [b"d0049/f0999"]
    assert peak < 25e6, "memory follows the number of paths"
    assert "50,000 changed (+0 -0 ~50,000)" in diff_text.summary(found)


def test_a_directory_that_was_asked_about_is_compared_closely():
    old, new = wide(5, 100, b"\1"), wide(5, 100, b"\2")
    found = compare(old, new, paths=[b"d0004"], listed=100)
    assert len(found.files) == 100
    assert found.problems == ()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data.encode().replace(b"Version", b"\xff\xfe\0")[:2000],
        lambda data: "x" * (70 << 20),
        lambda data: "",
        lambda data: "\0" * 5000,
    ],
    ids=["truncated", "encoding", "huge", "empty", "zeros"],
)
def test_a_broken_database_costs_its_section_and_nothing_else(damage):
    rows = dpkg(*(stanza(f"p{n}", "1") for n in range(20)))
    path = "var/lib/dpkg/status"
    broken = damage(rows[path])
    old = take({**rows, "usr/bin/x": "1", "etc/passwd": "a:x:1:1::/:/bin/sh\n"})
    new = take({path: broken, "usr/bin/x": "2", "etc/passwd": "b:x:2:2::/:/bin/sh\n"})
    found = compare(old, new)
    kinds = {c.path: c.kind for c in found.files}
    assert kinds[b"usr/bin/x"] is Kind.MODIFIED
    assert [c.name for c in found.accounts] == ["a", "b"]
    if found.packages.problem is not None:
        assert "var/lib/dpkg/status" in found.packages.problem
        assert not found.unexplained.known
    for line in diff_text.summary(found).split("\n"):
        assert line.isprintable()


def test_two_releases_that_have_nothing_in_common_are_compared():
    old = take({**dpkg(stanza("a", "1")), "a/b": "1", "etc/x": "1"}, name="running")
    new = take({"usr/c": "2", "etc": "a file"}, {b"a": Metadata(type="fifo")})
    found = compare(old, new)
    assert {c.path: c.kind for c in found.files if not c.bookkeeping} == {
        b"a": Kind.TYPE,
        b"a/b": Kind.REMOVED,
        b"etc": Kind.TYPE,
        b"etc/x": Kind.REMOVED,
        b"usr/c": Kind.ADDED,
    }
    assert [g.source for g in found.packages.removed] == ["a"]
