import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.keys import FIELDS, tag_payload

from updater.core import statements
from updater.errors import UntrustedError


def armor(blob, width=70):
    text = base64.b64encode(blob)
    lines = [text[i : i + width] for i in range(0, len(text), width)]
    return b"\n".join([statements.BEGIN, *lines, statements.END, b""])


SIGNATURE = armor(b"SSHSIG" + bytes(range(200)))
PAYLOAD = tag_payload(text="It is quieter.\n\nAnd faster.")
VALID = PAYLOAD + SIGNATURE


def refusal(raw):
    with pytest.raises(UntrustedError) as caught:
        statements.parse_tag(raw)
    assert caught.value.check == "R1"
    assert str(caught.value).isprintable()
    return str(caught.value)


def changed(old, new):
    assert PAYLOAD.count(old) == 1
    return PAYLOAD.replace(old, new) + SIGNATURE


def test_a_release_tag_is_read():
    tag = statements.parse_tag(VALID)
    assert tag.commit == "c" * 40
    assert tag.name == "release/2026.05.1"
    assert tag.tagger_time == 1_770_000_000
    assert tag.headline == "acme-gw 2026.05.1"
    assert tag.text == "It is quieter.\n\nAnd faster."
    assert (tag.product, tag.arch, tag.version) == ("acme-gw", "amd64", "2026.05.1")
    assert (tag.number, tag.security_floor) == (42, 40)
    assert (tag.tree_sha256, tag.files, tag.size) == ("e" * 64, 7, 250)
    assert (tag.payload, tag.signature) == (PAYLOAD, SIGNATURE)


def test_signers_that_wrap_at_76_are_read():
    raw = PAYLOAD + armor(bytes(200), 76)
    assert statements.parse_tag(raw).signature == armor(bytes(200), 76)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "is not signed"),
        (PAYLOAD, "is not signed"),
        (VALID + b"\n", "bytes after its signature"),
        (VALID + b"garbage", "bytes after its signature"),
        (VALID + b"\0", "bytes after its signature"),
        (VALID[:-1], "its end is missing"),
        (VALID + SIGNATURE, "expected one signature"),
        (SIGNATURE + VALID, "expected one signature"),
        (SIGNATURE, "expected one signature"),
        (PAYLOAD[:-1] + b" " + SIGNATURE, "expected one signature"),
        (PAYLOAD + SIGNATURE.replace(b"\n", b"\r\n"), "its end is missing"),
        (PAYLOAD + armor(bytes(200), 64), "not written as ssh-keygen writes it"),
        (PAYLOAD + SIGNATURE.replace(b"U1NI", b"U1N\n"), "is not base64"),
        (
            PAYLOAD + b"-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n",
            "it has a PGP signature",
        ),
        (
            PAYLOAD + b"-----BEGIN PGP SIGNATURE-----\n" + SIGNATURE,
            "it has a PGP signature",
        ),
        (PAYLOAD + b"x" * 65536 + b"\n" + SIGNATURE, "at most 65,536 are read"),
    ],
)
def test_anything_but_one_signature_at_the_end_is_refused(raw, reason):
    assert reason in refusal(raw)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"object " + b"c" * 40, b"object " + b"C" * 40),
        (b"object " + b"c" * 40, b"object " + b"c" * 39),
        (b"object ", b"tree "),
        (b"type commit", b"type tree"),
        (b"type commit", b"type tag"),
        (b"type commit\n", b"type commit\ntype commit\n"),
        (b"object ", b"object " + b"d" * 40 + b"\nobject "),
        (b"tag release/", b"tag rele ase/"),
        (b"tag release/2026.05.1\n", b"tag \n"),
        (b"tagger ", b"committer "),
        (b"tagger acme", b"tagger \x1b[2Jacme"),
        (b"tagger acme", b"tagger <acme"),
        (b"1770000000", b"-1770000000"),
        (b"1770000000", b"01770000000"),
        (b"1770000000", b"999999999999"),
        (b"+0000", b"UTC"),
        (b"+0000\n\n", b"+0000\nencoding latin1\n\n"),
        (b"+0000\n\n", b"+0000\n"),
    ],
)
def test_other_headers_are_refused(old, new):
    assert "its headers are not" in refusal(changed(old, new))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"quieter", b"qui\xffter", "not UTF-8"),
        (b"quieter", b"qui\0ter", "control character \\x00"),
        (b"quieter", b"qui\rter", "control character \\r"),
        (b"quieter", b"\x1b[31mter", "control character \\x1b"),
        (b"quieter", "\u2028".encode(), "control character \\u2028"),
        (b"quieter", "\x9b".encode(), "control character \\x9b"),
        (b"Bytes: 250\n", b"Bytes: 250", "one signature at the end"),
        (b"Bytes: 250\n", b"Bytes: 250\n\n", "not one of its trailers"),
        (b"Files: 7\n", b"Files: 7\n\n", "is missing"),
        (b"Files: 7\n", b"Files: 7\n\n\n", "is missing"),
        (b"Files: 7\n", b"Files: 7\nFiles: 8\n", "Files appears twice"),
        (b"Files: 7\n", b"", "Files is missing"),
        (b"Files: 7\n", b"files: 7\n", "not one of its trailers"),
        (b"Files: 7\n", b"Files:7\n", "not one of its trailers"),
        (b"Files: 7\n", b"Files: 7\n folded\n", "not one of its trailers"),
        (b"Files: 7\n", b"Files: 7\nSigned-off-by: x\n", "not one of its trailers"),
        (b"\n\nacme-gw 2026.05.1\n\n", b"\n\n\n\n", "its headline is empty"),
    ],
)
def test_another_message_is_refused(old, new, reason):
    assert reason in refusal(changed(old, new))


