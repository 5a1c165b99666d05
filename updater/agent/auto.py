"""One tick of updates without a person: resume, check, policy, stage, gates, switch.

Each part may be killed: what it was about is on disk before it acts, and the next tick
begins with `settle`.
"""

from msgspec.structs import replace

from updater.agent import care, gating, locking, standing, switch, update
from updater.agent.room import Room
from updater.core import gates, machine, policy, ticks
from updater.core.gates import Gate, Name
from updater.core.text import safe
from updater.errors import OsupdateError, TransportError
from updater.model import Check, Phase, Record, State, Ticked, Waited

NEEDED = (*gating.SETTINGS, "remote", "trust", "deploy", "boot", "health", "node")
EARLIER = (Name.ENABLED, Name.CLOCK, Name.HOLD, Name.WINDOW)


def tick(room: Room, state: State) -> Ticked:
    """Go as far as is allowed now.

    Raises:
        HealthError: a release was tried and left; it is held.
        OsupdateError: what runs is as it was.
    """
    room.require_known(*NEEDED)
    chosen = gating.policy_of(room)
    try:
        state = switch.settle(room, state)
    finally:
        state = room.load()
        if gating.waiting(state) is None:
            state = locking.give_back(room, state)
    if not chosen.enabled:
        state = locking.give_back(room, state)
        return Ticked("disabled", "[update] enabled is false: nothing is done")
    if room.settings.remote.url:
        state = _bring(room, state)
    record = gating.waiting(state)
    if record is None:
        return Ticked("nothing", _nothing(room, state))
    return _through(room, state, chosen, record)


def _nothing(room: Room, state: State) -> str:
    running = room.running(state)
    name = safe(running.version) if running else "nothing"
    if not room.settings.remote.url:
        return f"{name} runs; [remote] url is not set"
    last = state.last_check
    if last is not None and last.error is not None:
        return f"{name} runs; no answer from the remote: {safe(last.error, 300)}"
    obstacle = _obstacle(room, state)
    return f"{name} runs; {obstacle or 'nothing newer is offered'}"


def _obstacle(room: Room, state: State) -> str | None:
    """Why what is offered is not taken."""
    running = room.running(state)
    found = standing.available(state, running)
    if found is None:
        return None
    log, turn = room.accepted(state), room.turn(state, found)
    known = policy.obstacle(state, running, found, log, turn)
    return known.text if known else None


def _bring(room: Room, state: State) -> State:
    """Look at the remote when that is due, and stage what this machine is to take."""
    last = state.last_check
    due = not room.offline and _is_due(room, state)
    try:
        if due:
            standing.check_now(room, state)
            state = room.load()
        if _wanted(room, state) and (due or (last is not None and last.error is None)):
            return _stage(room, state)
    except TransportError as error:
        room.watcher.notice(str(error))
        return room.load()
    return state


def _is_due(room: Room, state: State) -> bool:
    last = state.last_check
    if state.offer is None and last is not None and last.error is None:
        return True  # a release was asked for by name, the channel never
    interval = int(room.settings.update.interval)
    node = room.node(state) or ""
    return ticks.is_due(last, state.last_success_at, interval, node, room.now())


def _wanted(room: Room, state: State) -> bool:
    if room.offline or standing.available(state, room.running(state)) is None:
        return False
    return _obstacle(room, state) is None


def _stage(room: Room, state: State) -> State:
    before = gating.waiting(state)
    try:
        done = update.apply(room, state, update.Request(None, arm=False))
    except OsupdateError as error:
        state = room.load()
        room.save(replace(state, last_check=Check(room.now(), str(error))))
        raise
    state = room.load()
    record = done.record
    if done.outcome != "staged" or record is None or record.id == room.booted():
        return state
    if state.phase is Phase.IDLE or state.target != record.id:
        # It was here already, kept from an earlier time.
        state = room.save(machine.move(state, Phase.STAGED, record.id))
    if before is None or before.id != record.id:
        instead = f" in place of {safe(before.version)}" if before else ""
        text = f"{safe(record.version)}{instead}, without a person"
        room.tell("auto", f"staged {text}", deployment=record.id)
    return room.save(replace(state, waited=None))


def _through(room: Room, state: State, chosen: gates.Policy, record: Record) -> Ticked:
    """The gates, the lock, the gates again, and the switch."""
    state, closed = _first_closed(room, state, chosen)
    if closed is not None:
        state = locking.give_back(room, state)
        return _wait(room, state, record, closed)
    if room.settings.lock.url is not None:
        state, refusal = locking.acquire(room, state, record)
        if refusal is not None:
            state, alarm = locking.alarm(room, state)
            gate = Gate(Name.LOCK, open=False, why=f"the reboot lock: {refusal}")
            return replace(_wait(room, state, record, gate), alarm=alarm)
    try:
        update.apply(room, state, update.Request("staged", arm=False))
        state, closed = _first_closed(room, room.load(), chosen)
        if closed is not None:
            return _wait(room, state, record, closed)
        state = room.save(replace(state, waited=None))
        room.tell("auto", f"every gate is open for {safe(record.version)}")
        applied = switch.to(room, state, record)
    finally:
        locking.give_back(room, room.load())
    care.tidy_up(room, applied.outcome)
    return Ticked("switched", applied.text)


def _first_closed(
    room: Room, state: State, chosen: gates.Policy
) -> tuple[State, Gate | None]:
    facts = gating.look(room, state)
    closed = gates.first_closed(gates.evaluate(chosen, facts))
    earlier = closed is not None and closed.name in EARLIER
    since = None
    if facts.logins.people and not earlier:
        since = facts.people_since if facts.people_since is not None else facts.now
    waited = state.waited or Waited("", "")
    if waited.people_since != since:
        state = room.save(replace(state, waited=replace(waited, people_since=since)))
    return state, closed


def _wait(room: Room, state: State, record: Record, gate: Gate) -> Ticked:
    """End the tick; what is waited for is in the ledger once."""
    text = f"{safe(record.version)} waits: {gate.why}"
    waited = state.waited or Waited("", "")
    if (waited.gate, waited.until) != (gate.name, gate.until):
        room.tell("wait", text, deployment=record.id, gate=gate.name)
    now = Waited(gate.name, gate.why, gate.until, waited.people_since)
    if now != waited:
        room.save(replace(state, waited=now))
    return Ticked("waiting", text, gate.name, gate.until)
