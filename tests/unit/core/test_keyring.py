import base64
import struct

import pytest

from updater.core import keyring
from updater.core.signers import fingerprint, parse_role
from updater.errors import RefusedError


def key(number):
    kind = b"ssh-ed25519"
    start = struct.pack(">I", len(kind)) + kind + struct.pack(">I", 32)
    return f"ssh-ed25519 {base64.b64encode(start + bytes([number]) * 32).decode()}"


def files(*numbers):
    made = keyring.empty()
    for number in numbers:
        made = keyring.with_key(made, "release", key(number), f"k{number}", None)
    return made


def keys(made, role="release"):
    return [found.key for found in parse_role(made[role], role, role)]


def test_a_key_comes_with_its_namespace_and_end():
    made = keyring.with_key(keyring.empty(), "root", key(1), "a@hq", "20280101")
    assert made["root"].decode() == (
        f'root namespaces="osupdate-trust",valid-before="20280101Z" {key(1)} a@hq\n'
    )
    (found,) = parse_role(made["root"], "root", "root")
    assert found.before == 1_830_297_600  # 2028-01-01, by date(1)


def test_lines_that_nobody_names_stay():
    made = files(1) | {"release": b"# ours\n" + files(1)["release"].rstrip(b"\n")}
    assert keyring.with_key(made, "release", key(2), "", None)["release"].startswith(
        made["release"] + b"\n"
    )
    assert keyring.without_key(made, "release", key(1))["release"] == b"# ours\n"


def test_a_key_goes_without_being_revoked():
    made = keyring.without_key(files(1, 2), "release", key(1))
    assert keys(made) == [key(2)]
    assert made["revoked"] == b""
    with pytest.raises(RefusedError, match="does not have the role"):
        keyring.without_key(made, "release", key(1))


def test_a_revoked_key_loses_every_role_and_stays_revoked():
    made = keyring.with_key(files(1, 2), "channel", key(1), "", None)
    made = keyring.revoking(made, key(1), "k1")
    assert (keys(made), keys(made, "channel")) == ([key(2)], [])
    assert made["revoked"].decode() == f"{key(1)} k1\n"
    with pytest.raises(RefusedError, match="was revoked; it stays so"):
        keyring.with_key(made, "root", key(1), "", None)
    with pytest.raises(RefusedError, match="revoked before"):
        keyring.revoking(made, key(1), "")


def test_a_key_has_a_role_once():
    with pytest.raises(RefusedError, match="has the role release already"):
        keyring.with_key(files(1), "release", key(1), "again", None)


def test_a_key_is_found_by_fingerprint_or_comment():
    made = files(1, 2)
    assert keyring.find(made, fingerprint(key(1))) == key(1)
    assert keyring.find(made, "k2") == key(2)
    with pytest.raises(RefusedError, match='no key is called "k3"'):
        keyring.find(made, "k3")
    twice = keyring.with_key(made, "release", key(3), "k2", None)
    with pytest.raises(RefusedError, match="several keys are"):
        keyring.find(twice, "k2")
