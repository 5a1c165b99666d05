"""Who is trusted: certificates of authorities, and keys that sign or open.

What a file is for is told by where it lies. Bundles that update-ca-certificates or
update-ca-trust make of single files are looked into, so that a certificate that comes
only into a bundle is seen, and one that comes as a file is told once.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from updater.core.text import plural
from updater.errors import RefusedError
from updater.report.diff import FileChange, Kind
from updater.report.sections import Danger
from updater.report.snapshot import Snapshot

MAX_BUNDLE = 16 << 20  # bytes
_CERTIFICATES = (
    b"etc/ca-certificates/trust-source/",
    b"etc/pki/ca-trust/",
    b"etc/pki/tls/certs/",
    b"etc/ssl/cert.pem",
    b"etc/ssl/certs/",
    b"usr/local/share/ca-certificates/",
    b"usr/share/ca-certificates/",
    b"usr/share/pki/ca-trust-source/",
)
_KEYS = (
    b"etc/apk/keys/",
    b"etc/apt/keyrings/",
    b"etc/apt/trusted.gpg",  # the file, and the directory beside it
    b"etc/osupdate/trust/",
    b"etc/pacman.d/gnupg/",
    b"etc/pki/rpm-gpg/",
    b"etc/ssh/authorized_keys",
    b"usr/share/apk/keys/",
    b"usr/share/distribution-gpg-keys/",
    b"usr/share/keyrings/",
    b"usr/share/osupdate/trust/",
    b"usr/share/pacman/keyrings/",
)
_BUNDLES = (b"bundle.pem", b"bundle.crt", b"/cert.pem", b"/ca-certificates.crt")
_AUTHORIZED = re.compile(rb"(.*/)?\.ssh/authorized_keys2?|etc/ssh/authorized_keys.*")
_NOT_TRUST = re.compile(rb".*(\.txt|\.conf|README|\.dpkg-\w+|~)")
_PEM = re.compile(
    rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----([A-Za-z0-9+/=\s]*)"
    rb"-----END (?:TRUSTED )?CERTIFICATE-----"
)
_COMMON_NAME = bytes.fromhex("0603550403")  # the object identifier 2.5.4.3, in DER
_ORGANISATION = bytes.fromhex("060355040a")


class Trust(Struct, frozen=True):
    """Somebody who is trusted now: where that is written, and who it is in words."""

    kind: Danger
    path: bytes
    old: str | None
    new: str | None
    text: str


def kind_of(path: bytes) -> Danger | None:
    """What trust a path would be: a certificate, a key, or none."""
    if path.startswith(_CERTIFICATES):
        found = Danger.CERTIFICATE
    elif path.startswith(_KEYS) or (
        b"authorized_keys" in path and _AUTHORIZED.fullmatch(path)
    ):
        found = Danger.KEY
    else:
        return None
    return None if _NOT_TRUST.fullmatch(path) else found


def compare(
    old: Snapshot | None, new: Snapshot, changes: Iterable[FileChange]
) -> tuple[list[Trust], list[str]]:
    """Everybody who is trusted and was not, and what could not be read.

    Links are left out: what they lead to counts, and is told where it lies.
    """
    found: list[Trust] = []
    problems: list[str] = []
    certificates: list[FileChange] = []
    for change in changes:
        kind = kind_of(change.path)
        if kind is Danger.CERTIFICATE:
            certificates.append(change)
        elif kind is Danger.KEY and _comes(change):
            found += _keys(old, new, change, problems)
    found += _certificates(old, new, certificates, problems)
    return (_untold(found) if new.told == "channel" else found), problems


def _untold(found: Iterable[Trust]) -> list[Trust]:
    """One for all files of a kind: a channel does not tell whom they trust."""
    kinds: dict[Danger, list[bytes]] = {}
    for one in found:
        kinds.setdefault(one.kind, []).append(one.path)
    return [
        Trust(
            kind,
            paths[0],
            None,
            None,
            f"{plural(len(set(paths)), 'file')}, told after the download",
        )
        for kind, paths in kinds.items()
    ]


def _comes(change: FileChange) -> bool:
    """Whether another content is there than before, in a file."""
    return change.new is not None and change.new.type == "file" and change.content


def _certificates(
    old: Snapshot | None,
    new: Snapshot,
    changes: list[FileChange],
    problems: list[str],
) -> Iterator[Trust]:
    """Single files first: what a bundle has of them is not told again."""
    known = _before(old, changes, problems)
    told = [change for change in changes if _comes(change)]
    for change in sorted(told, key=lambda one: (_is_bundle(one.path), one.path)):
        after = _read(new, change.path, problems)
        for der in after or ():
            if der not in known:
                known.add(der)
                mark = hashlib.sha256(der).hexdigest()[:16]
                text = f"trusts {subject(der) or 'a certificate without a name'}"
                yield Trust(
                    Danger.CERTIFICATE, change.path, None, f"sha256 {mark}", text
                )
        if not after:
            word = "another" if change.old else "a"
            text = f"may trust {word} certificate: it cannot be read"
            yield Trust(Danger.CERTIFICATE, change.path, None, None, text)


def _before(
    old: Snapshot | None, changes: Iterable[FileChange], problems: list[str]
) -> set[bytes]:
    """What was trusted by files that changed or went: a name alone is no news."""
    found: set[bytes] = set()
    for change in changes:
        if old is not None and change.old is not None and change.old.type == "file":
            found.update(_read(old, change.path, problems) or ())
    return found


def _read(snapshot: Snapshot, path: bytes, problems: list[str]) -> list[bytes] | None:
    try:
        return _pem(snapshot.read(path, MAX_BUNDLE))
    except RefusedError as error:
        problems.append(str(error))
        return None


def _is_bundle(path: bytes) -> bool:
    return path.endswith(_BUNDLES)


def _pem(data: bytes) -> list[bytes]:
    """The certificates in PEM text, or the one that the file is, as DER."""
    found = []
    for block in _PEM.findall(data):
        try:
            found.append(base64.b64decode(block, validate=False))
        except binascii.Error:
            continue
    if not found and data[:1] == b"\x30":
        found.append(data)
    return found


def subject(der: bytes) -> str | None:
    """The common name of whom a certificate is about; else the organisation.

    The issuer comes before the subject, and extensions, which may have names too, after
    both; so the second of two names is the subject's, and the only one is both's.
    """
    for wanted in (_COMMON_NAME, _ORGANISATION):
        names: list[str] = []
        at = der.find(wanted)
        while at >= 0 and len(names) < 2:
            start = at + len(wanted)
            length = der[start + 1] if start + 1 < len(der) else 0
            value = der[start + 2 : start + 2 + length]
            if 0 < length < 0x80 and len(value) == length:
                names.append(value.decode("utf-8", "backslashreplace"))
            at = der.find(wanted, start)
        if names:
            return names[-1]
    return None


def _keys(
    old: Snapshot | None, new: Snapshot, change: FileChange, problems: list[str]
) -> Iterator[Trust]:
    """Keys of text files are told line by line, of binary keyrings by the file."""
    path = change.path
    word = "trusts other keys" if change.old is not None else "trusts keys"
    try:
        after = _key_lines(new.read(path, MAX_BUNDLE))
        before: set[bytes] = set()
        if old is not None and change.kind is Kind.MODIFIED:
            before = set(_key_lines(old.read(path, MAX_BUNDLE)) or ())
    except RefusedError as error:
        problems.append(str(error))
        yield Trust(Danger.KEY, path, None, None, word)
        return
    if after is None:
        yield Trust(Danger.KEY, path, None, None, word)
        return
    for line in after:
        if line not in before:
            kind, blob, comment = _ssh_key(line)
            name = f"SHA256:{_fingerprint(blob)}" if blob else None
            yield Trust(
                Danger.KEY,
                path,
                None,
                name,
                f"trusts the {kind} key {comment}".rstrip(),
            )


def _key_lines(data: bytes) -> list[bytes] | None:
    """The lines that hold an OpenSSH key; None when the file is something else."""
    lines = [line.strip() for line in data.split(b"\n")]
    found = [line for line in lines if line and not line.startswith(b"#")]
    return found if found and all(b" AAAA" in b" " + line for line in found) else None


def _ssh_key(line: bytes) -> tuple[str, bytes, str]:
    """Its kind, its base64 blob, and the comment."""
    words = line.split()
    at = next(n for n, word in enumerate(words) if word.startswith(b"AAAA"))
    kind = words[at - 1] if at else b"ssh"
    comment = b" ".join(words[at + 1 :])
    return _text(kind), words[at], _text(comment)


def _fingerprint(blob: bytes) -> str:
    """As `ssh-keygen -l` prints it."""
    try:
        raw = base64.b64decode(blob + b"=" * (-len(blob) % 4))
    except binascii.Error:
        return "unreadable"
    return base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
