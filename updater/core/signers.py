"""Lines of trust files, read strictly, and the keys that are in signatures.

A role is an OpenSSH allowed-signers file whose principal is the role; `revoked` holds
plain public keys. ssh-keygen skips lines that it cannot read, so each is judged here.
"""

import base64
import binascii
import hashlib
import re
import struct
from contextlib import suppress
from datetime import UTC, datetime

from msgspec import Struct

from updater.core.text import safe
from updater.errors import ConfigError

ROLES = ("root", "release", "channel")
REVOKED = "revoked"
NAMESPACES = {"root": "osupdate-trust", "release": "git", "channel": "git"}
# Certificates are not among them: a role is keys that a person can list.
KEY_TYPES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)

_DATE = re.compile(r'"[0-9]{8}(?:[0-9]{4}(?:[0-9]{2})?)?Z"')
_DATE_FORMATS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


class Key(Struct, frozen=True):
    """A line of a trust file: `type base64`, with what a person needs to find it.

    `after` and `before` limit when it is valid, in seconds; None does not. `text` is
    the line as ssh-keygen gets it.
    """

    key: str
    text: str
    comment: str
    where: str
    after: int | None = None
    before: int | None = None

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it."""
        return fingerprint(self.key)

    @property
    def name(self) -> str:
        """Fingerprint and comment."""
        comment = f" ({safe(self.comment, 100)})" if self.comment else ""
        return f"{self.fingerprint}{comment}"


def parse_role(data: bytes, where: str, role: str) -> tuple[Key, ...]:
    """The keys of a role, in the order of the file; comments and blank lines aside.

    Args:
        data: an allowed-signers file.
        where: its name, for messages.
        role: root, release or channel.

    Raises:
        ConfigError: a line is not what it should be, or a key appears twice.
    """
    signers = tuple(_signer(line, where, role) for line in _lines(data, where))
    keys = [signer.key for signer in signers]
    for number, key in enumerate(keys):
        if key in keys[:number]:
            raise ConfigError(f"{where}: the same key appears twice ({key[-12:]})")
    return signers


def parse_revoked(data: bytes, where: str) -> tuple[Key, ...]:
    """The keys of a `revoked` file.

    Raises:
        ConfigError: a line is not a plain public key.
    """
    return tuple(_revoked(line, where) for line in _lines(data, where))


def parse_key(text: str, where: str) -> tuple[str, str]:
    """`type base64` of a public key as ssh-keygen writes it, and its comment.

    Raises:
        ConfigError: it is none, or a certificate.
    """
    words = text.strip().split(" ")
    return _key(words, where, (1, words)), " ".join(words[2:])


def signer_of(armor: bytes) -> str | None:
    """`type base64` of the key that claims to have made a signature (PROTOCOL.sshsig).

    It is for a message: nobody has verified that claim.
    """
    try:
        blob = base64.b64decode(b"".join(armor.split(b"\n")[1:-2]), validate=True)
        size = struct.unpack_from(">I", blob, 10)[0]
        key = blob[14 : 14 + size]
        kind = key[4 : 4 + struct.unpack_from(">I", key)[0]].decode("ascii")
    except (binascii.Error, struct.error, UnicodeDecodeError):
        return None
    if not blob.startswith(b"SSHSIG") or kind not in KEY_TYPES or len(key) != size:
        return None
    return f"{kind} {base64.b64encode(key).decode('ascii')}"


def fingerprint(key: str) -> str:
    """Of `type base64`, as `ssh-keygen -l` prints it."""
    digest = hashlib.sha256(base64.b64decode(key.split(" ")[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


def _lines(data: bytes, file: str) -> list[tuple[int, list[str]]]:
    """The numbered lines that say something, as words."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text") from error
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        if any(ord(char) < 0x20 or char == "\x7f" for char in line):
            raise ConfigError(f"{file}:{number}: control character in the line")
        found.append((number, line.split(" ")))
    return found


def _revoked(line: tuple[int, list[str]], file: str) -> Key:
    number, words = line
    key = _key(words, file, line)
    return Key(key, key, " ".join(words[2:]), f"{file}:{number}")


def _signer(line: tuple[int, list[str]], file: str, role: str) -> Key:
    number, words = line
    where = f"{file}:{number}"
    if words[0] != role:
        raise ConfigError(
            f'{where}: principal "{safe(words[0], 80)}"; expected {role}, the role'
        )
    if len(words) < 4:
        raise ConfigError(f"{where}: expected principal, options, key type, key")
    limits = _check_options(words[1], where, role)
    key = _key(words[2:], file, line)
    return Key(
        key,
        f"{role} {words[1]} {key}",
        " ".join(words[4:]),
        where,
        limits.get("valid-after"),
        limits.get("valid-before"),
    )


def _check_options(text: str, where: str, role: str) -> dict[str, int]:
    """The limits of a key's validity, in seconds."""
    limits: dict[str, int] = {}
    found: dict[str, str] = {}
    for option in text.split(","):
        name, _, value = option.partition("=")
        if name in found:
            raise ConfigError(f"{where}: option {safe(name, 80)} appears twice")
        found[name] = value
        if name in ("valid-after", "valid-before"):
            limits[name] = _date(value, name, where)
        elif name != "namespaces":
            raise ConfigError(
                f'{where}: option "{safe(name, 80)}"; expected namespaces, '
                "valid-after, valid-before"
            )
    expected = f'"{NAMESPACES[role]}"'
    if found.get("namespaces") != expected:
        raise ConfigError(
            f"{where}: namespaces={safe(found.get('namespaces', ''), 80)}; "
            f"expected namespaces={expected}"
        )
    return limits


def _date(value: str, name: str, where: str) -> int:
    date = value[1:-2]
    if _DATE.fullmatch(value):
        with suppress(ValueError):
            return _seconds(date)
    raise ConfigError(
        f'{where}: {name}={safe(value, 80)}; expected "YYYYMMDDZ" or '
        '"YYYYMMDDHHMMSSZ": UTC, ending in Z'
    )


def _seconds(date: str) -> int:
    found = datetime.strptime(date, _DATE_FORMATS[len(date)]).replace(tzinfo=UTC)
    return int(found.timestamp())


def _key(words: list[str], file: str, line: tuple[int, list[str]]) -> str:
    """`type base64` of a plain public key; a comment after it is dropped."""
    where = f"{file}:{line[0]}"
    kind = words[0]
    if kind not in KEY_TYPES:
        raise ConfigError(
            f'{where}: key type "{safe(kind, 80)}"; expected one of '
            + ", ".join(KEY_TYPES)
        )
    text = words[1] if len(words) > 1 else ""
    try:
        blob = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        blob = b""
    start = struct.pack(">I", len(kind)) + kind.encode()
    if not blob.startswith(start) or base64.b64encode(blob).decode("ascii") != text:
        raise ConfigError(f"{where}: the key is not the base64 of an {kind} key")
    return f"{kind} {text}"
