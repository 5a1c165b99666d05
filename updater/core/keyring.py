"""Changing trust files: keys come, go, and are revoked. Lines nobody names stay."""

from collections.abc import Mapping

from updater.core.signers import NAMESPACES, REVOKED, ROLES, fingerprint, parse_role
from updater.core.text import safe
from updater.errors import RefusedError

Files = dict[str, bytes]
"""Name -> content of root, release, channel and revoked."""


def empty() -> Files:
    """Trust files without a key."""
    return dict.fromkeys((*ROLES, REVOKED), b"")


def line_of(role: str, key: str, comment: str, until: str | None) -> bytes:
    """An allowed-signers line.

    Args:
        role: its principal.
        key: `type base64`.
        comment: for people, or "".
        until: the day on which the key ends, `YYYYMMDD`; None for never.
    """
    limit = f',valid-before="{until}Z"' if until else ""
    words = [role, f'namespaces="{NAMESPACES[role]}"{limit}', key]
    return (" ".join([*words, comment] if comment else words) + "\n").encode()


def with_key(
    files: Mapping[str, bytes], role: str, key: str, comment: str, until: str | None
) -> Files:
    """The files with one more key.

    Raises:
        RefusedError: it is there, or was revoked.
    """
    if key in _revoked(files):
        raise RefusedError(f"the key {fingerprint(key)} was revoked; it stays so")
    if key in _keys(files, role):
        raise RefusedError(f"the key {fingerprint(key)} has the role {role} already")
    line = line_of(role, key, comment, until)
    return {**files, role: _ended(files[role]) + line}


def without_key(files: Mapping[str, bytes], role: str, key: str) -> Files:
    """The files without a key of a role, which is not revoked by that.

    Raises:
        RefusedError: it does not have the role.
    """
    if key not in _keys(files, role):
        raise RefusedError(f"the key {fingerprint(key)} does not have the role {role}")
    lines = files[role].splitlines(keepends=True)
    return {**files, role: b"".join(line for line in lines if not _has(line, key))}


def revoking(files: Mapping[str, bytes], key: str, comment: str) -> Files:
    """The files with a key that counts for nothing any more, whatever it signed.

    Raises:
        RefusedError: it was revoked before.
    """
    if key in _revoked(files):
        raise RefusedError(f"the key {fingerprint(key)} was revoked before")
    line = f"{key} {comment}".strip().encode() + b"\n"
    made = {**files, REVOKED: _ended(files[REVOKED]) + line}
    for role in ROLES:
        if key in _keys(files, role):
            made = without_key(made, role, key)
    return made


def find(files: Mapping[str, bytes], wanted: str) -> str:
    """The key that a fingerprint, or the end of one's comment, names.

    Raises:
        RefusedError: none, or several.
    """
    found = {
        key.key
        for role in ROLES
        for key in parse_role(files[role], role, role)
        if wanted in (key.key, key.fingerprint, key.comment)
    }
    if len(found) != 1:
        count = "several keys are" if found else "no key is"
        raise RefusedError(
            f'{count} called "{safe(wanted, 100)}"',
            hint="Name it by its fingerprint: osupdate trust show --repo ...",
        )
    return found.pop()


def _keys(files: Mapping[str, bytes], role: str) -> list[str]:
    return [key.key for key in parse_role(files[role], role, role)]


def _revoked(files: Mapping[str, bytes]) -> set[str]:
    lines = files[REVOKED].decode("utf-8", "replace").splitlines()
    return {" ".join(line.split(" ")[:2]) for line in lines}


def _has(line: bytes, key: str) -> bool:
    return b" " + key.encode() in line.rstrip(b"\n")


def _ended(data: bytes) -> bytes:
    return data if not data or data.endswith(b"\n") else data + b"\n"
