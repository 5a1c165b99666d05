"""trust.toml: the keys that count, as one signed statement (DESIGN section 3.6).

    format = 1
    version = 3
    created = "2026-05-16T14:02:11Z"
    threshold = 2                       # root keys that must sign

    [files]                             # SHA-256 of what lies beside it
    root = "..."
    release = "..."
    channel = "..."
    revoked = "..."

Beside it lie those files, and `trust.1.sig`, `trust.2.sig`...: signatures of trust.toml
in the namespace `osupdate-trust`. Whether they hold is `system.signature`'s to say.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime

from msgspec import Struct

from updater.core import signers
from updater.core.signers import NAMESPACES, REVOKED, ROLES, Key
from updater.core.statements import MAX_NUMBER
from updater.core.text import safe
from updater.core.times import rfc3339
from updater.errors import ConfigError, UntrustedError

BRANCH = "trust"
FILE = "trust.toml"
FILES = (*ROLES, REVOKED)
NAMESPACE = NAMESPACES["root"]
MAX_FILE = 1 << 20  # bytes
MAX_SIGNATURES = 64
MAX_STEPS = 256  # of one walk

_SIGNATURE = re.compile(r"trust\.([1-9][0-9]?)\.sig\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_RFC3339 = "%Y-%m-%dT%H:%M:%SZ"


class TrustSet(Struct, frozen=True):
    """One version of the trusted keys.

    `files` is the content of root, release, channel and revoked; `statement` that of
    trust.toml, empty for keys that came without one (version 0). `signatures` are
    armored, by name.
    """

    version: int
    created: int
    threshold: int
    statement: bytes
    files: dict[str, bytes]
    keys: dict[str, tuple[Key, ...]]
    revoked: tuple[Key, ...]
    signatures: dict[str, bytes] = {}


def is_signature(name: str) -> bool:
    """Whether a file beside trust.toml is one of its signatures."""
    return bool(_SIGNATURE.match(name))


def parse(
    statement: bytes, files: Mapping[str, bytes], signatures: Mapping[str, bytes]
) -> TrustSet:
    """Read trust.toml and what lies beside it; unknown keys are ignored.

    Raises:
        UntrustedError: T1.
    """
    try:
        table = tomllib.loads(statement.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise bad(f"it is not TOML: {safe(str(error), 200)}") from error
    if _number(table, "format") != 1:
        raise bad(f"format {table.get('format')}; expected 1")
    digests = table.get("files")
    if not isinstance(digests, dict):
        raise bad("files: expected a table")
    for name in FILES:
        _check_digest(name, digests.get(name), files.get(name))
    try:
        keys = {
            role: signers.parse_role(files[role], f"trust:{role}", role)
            for role in ROLES
        }
        revoked = signers.parse_revoked(files[REVOKED], f"trust:{REVOKED}")
    except ConfigError as error:
        raise UntrustedError("T1", str(error)) from error
    gone = {key.key for key in revoked}
    left = [key for key in keys["root"] if key.key not in gone]
    threshold = _number(table, "threshold")
    if threshold > len(left):
        raise bad(f"threshold {threshold}, and {len(left)} root keys that can sign")
    for role in ("release", "channel"):
        if all(key.key in gone for key in keys[role]):
            raise bad(f"no key is left for the role {role}")
    return TrustSet(
        version=_number(table, "version"),
        created=_time(table.get("created")),
        threshold=threshold,
        statement=statement,
        files={name: files[name] for name in FILES},
        keys=keys,
        revoked=revoked,
        signatures=dict(signatures),
    )


def write(
    version: int, created: int, threshold: int, files: Mapping[str, bytes]
) -> bytes:
    """trust.toml; `parse` reads it back."""
    lines = [
        "format = 1",
        f"version = {version}",
        f'created = "{rfc3339(created)}"',
        f"threshold = {threshold}",
        "",
        "[files]",
    ]
    for name in FILES:
        digest = hashlib.sha256(files[name]).hexdigest()
        lines.append(f'{name} = "{digest}"')
    return ("\n".join(lines) + "\n").encode()


def check_next(old: TrustSet, new: TrustSet) -> None:
    """Hold a step to the one version after the one before.

    Raises:
        UntrustedError: T1.
    """
    if new.version != old.version + 1:
        raise UntrustedError(
            "T1",
            f"trust version {new.version} follows version {old.version}; expected "
            f"{old.version + 1}: no step may be left out or repeated",
        )


def check_threshold(which: str, needed: int, found: int, version: int) -> None:
    """Hold the number of different root keys that signed to what is needed.

    Raises:
        UntrustedError: T1.
    """
    if found < needed:
        raise UntrustedError(
            "T1",
            f"trust version {version} is signed by {found} of the {which} root keys; "
            f"expected at least {needed}",
        )


def lost_keys(old: TrustSet, new: TrustSet, role: str) -> tuple[Key, ...]:
    """The keys of a role that do not count any more."""
    gone = {key.key for key in new.revoked}
    left = {key.key for key in new.keys[role]} - gone
    return tuple(key for key in old.keys.get(role, ()) if key.key not in left)


def bad(reason: str) -> UntrustedError:
    """The statement is not what it should be."""
    return UntrustedError("T1", f"{FILE} is refused: {reason}")


def _check_digest(name: str, told: object, content: bytes | None) -> None:
    if content is None:
        raise bad(f"the file {name} is missing beside it")
    if len(content) > MAX_FILE:
        raise bad(f"the file {name} has over {MAX_FILE:,} bytes")
    if not isinstance(told, str) or not _SHA256.match(told):
        raise bad(f"files.{name}: expected 64 hex digits")
    if hashlib.sha256(content).hexdigest() != told:
        raise bad(f"the file {name} beside it is another one")


def _number(table: Mapping[str, object], name: str) -> int:
    value = table.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad(f"{name}: expected a number")
    if not 1 <= value <= MAX_NUMBER:
        raise bad(f"{name}: {value} is not in 1..{MAX_NUMBER}")
    return value


def _time(value: object) -> int:
    try:
        made = datetime.strptime(str(value), _RFC3339).replace(tzinfo=UTC)
    except ValueError as error:
        raise bad("created: expected a time as 2026-05-16T14:02:11Z") from error
    return int(made.timestamp())
