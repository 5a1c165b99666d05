"""The story of a switch: armed, on trial, kept or left; and what a crash left of it."""

import os

from msgspec.structs import replace

from updater.agent import whole
from updater.agent.room import Room
from updater.core import machine
from updater.core.machine import Resume
from updater.core.text import plural, safe
from updater.errors import HealthError, HostError, OsupdateError
from updater.model import Applied, DeploymentId, Hold, Phase, Record, Reverted, State
from updater.steps.arm import arm
from updater.steps.finish import finish_good, holding, went_back
from updater.steps.health import Verdict, health
from updater.steps.stage import reopen

HOOKS = ("usr/lib/osupdate/hooks/health.d", "etc/osupdate/hooks/health.d")
BY_ITSELF = "failed its health checks here"


def to(room: Room, state: State, record: Record) -> Applied:
    """Switch to a staged deployment and prove it.

    Raises:
        HealthError: it failed, was left again, and is held.
        HostError: it could not be switched to; what ran still runs.
    """
    room.watcher.stage(room.stages, room.stages, "switch")
    name = safe(record.version)
    origin = room.booted()
    state = replace(state, origin=origin)
    try:
        state = room.save(machine.move(state, Phase.ARMED, record.id))
        room.tell("switch", f"switching to {name}", deployment=record.id, origin=origin)
        arm(reopen(record, room.layout.deployments), room.loader)
    except OsupdateError as error:
        error.unchanged = f"{name} is laid out and was not switched to."
        error.hint = error.hint or "Try again: osupdate apply staged"
        raise
    state = room.save(machine.move(state, Phase.TRIAL, record.id))
    verdict = _prove(room, state, record)
    checks = plural(verdict.checks, "health check")
    room.watcher.done(f"{name}, {checks} passed")
    before = machine.find(state, origin)
    if before is None:
        return Applied("switched", record, f"Now {name}, the first release here.")
    text = f"Now {name} (was {safe(before.version)})."
    more = "What changed: osupdate diff     Undo: osupdate revert"
    return Applied("switched", record, f"{text}\n{more}")


def _prove(room: Room, state: State, record: Record) -> Verdict:
    """Run the health checks of a trial, and finish it either way.

    Raises:
        HealthError: the trial failed; the machine is back where it was.
    """
    verdict = health(
        reopen(record, room.layout.deployments),
        record,
        [room.layout.below(path) for path in HOOKS],
        room.settings.health.deadline,
    )
    if verdict.good:
        room.save(finish_good(state, record))
        room.tell("good", f"{safe(record.version)} is healthy", deployment=record.id)
        return verdict
    reason = "; ".join(safe(failure, 300) for failure in verdict.failures)
    room.tell("failed", f"{safe(record.version)}: {reason}", deployment=record.id)
    back = machine.find(state, state.origin)
    _leave(room, state, record, reason)
    where = f"back on {safe(back.version)}" if back else "nothing else to go back to"
    raise HealthError(
        f"{safe(record.version)} {BY_ITSELF}: {reason}",
        unchanged=f"It is held; {where}.",
        hint=f"When the cause is gone: osupdate unhold {safe(record.version)}",
    )


def _leave(room: Room, state: State, record: Record, reason: str) -> None:
    """Go from a failed trial back to where it began, and hold the release."""
    origin = state.origin
    state = holding(state, _hold(room, record, f"{BY_ITSELF}: {reason}"))
    if origin is None or machine.find(state, origin) is None:
        room.save(machine.move(state, Phase.IDLE))
        return
    state = replace(state, origin=record.id)
    state = room.save(machine.move(state, Phase.REVERTING, origin))
    _return_to(room, state, origin)
    room.save(went_back(state, record))


def _return_to(room: Room, state: State, target: DeploymentId) -> None:
    record = machine.find(state, target)
    if record is None:
        raise HostError(f"the deployment {target} is not known any more")
    arm(reopen(record, room.layout.deployments), room.loader)


def _hold(room: Room, record: Record, reason: str) -> Hold:
    return Hold(record.version, record.commit, record.number, reason, room.now())


