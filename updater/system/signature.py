"""Signatures, as `ssh-keygen -Y verify` decides, and the keys that are trusted.

The exit code is the only oracle: ssh-keygen prints `Good` for keys that nobody trusts.
It skips lines that it cannot read, so that every line of every trust file is validated
here first, and it sees only what passed.
"""

import base64
import binascii
import calendar
import hashlib
import os
import re
import struct
import time
import tomllib
from collections.abc import Iterable
from contextlib import ExitStack, suppress

from msgspec import Struct

from updater.core.text import safe
from updater.core.times import minute
from updater.errors import ConfigError, HostError, UntrustedError
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
        return _fingerprint(self.key)

    @property
    def name(self) -> str:
        """Fingerprint and comment."""
        comment = f" ({safe(self.comment, 100)})" if self.comment else ""
        return f"{self.fingerprint}{comment}"


class Role(Struct, frozen=True):
    """The keys of a role. `place` is the file they are from; `pinned` when in /etc."""

    name: str
    place: str
    pinned: bool
    signers: tuple[Key, ...]
    revoked: tuple[Key, ...]


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
    keys = [signer.key for signer in signers]
    for number, key in enumerate(keys):
        if key in keys[:number]:
            raise ConfigError(f"{place}: the same key appears twice ({key[-12:]})")
    if not signers:
        raise ConfigError(
            f"no key is trusted for the role {name}: {place} has none",
            hint=f'Add: {name} namespaces="{NAMESPACES[name]}" ssh-ed25519 AAAA...',
        )
    revoked: list[Key] = []
    for directory in (SHIPPED, ACCEPTED, PINNED):
        file = os.path.join(root, directory, REVOKED)
        if os.path.lexists(file):
            revoked += [_revoked(line, file) for line in _lines(file)]
    pinned = place == os.path.join(root, PINNED, name)
    return Role(name, place, pinned, tuple(signers), tuple(revoked))


def require_program() -> None:
    """Refuse to go on where nobody could decide on signatures.

    Raises:
        HostError: ssh-keygen is not installed, or does not run.
    """
    try:
        process.run([PROGRAM, "-Y", "check-novalidate"], timeout=10)
    except HostError as error:
        error.hint = "Install OpenSSH's client: ssh-keygen decides on signatures"
        raise


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
    with ExitStack() as stack:
        fds: list[int] = []

        def file(data: bytes) -> str:
            """A file in memory alone: nothing is left behind, however this ends."""
            fds.append(process.memory_file(data))
            stack.callback(os.close, fds[-1])
            return f"/proc/self/fd/{fds[-1]}"

        argv = [PROGRAM, "-Y", "verify", "-n", NAMESPACES[role.name]]
        argv += ["-I", role.name, "-f", file(_text(key.text for key in role.signers))]
        argv += ["-s", file(signature), f"-Overify-time={at}"]
        if role.revoked:
            argv += ["-r", file(_text(key.text for key in role.revoked))]
        result = process.run(argv, stdin=payload, pass_fds=fds)
    if result.code != 0:
        said = safe((result.stderr or result.stdout).strip(), 300)
        raise _refusal(signature, role, now, said)


def _text(lines: Iterable[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode("ascii")


def _refusal(signature: bytes, role: Role, now: int, said: str) -> UntrustedError:
    """Why ssh-keygen, which has decided, did not accept a signature."""
    signed_by = _signer_of(signature)
    known = {signer.key: signer for signer in role.signers}
    gone = {key.key: key for key in role.revoked}
    hint = f"Trusted keys are those in {role.place}"
    if signed_by in gone:
        key = gone[signed_by]
        text = f"the key {key.name} signed it, which {key.where} revokes"
    elif signed_by in known:
        key = known[signed_by]
        text, hint = _invalid(key, now) or (f"ssh-keygen says: {said}", hint)
    elif signed_by is not None:
        name = _fingerprint(signed_by)
        text = f"the key {name} signed it, which is not trusted for that"
    else:
        text = f"ssh-keygen says: {said}"
    return UntrustedError(
        "R2", f"the signature is not one of the role {role.name}: {text}", hint=hint
    )


def _invalid(key: Key, now: int) -> tuple[str, str] | None:
    """Why a key that is trusted is not valid at this time, and what can be done."""
    if key.before is not None and now >= key.before:
        text = f"the key {key.name} expired {minute(key.before)} ({key.where})"
        hint = (
            "Take a release that a newer key signed; if this one is still good, "
            f"write a later valid-before into {key.where}"
        )
    elif key.after is not None and now < key.after:
        text = (
            f"the key {key.name} is valid from {minute(key.after)} on ({key.where}), "
            f"and it is {minute(now)} here"
        )
        hint = "Is the clock of this machine right? osupdate doctor"
    else:
        return None
    return text, hint


def _signer_of(armor: bytes) -> str | None:
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


def _fingerprint(key: str) -> str:
    digest = hashlib.sha256(base64.b64decode(key.split(" ")[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


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
            return calendar.timegm(time.strptime(date, _DATE_FORMATS[len(date)]))
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
