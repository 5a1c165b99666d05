"""Raw commit objects, read strictly: libgit2's own reader is lenient."""

import re

from msgspec import Struct

from updater.core import statements
from updater.core.text import safe
from updater.errors import UntrustedError
from updater.model import ObjectId

MAX_COMMIT = 1 << 20  # bytes

_HEADERS = re.compile(
    rb"tree (?P<tree>[0-9a-f]{40})\n"
    rb"(?P<parents>(?:parent [0-9a-f]{40}\n)*)"
    rb"author [^\n\0]*> -?[0-9]{1,15} [+-][0-9]{4,6}\n"
    rb"committer [^\n\0]*> (?P<time>[0-9]{1,11}) [+-][0-9]{4,6}\n"
    rb"(?P<more>(?:(?!tree |parent |author |committer )[!-~]+ [^\n\0]*\n"
    rb"(?: [^\n\0]*\n)*)*)"
    rb"\n"
)
_ENCODING = re.compile(rb"^encoding ([!-~]+)$", re.MULTILINE)
# Other encodings are shown as UTF-8 with replacements: codecs are code to attack.
_ENCODINGS = {"iso-8859-1", "iso-8859-15", "latin1", "windows-1252", "cp1252"}


_SIGNATURE = b"gpgsig "


class Commit(Struct, frozen=True):
    """What osupdate wants to know of a commit; `committed` is in seconds.

    `text` is the message after its first line.
    """

    tree: ObjectId
    parents: tuple[ObjectId, ...]
    committed: int
    headline: str
    text: str


def parse(raw: bytes) -> Commit:
    """Read a raw commit: tree, parents, author, committer, then other headers.

    Raises:
        UntrustedError: F1: too large, or a header is missing, doubled or out of order.
    """
    if len(raw) > MAX_COMMIT:
        raise UntrustedError(
            "F1",
            f"the commit has {len(raw):,} bytes; at most {MAX_COMMIT:,} are read",
        )
    match = _HEADERS.match(raw)
    if not match:
        start = safe(raw[:60])
        raise UntrustedError(
            "F1",
            "the commit is refused: its headers are not tree, parents, author, "
            f'committer; it begins "{start}"',
        )
    headline, text = _message(raw[match.end() :], match["more"])
    return Commit(
        tree=ObjectId(match["tree"].decode()),
        parents=tuple(
            ObjectId(line[7:].decode()) for line in match["parents"].splitlines()
        ),
        committed=int(match["time"]),
        headline=headline,
        text=text,
    )


def split_signature(raw: bytes) -> tuple[bytes, bytes]:
    """The signed bytes and the armored SSH signature of a raw commit.

    The signature is the header `gpgsig`, each of its lines after the first begun with a
    blank, as `git commit -S` writes it; what is signed is the commit without it.

    Raises:
        UntrustedError: C2: unsigned, more than one signature, or not an SSH one.
    """
    headers, gap, message = raw.partition(b"\n\n")
    kept: list[bytes] = []
    armor: list[bytes] = []
    inside = False
    for line in headers.split(b"\n"):
        if line.startswith(b"gpgsig"):
            if armor or not line.startswith(_SIGNATURE):
                raise UntrustedError("C2", "the commit has more than one signature")
            inside = True
            armor.append(line.removeprefix(_SIGNATURE))
        elif inside and line.startswith(b" "):
            armor.append(line[1:])
        else:
            inside = False
            kept.append(line)
    if not armor:
        raise UntrustedError("C2", "the commit is not signed")
    signature = b"\n".join(armor) + b"\n"
    if not statements.is_armor(signature):
        raise UntrustedError(
            "C2", "its signature is not an SSH signature as ssh-keygen writes it"
        )
    return b"\n".join(kept) + gap + message, signature


def add_signature(payload: bytes, armor: bytes) -> bytes:
    """The raw signed commit; `split_signature` takes it apart again."""
    headers, gap, message = payload.partition(b"\n\n")
    lines = armor.rstrip(b"\n").split(b"\n")
    return headers + b"\n" + _SIGNATURE + b"\n ".join(lines) + gap + message


def _message(message: bytes, headers: bytes) -> tuple[str, str]:
    first, _, rest = message.lstrip(b"\n").partition(b"\n")
    encoding = _ENCODING.search(headers)
    name = encoding[1].decode().lower() if encoding else "utf-8"
    codec = name if name in _ENCODINGS else "utf-8"
    text = rest.decode(codec, "replace").strip("\n")
    return first.strip().decode(codec, "replace"), text
