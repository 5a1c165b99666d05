"""Reads the credentials that `[remote]` names, and refuses what would not protect."""

import os

from updater.core import urls
from updater.core.text import safe
from updater.core.urls import Location
from updater.errors import ConfigError
from updater.model import RemoteSettings
from updater.system.git.wire import Credentials

_MOST = 1 << 20  # bytes


def load(
    remote: RemoteSettings, location: Location, secrets_dir: str | None
) -> Credentials:
    """The contents of what `[remote]` names, as far as the scheme uses it.

    Args:
        remote: the settings.
        location: its URL.
        secrets_dir: where names that are not absolute paths are looked up.

    Raises:
        ConfigError: a file cannot be read or used; never with its content.
    """

    def read(key: str, name: str | None) -> str | None:
        return None if name is None else _read(f"remote.{key}", name, secrets_dir)

    match location.scheme:
        case "ssh":
            known_hosts = read("known_hosts", remote.known_hosts)
            _check_known_hosts(known_hosts)
            return Credentials(
                known_hosts=known_hosts, ssh_key=read("ssh_key", remote.ssh_key)
            )
        case "https":
            ca = read("ca", remote.ca)
            if ca is not None and "-----BEGIN CERTIFICATE-----" not in ca:
                raise ConfigError("remote.ca: expected certificates in PEM form")
            return Credentials(
                ca=ca, token=_token(read("token_file", remote.token_file))
            )
        case "http" if remote.token_file:
            raise ConfigError(
                "remote.token_file: http:// would show the token to everybody on the "
                "way; expected https://"
            )
    return Credentials()


def check_proxy(proxy: str | None, location: Location) -> str | None:
    """A proxy's URL, which may not hold a password.

    Raises:
        ConfigError: also where libgit2 would go past the proxy without a word.
    """
    if proxy is None or location.scheme == "file":
        return None
    if location.scheme != "https":
        raise ConfigError(
            f"remote.proxy works for https:// only; remote.url is {location.scheme}://"
        )
    urls.check_proxy(proxy)
    return proxy


def _read(key: str, name: str, secrets_dir: str | None) -> str:
    path = name
    if not os.path.isabs(name):
        if secrets_dir is None or "/" in name or name in (".", ".."):
            raise ConfigError(
                f"{key}: {safe(name, 200)} is neither an absolute path nor a systemd "
                "credential of this process"
            )
        path = os.path.join(secrets_dir, name)
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST + 1)
    except OSError as error:
        raise ConfigError(f"{key}: {safe(path, 200)}: {error.strerror}") from error
    if len(data) > _MOST:
        raise ConfigError(f"{key}: {safe(path, 200)} is larger than {_MOST} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{key}: {safe(path, 200)} is not text") from error


def _token(text: str | None) -> str | None:
    if text is None:
        return None
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable():
        raise ConfigError(
            "remote.token_file: expected one line: a token, or user:password"
        )
    return token


def _check_known_hosts(text: str | None) -> None:
    if text is None:
        raise ConfigError(
            "remote.known_hosts is not set; ssh needs it to know the server",
            hint="ssh-keyscan HOST writes such a file; compare its fingerprint first.",
        )
    for number, line in enumerate(text.splitlines(), 1):
        # libssh2 does not know the markers: it would trust a revoked key.
        if line.lstrip().startswith("@"):
            raise ConfigError(
                f"remote.known_hosts, line {number}: {safe(line.split()[0], 40)} is "
                "not supported; expected plain host keys"
            )
