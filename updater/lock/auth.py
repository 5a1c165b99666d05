"""Who asks: a node by its certificate or token, a person by theirs, or somebody.

The file of tokens has a line for each, `node ID sha256:HEX` or `admin NAME sha256:HEX`;
it holds hashes, so that whoever reads it cannot use it. A token must be random; a hash
of a password is not safe. It is read again when it changes.
"""

import hashlib
import hmac
import os
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from updater.core.text import safe
from updater.errors import ConfigError
from updater.lock.config import AuthSettings

_LINE = re.compile(r"(node|admin) (\S{1,256}) sha256:([0-9a-f]{64})\Z")
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Identity(Struct, frozen=True):
    """Whose word this is, and how that is known; `names` are all it may speak for."""

    role: Literal["node", "admin", "anybody"]
    names: tuple[str, ...] = ()
    how: str = ""

    @property
    def actor(self) -> str:
        """As the ledger has it."""
        return f"{self.names[0]} ({self.how})" if self.names else self.how


ANYBODY = Identity("anybody", how="not authenticated")


class Tokens:
    """The tokens in a file; each by the hash of what its owner sends."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._read_as: tuple[int, int, int] | None = None
        self._known: dict[str, Identity] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the file again, if it changed.

        Raises:
            ConfigError: a line is wrong; the tokens that were known still count.
        """
        if self._path is None:
            return
        try:
            now = os.stat(self._path)
            stamp = (now.st_ino, now.st_size, now.st_mtime_ns)
            if stamp == self._read_as:
                return
            self._read_as = stamp  # a mistake is told once
            with open(self._path, encoding="utf-8") as file:
                self._known = parse_tokens(file.read(), self._path)
        except OSError as error:
            raise ConfigError(f"{self._path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{self._path}: not UTF-8") from error

    def find(self, token: str) -> Identity | None:
        """Whose token this is."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        return self._known.get(digest)


def parse_tokens(text: str, where: str) -> dict[str, Identity]:
    """Hash -> identity of a file of tokens.

    Raises:
        ConfigError: with the line; never with its content.
    """
    known: dict[str, Identity] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.match(line.strip())
        if found is None:
            raise ConfigError(
                f"{where}:{number}: expected node ID sha256:HEX or admin NAME "
                "sha256:HEX"
            )
        if found[3] in known:
            raise ConfigError(f"{where}:{number}: two lines have the same token")
        role: Literal["node", "admin"] = "node" if found[1] == "node" else "admin"
        known[found[3]] = Identity(role, (found[2],), "token")
    return known


def token_of(authorization: str | None) -> tuple[str | None, str | None]:
    """(user name, token) of an `Authorization` header: Bearer, or Basic.

    Basic is for clients that can only carry user and password in their URL.
    """
    scheme, _, value = (authorization or "").partition(" ")
    match scheme.lower():
        case "bearer":
            return None, value.strip() or None
        case "basic":
            try:
                user, _, token = b64decode(value, validate=True).decode().partition(":")
            except ValueError:
                return None, None
            return user, token or None
        case _:
            return None, None


def names_of(certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The common name and the DNS names of a certificate that TLS has verified."""
    if not certificate:
        return ()
    names = [
        value
        for part in certificate.get("subject", ())
        for key, value in part
        if key == "commonName"
    ]
    names += [
        value
        for kind, value in certificate.get("subjectAltName", ())
        if kind == "DNS" and value not in names
    ]
    return tuple(names)


def identify(
    auth: AuthSettings,
    tokens: Tokens,
    certificate: Mapping[str, Any] | None,
    authorization: str | None,
) -> Identity | None:
    """Who sent this; None when they claim to be somebody and are not.

    Args:
        auth: what counts.
        tokens: the known ones.
        certificate: of the client, verified by TLS.
        authorization: the header.
    """
    user, token = token_of(authorization)
    if authorization is not None:
        found = None if token is None else tokens.find(token)
        if found is None or (user and not _same(user, found.names[0])):
            return None
        return found
    names = names_of(certificate)
    if set(names) & set(auth.admins):
        return Identity("admin", names, "certificate")
    return Identity("node", names, "certificate") if names else ANYBODY


def may_speak_for(auth: AuthSettings, who: Identity, node: str) -> str | None:
    """Why somebody may not ask or release in the name of a node; None when they may."""
    if auth.nodes in (None, "open"):
        # A node that says who it is, is held to it.
        if who.role == "node" and node not in who.names:
            return _not_yours(who, node)
        return None
    if who.role == "anybody":
        return "this service wants to know who asks: a token or a client certificate"
    if auth.nodes not in ("any", who.how):
        return f"a node proves who it is by {auth.nodes} here, not by {who.how}"
    if who.role == "admin" or node not in who.names:
        return _not_yours(who, node)
    return None


def is_local_name(host: str | None) -> bool:
    """Whether a Host header names this machine itself, as no foreign page can."""
    name = (host or "").rpartition(":")[0] if ":" in (host or "") else host or ""
    return name in _LOCAL_NAMES or host in _LOCAL_NAMES


def _not_yours(who: Identity, node: str) -> str:
    return f'{who.actor} may not speak for the node "{safe(node, 80)}"'


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
