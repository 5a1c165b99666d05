from updater.core.packages.sources import SourceChange, changed
from updater.model import Package


def package(name, version, source=None, family="dpkg", source_version=None):
    return Package(name, version, source or name, "amd64", None, family, source_version)


def test_binaries_of_one_source_are_one_change():
    old = [package("ssh", "1:9-1", "openssh"), package("sshd", "1:9-1", "openssh")]
    new = [package("ssh", "1:9-2", "openssh"), package("sshd", "1:9-2", "openssh")]
    (change,) = changed(old, new)
    there = (("ssh", "1:9-2"), ("sshd", "1:9-2"))
    assert change == SourceChange("openssh", "dpkg", "1:9-1", "1:9-2", there)
    assert change.binaries == ["ssh", "sshd"]


def test_a_source_that_is_rebuilt_comes_or_goes_did_not_change():
    old = [package("bash", "5-1+b1", source_version="5-1"), package("gone", "1")]
    new = [package("bash", "5-1+b2", source_version="5-1"), package("come", "1")]
    assert changed(old, new) == []


def test_of_several_kernels_the_newest_counts():
    old = [package("linux-image-1", "6.1.9-1", "linux")]
    new = [*old, package("linux-image-2", "6.1.10-1", "linux")]
    (change,) = changed(old, new)
    assert (change.old, change.new) == ("6.1.9-1", "6.1.10-1")


def test_a_downgrade_is_a_change_as_well():
    (change,) = changed([package("a", "2")], [package("a", "1")])
    assert (change.old, change.new) == ("2", "1")


def test_a_source_with_another_name_takes_over_where_the_binary_was():
    (change,) = changed([package("foo", "1", "foo-old")], [package("foo", "2", "foo")])
    assert (change.source, change.old, change.new) == ("foo", "1", "2")


def test_numbers_that_begin_anew_under_another_name_have_no_old_version():
    (change,) = changed(
        [package("foo", "105", "foo-old")], [package("foo", "6", "foo")]
    )
    assert (change.old, change.new) == (None, "6")
    (change,) = changed([package("foo", "6", "foo-old")], [package("foo", "6", "foo")])
    assert change.old is None


def test_families_are_not_mixed():
    old = [package("a", "1", family="rpm")]
    assert changed(old, [package("a", "2", family="dpkg")]) == []
