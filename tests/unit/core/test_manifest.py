import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from updater.core import manifest, tree
from updater.errors import UntrustedError
from updater.model import GitMode, Metadata, ObjectId, TreeEntry

HEAD = b"osupdate-manifest 1\n"
A, B = ObjectId("a" * 40), ObjectId("b" * 40)


def parse(*lines):
    return manifest.parse(HEAD + b"".join(line + b"\n" for line in lines))


def refusal(*lines):
    with pytest.raises(UntrustedError) as caught:
        parse(*lines)
    assert caught.value.check == "F4"
    return str(caught.value)


def test_the_example_of_the_format_is_read():
    found = parse(
        b"/dev/console type=char dev=5:1 mode=0600",
        b"/etc/shadow mode=0640 gid=42",
        b"/tmp type=dir mode=1777",
        b"/usr/bin/perl5.36.0 hardlink=/usr/bin/perl",
        b"/usr/bin/ping xattr.security.capability=0sAQAAAgAgAAAAAAAAAAAAAAAAAAA=",
        b"/usr/bin/sudo mode=4755",
        b"/var/spool/x\\x20y type=dir uid=1000",
    )
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    assert found == {
        b"dev/console": Metadata(type="char", dev=(5, 1), mode=0o600),
        b"etc/shadow": Metadata(mode=0o640, gid=42),
        b"tmp": Metadata(type="dir", mode=0o1777),
        b"usr/bin/perl5.36.0": Metadata(hardlink=b"usr/bin/perl"),
        b"usr/bin/ping": Metadata(xattrs=(("security.capability", capability),)),
        b"usr/bin/sudo": Metadata(mode=0o4755),
        b"var/spool/x y": Metadata(type="dir", uid=1000),
    }


def test_an_empty_manifest_is_its_header():
    assert manifest.write({}) == HEAD
    assert parse() == {}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"osupdate-manifest 1",
        b"osupdate-manifest 2\n",
        b"osupdate-manifest 1 \n",
        b"osupdate-manifest 1\r\n",
        b"\xef\xbb\xbfosupdate-manifest 1\n",
        b"\nosupdate-manifest 1\n",
        HEAD + b"/a mode=0600",
    ],
)
def test_another_header_or_an_unfinished_line_is_refused(data):
    with pytest.raises(UntrustedError) as caught:
        manifest.parse(data)
    assert "manifest line" in str(caught.value)


