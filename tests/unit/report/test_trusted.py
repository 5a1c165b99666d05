"""Certificates and keys: who is trusted that was not, told once each."""

import base64
import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.factory import Symlink
from support.snapshots import take

from updater.report import trusted
from updater.report.compare import compare
from updater.report.sections import Danger

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
SHARE = "usr/share/ca-certificates/mozilla"
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVua25vd24"


def certificate(name, issuer=None, oid=NameOID.COMMON_NAME):
    """PEM text of a certificate about `name`."""
    named, by = (
        x509.Name([x509.NameAttribute(oid, n)]) for n in (name, issuer or name)
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(by)
        .public_key(KEY.public_key())
        .serial_number(abs(hash(name)) % 1000 + 1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + datetime.timedelta(days=9))
        .sign(KEY, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


ONE, TWO, THREE = (certificate(f"Root {n}") for n in ("One", "Two", "Three"))


def trust(old, new):
    found = compare(take({**old, "keep": ""}), take({**new, "keep": ""}))
    assert found.problems == ()
    return [(one.kind, one.path.decode(), one.text) for one in found.attention]


def test_a_certificate_is_told_once_whatever_links_and_bundles_lead_to_it():
    new = {
        f"{SHARE}/One.crt": ONE,
        "etc/ssl/certs/One.pem": Symlink("/usr/share/ca-certificates/mozilla/One.crt"),
        "etc/ssl/certs/0a1b2c3d.0": Symlink("One.pem"),
        BUNDLE: TWO + ONE,
    }
    assert trust({BUNDLE: TWO}, new) == [
        (Danger.CERTIFICATE, f"{SHARE}/One.crt", "trusts Root One")
    ]


def test_one_that_comes_into_a_bundle_alone_is_told_by_its_name():
    assert trust({BUNDLE: ONE + TWO}, {BUNDLE: ONE + THREE + TWO}) == [
        (Danger.CERTIFICATE, BUNDLE, "trusts Root Three")
    ]


def test_one_that_goes_or_moves_is_no_danger():
    assert trust({BUNDLE: ONE + TWO}, {BUNDLE: ONE}) == []
    assert trust({f"{SHARE}/a.crt": ONE}, {f"{SHARE}/b.crt": ONE}) == []


def test_one_that_another_takes_the_place_of_is_told():
    assert trust({f"{SHARE}/a.crt": ONE}, {f"{SHARE}/a.crt": TWO}) == [
        (Danger.CERTIFICATE, f"{SHARE}/a.crt", "trusts Root Two")
    ]


def test_a_file_that_holds_none_is_told_to_be_unreadable():
    [(_, _, text)] = trust({}, {"usr/local/share/ca-certificates/x.crt": "rubbish"})
    assert text == "may trust a certificate: it cannot be read"


@pytest.mark.parametrize(
    ("pem", "name"),
    [
        (certificate("Sub", issuer="Top"), "Sub"),
        (
            certificate("Organisation Ltd", oid=NameOID.ORGANIZATION_NAME),
            "Organisation Ltd",
        ),
        (certificate("Wurzel äöü"), "Wurzel äöü"),
    ],
)
def test_a_certificate_is_called_by_whom_it_is_about(pem, name):
    body = "".join(pem.split("\n")[1:-2])
    assert trusted.subject(base64.b64decode(body)) == name


@pytest.mark.parametrize("data", [b"", b"\x30", b"0\x82\x01", b"\x06\x03\x55\x04\x03"])
def test_what_is_no_certificate_has_no_name(data):
    assert trusted.subject(data) is None


@pytest.mark.parametrize(
    "path",
    [
        "etc/apt/trusted.gpg.d/x.gpg",
        "etc/apt/trusted.gpg",
        "etc/apt/keyrings/x.asc",
        "usr/share/keyrings/x.gpg",
        "usr/share/osupdate/trust/release",
        "etc/osupdate/trust/root",
        "etc/pki/rpm-gpg/RPM-GPG-KEY-x",
        "etc/apk/keys/x.rsa.pub",
        "usr/share/pacman/keyrings/x.gpg",
    ],
)
def test_a_key_that_signs_packages_or_releases_is_told(path):
    assert trust({}, {path: b"\x99\x01binary"}) == [(Danger.KEY, path, "trusts keys")]
    assert trust({path: b"\x98"}, {path: b"\x99"}) == [
        (Danger.KEY, path, "trusts other keys")
    ]
    assert trust({path: b"\x98"}, {}) == []


def test_keys_that_open_a_login_are_told_line_by_line():
    path = "home/ops/.ssh/authorized_keys"
    old = f"# team\n{SSH} old@example\n"
    new = f'{old}from="192.0.2.1",no-pty {SSH}x new@example now\n'
    found = compare(take({path: old}), take({path: new}))
    [one] = found.attention
    assert (one.kind, one.text) == (
        Danger.KEY,
        "trusts the ssh-ed25519 key new@example now",
    )
    assert one.new.startswith("SHA256:")


@pytest.mark.parametrize(
    "path", ["etc/ssl/openssl.cnf", "usr/share/keyrings/README", "etc/ssh/sshd_config"]
)
def test_other_files_are_no_trust(path):
    assert trust({}, {path: "x"}) == []
