import base64
import struct

import pytest
from msgspec.structs import replace

from updater.core import trust
from updater.errors import UntrustedError


def key(number):
    kind = b"ssh-ed25519"
    blob = (
        struct.pack(">I", len(kind))
        + kind
        + struct.pack(">I", 32)
        + bytes([number]) * 32
    )
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


def files(root=(1, 2), release=(3,), channel=(4,), revoked=()):
    def role(name, numbers, namespace):
        lines = [f'{name} namespaces="{namespace}" {key(n)} k{n}\n' for n in numbers]
        return "".join(lines).encode()

    return {
        "root": role("root", root, "osupdate-trust"),
        "release": role("release", release, "git"),
        "channel": role("channel", channel, "git"),
        "revoked": "".join(f"{key(n)}\n" for n in revoked).encode(),
    }


def made(version=2, threshold=2, content=None, **kw):
    content = content or files(**kw)
    statement = trust.write(version, 1_790_000_000, threshold, content)
    return trust.parse(statement, content, {})


def refused(function, *arguments):
    with pytest.raises(UntrustedError) as caught:
        function(*arguments)
    assert caught.value.check == "T1"
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_statement_is_read_back():
    found = made()
    assert (found.version, found.threshold, found.created) == (2, 2, 1_790_000_000)
    assert [k.key for k in found.keys["root"]] == [key(1), key(2)]
    assert [k.comment for k in found.keys["channel"]] == ["k4"]
    assert found.revoked == ()


def test_unknown_keys_are_ignored():
    content = files()
    statement = b'wisdom = "x"\n' + trust.write(1, 0, 1, content)
    assert trust.parse(statement, content, {}).version == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"format = 1", b"format = 2"),
        (b"version = 2", b"version = 0"),
        (b"version = 2", b"version = true"),
        (b"version = 2\n", b""),
        (b"threshold = 2", b"threshold = 0"),
        (b"threshold = 2", b"threshold = 3"),
        (b"Z", b"+02:00"),
        (b"[files]", b"[others]"),
        (b'root = "', b'root = "0'),
        (b"format = 1", b"format = ["),
    ],
)
def test_what_is_not_the_format_is_refused(old, new):
    content = files()
    statement = trust.write(2, 1_790_000_000, 2, content)
    assert old in statement
    refused(trust.parse, statement.replace(old, new), content, {})


@pytest.mark.parametrize("name", trust.FILES)
def test_a_file_that_is_not_the_signed_one_is_refused(name):
    content = files()
    statement = trust.write(2, 0, 2, content)
    other = content | {name: content[name] + b"# more\n"}
    assert "another one" in refused(trust.parse, statement, other, {})
    less = {k: v for k, v in content.items() if k != name}
    assert "missing" in refused(trust.parse, statement, less, {})


def test_a_line_that_is_no_key_is_refused():
    content = files()
    content["release"] += b"release ssh-ed25519 AAAA\n"
    refused(lambda: made(content=content))


def test_a_threshold_that_revoked_keys_would_have_to_reach_is_refused():
    assert "1 root keys" in refused(lambda: made(revoked=(2,)))


def test_a_role_without_a_key_is_refused():
    assert "role release" in refused(lambda: made(revoked=(3,)))


@pytest.mark.parametrize("version", [1, 2, 4])
def test_a_step_that_is_not_the_next_version_is_refused(version):
    trust.check_next(made(2), made(3))
    refused(trust.check_next, made(2), made(version))


def test_fewer_keys_than_the_threshold_are_refused():
    trust.check_threshold("old", 2, 2, 3)
    assert "1 of the old root keys" in refused(trust.check_threshold, "old", 2, 1, 3)


def test_a_key_is_lost_when_it_is_left_out_or_revoked():
    old = made(channel=(4, 5))
    assert trust.lost_keys(old, made(3, channel=(4, 5)), "channel") == ()
    assert [k.comment for k in trust.lost_keys(old, made(3), "channel")] == ["k5"]
    revoked = made(3, channel=(4, 5), revoked=(4,))
    assert [k.comment for k in trust.lost_keys(old, revoked, "channel")] == ["k4"]
    assert trust.lost_keys(replace(old, keys={}), old, "channel") == ()
