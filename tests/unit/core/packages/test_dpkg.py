import pytest

from updater.core import packages
from updater.core.packages import dpkg
from updater.core.packages.owners import Conffile
from updater.model import Package

STATUS = b"""\
Package: libssl3
Status: install ok installed
Installed-Size: 5905
Architecture: amd64
Multi-Arch: same
Source: openssl (3.0.13-1)
Version: 3.0.13-1~deb12u1
Description: Secure Sockets Layer toolkit
 Package: not a field
 .

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
Conffiles:
 /etc/gone.conf 0123456789abcdef0123456789abcdef

Package: never
Status: unknown ok not-installed
Architecture: amd64

Package: adduser
Status: install ok half-configured
Architecture: all
Version: 3.134
Conffiles:
 /etc/adduser.conf d41d8cd98f00b204e9800998ecf8427e
 /etc/adduser file 0123456789abcdef0123456789abcdef obsolete
 /etc/new.conf newconffile
Description: add and remove users
"""


def test_status_lists_what_is_unpacked_and_its_source():
    assert dpkg.parse_status(STATUS) == [
        Package(
            "libssl3",
            "3.0.13-1~deb12u1",
            "openssl",
            "amd64",
            5905 * 1024,
            "dpkg",
            "3.0.13-1",
        ),
        Package("adduser", "3.134", "adduser", "all", None, "dpkg"),
    ]


def test_a_rebuilt_package_knows_the_version_of_its_source():
    control = b"Package: bash\nVersion: 5.2-2+b8\nSource: bash (5.2-2)\n"
    assert dpkg.parse_control(control)[0].built_from == "5.2-2"


def test_a_source_version_that_is_the_binarys_is_not_told_twice():
    control = b"Package: a\nVersion: 1\nSource: b (1)\n"
    assert dpkg.parse_control(control)[0].source_version is None


def test_status_d_of_images_without_dpkg_needs_no_status_field():
    control = b"Package: tzdata\nVersion: 2024a-0\nArchitecture: all"
    found = packages.find(
        [b"var/lib/dpkg/status.d/tzdata", b"var/lib/dpkg/status.d/tzdata.md5sums"],
        {b"var/lib/dpkg/status.d/tzdata": control}.__getitem__,
    )
    assert found == [Package("tzdata", "2024a-0", "tzdata", "all", None, "dpkg")]


def test_a_package_of_two_architectures_is_there_twice():
    other = STATUS.replace(b"amd64", b"i386")
    both = dpkg.parse_status(STATUS.split(b"Package: adduser")[0] + other)
    assert [(p.name, p.arch) for p in both[:2]] == [
        ("libssl3", "amd64"),
        ("libssl3", "i386"),
    ]


def test_text_in_another_encoding_spoils_only_what_is_read():
    data = STATUS.replace(b"Secure", b"S\xe9cur")
    assert len(dpkg.parse_status(data)) == 2
    with pytest.raises(ValueError, match=r"at line 1, .*utf-8"):
        dpkg.parse_status(STATUS.replace(b"libssl3", b"lib\xe9"))


@pytest.mark.parametrize(
    ("was", "now", "reason"),
    [
        (b"5905", b"59O5", "Installed-Size"),
        (b"5905", b"9" * 5000, "Installed-Size"),
        (b"install ok installed", b"install", "Status"),
        (b"openssl (3.0.13-1)", b"openssl (3.0 13)", "Source"),
        (b"Multi-Arch: same", b"Version: 2", "the field Version appears twice"),
        (b"libssl3", b"lib ssl3", "one word"),
        (b"libssl3", b"l" * 513, "one word"),
    ],
)
def test_a_damaged_paragraph_is_refused_with_its_line(was, now, reason):
    with pytest.raises(ValueError, match="line 1, ") as caught:
        dpkg.parse_status(STATUS.replace(was, now))
    assert reason in str(caught.value)


def test_conffiles_tell_checksum_and_whether_they_are_obsolete():
    assert dict(dpkg.conffiles(STATUS)) == {
        b"etc/gone.conf": Conffile("gone", "0123456789abcdef" * 2),
        b"etc/adduser.conf": Conffile("adduser", "d41d8cd98f00b204e9800998ecf8427e"),
        b"etc/adduser file": Conffile("adduser", "0123456789abcdef" * 2, obsolete=True),
        b"etc/new.conf": Conffile("adduser"),
    }


def test_a_diversion_that_is_cut_is_refused_with_its_line():
    with pytest.raises(ValueError, match="line 4"):
        dpkg.diversions(b"/bin/sh\n/bin/sh.distrib\ndash\n/bin/x\n")


def test_a_line_of_a_conffile_without_end_is_refused():
    line = b" /x" + b" newconffile" * 100_000 + b"!"
    with pytest.raises(ValueError, match="a conffile of a has over 8192 bytes"):
        list(dpkg.conffiles(b"Package: a\nConffiles:\n" + line + b"\n"))
