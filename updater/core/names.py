"""How people name a release: version, tag, number:42, commit id, or a role."""

from collections.abc import Sequence

from updater.core import machine
from updater.core.text import safe
from updater.errors import UsageError
from updater.model import DeploymentId, Record, State

LEAST_COMMIT = 7  # hex digits that name a commit


def find_record(
    state: State, booted: DeploymentId | None, wanted: str
) -> Record | None:
    """The deployment that a person means, or None when none here is called that.

    Raises:
        UsageError: several are.
    """
    if wanted == "running":
        return machine.find(state, booted)
    if wanted == "staged":
        return machine.find(state, state.target)
    if wanted == "previous":
        return machine.previous(state, booted)
    found = [record for record in state.deployments if matches(record, wanted)]
    commits = {record.commit for record in found}
    if len(commits) > 1:
        names = ", ".join(f"{safe(r.version, 80)} ({r.commit[:7]})" for r in found)
        raise UsageError(f'"{safe(wanted, 80)}" may be any of {names}: say more of it')
    return found[-1] if found else None


def matches(record: Record, wanted: str) -> bool:
    """Whether a person may call this deployment so."""
    if wanted in (record.id, record.version, record.tag, f"release/{record.version}"):
        return True
    if wanted == f"number:{record.number}":
        return True
    return len(wanted) >= LEAST_COMMIT and record.commit.startswith(wanted.lower())


def require(record: Record | None, wanted: str, known: Sequence[Record]) -> Record:
    """The record, or a sentence about what there is.

    Raises:
        UsageError.
    """
    if record is not None:
        return record
    names = ", ".join(dict.fromkeys(safe(r.version, 80) for r in known)) or "none"
    raise UsageError(
        f'no release "{safe(wanted, 80)}" is deployed here',
        hint=f"Deployed are: {names}.",
    )
