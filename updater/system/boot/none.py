"""No boot loader: containers and chroots enter what the `current` symlink points at."""

import os

from updater.core.text import safe
from updater.errors import HostError
from updater.model import Deployment, DeploymentId
from updater.system import fs


class NoLoader:
    """`<path>/current` -> `deployments/<id>`; arming is the rename of that symlink."""

    def __init__(self, path: str) -> None:
        self._link = os.path.join(path, "current")

    def booted(self) -> DeploymentId | None:
        """The deployment that `current` points at.

        Raises:
            HostError: `current` is not a symlink of ours.
        """
        try:
            target = os.readlink(self._link)
        except FileNotFoundError:
            return None
        except PermissionError:
            raise
        except OSError as error:
            raise HostError(
                f"{self._link} is not a symlink: {error.strerror}",
                hint="Move it away; osupdate makes it anew.",
            ) from error
        parent, _, name = target.rpartition("/")
        if parent != "deployments" or not name:
            raise HostError(
                f'{self._link} points at "{safe(target, 200)}"; '
                "expected deployments/<id>"
            )
        return DeploymentId(name)

    def arm(self, deployment: Deployment) -> None:
        """Point `current` at the deployment.

        Raises:
            HostError: `current` points where it did.
        """
        fs.replace_link(f"deployments/{deployment.id}", self._link)
