"""Signed statements, parsed strictly from the bytes that were signed.

`parse_tag` reads a raw annotated tag (DESIGN section 3.3). It decides on form only;
whether the signature holds is `system.signature`'s to say, and whether the content
fits this machine is `core.policy`'s.
"""

import base64
import binascii
import re

from updater.core.text import safe
from updater.core.versions import is_version
from updater.errors import UntrustedError
from updater.model import ObjectId, Tag

MAX_TAG = 65536  # bytes
MAX_NUMBER = 2**53 - 1
TAG_PREFIX = "release/"
BEGIN = b"-----BEGIN SSH SIGNATURE-----"
END = b"-----END SSH SIGNATURE-----"
TRAILERS = (
    "Osupdate-Format",
    "Product",
    "Arch",
    "Version",
    "Number",
    "Security-Floor",
    "Tree-SHA256",
    "Files",
    "Bytes",
)

_HEADERS = re.compile(
    rb"object (?P<object>[0-9a-f]{40})\n"
    rb"type commit\n"
    rb"tag (?P<tag>[!-~]+)\n"
    rb"tagger [^\x00-\x1f\x7f<>]+ <[^\x00-\x1f\x7f<>]*>"
    rb" (?P<time>0|[1-9][0-9]{0,10}) [+-][0-9]{4}\n"
    rb"\n"
)
_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z")
_TOKEN = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,63}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
# Line feeds part lines; every other control character, and NUL, is refused.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def parse_tag(raw: bytes) -> Tag:
    """Split a raw tag object into payload and signature, and read the payload.

    Raises:
        UntrustedError: R1: too large, unsigned, more than one signature, bytes after
            it, or anything that is not the grammar.
    """
    payload, signature = split_signature(raw)
    headers = _HEADERS.match(payload)
    if not headers:
        raise _bad("its headers are not object, type commit, tag, tagger")
    try:
        message = payload[headers.end() :].decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad("its text is not UTF-8") from error
    if control := _CONTROL.search(message):
        raise _bad(f"its text has the control character {safe(control[0])}")
    headline, text, fields = _parse_message(message)
    return Tag(
        commit=ObjectId(headers["object"].decode()),
        name=headers["tag"].decode(),
        tagger_time=int(headers["time"]),
        headline=headline,
        text=text,
        product=_token("Product", fields),
        arch=_token("Arch", fields),
        version=_version(fields),
        number=_number("Number", fields, least=1),
        security_floor=_number("Security-Floor", fields),
        tree_sha256=_sha256(fields),
        files=_number("Files", fields),
        size=_number("Bytes", fields),
        payload=payload,
        signature=signature,
    )


def split_signature(raw: bytes) -> tuple[bytes, bytes]:
    """The signed bytes and the armored signature of a raw tag.

    `ssh-keygen -Y verify` accepts bytes after the END line, so the armor is decoded
    and must encode back to the very same bytes.

    Raises:
        UntrustedError: R1.
    """
    if len(raw) > MAX_TAG:
        raise _bad(f"it has {len(raw):,} bytes; at most {MAX_TAG:,} are read")
    if b"-----BEGIN PGP" in raw:
        raise _bad("it has a PGP signature; expected one SSH signature")
    count = raw.count(BEGIN)
    if count == 0:
        raise _bad("it is not signed")
    start = raw.find(b"\n" + BEGIN) + 1
    if count > 1 or start == 0:
        raise _bad("expected one signature at the end")
    payload, armor = raw[:start], raw[start:]
    lines = armor.split(b"\n")
    if lines[-2:] != [END, b""]:
        raise _bad("there are bytes after its signature, or its end is missing")
    if not is_armor(armor):
        raise _bad(
            "its signature is not base64, or not written as ssh-keygen writes it"
        )
    return payload, armor


def is_armor(armor: bytes) -> bool:
    """Whether this is one armored SSH signature, and nothing else."""
    lines = armor.split(b"\n")
    if lines[0] != BEGIN or lines[-2:] != [END, b""]:
        return False
    try:
        blob = base64.b64decode(b"".join(lines[1:-2]), validate=True)
    except binascii.Error:
        return False
    return armor in _armors(blob)


def _armors(blob: bytes) -> set[bytes]:
    text = base64.b64encode(blob)
    made = set()
    for width in (70, 76):  # ssh-keygen wraps at 70, other signers at 76
        lines = [text[i : i + width] for i in range(0, len(text), width)]
        made.add(b"\n".join([BEGIN, *lines, END, b""]))
    return made


def write_message(headline: str, text: str, fields: dict[str, str]) -> str:
    """The message of a release tag; `parse_tag` reads it back."""
    trailers = "".join(f"{name}: {fields[name]}\n" for name in TRAILERS)
    paragraphs = [part for part in (headline.strip(), text.strip()) if part]
    return "\n\n".join(paragraphs) + "\n\n" + trailers


def _parse_message(message: str) -> tuple[str, str, dict[str, str]]:
    if not message.endswith("\n"):
        raise _bad("its last line does not end in a line feed")
    body, gap, last = message[:-1].rpartition("\n\n")
    if not gap:
        raise _bad("expected a headline and a last paragraph of trailers")
    fields: dict[str, str] = {}
    for line in last.split("\n"):
        name, colon, value = line.partition(": ")
        if not colon or name not in TRAILERS:
            raise _bad(f'"{safe(line, 100)}" is not one of its trailers')
        if name in fields:
            raise _bad(f"trailer {name} appears twice")
        fields[name] = value
    missing = [name for name in TRAILERS if name not in fields]
    if missing:
        raise _bad(f"trailer {missing[0]} is missing")
    if fields["Osupdate-Format"] != "1":
        raise _bad(f'format "{safe(fields["Osupdate-Format"], 40)}"; expected 1')
    headline, _, text = body.partition("\n")
    if not headline.strip():
        raise _bad("its headline is empty")
    return headline, text.strip("\n"), fields


def _token(name: str, fields: dict[str, str]) -> str:
    if not _TOKEN.match(fields[name]):
        raise _bad(f'{name} "{safe(fields[name], 80)}" is not a plain name')
    return fields[name]


def _version(fields: dict[str, str]) -> str:
    if not is_version(fields["Version"]):
        raise _bad(f'Version "{safe(fields["Version"], 80)}" is not a version')
    return fields["Version"]


def _number(name: str, fields: dict[str, str], least: int = 0) -> int:
    text = fields[name]
    if not _NUMBER.match(text) or not least <= int(text) <= MAX_NUMBER:
        raise _bad(
            f'{name} "{safe(text, 40)}" is not a number in {least}..{MAX_NUMBER}'
        )
    return int(text)


def _sha256(fields: dict[str, str]) -> str:
    if not _SHA256.match(fields["Tree-SHA256"]):
        raise _bad("Tree-SHA256 is not 64 lower-case hex digits")
    return fields["Tree-SHA256"]


def _bad(reason: str) -> UntrustedError:
    return UntrustedError("R1", f"the release tag is refused: {reason}")
