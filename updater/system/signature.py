"""Signatures, as `ssh-keygen -Y verify` decides, and the keys that are trusted.

The exit code is the only oracle: ssh-keygen prints `Good` for keys that nobody trusts.
It skips lines that it cannot read, so that every line of every trust file is validated
here first, and it sees only what passed.
"""

import base64
import binascii
import hashlib
import os
import re
import struct
import tempfile
import time
import tomllib

from msgspec import Struct

from updater.core.text import safe
from updater.errors import ConfigError, UntrustedError
from updater.system import fs, process

PROGRAM = "ssh-keygen"
SHIPPED = "usr/share/osupdate/trust"
ACCEPTED = "var/lib/osupdate/trust"
PINNED = "etc/osupdate/trust"
REVOKED = "revoked"
MAX_FILE = 1 << 20  # bytes
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


class Role(Struct, frozen=True):
    """The keys of a role. `place` is the file they are from; `pinned` when in /etc.

    `signers` are allowed-signers lines, `revoked` plain public keys, a line each.
    """

    name: str
    place: str
    pinned: bool
    signers: tuple[str, ...]
    revoked: tuple[str, ...]


def load_role(root: str, name: str) -> Role:
    """Read the trusted keys of a role, validating every line of every file.

    Args:
        root: the directory that stands for `/`.
        name: root, release or channel.

    Raises:
        ConfigError: there is no key, or a line is not what it should be.
    """
    place = _place(root, name)
    signers = [_signer(line, place, name) for line in _lines(place)]
    keys = [text.split(" ")[-1] for text in signers]
    for number, key in enumerate(keys):
        if key in keys[:number]:
            raise ConfigError(f"{place}: the same key appears twice ({key[-12:]})")
    if not signers:
        raise ConfigError(
            f"no key is trusted for the role {name}: {place} has none",
            hint=f'Add: {name} namespaces="{NAMESPACES[name]}" ssh-ed25519 AAAA...',
        )
    revoked: dict[str, None] = {}
    for directory in (SHIPPED, ACCEPTED, PINNED):
        file = os.path.join(root, directory, REVOKED)
        if os.path.lexists(file):
            revoked.update((_key(line[1], file, line), None) for line in _lines(file))
    pinned = place == os.path.join(root, PINNED, name)
    return Role(name, place, pinned, tuple(signers), tuple(revoked))


def verify(payload: bytes, signature: bytes, role: Role, now: int) -> None:
    """Return when a key of the role signed these bytes and is valid now.

    Args:
        payload: the signed bytes.
        signature: the armored SSH signature.
        role: whose keys count.
        now: device time, seconds. Never a date from the payload: an expired key could
            claim any.

    Raises:
        UntrustedError: R2.
        HostError: ssh-keygen is missing, was killed or hangs.
    """
    # Written without Z, which OpenSSH before 9.1 does not know; TZ is UTC there.
    at = time.strftime("%Y%m%d%H%M%S", time.gmtime(now))
    with tempfile.TemporaryDirectory(prefix="osupdate-trust-") as directory:
        signers = _write(directory, "signers", role.signers)
        armor = os.path.join(directory, "signature")
        with open(armor, "xb") as file:
            file.write(signature)
        argv = [PROGRAM, "-Y", "verify", "-n", NAMESPACES[role.name]]
        argv += ["-I", role.name, "-f", signers, "-s", armor, f"-Overify-time={at}"]
        if role.revoked:
            argv += ["-r", _write(directory, REVOKED, role.revoked)]
        result = process.run(argv, stdin=payload)
    if result.code != 0:
        said = result.stderr or result.stdout
        raise UntrustedError(
            "R2",
            f"the signature is not one of the role {role.name}: "
            f"ssh-keygen says: {safe(said.strip(), 300)}",
            hint=f"Trusted keys are those in {role.place}",
        )


def _place(root: str, name: str) -> str:
    pinned = os.path.join(root, PINNED, name)
    if os.path.lexists(pinned):
        return pinned
    shipped, accepted = (os.path.join(root, place) for place in (SHIPPED, ACCEPTED))
    newer = _version(accepted) > _version(shipped)
    place = os.path.join(accepted if newer else shipped, name)
    if not os.path.lexists(place):
        raise ConfigError(
            f"no key is trusted for the role {name}: neither {place} nor {pinned} "
            "exists",
            hint=f"Put an allowed-signers file with the principal {name} there",
        )
    return place


