import gzip
import io
import lzma
import tarfile
import tracemalloc

import pytest

from updater.errors import HostError, RefusedError
from updater.system.archive import deb

DOC = "usr/share/doc/foo/"
NAMES = ("changelog.gz", "NEWS")


def tar(files):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/shadow"
            else:
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content or b""))
    return data.getvalue()


def ar(*members):
    made = b"!<arch>\n"
    for name, data in members:
        made += name.ljust(16).encode() + b"0           0     0     100644  "
        made += (
            str(len(data)).ljust(10).encode() + b"`\n" + data + b"\n" * (len(data) % 2)
        )
    return made


CONTENT = tar(
    [
        ("./usr/bin/foo", b"run"),
        ("./usr/share/doc/foo/NEWS", b"news"),
        ("./usr/share/doc/foo/changelog.gz", b"log"),
        ("./usr/share/doc/foo/copyright", b"free"),
    ]
)
CONTROL = ("debian-binary", b"2.0\n"), ("control.tar.xz", b"odd")


@pytest.fixture
def read(tmp_path):
    def run(data):
        (tmp_path / "foo.deb").write_bytes(data)
        return deb.read_files(str(tmp_path / "foo.deb"), DOC, NAMES)

    return run


@pytest.mark.parametrize(
    ("name", "data"),
    [("data.tar", CONTENT), ("data.tar.xz", lzma.compress(CONTENT))],
)
def test_wanted_files_are_read(read, name, data):
    assert read(ar(*CONTROL, (name, data))) == {"NEWS": b"news", "changelog.gz": b"log"}


def test_what_is_no_file_is_passed_over(read):
    data = tar([(f"./{DOC}NEWS", None), (f"./{DOC}changelog.gz", b"log")])
    assert read(ar(*CONTROL, ("data.tar", data))) == {"changelog.gz": b"log"}


def test_a_package_without_documentation_has_none(read):
    assert read(ar(*CONTROL, ("data.tar", tar([("./usr/bin/foo", b"")])))) == {}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"!<arch>\n",
        b"not ar",
        ar(*CONTROL),
        ar(*CONTROL, ("data.tar.xz", lzma.compress(CONTENT)[:-40])),
        ar(*CONTROL, ("data.tar", b"x" * 1024)),
        ar(*CONTROL, ("data.tar.gz", b"\x1f\x8b" + b"x" * 99)),
        ar(*CONTROL, ("data.tar.zst", b"\x28\xb5\x2f\xfd" + b"x" * 99)),
        ar(("debian-binary", b"")).replace(b"0         `", b"-60       `"),
        ar(("debian-binary", b"")).replace(b"0         `", b"nonsense  `"),
    ],
)
def test_a_damaged_package_is_refused_with_its_name(read, data):
    with pytest.raises(RefusedError, match=r"foo\.deb is not a whole Debian package"):
        read(data)


def test_a_package_that_cannot_be_read_is_the_hosts_trouble(tmp_path):
    with pytest.raises(HostError, match="cannot read"):
        deb.read_files(str(tmp_path / "none.deb"), DOC, NAMES)


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g", b"X"])
def test_a_long_name_without_end_is_refused_before_it_is_read(read, kind):
    head = tarfile.TarInfo("././@LongLink")
    head.type, head.size = kind, 1 << 26
    data = head.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 26)
    packed = gzip.compress(data, 1)
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError, match="a long name has over 1048576 bytes"):
            read(ar(*CONTROL, ("data.tar.gz", packed)))
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def test_an_archive_of_members_without_end_is_refused(read, monkeypatch):
    monkeypatch.setattr(deb, "_MAX_MEMBERS", 3)
    with pytest.raises(RefusedError, match="it has over 3 members"):
        read(ar(*CONTROL, ("data.tar", tar([(f"x{n}", b"") for n in range(4)]))))
