"""Boot loaders: each behind one Protocol, chosen once (DESIGN section 6.3)."""

from typing import Protocol

from updater.errors import ConfigError
from updater.model import Deployment, DeploymentId
from updater.system.boot.none import NoLoader


class Loader(Protocol):
    """What osupdate asks of a boot loader."""

    def booted(self) -> DeploymentId | None:
        """The deployment that really runs; None when that is none of ours."""

    def arm(self, deployment: Deployment) -> None:
        """Make this deployment the next one, by one write that is on disk afterwards.

        Raises:
            HostError: the old choice still stands.
        """


def choose(name: str, path: str) -> Loader:
    """The loader of `[boot] loader`, for deployments below `path`.

    Raises:
        ConfigError: this version has no such loader.
    """
    if name != "none":
        raise ConfigError(f'boot.loader = "{name}" is not supported by this version')
    return NoLoader(path)
