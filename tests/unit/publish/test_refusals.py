import pytest

from updater.core.rootfs import Kind, Node
from updater.errors import RefusedError
from updater.publish import refusals


def nodes(files):
    return {
        path: Node(path, Kind.FILE, 0o600, 0, 0, size=len(data))
        for path, data in files.items()
    }


def secrets(files, known=()):
    return refusals.secrets(nodes(files), lambda node: files[node.path], known)


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (b"etc/ssh/ssh_host_ed25519_key", b"x"),
        (b"etc/machine-id", b"0123456789abcdef0123456789abcdef\n"),
        (b"var/lib/dbus/machine-id", b"0123456789abcdef0123456789abcdef\n"),
        (b"etc/shadow", b"root:*:1::::::\njo:$y$j9T$abc:1::::::\n"),
        (b"etc/shadow", b"jo::1::::::\n"),
        (b"etc/shadow", b"jo:!$6$abc:1::::::\n"),
        (b"etc/shadow-", b"jo:$6$abc:1::::::\n"),
        (b"etc/gshadow", b"wheel:$6$abc::\n"),
        (b"etc/passwd", b"root::0:0:root:/root:/bin/sh\n"),
        (b"var/lib/systemd/random-seed", b"\x01"),
        (b"root/.ssh/id_rsa", b"-----BEGIN OPENSSH PRIVATE KEY-----\n"),
        (b"etc/ssl/private/x.pem", b"-----BEGIN PRIVATE KEY-----\n"),
        (b"home/jo/k", b"text\n-----BEGIN RSA PRIVATE KEY-----\n"),
    ],
)
def test_a_secret_is_refused_with_its_path(path, data):
    found = secrets({path: data})
    with pytest.raises(RefusedError, match=f"/{path.decode()}: "):
        refusals.check_secrets(found, ())
    refusals.check_secrets(found, (path,))


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (b"etc/ssh/ssh_host_ed25519_key.pub", b"ssh-ed25519 AAAA"),
        (b"etc/machine-id", b"uninitialized\n"),
        (b"etc/machine-id", b""),
        (b"etc/shadow", b"a:*:1:\nb:!:1:\nc:!!:1:\nd:!*:1:\n"),
        (b"etc/gshadow", b"root:::\nbin:!::\n"),
        (b"etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"),
        (b"usr/share/doc/x", b"-----BEGIN PRIVATE KEY-----\n"),
        (b"etc/ssl/certs/x.pem", b"-----BEGIN CERTIFICATE-----\n"),
    ],
)
def test_what_every_machine_may_share_is_no_secret(path, data):
    assert secrets({path: data}) == {}


def test_a_password_hash_is_not_repeated_in_the_message():
    assert "$6$" not in str(secrets({b"etc/shadow": b"jo:$6$abc:1:\n"}))


def test_all_secrets_are_named_at_once():
    found = secrets({b"etc/ssh/ssh_host_rsa_key": b"x", b"etc/machine-id": b"1"})
    with pytest.raises(RefusedError, match="2 secrets") as caught:
        refusals.check_secrets(found, ())
    assert "/etc/machine-id" in str(caught.value)
    assert "/etc/ssh/ssh_host_rsa_key" in str(caught.value)


def test_a_file_that_was_searched_before_is_not_read_again():
    assert secrets({b"etc/x": b"-----BEGIN PRIVATE KEY-----"}, known={b"etc/x"}) == {}


def test_all_names_that_git_cannot_hold_are_listed():
    bad = nodes({b"a/.git/config": b"", b"srv/.git": b"", b"etc/a\nb": b"", b"ok": b""})
    bad[b"a/.git"] = Node(b"a/.git", Kind.DIRECTORY, 0o755, 0, 0)
    with pytest.raises(RefusedError, match="3 paths") as caught:
        refusals.check_names(bad)
    for shown in ("/a/.git:", "/srv/.git:", "/etc/a\\nb:"):
        assert shown in str(caught.value)


def test_names_that_are_not_utf8_are_names():
    refusals.check_names(nodes({b"etc/\xff\xfe": b"", b"x y": b""}))


OLD = {b"etc/passwd": b"root:x:0:0::/:/bin/sh\nweb:x:33:33::/:/bin/sh\n"}


def test_a_user_whose_number_changed_is_refused_by_name():
    new = {b"etc/passwd": b"root:x:0:0::/:/bin/sh\nweb:x:34:33::/:/bin/sh\n"}
    with pytest.raises(RefusedError, match="user web: 33 -> 34"):
        refusals.check_ids(OLD, new, ())
    refusals.check_ids(OLD, new, ("web",))


def test_a_group_whose_number_changed_is_refused_by_name():
    with pytest.raises(RefusedError, match="group disk: 6 -> 7"):
        refusals.check_ids(
            {b"etc/group": b"disk:x:6:\n"}, {b"etc/group": b"disk:x:7:\n"}, ()
        )


def test_users_that_come_and_go_are_no_change_of_numbers():
    refusals.check_ids(OLD, {b"etc/passwd": b"new:x:33:33::/:/bin/sh\n"}, ())
    refusals.check_ids({b"etc/passwd": None}, OLD, ())
