import pytest

from updater.core import question
from updater.errors import UsageError
from updater.model import Package


def package(name, version, source=None, family="dpkg", **kw):
    return Package(name, version, source or name, "amd64", family=family, **kw)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("openssh", ("openssh", "", "")),
        (" docker.io >= 20.10.24 ", ("docker.io", ">=", "20.10.24")),
        ("docker.io>=20.10.24", ("docker.io", ">=", "20.10.24")),
        ("g++ < 4:12", ("g++", "<", "4:12")),
        ("libfoo <= 1~rc1", ("libfoo", "<=", "1~rc1")),
        ("libc6:i386 > 2", ("libc6:i386", ">", "2")),
        ("a == 1", ("a", "==", "1")),
        ("cve-2024-6387", ("CVE-2024-6387", "", "")),
    ],
)
def test_a_question_is_read(text, parts):
    asked = question.parse(text)
    assert (asked.name, asked.operator, asked.version) == parts


@pytest.mark.parametrize(
    "text",
    ["", "x >", ">= 1", "x 1", "x >= 1 2", "x => 1", "CVE-2024", "CVE-2024-6387 > 1",
     "x >= \x1b[31m", "-x"],
)  # fmt: skip
def test_what_is_no_question_is_refused_and_shown_safely(text):
    with pytest.raises(UsageError) as caught:
        question.parse(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "version", "has"),
    [
        ("x >= 1.0", "1.0-1", True),
        ("x > 1.0", "1.0~rc1-1", False),
        ("x < 1.0", "1.0~rc1-1", True),
        ("x = 1.0-1", "1.0-1", True),
        ("x == 1.0-1", "1.0-2", False),
        ("x <= 1:1", "2", True),
        ("x > 1.9", "1.10", True),
        ("x", "0", True),
    ],
)
def test_versions_are_compared_as_dpkg_does(text, version, has):
    asked = question.parse(text)
    assert question.satisfies(asked, package("x", version)) == has


def test_each_family_has_its_own_order():
    """apk: zeros make decimal places; to dpkg 1.05 is 1.5."""
    asked = question.parse("x < 1.1")
    assert question.satisfies(asked, package("x", "1.05", family="apk"))
    assert not question.satisfies(asked, package("x", "1.05", family="dpkg"))


def test_a_package_counts_before_a_source_of_that_name():
    both = [package("curl", "1"), package("libcurl4", "2", "curl")]
    asked = question.parse("curl")
    assert question.matching(asked, both) == both[:1]
    assert question.matching(asked, both[1:]) == both[1:]


def test_a_source_is_asked_for_its_own_version():
    built = package("libc-bin", "2.36-9+b1", "glibc", source_version="2.36-9")
    asked = question.parse("glibc = 2.36-9")
    assert question.satisfies(asked, built)
    assert not question.satisfies(question.parse("libc-bin = 2.36-9"), built)