def test_a_refusal_names_the_line():
    assert "manifest line 3: " in refusal(b"/a mode=0600", b"/b color=red")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "does not start with /"),
        (b"a mode=0600", "does not start with /"),
        (b"/a", "only defaults"),
        (b"/a ", "expected key=value"),
        (b"/a  mode=0600", "expected key=value"),
        (b"/a mode=0600 ", "expected key=value"),
        (b"/a mode", "expected key=value"),
        (b"/a mode=", "expected key=value"),
        (b"/a =0600", "expected key=value"),
        (b"/a mode=0600\r", "expected key=value"),
        (b"/a mode=0600\0", "expected key=value"),
        (b"/a color=red", "unknown key"),
        (b"/a Mode=0600", "unknown key"),
        (b"/a size=1", "unknown key"),
        (b"/a mode=0600 mode=0600", "appears twice"),
        (b"/a gid=1 uid=1", "out of order"),
        (b"/a xattr.user.b=0s xattr.user.a=0s", "out of order"),
        (b"/a xattr.user.a=0s mode=0600", "out of order"),
        (b"/a mode=600", "four octal digits"),
        (b"/a mode=00600", "four octal digits"),
        (b"/a mode=0680", "four octal digits"),
        (b"/a mode=-600", "four octal digits"),
        (b"/a uid=0", "not a number in"),
        (b"/a uid=01", "not a number in"),
        (b"/a uid=+1", "not a number in"),
        (b"/a uid=-1", "not a number in"),
        (b"/a uid=4294967295", "not a number in"),
        (b"/a gid=99999999999", "not a number in"),
        (b"/a gid=1_0", "not a number in"),
        (b"/a type=file", "is none of"),
        (b"/a type=socket", "is none of"),
        (b"/a type=char", "dev= belongs to"),
        (b"/a type=fifo dev=1:1", "dev= belongs to"),
        (b"/a dev=1:1", "dev= belongs to"),
        (b"/a type=block dev=4096:0", "not major:minor"),
        (b"/a type=block dev=1:1048576", "not major:minor"),
        (b"/a type=block dev=1", "not major:minor"),
        (b"/a type=block dev=1:01", "not major:minor"),
        (b"/a mode=0600 hardlink=/b", "stands alone"),
        (b"/a hardlink=/b mode=0600", "out of order"),
        (b"/a type=dir hardlink=/b", "stands alone"),
        (b"/a hardlink=b", "does not start with /"),
        (b"/a hardlink=/a", "hardlink of itself"),
        (b"/a hardlink=/../b", "not a safe name"),
        (b"/a hardlink=/caf\xe9", "expected key=value"),
        (b"/a xattr.security.selinux=0s", "not one a release may set"),
        (b"/a xattr.trusted.overlay.opaque=0seQ==", "not one a release may set"),
        (b"/a xattr.security.ima=0s", "not one a release may set"),
        (b"/a xattr.user.=0s", "not one a release may set"),
        (b"/a xattr.user.\\x41=0s", "not one a release may set"),
        (b"/a xattr.user.\xc3\xa9=0s", "expected key=value"),
        (b"/a xattr." + b"user." + b"x" * 251 + b"=0s", "not one a release may set"),
        (b"/a xattr.user.a=eQ==", "is not 0s and base64"),
        (b"/a xattr.user.a=0seQ", "is not 0s and base64"),
        (b"/a xattr.user.a=0seR==", "is not 0s and base64"),
        (b"/a xattr.user.a=0x00", "is not 0s and base64"),
        (b"/", "not a safe name"),
        (b"// mode=0600", "not a safe name"),
        (b"/a/ mode=0600", "not a safe name"),
        (b"/a//b mode=0600", "not a safe name"),
        (b"/./a mode=0600", "not a safe name"),
        (b"/a/../b mode=0600", "not a safe name"),
        (b"/.git/config mode=0600", "not a safe name"),
        (b"/a\\x00b mode=0600", "not a safe name"),
        (b"/a\\x0ab mode=0600", "not a safe name"),
        (b"/" + b"x" * 256 + b" mode=0600", "not a safe name"),
        (b"/" + b"/".join([b"x" * 200] * 21) + b" mode=0600", "is over 4095 bytes"),
        (b"/a\\x41 mode=0600", "not escaped"),
        (b"/a\\X20 mode=0600", "not escaped"),
        (b"/a\\x2 mode=0600", "not escaped"),
        (b"/a\\xE9 mode=0600", "not escaped"),
        (b"/a\\b mode=0600", "not escaped"),
        (b"/caf\xc3\xa9 mode=0600", "not escaped"),
        (b"/a\tmode=0600", "not escaped"),
    ],
)
def test_a_broken_line_is_refused(line, reason):
    message = refusal(line)
    assert "manifest line 2" in message
    assert reason in message
    assert message.isprintable()


def test_unsorted_paths_are_refused():
    assert "is not sorted after /b" in refusal(b"/b mode=0600", b"/a mode=0600")


def test_paths_are_sorted_by_their_bytes_and_not_by_how_they_are_written():
    found = parse(b"/ab mode=0600", b"/a\\xff mode=0600")
    assert list(found) == [b"ab", b"a\xff"]
    assert "not sorted" in refusal(b"/a\\xff mode=0600", b"/ab mode=0600")


def test_a_path_that_appears_twice_is_refused():
    assert "appears twice" in refusal(b"/a mode=0600", b"/a uid=1")


names = st.binary(min_size=1, max_size=12).filter(tree.safe_name)
paths = st.lists(names, min_size=1, max_size=4).map(b"/".join)
ids = st.integers(0, manifest.MAX_ID)
xattr_names = st.sampled_from(
    ["security.capability", "system.posix_acl_access", "system.posix_acl_default"]
) | st.binary(min_size=1, max_size=20).filter(lambda raw: b"\0" not in raw).map(
    lambda raw: "user." + raw.decode("utf-8", "surrogateescape")
)
xattrs = st.dictionaries(xattr_names, st.binary(max_size=40), max_size=4).map(
    lambda found: tuple(
        sorted(
            found.items(), key=lambda item: item[0].encode("utf-8", "surrogateescape")
        )
    )
)
modes = st.none() | st.integers(0, 0o7777)
common = {"mode": modes, "uid": ids, "gid": ids, "xattrs": xattrs}
devices = st.tuples(
    st.integers(0, manifest.MAX_MAJOR), st.integers(0, manifest.MAX_MINOR)
)
metadata = st.one_of(
    st.builds(Metadata, **common).filter(lambda meta: meta != Metadata()),
    st.builds(Metadata, type=st.sampled_from(["dir", "fifo"]), **common),
    st.builds(Metadata, type=st.sampled_from(["char", "block"]), dev=devices, **common),
    st.builds(Metadata, hardlink=paths),
)


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(
    st.dictionaries(paths, metadata, max_size=8).map(
        lambda found: {p: m for p, m in found.items() if m.hardlink != p}
    )
)
def test_what_is_written_is_read_back_the_same(entries):
    written = manifest.write(entries)
    found = manifest.parse(written)
    assert found == entries
    assert list(found) == sorted(entries)
    assert manifest.write(found) == written


