"""Arm: make the next start one of this deployment. One write is the commit point."""

from updater.model import Deployment
from updater.system.boot import Loader


def arm(deployment: Deployment, loader: Loader) -> None:
    """Choose a deployment for the next start.

    Raises:
        HostError: the old choice still stands.
    """
    loader.arm(deployment)
