"""The settings that steps take: where releases come from, and what is demanded."""

from enum import StrEnum
from typing import Literal

from msgspec import Struct


class TrustMode(StrEnum):
    """`[trust] mode`."""

    SIGNED = "signed"
    TAG = "tag"
    UNSIGNED = "unsigned"


class RemoteSettings(Struct, frozen=True):
    """`[remote]`: where releases come from. `url` is empty while nobody set one.

    `ca`, `known_hosts`, `ssh_key` and `token_file` are paths or systemd credential
    names, never values. `deadline` bounds one fetch, in seconds. `channels` is where
    the channel and trust branches are, when that is not `url`.
    """

    url: str = ""
    channel: str = "stable"
    channels: str | None = None
    ca: str | None = None
    known_hosts: str | None = None
    ssh_key: str | None = None
    token_file: str | None = None
    proxy: str | None = None
    history: Literal["shallow", "full"] = "shallow"
    deadline: int = 3600


class TrustSettings(Struct, frozen=True):
    """`[trust]`: what makes a release this machine's; `product` None is any."""

    mode: TrustMode = TrustMode.SIGNED
    product: str | None = None
