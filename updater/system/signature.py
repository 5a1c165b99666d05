"""Signatures, as `ssh-keygen -Y verify` decides, and the keys that are trusted.

The exit code is the only oracle: ssh-keygen prints `Good` for keys that nobody trusts.
It skips lines that it cannot read, so that every line of every trust file is validated
here first, and it sees only what passed.
"""

import os
import re
import time
import tomllib
from collections.abc import Iterable
from contextlib import ExitStack, suppress

from msgspec import Struct

from updater.core import signers as files
from updater.core import trust
from updater.core.signers import NAMESPACES, REVOKED, ROLES, Key, fingerprint, signer_of
from updater.core.text import safe
from updater.core.times import minute
from updater.core.trust import TrustSet
from updater.errors import ConfigError, HostError, UntrustedError
from updater.system import fs, process

PROGRAM = "ssh-keygen"
SHIPPED = "usr/share/osupdate/trust"
ACCEPTED = "var/lib/osupdate/trust"
PINNED = "etc/osupdate/trust"
MAX_FILE = 1 << 20  # bytes

_VERSION = re.compile(r"trust-[0-9]+\Z")


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
    signers = files.parse_role(_read(place), place, name)
    if not signers:
        raise ConfigError(
            f"no key is trusted for the role {name}: {place} has none",
            hint=f'Add: {name} namespaces="{NAMESPACES[name]}" ssh-ed25519 AAAA...',
        )
    pinned = place == os.path.join(root, PINNED, name)
    return Role(name, place, pinned, signers, load_revoked(root))


def load_revoked(root: str) -> tuple[Key, ...]:
    """The keys that any place revokes.

    Raises:
        ConfigError: a line is not a plain public key.
    """
    revoked: list[Key] = []
    for directory in (SHIPPED, ACCEPTED, PINNED):
        file = os.path.join(root, directory, REVOKED)
        if os.path.lexists(file):
            revoked += files.parse_revoked(_read(file), file)
    return tuple(revoked)


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


def verify(
    payload: bytes, signature: bytes, role: Role, now: int, check: str = "R2"
) -> Key | None:
    """Return when a key of the role signed these bytes and is valid now.

    Args:
        payload: the signed bytes.
        signature: the armored SSH signature.
        role: whose keys count.
        now: device time, seconds. Never a date from the payload: an expired key could
            claim any.
        check: what a refusal is called: C2 for a channel, R2 for a release.

    Returns:
        The key that signed, for people to read.

    Raises:
        UntrustedError: `check`.
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
        raise _refusal(signature, role, now, said, check)
    signed_by = signer_of(signature)
    return next((key for key in role.signers if key.key == signed_by), None)


def root_signers(
    found: TrustSet, keys: TrustSet, revoked: tuple[Key, ...], now: int
) -> tuple[Key, ...]:
    """The different root keys of a set that signed a trust statement.

    Args:
        found: the statement and its signatures.
        keys: whose root keys count; each counts once, however often it signed.
        revoked: keys that do not count.
        now: device time.

    Raises:
        HostError: ssh-keygen could not decide.
    """
    known = {key.key: key for key in keys.keys["root"]}
    signed: dict[str, Key] = {}
    for armor in found.signatures.values():
        key = known.get(signer_of(armor) or "")
        if key is None or key.key in signed:
            continue
        role = Role("root", key.where, pinned=False, signers=(key,), revoked=revoked)
        with suppress(UntrustedError):
            verify(found.statement, armor, role, now, "T1")
            signed[key.key] = key
    return tuple(signed.values())


def load_trust(root: str) -> TrustSet | None:
    """The set of keys that counts; None when it has no root key, and cannot rotate.

    Raises:
        ConfigError: what is there is not what it should be.
    """
    shipped, accepted = (os.path.join(root, place) for place in (SHIPPED, ACCEPTED))
    place = accepted if _version(accepted) > _version(shipped) else shipped
    if not os.path.lexists(os.path.join(place, "root")):
        return None
    names = os.listdir(place)
    content = {n: _read(os.path.join(place, n)) for n in trust.FILES if n in names}
    if trust.FILE not in names:
        return _unversioned(content, place)
    armors = {n: _read(os.path.join(place, n)) for n in names if trust.is_signature(n)}
    try:
        return trust.parse(_read(os.path.join(place, trust.FILE)), content, armors)
    except UntrustedError as error:
        raise ConfigError(f"{place}: {error.reason}") from error


def _unversioned(content: dict[str, bytes], place: str) -> TrustSet:
    """Keys that came without trust.toml: version 0, one root key signs what follows."""
    keys = {
        role: files.parse_role(content.get(role, b""), os.path.join(place, role), role)
        for role in ROLES
    }
    revoked = files.parse_revoked(content.get(REVOKED, b""), place)
    return TrustSet(0, 0, 1, b"", content, keys, revoked)


def store_trust(root: str, found: TrustSet) -> None:
    """Let a verified set count from now on, durably and at once.

    Raises:
        HostError.
    """
    link = os.path.join(root, ACCEPTED)
    name = f"{os.path.basename(link)}-{found.version}"
    directory = os.path.join(os.path.dirname(link), name)
    fs.remove_tree(directory)
    fs.make_directories(directory, 0o755)
    content = {trust.FILE: found.statement} | found.files | found.signatures
    for file, data in content.items():
        fs.write_durably(os.path.join(directory, file), data)
    if os.path.isdir(link) and not os.path.islink(link):
        fs.rename(link, f"{link}-by-hand")
    fs.replace_link(name, link)
    sweep_trust(root)


def sweep_trust(root: str) -> None:
    """Delete versions that do not count any more, or that a cut left unfinished."""
    link = os.path.join(root, ACCEPTED)
    kept = os.readlink(link) if os.path.islink(link) else None
    directory = os.path.dirname(link)
    for name in os.listdir(directory):
        if _VERSION.match(name) and name != kept:
            fs.remove_tree(os.path.join(directory, name))


def _text(lines: Iterable[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode("ascii")


def _refusal(
    signature: bytes, role: Role, now: int, said: str, check: str
) -> UntrustedError:
    """Why ssh-keygen, which has decided, did not accept a signature."""
    signed_by = signer_of(signature)
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
        name = fingerprint(signed_by)
        text = f"the key {name} signed it, which is not trusted for that"
    else:
        text = f"ssh-keygen says: {said}"
    return UntrustedError(
        check, f"the signature is not one of the role {role.name}: {text}", hint=hint
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


def read_role(file: str, name: str) -> Role:
    """The keys of a role from one file; `revoked` beside it counts, where it is.

    Raises:
        ConfigError: as `load_role`.
    """
    place = os.path.abspath(file)
    signers = files.parse_role(_read(place), place, name)
    if not signers:
        raise ConfigError(f"no key is trusted for the role {name}: {place} has none")
    beside = os.path.join(os.path.dirname(place), REVOKED)
    revoked: tuple[Key, ...] = ()
    if os.path.lexists(beside):
        revoked = files.parse_revoked(_read(beside), beside)
    return Role(name, place, pinned=False, signers=signers, revoked=revoked)
