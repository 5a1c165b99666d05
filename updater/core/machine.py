"""The state machine: one table of legal moves, one pure `move`, one pure `resume`.

idle -> staged -> armed -> trial -> idle        an update
                    |        |
                    |        +-> reverting -> idle   it was bad, or a person went back
                    +-> rebooting -> trial           with a boot loader
idle -> reverting -> idle                       back to the previous release
"""

from enum import StrEnum

from msgspec.structs import replace

from updater.errors import HostError
from updater.model import DeploymentId, Phase, Record, State

MOVES: dict[Phase, frozenset[Phase]] = {
    Phase.IDLE: frozenset({Phase.STAGED, Phase.REVERTING}),
    Phase.STAGED: frozenset({Phase.STAGED, Phase.ARMED, Phase.IDLE, Phase.REVERTING}),
    Phase.ARMED: frozenset(
        {Phase.STAGED, Phase.REBOOTING, Phase.TRIAL, Phase.IDLE, Phase.REVERTING}
    ),
    Phase.REBOOTING: frozenset({Phase.TRIAL, Phase.ARMED, Phase.IDLE}),
    Phase.TRIAL: frozenset({Phase.IDLE, Phase.REVERTING}),
    Phase.REVERTING: frozenset({Phase.IDLE}),
}


class Resume(StrEnum):
    """What an interrupted transition needs next."""

    NOTHING = "nothing"
    ARM = "arm"
    TRY = "try"
    GO_BACK = "go back"
    FELL_BACK = "fell back"
    WENT_BACK = "went back"
    DROP = "drop"


def move(state: State, phase: Phase, target: DeploymentId | None = None) -> State:
    """The state in another phase.

    Args:
        state: as it is.
        phase: where it goes; must be a legal move.
        target: the deployment that the phase is about; kept when None, and forgotten
            in idle.

    Raises:
        HostError: the move is not in the table: a bug, and nothing was done.
    """
    if phase not in MOVES[state.phase]:
        raise HostError(f"a transition from {state.phase} to {phase} is not possible")
    if phase is Phase.IDLE:
        return replace(state, phase=phase, target=None, origin=None)
    return replace(state, phase=phase, target=target or state.target)


def resume(state: State, booted: DeploymentId | None) -> Resume:
    """Decide after a crash or boot, from what the file says and what really runs.

    Every answer may be carried out again: each step is safe to repeat.
    """
    present = {record.id for record in state.deployments}
    if state.phase is not Phase.IDLE and state.target not in present:
        return Resume.DROP
    there = booted == state.target
    match state.phase:
        case Phase.IDLE:
            return Resume.NOTHING
        case Phase.STAGED:
            return Resume.TRY if there else Resume.NOTHING
        case Phase.ARMED | Phase.REBOOTING:
            return Resume.TRY if there else Resume.ARM
        case Phase.TRIAL:
            return Resume.TRY if there else Resume.FELL_BACK
        case Phase.REVERTING:
            return Resume.WENT_BACK if there else Resume.GO_BACK


def find(state: State, wanted: DeploymentId | None) -> Record | None:
    """The record of a deployment, or None."""
    return next((r for r in state.deployments if r.id == wanted), None)


def previous(state: State, booted: DeploymentId | None) -> Record | None:
    """Where `revert` goes: what ran before; else the newest that is older.

    Nothing that is held, and never forward to what was only laid out.
    """
    others = [
        record
        for record in state.deployments
        if record.id not in (booted, state.target) and not is_held(state, record.commit)
    ]
    before = [record for record in others if record.id == state.previous]
    if running := find(state, booted):
        others = [record for record in others if record.number < running.number]
    found = before or sorted(others, key=lambda record: record.number)
    return found[-1] if found else None


def is_held(state: State, commit: str) -> bool:
    """Whether this release is on hold here."""
    return any(hold.commit == commit for hold in state.holds)
