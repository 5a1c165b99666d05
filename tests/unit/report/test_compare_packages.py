"""What differs in the package lists, and which of them are read at all."""

import pytest
from support.snapshots import Blobs, dpkg, stanza, take

from updater.core import packages as lists
from updater.errors import UntrustedError
from updater.model import Package
from updater.report.compare import compare
from updater.report.compare_packages import NO_DATABASE
from updater.report.diff import is_empty

LIST = "usr/lib/osupdate/packages.json"


def rows(*packages):
    return {LIST: lists.to_json([Package(*package) for package in packages])}


def told(groups):
    return {
        (g.source, g.old, g.new): [c.package.name for c in g.changes] for g in groups
    }


def test_packages_of_one_source_are_one_group():
    old = take(
        dpkg(
            stanza("libssl3", "3.0.11-1", source="openssl"),
            stanza("openssl", "3.0.11-1"),
            stanza("bash", "5.2"),
            stanza("telnet", "0.17-44", source="netkit-telnet", kib=200),
        )
    )
    new = take(
        dpkg(
            stanza("libssl3", "3.0.15-1", source="openssl"),
            stanza("openssl", "3.0.15-1"),
            stanza("bash", "5.2"),
            stanza("cups-browsed", "1.28.17-3", source="cups-filters", kib=1200),
        )
    )
    found = compare(old, new).packages
    assert found.problem is None
    assert told(found.changed) == {
        ("openssl", "3.0.11-1", "3.0.15-1"): ["libssl3", "openssl"]
    }
    assert told(found.added) == {("cups-filters", None, "1.28.17-3"): ["cups-browsed"]}
    assert told(found.removed) == {("netkit-telnet", "0.17-44", None): ["telnet"]}
    assert found.added[0].grows == 1200 * 1024
    assert found.removed[0].grows == -200 * 1024


def test_packages_of_one_source_with_their_own_versions_are_groups_each():
    old = take(
        rows(
            ("gcc", "4:12.2", "gcc-defaults", "amd64"),
            ("cpp", "4:12.2", "gcc-defaults", "amd64"),
            ("gdc", "12.2", "gcc-defaults", "amd64"),
        )
    )
    new = take(
        rows(
            ("gcc", "4:12.3", "gcc-defaults", "amd64"),
            ("cpp", "4:12.3", "gcc-defaults", "amd64"),
            ("gdc", "12.3", "gcc-defaults", "amd64"),
        )
    )
    assert told(compare(old, new).packages.changed) == {
        ("gcc-defaults", "4:12.2", "4:12.3"): ["cpp", "gcc"],
        ("gcc-defaults", "12.2", "12.3"): ["gdc"],
    }


def test_architectures_of_one_name_are_compared_each_with_itself():
    old = take(
        rows(("libc6", "2.36", "glibc", "amd64"), ("libc6", "2.36", "glibc", "i386"))
    )
    new = take(
        rows(("libc6", "2.37", "glibc", "amd64"), ("libc6", "2.36", "glibc", "i386"))
    )
    found = compare(old, new).packages
    assert [c.new.arch for c in found.changed[0].changes] == ["amd64"]
    assert not found.added
    assert not found.removed


def test_an_architecture_that_goes_is_a_removal():
    old = take(
        rows(("libc6", "2.36", "glibc", "amd64"), ("libc6", "2.36", "glibc", "i386"))
    )
    new = take(rows(("libc6", "2.37", "glibc", "amd64")))
    found = compare(old, new).packages
    assert [(c.old.arch, c.new.arch) for c in found.changed[0].changes] == [
        ("amd64", "amd64")
    ]
    assert [c.old.arch for c in found.removed[0].changes] == ["i386"]


def test_a_package_of_another_architecture_is_a_change():
    old, new = take(rows(("x", "1", "x", "amd64"))), take(rows(("x", "1", "x", "all")))
    [group] = compare(old, new).packages.changed
    assert (group.changes[0].old.arch, group.changes[0].new.arch) == ("amd64", "all")


def test_several_versions_of_one_name_are_paired_where_they_differ():
    old = take(rows(*(("kernel", v, "kernel", "x86_64") for v in ("1", "2", "3"))))
    new = take(rows(*(("kernel", v, "kernel", "x86_64") for v in ("2", "3", "4"))))
    found = compare(old, new).packages
    assert told(found.changed) == {("kernel", "1", "4"): ["kernel"]}
    assert not found.added
    assert not found.removed


def test_another_size_alone_is_not_another_package():
    old, new = (
        take(rows(("x", "1", "x", "all", 5))),
        take(rows(("x", "1", "x", "all", 6))),
    )
    found = compare(old, new).packages
    assert (found.changed, found.added, found.removed) == ((), (), ())


def test_packages_json_is_believed_before_a_database():
    old = take({**rows(("x", "1", "x", "all")), **dpkg(stanza("x", "1"))})
    new = take({**rows(("x", "2", "x", "all")), **dpkg(stanza("x", "1"))})
    assert told(compare(old, new).packages.changed) == {("x", "1", "2"): ["x"]}


def test_a_list_on_one_side_is_compared_with_a_database_on_the_other():
    old, new = take(dpkg(stanza("x", "1"))), take(rows(("x", "2", "x", "amd64")))
    assert told(compare(old, new).packages.changed) == {("x", "1", "2"): ["x"]}