def settle(room: Room, state: State) -> State:
    """Bring an interrupted transition to its end, before anything else is begun.

    Raises:
        HealthError, HostError.
    """
    booted = room.booted()
    record = machine.find(state, state.target)
    decision = machine.resume(state, booted)
    if decision is Resume.NOTHING:
        return state
    name = safe(record.version) if record else "a deployment that is gone"
    room.tell("resume", f"{state.phase} {name}: {decision}", deployment=state.target)
    room.watcher.notice(f"An earlier run was interrupted; {_explain(decision, name)}.")
    match decision:
        case Resume.ARM:
            return room.save(machine.move(state, Phase.STAGED))
        case Resume.TRY if record is not None:
            if state.phase is not Phase.TRIAL:
                state = room.save(_on_trial(state))
            _prove(room, state, record)
        case Resume.GO_BACK if record is not None and not _is_there(room, record):
            room.save(machine.move(state, Phase.IDLE))
        case Resume.GO_BACK if state.target is not None:
            _return_to(room, state, state.target)
            room.save(went_back(state, machine.find(state, booted)))
        case Resume.WENT_BACK:
            room.save(went_back(state, machine.find(state, state.origin)))
        case Resume.FELL_BACK if record is not None:
            hold = _hold(room, record, "was left for another release during its trial")
            room.save(machine.move(holding(state, hold), Phase.IDLE))
        case _:
            room.save(machine.move(state, Phase.IDLE))
    return room.load()


def _is_there(room: Room, record: Record) -> bool:
    return os.path.isdir(room.layout.deployment(record.id))


def _on_trial(state: State) -> State:
    if state.phase is Phase.STAGED:
        state = machine.move(state, Phase.ARMED)
    return machine.move(state, Phase.TRIAL)


def _explain(decision: Resume, name: str) -> str:
    return {
        Resume.ARM: f"{name} is laid out, and was not switched to",
        Resume.TRY: f"{name} runs, and its health checks are run now",
        Resume.GO_BACK: f"going back to {name} now",
        Resume.WENT_BACK: f"{name} runs again",
        Resume.FELL_BACK: f"{name} was on trial, but does not run; it is held",
        Resume.DROP: f"{name} is given up",
        Resume.NOTHING: "",
    }[decision]


def revert(
    room: Room, state: State, wanted: Record | None, reason: str | None, *, hold: bool
) -> Reverted:
    """Go back: drop what is staged, or run the previous release again.

    Args:
        room: this machine.
        state: as saved.
        wanted: the deployment to go to; None for the rules of DESIGN section 5.
        reason: for the hold and the ledger.
        hold: whether the release that is left is held.

    Raises:
        HostError: there is nothing to go back to.
    """
    booted = room.booted()
    if state.phase is Phase.STAGED or (
        state.phase is Phase.ARMED and state.target != booted
    ):
        return _drop(room, state, reason, hold=hold)
    going = state.target if state.phase is Phase.REVERTING else None
    state = settle(room, state)
    booted = room.booted()
    running = machine.find(state, booted)
    if running and going == booted and (wanted is None or wanted.id == going):
        return Reverted(running, None, None, f"{safe(running.version)} runs again")
    target = wanted or machine.previous(state, booted)
    if target is None:
        raise _nowhere(state, booted)
    if running and target.id == running.id:
        return Reverted(running, None, None, f"{safe(running.version)} runs already")
    reopen(target, room.layout.deployments)
    whole.bring_back(room, state, target)
    held = None
    if hold and running is not None and target.commit != running.commit:
        held = _hold(room, running, reason or "reverted by a person")
    text = reason or "no reason given"
    room.tell(
        "revert", f"to {safe(target.version)}: {safe(text)}", deployment=target.id
    )
    state = holding(replace(state, origin=booted), held)
    state = room.save(machine.move(state, Phase.REVERTING, target.id))
    _return_to(room, state, target.id)
    room.save(went_back(state, running))
    room.tell("reverted", f"{safe(target.version)} runs again", deployment=target.id)
    after = f"Now {safe(target.version)} ({target.commit[:7]})."
    return Reverted(target, None, held, after)


def _nowhere(state: State, booted: DeploymentId | None) -> HostError:
    others = [record for record in state.deployments if record.id != booted]
    if not others:
        hint = "Name an older release to fetch: osupdate apply VERSION"
        return HostError(
            "there is no other deployment to go back to",
            hint=f"{hint} --allow-downgrade",
        )
    name = safe(others[-1].version)
    why = "every other deployment is held"
    if not all(machine.is_held(state, record.commit) for record in others):
        why = "no deployment here is older, or ran before, without being held"
    return HostError(
        f"{why}; {name} is the newest of them",
        hint=f"To run it all the same: osupdate revert {name}",
    )


def _drop(room: Room, state: State, reason: str | None, *, hold: bool) -> Reverted:
    record = machine.find(state, state.target)
    running = room.running(state)
    held = None
    if record is not None and hold:
        held = _hold(room, record, reason or "dropped by a person before it ran")
        state = holding(state, held)
    name = safe(record.version) if record else "it"
    room.tell("drop", f"{name} is given up", deployment=state.target)
    room.save(machine.move(state, Phase.IDLE))
    runs = f"{safe(running.version)} still runs" if running else "nothing runs yet"
    return Reverted(running, record, held, f"Dropped {name}, which was staged; {runs}.")
