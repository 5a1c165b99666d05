"""What a path may do that it might not: each danger, and what is none."""

import pytest
from support.factory import Symlink
from support.snapshots import take

from updater.model import Metadata
from updater.report.compare import compare
from updater.report.sections import Danger

RAW = ("security.capability", bytes.fromhex("0100000200200000" + "00" * 12))
RAW_ADMIN = ("security.capability", bytes.fromhex("0100000200300000" + "00" * 12))
ACCESS = ("system.posix_acl_access", b"\2\0\0\0")


def raised(before, after, path="usr/bin/x", files=None):
    """(kind, old, new) of a file whose manifest line changes; None: not there."""
    here = files or {path: ("#!", 0o755)}
    old = take(here if before else {"y": ""}, {path.encode(): before or Metadata()})
    if before is None:
        old = take({"y": ""})
    found = compare(old, take({**here, "y": ""}, {path.encode(): after}))
    return [(one.kind, one.old, one.new) for one in found.attention]


@pytest.mark.parametrize(
    ("before", "after", "kind", "old", "new"),
    [
        (Metadata(), Metadata(mode=0o4755), Danger.SETUID, "0755", "4755"),
        (None, Metadata(mode=0o4755), Danger.SETUID, None, "4755"),
        (Metadata(), Metadata(mode=0o2755, gid=42), Danger.SETGID, "0755", "2755"),
        (
            Metadata(mode=0o4755, uid=5),
            Metadata(mode=0o4755),
            Danger.SETUID,
            "4755",
            "4755",
        ),
        (
            Metadata(),
            Metadata(xattrs=(RAW,)),
            Danger.CAPABILITY,
            None,
            "cap_net_raw=ep",
        ),
        (
            Metadata(xattrs=(RAW,)),
            Metadata(xattrs=(RAW_ADMIN,)),
            Danger.CAPABILITY,
            "cap_net_raw=ep",
            "cap_net_admin,cap_net_raw=ep",
        ),
        (Metadata(), Metadata(mode=0o775), Danger.LOOSENED, "0755", "0775"),
        (Metadata(), Metadata(mode=0o757), Danger.LOOSENED, "0755", "0757"),
        (
            Metadata(mode=0o640),
            Metadata(mode=0o644),
            Danger.LOOSENED,
            "0640",
            "0644",
        ),
        (None, Metadata(mode=0o666), Danger.LOOSENED, None, "0666"),
        (Metadata(), Metadata(uid=33), Danger.LOOSENED, "0:0", "33:0"),
        (None, Metadata(uid=33), Danger.LOOSENED, None, "33:0"),
        (
            Metadata(mode=0o775),
            Metadata(mode=0o775, gid=50),
            Danger.LOOSENED,
            "0:0",
            "0:50",
        ),
        (
            Metadata(),
            Metadata(xattrs=(ACCESS,)),
            Danger.LOOSENED,
            None,
            "an access list",
        ),
    ],
)
def test_a_file_that_may_do_more_is_told(before, after, kind, old, new):
    assert raised(before, after) == [(kind, old, new)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Metadata(mode=0o4755), Metadata(mode=0o755)),
        (Metadata(mode=0o4755), Metadata(mode=0o4711)),
        (Metadata(xattrs=(RAW_ADMIN,)), Metadata(xattrs=(RAW,))),
        (Metadata(xattrs=(RAW,)), Metadata()),
        (Metadata(mode=0o757), Metadata(mode=0o755)),
        (Metadata(uid=33), Metadata()),
        (None, Metadata(mode=0o600)),
        (Metadata(), Metadata(gid=50)),
    ],
)
def test_a_file_that_may_do_less_is_not(before, after):
    assert raised(before, after) == []


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("etc/shadow", True),
        ("etc/ssl/private/x.key", True),
        ("etc/ssh/ssh_host_ed25519_key", True),
        ("home/me/.ssh/id_ed25519", True),
        ("etc/ssh/ssh_host_ed25519_key.pub", False),
        ("etc/motd", False),
    ],
)
def test_a_secret_that_comes_open_is_told_by_its_name(path, told):
    found = raised(None, Metadata(mode=0o644), path, {path: "secret"})
    assert [kind for kind, _, _ in found] == ([Danger.LOOSENED] if told else [])


def test_a_sticky_directory_is_meant_to_be_written_to():
    old = take({"x": ""})
    new = take({"x": ""}, {b"tmp": Metadata(type="dir", mode=0o1777)})
    assert compare(old, new).attention == ()
    new = take({"x": ""}, {b"tmp": Metadata(type="dir", mode=0o777)})
    [one] = compare(old, new).attention
    assert (one.kind, one.path) == (Danger.LOOSENED, b"tmp")


def test_a_setgid_directory_runs_nothing():
    meta = {b"var/mail": Metadata(type="dir", mode=0o2775, gid=8)}
    assert compare(take({"x": ""}), take({"x": ""}, meta)).attention == ()


def test_devices_and_links_are_open_to_everybody_as_they_should_be():
    meta = {b"dev/null": Metadata(type="char", dev=(1, 3), mode=0o666)}
    new = take({"x": "", "l": Symlink("x")}, meta)
    assert compare(take({"x": ""}), new).attention == ()


def test_a_new_name_of_a_setuid_program_is_told():
    files = {"usr/bin/su": ("su", 0o755)}
    meta = {b"usr/bin/su": Metadata(mode=0o4755)}
    new_meta = {**meta, b"usr/bin/sv": Metadata(hardlink=b"usr/bin/su")}
    new = take({**files, "usr/bin/sv": ("su", 0o755)}, new_meta)
    [one] = compare(take(files, meta), new).attention
    assert (one.kind, one.path) == (Danger.SETUID, b"usr/bin/sv")


def test_the_command_shows_more_of_the_same_two_releases():
    files = {"usr/bin/x": ("#!", 0o755)}
    old = take(files)
    new = take(files, {b"usr/bin/x": Metadata(mode=0o4755)})
    [one] = compare(old, new, asked=("1..2",)).attention
    assert one.more == ("diff", "1..2", "--files", "/usr/bin/x")


def test_of_very_many_dangers_of_one_kind_the_rest_is_counted():
    files = {f"usr/bin/{n}": ("#!", 0o755) for n in range(300)}
    meta = {name.encode(): Metadata(mode=0o4755) for name in files}
    found = compare(take({"x": ""}), take({**files, "x": ""}, meta)).attention
    assert len(found) == 201
    assert (found[-1].path, found[-1].text) == (None, "100 more")
    assert found[-1].kind is Danger.SETUID
