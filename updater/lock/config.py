"""The configuration of the lock service: one TOML file, or none at all.

Without one, anybody on this machine may use one group of one slot.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from updater.core.fleet import GroupSettings
from updater.core.text import safe
from updater.core.times import parse_duration
from updater.errors import ConfigError

__all__ = [
    "AuthSettings",
    "EtcdSettings",
    "GroupConfig",
    "ServiceConfig",
    "TlsSettings",
    "address",
    "default_store",
    "group_settings",
    "load",
    "parse_duration",
    "store_target",
]

LISTEN = "127.0.0.1:9090"
GROUP = re.compile(r"[a-zA-Z0-9.-]{1,100}\Z")
_LOOPBACK = ("127.", "localhost:", "[::1]:")
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})\Z")


class Seconds(int):
    """Written as a duration: `90s`, `5min`, `1h 30min`."""


class TlsSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[tls]`: PEM files; `client_ca` signs the certificates of nodes and people."""

    cert: str
    key: str
    client_ca: str | None = None


class AuthSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[auth]`: who may do what.

    `nodes`: open lets everybody speak for every node; token and certificate bind an id
    to a secret; any takes either. `admins` are names in certificates.
    """

    nodes: Literal["open", "token", "certificate", "any"] | None = None
    tokens: str | None = None
    admins: tuple[str, ...] = ()


class EtcdSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[etcd]`: PEM files for its TLS; with `ca`, the endpoints are https."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None


class GroupConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """`[groups.NAME]`."""

    slots: Annotated[int, Meta(ge=0, le=10_000)] = 1
    overdue: Literal["halt", "free"] = "halt"
    overdue_after: Seconds = Seconds(3600)
    poll: Seconds = Seconds(330)


class ServiceConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    listen: str = LISTEN
    store: str | None = None
    tls: TlsSettings | None = None
    auth: AuthSettings = AuthSettings()
    etcd: EtcdSettings = EtcdSettings()
    groups: Mapping[str, GroupConfig] = msgspec.field(
        default_factory=lambda: {"default": GroupConfig()}
    )

    @property
    def open(self) -> bool:
        """Whether everybody may speak for every node."""
        return self.auth.nodes in (None, "open")

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the service."""
        return self.listen.startswith(_LOOPBACK)


def load(path: str | None, **given: str | None) -> ServiceConfig:
    """Read the file, and let what was given on the command line win.

    Raises:
        ConfigError: with the file, the key, what was expected.
    """
    made = ServiceConfig() if path is None else _read(path)
    changed = {key: value for key, value in given.items() if value is not None}
    made = msgspec.structs.replace(made, **changed)
    if problem := _problem(made):
        raise ConfigError(f"{path}: {problem}" if path else problem)
    return made


def address(listen: str) -> tuple[str, int]:
    """Host and port of `listen`."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def group_settings(config: ServiceConfig) -> dict[str, GroupSettings]:
    """Each group's settings, as the rules take them."""
    return {
        name: GroupSettings(
            group.slots, group.overdue, int(group.overdue_after), int(group.poll)
        )
        for name, group in config.groups.items()
    }


def store_target(text: str) -> tuple[str, tuple[str, ...]]:
    """The kind of a store, and its path or its endpoints.

    Raises:
        ConfigError: it is neither.
    """
    kind, _, rest = text.partition("://")
    if kind == "sqlite" and rest.startswith("/") and rest.strip("/"):
        return "sqlite", (f"/{rest.lstrip('/')}",)
    endpoints = tuple(rest.split(","))
    if kind == "etcd" and all(_is_address(one) for one in endpoints):
        return "etcd", endpoints
    raise ConfigError(
        f"store: {safe(text, 200)} is no store; expected sqlite:///PATH or "
        "etcd://HOST:PORT,HOST:PORT"
    )


def _is_address(text: str, least: int = 1) -> bool:
    found = _HOST_PORT.match(text)
    return found is not None and least <= int(found[2]) < 65536


def _read(path: str) -> ServiceConfig:
    try:
        with open(path, "rb") as file:
            tables = tomllib.load(file)
        _check_groups(tables.get("groups"))
        return msgspec.convert(tables, ServiceConfig, dec_hook=_convert)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {safe(str(error), 200)}") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_sentence(str(error))}") from error


def _check_groups(groups: object) -> None:
    """Convert each once alone, because msgspec does not say which one is wrong.

    Raises:
        msgspec.ValidationError.
    """
    for name, group in groups.items() if isinstance(groups, dict) else ():
        try:
            msgspec.convert(group, GroupConfig, dec_hook=_convert)
        except msgspec.ValidationError as error:
            what, _, key = str(error).partition(" - at `$")
            where = f"`$.groups.{name}{key.rstrip('`')}`"
            raise msgspec.ValidationError(f"{what} - at {where}") from error


def _convert(kind: type[Any], value: Any) -> Any:  # noqa: ANN401 - msgspec's own
    if kind is Seconds and isinstance(value, str):
        try:
            return Seconds(parse_duration(value))
        except ValueError as error:
            raise ValueError(f"Expected {error}, got `{value}`") from error
    raise ValueError(f'Expected a duration such as "5min", got `{value}`')


def _sentence(reason: str) -> str:
    """Msgspec's `Expected ... - at `$.groups.web`` with the key in front."""
    what, _, where = reason.partition(" - at ")
    key = where.strip("`").removeprefix("$.").removeprefix("$")
    shown = safe(f"{what[:1].lower()}{what[1:]}", 300)
    return f"{safe(key, 200)}: {shown}" if key else shown


def _problem(config: ServiceConfig) -> str | None:
    """What does not fit together, or None."""
    if not _is_address(config.listen, least=0):
        return f"listen: {safe(config.listen, 200)} is not HOST:PORT"
    for name in config.groups:
        if not GROUP.match(name):
            return f'groups: "{safe(name, 120)}" is no name; expected a-z A-Z 0-9 . -'
    for name, group in config.groups.items():
        if min(group.overdue_after, group.poll) < 1:
            return f"groups.{name}: a duration is at least 1s"
    return _auth_problem(config)


def _auth_problem(config: ServiceConfig) -> str | None:
    auth, tls = config.auth, config.tls
    if auth.nodes in ("token", "any") and auth.tokens is None:
        return f'auth.nodes = "{auth.nodes}" needs auth.tokens, the file of tokens'
    wants_certificates = auth.nodes in ("certificate", "any") or auth.admins
    if wants_certificates and (tls is None or tls.client_ca is None):
        return "certificates of nodes and admins need tls.client_ca"
    if not config.local and auth.nodes is None:
        return (
            f"listen: {config.listen} lets other machines in, and [auth] does not say "
            'who they are; expected auth.nodes = "token", "certificate", "any", or '
            '"open" where everybody on the network may take and release every lock'
        )
    if not config.local and tls is None and auth.nodes in ("token", "any"):
        return "tokens would cross the network as plain text; expected [tls]"
    return None


def default_store() -> str:
    """Where the state is without a configuration, by who runs this."""
    if directory := os.environ.get("STATE_DIRECTORY"):
        return f"sqlite://{directory.partition(':')[0]}/lock.db"
    if os.geteuid() == 0:
        return "sqlite:///var/lib/osupdate-lock/lock.db"
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return f"sqlite://{home}/osupdate/lock.db"
