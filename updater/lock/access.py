"""How a lock service is reached: what `[lock]` names, checked and read once."""

import os
import re
import ssl
from urllib.parse import urlsplit

from msgspec import Struct

from updater.core.nodeid import derive
from updater.core.text import safe
from updater.errors import ConfigError, HostError

_MOST_TOKEN = 4096  # bytes
_PROXY = re.compile(r"http://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?\Z")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Access(Struct, frozen=True):
    """A lock service and our credentials for it. `url` has no slash at its end."""

    url: str
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    token: str | None = None
    proxy: str | None = None

    def __repr__(self) -> str:
        return f"Access({self.url})"


def access(
    url: str,
    *,
    ca: str | None = None,
    cert: str | None = None,
    key: str | None = None,
    token_file: str | None = None,
    proxy: str | None = None,
    secrets_dir: str | None = None,
) -> Access:
    """Check what the settings say, and read the token.

    Args:
        url: http or https, without user, password, query.
        ca: file of certificates that stands for the system's.
        cert: our certificate.
        key: its key, when it is not in the same file.
        token_file: holds our token.
        proxy: http://HOST:PORT.
        secrets_dir: where names that are not absolute paths are looked up.

    Raises:
        ConfigError: what is wrong, without the token.
    """
    host, secure = _check_url(url)
    if proxy is not None and not _PROXY.match(proxy):
        raise ConfigError("lock.proxy: expected http://host:port, without a password")
    if token_file is not None and not secure and host not in _LOOPBACK:
        raise ConfigError(
            "lock.token_file: http:// would show the token to everybody on the way; "
            "expected https://"
        )

    def path(name: str, value: str | None) -> str | None:
        return None if value is None else _path(name, value, secrets_dir)

    made = Access(
        url=url.rstrip("/"),
        ca=path("ca", ca),
        cert=path("cert", cert),
        key=path("key", key),
        token=_token(path("token_file", token_file)),
        proxy=proxy,
    )
    tls_context(made)
    return made


def tls_context(made: Access) -> ssl.SSLContext | None:
    """What TLS checks and shows; None without TLS.

    Raises:
        ConfigError: a file cannot be used.
    """
    if not made.url.startswith("https://"):
        return None
    try:
        context = ssl.create_default_context(cafile=made.ca)
    except (OSError, ssl.SSLError) as error:
        raise _unusable("ca", made.ca, error) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if made.cert is not None:
        try:
            # A key with a passphrase would ask for it at the terminal.
            context.load_cert_chain(made.cert, made.key, password=lambda: b"")
        except (OSError, ssl.SSLError) as error:
            raise _unusable("cert", made.cert, error) from error
    return context


def node_id(root: str, configured: str | None) -> str:
    """This machine's name at the lock.

    Raises:
        HostError: it is not set, and there is no machine-id to make one of.
    """
    if configured is not None:
        return configured
    path = os.path.join(root, "etc/machine-id")
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            made = derive(file.read(256))
    except OSError as error:
        raise HostError(
            f"cannot read {path}: {error.strerror}", hint=_SET_ID
        ) from error
    if made is None:
        raise HostError(f"{path} holds no machine-id", hint=_SET_ID)
    return made


_SET_ID = "Give this machine a name: [node] id = ..."


def _check_url(url: str) -> tuple[str, bool]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"lock.url: {safe(url, 200)} is not a URL") from error
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            "lock.url holds a user name or password; expected none, because URLs end "
            "up in logs",
            hint="Put the token into a file and name it in lock.token_file.",
        )
    plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in ("http", "https") or not host or not plain or port == 0:
        raise ConfigError(
            f"lock.url: {safe(url, 200)} is not http://HOST or https://HOST"
        )
    if parts.query or parts.fragment:
        raise ConfigError(f"lock.url: {safe(url, 200)}: expected no ? and no #")
    return host, parts.scheme == "https"


def _path(key: str, name: str, secrets_dir: str | None) -> str:
    if os.path.isabs(name):
        return name
    if secrets_dir is None or "/" in name or name in (".", ".."):
        raise ConfigError(
            f"lock.{key}: {safe(name, 200)} is neither an absolute path nor a systemd "
            "credential of this process"
        )
    return os.path.join(secrets_dir, name)


def _token(path: str | None) -> str | None:
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_TOKEN + 1)
    except OSError as error:
        raise _unusable("token_file", path, error) from error
    text = data.decode("ascii", "replace").strip()
    if not text or len(data) > _MOST_TOKEN or not text.isprintable() or " " in text:
        raise ConfigError(
            f"lock.token_file: {safe(path, 200)} holds no token: expected one line"
        )
    if "\ufffd" in text:
        raise ConfigError(f"lock.token_file: {safe(path, 200)} is not ASCII")
    return text


def _unusable(key: str, path: str | None, error: Exception) -> ConfigError:
    reason = getattr(error, "strerror", None) or str(error)
    return ConfigError(f"lock.{key}: {safe(path or '', 200)}: {safe(reason, 200)}")