def test_a_tag_of_trailers_alone_is_refused():
    start = PAYLOAD.index(b"\n\n") + 2
    trailers = PAYLOAD[PAYLOAD.index(b"Osupdate-Format") :]
    assert "headline" in refusal(PAYLOAD[:start] + trailers + SIGNATURE)


NUMBERS = ["042", "+42", "-42", "\uff14\uff12", "4_2", "42.0", "0x2a", "", " 42", "42 "]


@pytest.mark.parametrize("name", ["Number", "Security-Floor", "Files", "Bytes"])
@pytest.mark.parametrize("value", [*NUMBERS, str(2**53), "1" + "0" * 30])
def test_a_number_in_another_spelling_is_refused(name, value):
    assert name in refusal(tag_payload(**{name: value}) + SIGNATURE)


def test_the_largest_number_is_read_and_zero_is_not_a_release_number():
    largest = tag_payload(Number=str(2**53 - 1)) + SIGNATURE
    assert statements.parse_tag(largest).number == 2**53 - 1
    assert "Number" in refusal(tag_payload(Number="0") + SIGNATURE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Osupdate-Format", "2"),
        ("Osupdate-Format", "01"),
        ("Osupdate-Format", ""),
        ("Product", "acme gw"),
        ("Product", "../acme"),
        ("Product", ""),
        ("Product", "x" * 65),
        ("Arch", "amd64\u202e"),
        ("Version", "1..2"),
        ("Version", "1/2"),
        ("Version", " 1"),
        ("Version", "1.lock"),
        ("Tree-SHA256", "E" * 64),
        ("Tree-SHA256", "e" * 63),
        ("Tree-SHA256", "sha256:" + "e" * 64),
    ],
)
def test_a_value_that_is_not_what_its_trailer_says_is_refused(name, value):
    message = refusal(tag_payload(name="release/x", **{name: value}) + SIGNATURE)
    assert name in message or "format" in message


@given(st.integers(0, len(VALID) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_changes_what_was_signed(at, change):
    """The armor admits no second spelling, so only signed bytes can change."""
    raw = bytearray(VALID)
    raw[at] ^= change
    try:
        tag = statements.parse_tag(bytes(raw))
    except UntrustedError:
        return
    assert tag.payload + tag.signature == bytes(raw)
    assert tag.payload != PAYLOAD or decoded(tag.signature) != decoded(SIGNATURE)


def decoded(signature):
    return base64.b64decode(b"".join(signature.split(b"\n")[1:-2]))


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_as_untrusted_and_nothing_else(data):
    for raw in (data, data + SIGNATURE, PAYLOAD + data, data + b"\n" + SIGNATURE):
        try:
            statements.parse_tag(raw)
        except UntrustedError as error:
            assert error.check == "R1"


lines = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=30
).map(str.strip)
headlines = lines.filter(lambda line: line and "-----BEGIN" not in line)
texts = st.lists(headlines, max_size=4).map("\n\n".join)


@given(headlines, texts, st.integers(1, 2**53 - 1), st.integers(0, 2**53 - 1))
def test_what_is_written_is_read_back(headline, text, number, size):
    fields = FIELDS | {"Number": str(number), "Bytes": str(size)}
    payload = tag_payload(headline=headline, text=text, **fields)
    tag = statements.parse_tag(payload + SIGNATURE)
    assert (tag.headline, tag.text) == (headline, text)
    assert (tag.number, tag.size, tag.payload) == (number, size, payload)
