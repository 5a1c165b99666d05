"""URLs of remotes: an allow-list of schemes and characters, so that nothing surprises.

What libgit2, a shell on the other side of ssh, or a log may read differently than we
do is refused before anybody else sees it. Secrets do not belong into a URL.
"""

import re

from msgspec import Struct

from updater.core.text import safe
from updater.errors import ConfigError

PORTS = {"https": 443, "http": 80, "ssh": 22, "git": 9418}
PLAIN = ("http", "git")  # anybody on the way can change what they carry
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
_URL = re.compile(
    rf"(?P<scheme>[a-z]+)://(?:(?P<user>[^/@]*)@)?(?P<host>{_HOST})"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[A-Za-z0-9._~/+@=,-]*)\Z"
)
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\Z")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PROXY = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?\Z")
_MAX = 2048


class Location(Struct, frozen=True):
    """A remote, taken apart. For `file` only `path` counts."""

    scheme: str
    host: str
    port: int
    path: str
    user: str | None = None

    @property
    def origin(self) -> tuple[str, str, int]:
        """What credentials are bound to: scheme, host and port."""
        return self.scheme, self.host, self.port


def parse_remote(url: str, *, allow_plain: bool = True) -> Location:
    """Take a remote's URL or absolute path apart.

    Args:
        url: https, ssh, file, http, git, or an absolute path.
        allow_plain: whether http and git, which protect nothing, are acceptable.

    Raises:
        ConfigError: with the reason; the message never repeats a password.
    """
    if url.startswith("/"):
        return _local(url, url)
    scheme = url.partition("://")[0]
    if url.startswith("file://"):
        path = url.removeprefix("file://").removeprefix("localhost")
        return _local(path, url)
    if scheme not in PORTS or "://" not in url:
        raise ConfigError(
            f"remote.url: {_scheme_problem(url)}; expected https://, ssh://, file:// "
            "or an absolute path (http:// and git:// only with signatures)",
            hint="user@host:path is written ssh://user@host/path"
            if "@" in url
            else None,
        )
    if scheme in PLAIN and not allow_plain:
        raise ConfigError(
            f"remote.url: {scheme}:// protects nothing on the way, and this mode has "
            "no signatures; expected https://, ssh:// or file://"
        )
    return _network(url)


def _scheme_problem(url: str) -> str:
    found = _SCHEME.match(url)
    if found and "@" not in url:
        return f"{safe(found[0], 40)} is not supported"
    return "it is not a URL" if url else "it is not set"


def _network(url: str) -> Location:
    if len(url) > _MAX:
        raise ConfigError(f"remote.url is longer than {_MAX} characters")
    found = _URL.match(url)
    if not found:
        raise ConfigError(f"remote.url: {_odd_part(url)}")
    scheme, user = found["scheme"], found["user"]
    if user is not None and (scheme != "ssh" or not _USER.match(user)):
        raise ConfigError(
            "remote.url holds a user name or password; expected none, because URLs "
            "end up in logs",
            hint="Put the token into a file and name it in remote.token_file.",
        )
    port = int(found["port"] or PORTS[scheme])
    if not 0 < port < 65536:
        raise ConfigError(f"remote.url: {port} is not a port")
    if ".." in found["path"].split("/"):
        raise ConfigError("remote.url: '..' in its path; expected a plain path")
    return Location(scheme, found["host"].lower(), port, found["path"], user)


def _odd_part(url: str) -> str:
    if "@" in url:
        return (
            "a user name, password or character that is not allowed; expected "
            "scheme://host/path of letters, digits and . _ ~ / + @ = , -"
        )
    path, question, _ = url.partition("?")  # what follows it may be a token
    return (
        f"{safe(path + question, 200)} is not plain; expected scheme://host/path of "
        "letters, digits and . _ ~ / + @ = , -"
    )


def _local(path: str, url: str) -> Location:
    if not path.startswith("/"):
        raise ConfigError(
            f"remote.url: {safe(_redacted(url), 200)} names another host; expected "
            "file:///path"
        )
    if not path.isprintable() or ".." in path.split("/") or len(path) > _MAX:
        raise ConfigError(
            f"remote.url: {safe(path, 200)} is not a plain absolute path; expected one "
            "without '..' and control characters"
        )
    return Location("file", "", 0, path)


def check_proxy(proxy: str) -> None:
    """Hold the URL of a proxy to what libgit2 takes.

    Raises:
        ConfigError: never with what was written.
    """
    if not _PROXY.match(proxy):
        raise ConfigError("remote.proxy: expected http://host:port, without a password")


def check_no_password(url: str) -> None:
    """Refuse a URL with a user name or password in it.

    Raises:
        ConfigError: never with what was written.
    """
    if "@" in url:
        raise ConfigError(
            "expected no user name or password in a URL, because URLs end up in logs"
        )


def shown(url: str) -> str:
    """A URL for people and logs: a password in it is not repeated.

    One that can be used has none. Of any other everything before the last @ goes: a
    password may hold slashes and more of them.
    """
    try:
        parse_remote(url)
    except ConfigError:
        return _redacted(url)
    return url


def _redacted(url: str) -> str:
    before, at, after = url.rpartition("@")
    scheme, slashes, _ = before.partition("//")
    return f"{scheme if slashes else ''}{slashes}***@{after}" if at else url
