"""The settings of this machine: one struct a table, complete, with the defaults.

Tables of DESIGN section 4 that this version has no use for yet are here too, so that
a configuration written for a later version loads; `osupdate config` marks them.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from updater.core.times import duration_text
from updater.model import RemoteSettings, TrustSettings


class Duration(int):
    """Seconds; written as `90s`, `5min`, `1h 30min`, `3d`."""


class AbsolutePath(str):
    """A path from the root, without `..`, doubled or trailing slashes."""

    __slots__ = ()


Count = Annotated[int, Meta(ge=1, le=1000, description="a whole number from 1 to 1000")]
NodeId = Annotated[
    str, Meta(pattern=r"^[0-9A-Za-z._-]{1,64}$", description="a plain name")
]
Day = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
Clock = Annotated[
    str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", description="a time as 03:00")
]


class NodeSettings(Struct, frozen=True):
    """`[node]`: this machine's name in rollouts and at the lock; None is derived."""

    id: NodeId | None = None


class DeploySettings(Struct, frozen=True):
    """`[deploy]`: where and how releases are laid out.

    `keep` counts deployments beside pinned ones.
    """

    mode: Literal["checkout", "partition"] = "checkout"
    path: AbsolutePath = AbsolutePath("/osupdate")
    keep: Count = 2
    persistent: tuple[AbsolutePath, ...] = tuple(
        map(AbsolutePath, ("/var", "/home", "/root", "/srv"))
    )
    release_owned: tuple[AbsolutePath, ...] = tuple(
        map(AbsolutePath, ("/var/lib/dpkg", "/var/lib/rpm", "/var/lib/pacman"))
    )
    reverify: Literal["changed", "all"] = "changed"


class SlotsSettings(Struct, frozen=True):
    """`[slots]`: the two root partitions of partition mode."""

    a: str | None = None
    b: str | None = None


class BootSettings(Struct, frozen=True):
    """`[boot]`: who starts a deployment."""

    loader: Literal["none", "grub", "systemd-boot", "uboot", "custom"] = "none"
    tries: Count = 3


class EtcSettings(Struct, frozen=True):
    """`[etc]`: how local changes of /etc meet a release's."""

    merge: Literal["text", "file"] = "text"


class UpdateSettings(Struct, frozen=True):
    """`[update]`: updates without a person."""

    enabled: bool = True
    interval: Duration = Duration(3600)
    clock: Literal["synchronised", "trust"] = "synchronised"


class HealthSettings(Struct, frozen=True):
    """`[health]`: the checks after a switch; each hook gets `deadline`."""

    deadline: Duration = Duration(300)


class Window(Struct, frozen=True, forbid_unknown_fields=True):
    """One weekly stretch of time in which a switch or reboot is allowed."""

    days: tuple[Day, ...]
    start: Clock
    length: Duration


class RebootSettings(Struct, frozen=True):
    """`[reboot]`: when."""

    strategy: Literal["immediate", "window", "manual"] = "window"
    time_zone: str = "UTC"
    window: tuple[Window, ...] = ()
    users: Literal["wait", "ignore"] = "wait"
    users_grace: Duration = Duration(600)


class LockSettings(Struct, frozen=True):
    """`[lock]`: the reboot lock of a fleet; no url is no lock."""

    url: str | None = None
    group: str = "default"
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    token_file: str | None = None
    proxy: str | None = None
    deadline: Duration = Duration(72 * 3600)


class DbusSettings(Struct, frozen=True):
    """`[dbus]`: other interfaces on the system bus."""

    update1: bool = False


class Settings(Struct, frozen=True):
    """Everything that a person can set, complete and validated."""

    node: NodeSettings
    remote: RemoteSettings
    trust: TrustSettings
    deploy: DeploySettings
    slots: SlotsSettings
    boot: BootSettings
    etc: EtcSettings
    update: UpdateSettings
    health: HealthSettings
    reboot: RebootSettings
    lock: LockSettings
    dbus: DbusSettings


UNSUPPORTED = {
    ("deploy.mode", "partition"): "checkout",
    **{
        ("boot.loader", loader): "none"
        for loader in ("grub", "systemd-boot", "uboot", "custom")
    },
}
"""(key, value) that later versions understand -> what this one does instead."""

UNUSED = (
    "deploy.reverify",
    "slots",
    "boot.tries",
    "etc",
    "dbus",
)
"""Tables and keys that are checked and then wait for a later version."""


def is_used(key: str) -> bool:
    """Whether this version acts on a dotted key."""
    return key not in UNUSED and key.partition(".")[0] not in UNUSED


def as_values(settings: Settings) -> dict[str, dict[str, Any]]:
    """Table -> key -> value, of the types that TOML has; None is not set."""
    values: dict[str, dict[str, Any]] = msgspec.to_builtins(
        settings,
        enc_hook=lambda value: (
            duration_text(value) if isinstance(value, Duration) else str(value)
        ),
    )
    return values