def test_equal_databases_are_not_read():
    blobs = Blobs()
    files = dpkg(stanza("bash", "5.2"))
    more = {**files, "var/log/x": "1"}
    report = compare(take(files, blobs=blobs), take(more, blobs=blobs))
    assert blobs.reads == []
    assert report.packages.problem is None


def test_only_the_records_that_differ_are_read():
    def desc(name, version):
        return f"%NAME%\n{name}\n\n%VERSION%\n{version}\n\n%ARCH%\nx86_64\n"

    def local(*packages):
        return {f"var/lib/pacman/local/{n}-{v}/desc": desc(n, v) for n, v in packages}

    blobs = Blobs()
    old = take(local(("bash", "5.2-1"), ("zlib", "1.3-1")), blobs=blobs)
    new = take(local(("bash", "5.2-1"), ("zlib", "1.3-2")), blobs=blobs)
    found = compare(old, new).packages
    assert told(found.changed) == {("zlib", "1.3-1", "1.3-2"): ["zlib"]}
    assert len(blobs.reads) == 2


@pytest.mark.parametrize("files", [{"x": "1"}, {LIST: "[]\n"}])
def test_no_package_database_is_said(files):
    report = compare(take(files), take({**files, "y": "1"}))
    assert report.packages.problem == NO_DATABASE
    assert report.counts.added == 1


def test_packages_that_come_to_a_system_without_any_are_added():
    found = compare(take({"x": "1"}), take(dpkg(stanza("bash", "5.2")))).packages
    assert told(found.added) == {("bash", None, "5.2"): ["bash"]}


@pytest.mark.parametrize(
    "line", ["Description: no version", "Version: 1\nInstalled-Size: x"]
)
def test_a_damaged_database_is_a_problem_and_the_rest_is_still_told(line):
    damaged = f"Package: x\nStatus: install ok installed\n{line}\n"
    old = take({**dpkg(stanza("x", "1")), "a": "1"})
    new = take({**dpkg(damaged), "a": "2"})
    report = compare(old, new)
    assert "/var/lib/dpkg/status cannot be read" in report.packages.problem
    assert (report.packages.changed, report.packages.removed) == ((), ())
    assert report.counts.modified == 2


@pytest.mark.parametrize("content", ["{", '{"name": 1}', '[{"name": "x"}]', b"\xff"])
def test_a_broken_packages_json_is_a_problem(content):
    report = compare(take(rows(("x", "1", "x", "all"))), take({LIST: content}))
    assert report.packages.problem.startswith("packages.json cannot be read")


def test_a_list_that_is_not_on_this_machine_is_a_problem():
    blobs = Blobs()
    old, new = take(dpkg(stanza("x", "1")), blobs=blobs), take(dpkg(stanza("x", "2")))
    blobs.clear()
    assert compare(old, new).packages.problem == (
        "the content of /var/lib/dpkg/status is not on this machine"
    )


def test_a_list_that_is_damaged_on_this_machine_is_a_problem_with_its_path():
    def damaged(oid):
        raise UntrustedError("F2", f"object {oid} is damaged")

    old = take(dpkg(stanza("x", "1")), read=damaged)
    new = take(dpkg(stanza("x", "2")))
    problem = compare(old, new).packages.problem
    assert problem.startswith("the content of /var/lib/dpkg/status cannot be read: ")
    assert problem.endswith("is damaged (check F2)")


def test_packages_are_left_out_when_paths_are_asked_about():
    blobs = Blobs()
    old = take({**dpkg(stanza("x", "1")), "etc/a": "1"}, blobs=blobs)
    new = take({**dpkg(stanza("x", "2")), "etc/a": "1"}, blobs=blobs)
    assert is_empty(compare(old, new, paths=[b"etc"]))
    assert blobs.reads == []


def kernel(old, new):
    found = compare(take(rows(*old)), take(rows(*new))).kernel
    return found and (found.old, found.new)


def test_a_kernel_package_with_its_version_in_its_name_is_the_kernel():
    assert kernel(
        [
            ("linux-image-6.1.0-21-amd64", "6.1.90-1", "linux-signed-amd64", "amd64"),
            ("linux-image-amd64", "6.1.90-1", "linux-signed-amd64", "amd64"),
        ],
        [
            ("linux-image-6.1.0-22-amd64", "6.1.94-1", "linux-signed-amd64", "amd64"),
            ("linux-image-amd64", "6.1.94-1", "linux-signed-amd64", "amd64"),
        ],
    ) == (("6.1.90-1",), ("6.1.94-1",))


@pytest.mark.parametrize(
    "name", ["kernel-core", "linux-lts", "linux", "linux-image-rt-amd64"]
)
def test_the_kernels_of_others_are_kernels(name):
    old, new = [(name, "1", name, "x86_64")], [(name, "2", name, "x86_64")]
    assert kernel(old, new) == (("1",), ("2",))


@pytest.mark.parametrize(
    "name", ["linux-libc-dev", "linux-image-6.1.0-21-amd64-dbg", "linux-base"]
)
def test_what_only_sounds_like_a_kernel_is_none(name):
    assert kernel([(name, "1", "linux", "all")], [(name, "2", "linux", "all")]) is None


def test_a_kernel_may_come_and_go():
    row = ("linux-image-amd64", "6.1.94-1", "linux", "amd64")
    assert kernel([], [row]) == ((), ("6.1.94-1",))
    assert kernel([row], [("bash", "5", "bash", "amd64")]) == (("6.1.94-1",), ())
