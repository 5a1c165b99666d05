"""What no update of a package explains, and what is made of what changed."""

import re

import pytest
from support.factory import Symlink
from support.snapshots import Blobs, dpkg, stanza, take

from updater.core import packages as lists
from updater.model import Metadata, Package
from updater.report import made
from updater.report.compare import compare
from updater.report.sections import Danger, Unowned


def release(versions, files=None, owned=None):
    """Packages of these versions that own these paths, and more files."""
    rows = dpkg(*(stanza(name, version) for name, version in versions.items()))
    for name, paths in (owned or {}).items():
        text = "".join(f"/{path}\n" for path in (".", *paths))
        rows[f"var/lib/dpkg/info/{name}.list"] = text
    return {**rows, **(files or {})}


OWNED = {
    "udev": ["usr/bin/udevadm"],
    "libc6": ["usr/lib/libc.so.6"],
    "x": ["usr/bin/x"],
}
OLD = {"udev": "252-1", "libc6": "2.36-1", "x": "1"}


def odd(old_files, new_files, new=None, owned=None):
    report = compare(
        take(release(OLD, old_files, owned or OWNED)),
        take(release({**OLD, **(new or {})}, new_files, owned or OWNED)),
    )
    assert report.problems == ()
    assert report.unexplained.known
    return report


def test_a_file_of_a_package_with_another_version_is_explained():
    found = odd({"usr/bin/x": "1"}, {"usr/bin/x": "2"}, {"x": "2"})
    assert found.unexplained.changed == ()
    assert found.unexplained.unowned == ()
    [change] = [c for c in found.files if c.path == b"usr/bin/x"]
    assert change.package == "x"


def test_a_file_of_a_package_with_the_same_version_is_not():
    found = odd({"usr/bin/udevadm": "1"}, {"usr/bin/udevadm": "2"}, {"x": "2"})
    assert found.unexplained.changed == ((b"usr/bin/udevadm", "udev"),)
    [one] = found.attention
    assert (one.kind, one.package, one.path) == (
        Danger.UNEXPLAINED,
        "udev",
        b"usr/bin/udevadm",
    )


def test_a_mode_that_changes_alone_is_not_explained_either():
    files = {"usr/bin/udevadm": ("x", 0o755)}
    old = take(release(OLD, files, OWNED))
    meta = {b"usr/bin/udevadm": Metadata(mode=0o4755)}
    new = take(release(OLD, files, OWNED), meta)
    found = compare(old, new)
    assert found.unexplained.changed == ((b"usr/bin/udevadm", "udev"),)
    assert {one.kind for one in found.attention} == {Danger.SETUID, Danger.UNEXPLAINED}


def test_paths_of_nobody_are_told_each_while_they_are_few():
    found = odd({"opt/a": "1"}, {"opt/a": "2", "opt/b": "1"})
    assert found.unexplained.unowned == (
        Unowned(b"opt/a", 0, 0, 1, 0),
        Unowned(b"opt/b", 1, 0, 0, 1),
    )


def test_many_paths_of_nobody_are_told_by_directory():
    many = {f"opt/firefox/{d}/{n}": "1" for d in range(30) for n in range(30)}
    found = odd({}, many).unexplained.unowned
    assert len(found) == 30
    assert found[0] == Unowned(b"opt/firefox/0", 30, 0, 0, 30)
    deeper = {f"opt/firefox/{d}/{e}/x": "1" for d in range(60) for e in range(3)}
    assert odd({}, deeper).unexplained.unowned == (
        Unowned(b"opt/firefox", 180, 0, 0, 180),
    )


def test_a_linker_cache_is_explained_by_a_library_and_not_by_itself():
    cache = "etc/ld.so.cache"
    both = {"usr/lib/libc.so.6": "1", cache: "1"}
    after = {"usr/lib/libc.so.6": "2", cache: "2"}
    assert odd(both, after, {"libc6": "2.36-2"}).unexplained.unowned == ()
    alone = odd({cache: "1"}, {cache: "2"}, {"x": "2"}).unexplained
    assert [one.path for one in alone.unowned] == [b"etc/ld.so.cache"]


