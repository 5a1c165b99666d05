"""What a machine does whose state.json is broken, or of a newer version.

The boot loader and the deployments on disk tell what runs and what one can go back to.
Floors, holds and the pin they do not tell: so nothing new is taken until a person has
looked at the broken file, which lies beside the new one.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from updater.errors import HostError, NoSpaceError
from updater.model import DeploymentId, State
from updater.system import fs
from updater.system.layout import Layout


def aside(layout: Layout) -> str:
    """Where a broken state.json is kept for a person."""
    return f"{layout.state}.broken"


def move_aside(layout: Layout, now: int) -> str:
    """Put a broken state.json aside, durably; one that is there already stays.

    Returns:
        Where it is.

    Raises:
        HostError.
    """
    place = aside(layout)
    if os.path.lexists(place):
        place = f"{place}.{now}"
    try:
        fs.rename(layout.state, place)
    except OSError as error:
        raise fs.host_error(error, f"cannot move {layout.state} aside") from error
    return place


def require_whole(layout: Layout) -> None:
    """Refuse new releases while nobody looked at a state.json that was broken.

    Raises:
        HostError.
    """
    place = aside(layout)
    if os.path.lexists(place):
        raise HostError(
            "what this machine remembered was broken: its floors, holds and pin are "
            "not known, so no release is taken",
            hint=f"Look for them in {place}, set holds and the pin again, then remove "
            "that file.",
        )


@contextmanager
def honest_about_space(
    layout: Layout, state: State, booted: DeploymentId | None, keep: int
) -> Iterator[None]:
    """Do not send a person to `gc` when it would find nothing."""
    try:
        yield
    except NoSpaceError as error:
        from updater.steps import collect  # noqa: PLC0415 - status stays quick

        gone = collect.choose(state, booted, keep, {}).removable
        if not gone and not os.listdir(layout.incoming):
            error.hint = (
                "gc would remove nothing. What is large there: "
                f"du -xhd2 {layout.state_dir} {layout.below('var')}"
            )
        raise
