import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.keys import tag_payload

from updater.core import release_toml, statements
from updater.errors import UntrustedError

TEXT = """format = 1
product = "acme-gw"
arch = "amd64"
version = "2026.05.1"
number = 42
security_floor = 40
bootable = false
created = "2026-05-16T14:02:11Z"
previous = ""
source = ""
"""
SIGNATURE = statements.BEGIN + b"\n" + statements.END + b"\n"
TAG = statements.parse_tag(tag_payload() + SIGNATURE)


def refusal(text):
    with pytest.raises(UntrustedError) as caught:
        release_toml.parse(text if isinstance(text, bytes) else text.encode())
    assert caught.value.check == "F3"
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_the_release_is_read():
    assert release_toml.parse(TEXT.encode()) == release_toml.ReleaseToml(
        product="acme-gw",
        arch="amd64",
        version="2026.05.1",
        number=42,
        security_floor=40,
        created=1_778_940_131,
    )


def test_unknown_keys_are_ignored_within_the_format():
    text = TEXT + 'colour = "green"\n[new]\ntable = 1\n'
    assert release_toml.parse(text.encode()) == release_toml.parse(TEXT.encode())


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("format = 1", "format = 2", "expected 1"),
        ("format = 1", "", "format: expected a number, got nothing"),
        ("number = 42", 'number = "42"', "number: expected a number, got '42'"),
        ("number = 42", "number = true", "number: expected a number"),
        ("number = 42", "number = 42.0", "number: expected a number"),
        ("number = 42", "number = 42\nnumber = 43", "is not TOML"),
        ("number = 42", "number = " + "9" * 5000, "is not TOML"),
        ('arch = "amd64"', "arch = 64", "arch: expected a string"),
        ('arch = "amd64"', "arch = amd64", "is not TOML"),
        (
            '"2026-05-16T14:02:11Z"',
            "2026-05-16T14:02:11Z",
            "created: expected a string",
        ),
        ("14:02:11Z", "14:02:11+00:00", "is not like"),
        ("05-16T", "5-16T", "is not like"),
        ("05-16T", "02-30T", "is not like"),
        ("2026-05-16T", "1969-05-16T", "is not like"),
        ("acme-gw", "\x1b[2J", "is not TOML"),
    ],
)
def test_a_wrong_key_is_refused(old, new, reason):
    assert reason in refusal(TEXT.replace(old, new, 1))


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"a=" + b"[" * 20000, b"#" * (1 << 20) + b"\n"]
)
def test_what_is_not_toml_or_too_large_is_refused(data):
    refusal(data)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_never_crash(data):
    for text in (data, TEXT.encode() + data):
        try:
            release_toml.parse(text)
        except UntrustedError as error:
            assert error.check == "F3"


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("acme-gw", "acme-tv", "product"),
        ("amd64", "arm64", "arch"),
        ("2026.05.1", "2026.05.2", "version"),
        ("= 42", "= 43", "number"),
        ("= 40", "= 0", "security_floor"),
    ],
)
def test_what_differs_from_the_signed_tag_is_refused(old, new, name):
    release_toml.check_against_tag(release_toml.parse(TEXT.encode()), TAG)
    other = release_toml.parse(TEXT.replace(old, new, 1).encode())
    with pytest.raises(UntrustedError, match=f"{name} is .*the signed tag says"):
        release_toml.check_against_tag(other, TAG)