def _version(directory: str) -> int:
    """The version of a set of trust files; -1 when there is none."""
    file = os.path.join(directory, "trust.toml")
    if not os.path.lexists(file):
        return 0 if os.path.isdir(directory) else -1
    try:
        version = tomllib.loads(_read(file).decode("utf-8")).get("version")
    except ValueError as error:
        raise ConfigError(f"{file} is not TOML: {safe(str(error), 200)}") from error
    if type(version) is not int or version < 1:
        raise ConfigError(f"{file}: version is not a positive number")
    return version


def _read(file: str) -> bytes:
    try:
        with open(file, "rb") as opened:
            data = opened.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from error
    exposed = fs.exposed_file(file)
    if exposed:
        raise ConfigError(f"{file} is not trusted: {exposed}")
    if len(data) > MAX_FILE:
        raise ConfigError(f"{file} has over {MAX_FILE:,} bytes")
    return data


def _lines(file: str) -> list[tuple[int, list[str]]]:
    """The numbered lines that say something, as words."""
    try:
        text = _read(file).decode("utf-8")
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


def _signer(line: tuple[int, list[str]], file: str, role: str) -> str:
    number, words = line
    where = f"{file}:{number}"
    if words[0] != role:
        raise ConfigError(
            f'{where}: principal "{safe(words[0], 80)}"; expected {role}, the role'
        )
    if len(words) < 4:
        raise ConfigError(f"{where}: expected principal, options, key type, key")
    _check_options(words[1], where, role)
    key = _key(words[2:], file, line)
    return f"{role} {words[1]} {key}"


def _check_options(text: str, where: str, role: str) -> None:
    found: dict[str, str] = {}
    for option in text.split(","):
        name, _, value = option.partition("=")
        if name in found:
            raise ConfigError(f"{where}: option {safe(name, 80)} appears twice")
        found[name] = value
        if name in ("valid-after", "valid-before"):
            _check_date(value, name, where)
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


def _check_date(value: str, name: str, where: str) -> None:
    date = value[1:-2]
    try:
        time.strptime(date, _DATE_FORMATS.get(len(date), ""))
        fine = _DATE.fullmatch(value)
    except ValueError:
        fine = None
    if not fine:
        raise ConfigError(
            f'{where}: {name}={safe(value, 80)}; expected "YYYYMMDDZ" or '
            '"YYYYMMDDHHMMSSZ": UTC, ending in Z'
        )


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


def _write(directory: str, name: str, lines: tuple[str, ...]) -> str:
    path = os.path.join(directory, name)
    with open(path, "x", encoding="ascii") as file:
        file.writelines(line + "\n" for line in lines)
    return path


def read_role(file: str, name: str) -> Role:
    """The keys of a role from one file; `revoked` beside it counts, where it is.

    Raises:
        ConfigError: as `load_role`.
    """
    place = os.path.abspath(file)
    signers = tuple(_signer(line, place, name) for line in _lines(place))
    if not signers:
        raise ConfigError(f"no key is trusted for the role {name}: {place} has none")
    beside = os.path.join(os.path.dirname(place), REVOKED)
    lines = _lines(beside) if os.path.lexists(beside) else []
    revoked = tuple(_key(line[1], beside, line) for line in lines)
    return Role(name, place, pinned=False, signers=signers, revoked=revoked)


def fingerprint(signature: bytes) -> str:
    """`SHA256:...` of the key that made an armored signature, as `ssh-keygen -l` does.

    It says who signed only once `verify` let the signature pass.

    Raises:
        UntrustedError: R1: it is not an SSH signature.
    """
    magic = b"SSHSIG\0\0\0\1"  # PROTOCOL.sshsig: magic, version; then the public key
    try:
        blob = base64.b64decode(b"".join(signature.split(b"\n")[1:-2]), validate=True)
        (length,) = struct.unpack_from(">I", blob, len(magic))
    except (binascii.Error, struct.error):
        blob, length = b"", 0
    start = len(magic) + 4
    key = blob[start : start + length]
    if not (blob.startswith(magic) and len(key) == length > 0):
        raise UntrustedError("R1", "the signature is not one of ssh-keygen")
    digest = base64.b64encode(hashlib.sha256(key).digest()).decode("ascii")
    return f"SHA256:{digest.rstrip('=')}"
