"""Health: this machine's own checks decide whether a release stays."""

import os
from collections.abc import Sequence

from msgspec import Struct

from updater.model import Deployment, Record
from updater.system import hooks


class Verdict(Struct, frozen=True):
    """What the checks found; `failures` are sentences, none of them is good."""

    checks: int
    failures: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether the release may stay."""
        return not self.failures


def health(
    deployment: Deployment,
    record: Record,
    directories: Sequence[str],
    deadline: float,
) -> Verdict:
    """Run the hooks of `health.d`.

    Args:
        deployment: the one on trial.
        record: its names, for the hooks' environment.
        directories: of hooks, the later winning.
        deadline: seconds for each hook.
    """
    environment = {
        "OSUPDATE_DEPLOYMENT": os.path.abspath(deployment.path),
        "OSUPDATE_VERSION": record.version,
        "OSUPDATE_COMMIT": record.commit,
    }
    outcomes = hooks.run_all(directories, environment, deadline)
    failures = tuple(f"{o.name} {o.text}" for o in outcomes if o.text)
    return Verdict(len(outcomes), failures)