def test_defaults_are_left_out():
    assert manifest.write({b"a": Metadata(), b"b": Metadata(uid=1)}) == (
        HEAD + b"/b uid=1\n"
    )


@given(st.binary(max_size=80))
def test_arbitrary_bytes_are_refused_or_are_the_one_spelling(data):
    try:
        found = manifest.parse(HEAD + data)
    except UntrustedError:
        return
    assert manifest.write(found) == HEAD + data


EVERY_KEY = (
    HEAD + b"/a\\x20b mode=4755 uid=7 gid=8 xattr.user.\\x3d=0seQ==\n"
    b"/c type=char dev=5:1\n/d hardlink=/e\n"
)


@given(st.integers(0, len(EVERY_KEY) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_is_the_one_spelling(at, change):
    data = bytearray(EVERY_KEY)
    data[at] ^= change
    try:
        found = manifest.parse(bytes(data))
    except UntrustedError:
        return
    assert manifest.write(found) == bytes(data)


TREE = (
    TreeEntry(b"bin", GitMode.SYMLINK, B),
    TreeEntry(b"usr/bin/perl", GitMode.EXECUTABLE, A),
    TreeEntry(b"usr/bin/perl5", GitMode.EXECUTABLE, A),
    TreeEntry(b"usr/bin/plain", GitMode.FILE, A),
    TreeEntry(b"usr/bin/other", GitMode.EXECUTABLE, B),
)


def test_metadata_of_what_is_in_the_tree_or_cannot_be_is_fine():
    manifest.check_against_tree(
        {
            b"bin": Metadata(uid=5),
            b"dev": Metadata(type="dir"),
            b"dev/null": Metadata(type="char", dev=(1, 3)),
            b"usr": Metadata(mode=0o700),
            b"usr/bin": Metadata(gid=3),
            b"usr/bin/perl": Metadata(mode=0o4755),
            b"usr/bin/perl5": Metadata(hardlink=b"usr/bin/perl"),
            b"usr/bin/pipe": Metadata(type="fifo"),
        },
        TREE,
    )


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ({b"usr/none": Metadata(uid=1)}, "is not in the tree"),
        ({b"usr/bin": Metadata(type="dir")}, "although git holds it"),
        ({b"usr/bin/perl": Metadata(type="fifo")}, "although git holds it"),
        ({b"dev/null": Metadata(type="char", dev=(1, 3))}, "its directory is not"),
        ({b"bin/x": Metadata(type="dir")}, "its directory is not"),
        ({b"usr/bin/perl/x": Metadata(type="dir")}, "its directory is not"),
        (
            {b"a": Metadata(type="fifo"), b"a/b": Metadata(type="dir")},
            "its directory is not",
        ),
        ({b"usr/bin/x": Metadata(hardlink=b"usr/bin/perl")}, "is not in the tree"),
        ({b"usr/bin/perl": Metadata(hardlink=b"usr/x")}, "is not a plain file"),
        ({b"usr/bin/perl": Metadata(hardlink=b"usr/bin")}, "is not a plain file"),
        ({b"usr/bin/perl": Metadata(hardlink=b"bin")}, "is not a plain file"),
        ({b"usr/bin": Metadata(hardlink=b"usr/bin/perl")}, "differs from"),
        ({b"usr/bin/plain": Metadata(hardlink=b"usr/bin/perl")}, "differs from"),
        ({b"usr/bin/other": Metadata(hardlink=b"usr/bin/perl")}, "differs from"),
        (
            {
                b"usr/bin/perl": Metadata(hardlink=b"usr/bin/perl5"),
                b"usr/bin/perl5": Metadata(hardlink=b"usr/bin/perl"),
            },
            "is a hardlink itself",
        ),
        ({b"bin": Metadata(mode=0o777)}, "is a symlink"),
        ({b"bin": Metadata(xattrs=(("user.a", b""),))}, "is a symlink"),
    ],
)
def test_metadata_that_does_not_fit_the_tree_is_refused(entries, reason):
    with pytest.raises(UntrustedError) as caught:
        manifest.check_against_tree(entries, TREE)
    assert caught.value.check == "F4"
    assert reason in str(caught.value)