def test_an_alternative_is_explained_by_where_it_leads():
    link = {"etc/alternatives/x": Symlink("/usr/bin/x")}
    through = {"usr/bin/y": Symlink("/etc/alternatives/x")}
    new = {**link, **through, "usr/bin/x": "2"}
    assert odd({"usr/bin/x": "1"}, new, {"x": "2"}).unexplained.unowned == ()
    evil = {"etc/alternatives/x": Symlink("/opt/evil"), "usr/bin/x": "2"}
    found = odd({"usr/bin/x": "1"}, evil, {"x": "2"}).unexplained.unowned
    assert [one.path for one in found] == [b"etc/alternatives/x"]


def test_links_that_lead_to_each_other_explain_nothing():
    loop = {"usr/bin/a": Symlink("b"), "usr/bin/b": Symlink("a")}
    assert len(odd({}, loop).unexplained.unowned) == 2


def test_the_index_of_a_kernel_belongs_to_the_modules_of_that_kernel():
    owned = {**OWNED, "linux": ["usr/lib/modules/6.1/kernel/a.ko"]}
    before = {"usr/lib/modules/6.1/kernel/a.ko": "1"}
    after = {
        "usr/lib/modules/6.1/kernel/a.ko": "2",
        "usr/lib/modules/6.1/modules.dep": "1",
        "usr/lib/modules/6.2/modules.dep": "1",
    }
    old = take(release({**OLD, "linux": "1"}, before, owned))
    new = take(release({**OLD, "linux": "2"}, after, owned))
    found = compare(old, new).unexplained.unowned
    assert [one.path for one in found] == [b"usr/lib/modules/6.2/modules.dep"]


def test_byte_code_belongs_to_the_package_of_its_module():
    owned = {**OWNED, "py": ["usr/lib/python3/m.py"]}
    cache = "usr/lib/python3/__pycache__/m.cpython-311.pyc"
    old = take(release({**OLD, "py": "1"}, {cache: "1"}, owned))
    new = take(release({**OLD, "py": "2"}, {cache: "2"}, owned))
    assert compare(old, new).unexplained.unowned == ()
    same = take(release({**OLD, "py": "1", "x": "2"}, {cache: "2"}, owned))
    assert compare(old, same).unexplained.unowned[0].path == cache.encode()


def test_lists_of_packages_that_stayed_are_not_read_while_all_is_explained():
    reads = []

    blobs = Blobs()

    def read(oid):
        reads.append(blobs[oid])
        return blobs[oid]

    old = take(release(OLD, {"usr/bin/x": "1"}, OWNED), blobs=blobs, read=read)
    new = take(
        release({**OLD, "x": "2"}, {"usr/bin/x": "2"}, OWNED), blobs=blobs, read=read
    )
    assert compare(old, new).unexplained.known
    assert b"/.\n/usr/bin/x\n" in reads
    assert b"/.\n/usr/bin/udevadm\n" not in reads


def test_without_a_package_database_nothing_is_called_unexplained():
    found = compare(take({"usr/bin/x": "1"}), take({"usr/bin/x": "2"}))
    assert not found.unexplained.known
    assert found.attention == ()


def test_a_database_that_is_damaged_explains_nothing_and_says_so():
    old = take(release(OLD, {"usr/bin/x": "1"}, OWNED))
    broken = release({**OLD, "x": "2"}, {"usr/bin/x": "2"}, OWNED)
    broken["var/lib/dpkg/status"] = "Package: x\nVersion: 2\n"
    found = compare(old, take(broken))
    assert not found.unexplained.known
    assert "var/lib/dpkg/status" in found.packages.problem
    assert [c.path for c in found.files if not c.bookkeeping] == [b"usr/bin/x"]


def test_packages_json_without_lists_tells_no_owner():
    def told(version):
        rows = [Package("x", version, "x", "amd64", family="dpkg")]
        return {"usr/lib/osupdate/packages.json": lists.to_json(rows), "y": version}

    found = compare(take(told("1")), take(told("2")))
    assert not found.unexplained.known
    assert len(found.packages.changed) == 1


@pytest.mark.parametrize("rule", made.RULES, ids=lambda rule: rule.why)
def test_every_rule_says_who_makes_it_and_of_what(rule):
    assert ": " in rule.why
    if rule.of is not None:
        names = set(re.findall(rb"\{(\w+)\}", rule.of))
        assert names <= {name.encode() for name in rule.made.groupindex}
        re.compile(rule.of)
