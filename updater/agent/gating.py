"""What the gates are asked about: the settings, the state, and this machine now."""

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct
from msgspec.structs import replace

from updater.agent.room import Room
from updater.core import gates, machine, policy, windows
from updater.core.gates import Gate, Name
from updater.core.text import safe
from updater.errors import ConfigError, UntrustedError
from updater.model import Phase, Record, State, Waiting
from updater.system import clock, hooks, logind

HOOKS = ("usr/lib/osupdate/hooks/gate.d", "etc/osupdate/hooks/gate.d")
SETTINGS = ("update", "reboot", "lock")
LOCAL = (Name.ENABLED, Name.CLOCK, Name.HOLD, Name.WINDOW)  # a glance, for `status`
OPENINGS = 5


class Why(Struct, frozen=True):
    """The answer of `why`: what waits, every gate, and the next openings."""

    running: Record | None
    waits: Record | None
    gates: tuple[Gate, ...]
    plan: tuple[windows.Stretch, ...]
    now: int


def policy_of(room: Room) -> gates.Policy:
    """The settings that the gates follow.

    Raises:
        ConfigError: the time zone is not known here.
    """
    settings = room.settings
    found = tuple(
        windows.Weekly(one.days, one.start, int(one.length))
        for one in settings.reboot.window
    )
    return gates.Policy(
        enabled=settings.update.enabled,
        strategy=settings.reboot.strategy,
        schedule=windows.Schedule(found, _zone(settings.reboot.time_zone)),
        needs_clock=settings.update.clock != "trust",
        users=settings.reboot.users,
        users_grace=int(settings.reboot.users_grace),
    )


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC  # needs no time zone database
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            f"reboot.time_zone: {safe(name, 60)} is not a time zone that is known here",
            hint="A name as Europe/Berlin; they come with the package tzdata.",
        ) from error


def look(room: Room, state: State, *, whole: bool = True) -> gates.Facts:
    """What is so now; without `whole` nobody else is asked, and no hook is run."""
    target = waiting(state)
    waited = state.waited
    reason, command = _held(room, state, target) if target else (None, None)
    facts = gates.Facts(
        now=room.now(),
        synchronised=clock.is_synchronised(),
        held=state.paused,
        held_release=reason,
        held_command=command,
        people_since=waited.people_since if waited else None,
    )
    if not whole:
        return facts
    bus = room.layout.below("run/dbus/system_bus_socket")
    seats = room.layout.below("run/systemd/seats")
    return replace(
        facts,
        logins=logind.logins(f"unix:path={bus}", seats),
        hooks=_objections(room, target),
    )


def _held(room: Room, state: State, target: Record) -> tuple[str | None, str | None]:
    """Why what waits is not taken, and what would take it."""
    facts = policy.facts_of(state, room.running(state), log=room.accepted(state))
    try:
        policy.check_holds(target.version, target.commit, facts)
        policy.check_way(target.version, target.number, facts)
    except UntrustedError as error:
        if machine.is_held(state, target.commit):
            return error.reason, f"osupdate unhold {safe(target.version, 80)}"
        pinned = state.pin not in (None, target.version, target.commit)
        return error.reason, "osupdate pin --off" if pinned else None
    return None, None


def _objections(room: Room, target: Record | None) -> tuple[str, ...]:
    if target is None:
        return ()
    outcomes = hooks.run_all(
        [room.layout.below(path) for path in HOOKS],
        {"OSUPDATE_VERSION": target.version, "OSUPDATE_COMMIT": target.commit},
        room.settings.health.deadline,
    )
    return tuple(f"{one.name} {one.text}" for one in outcomes if one.text)


def waiting(state: State) -> Record | None:
    """What is staged, and waits for the gates."""
    if state.phase not in (Phase.STAGED, Phase.ARMED):
        return None
    return machine.find(state, state.target)


def lock_gate(room: Room, state: State) -> Gate:
    """The lock, as far as it is known without asking."""
    lock = room.settings.lock
    if lock.url is None:
        return Gate(Name.LOCK, open=True, why="[lock] url is not set")
    where = f"group {safe(lock.group, 60)} at {safe(lock.url, 200)}"
    if state.claim is None:
        why = f"{where} is asked when everything above is open"
    else:
        why = f"{where}: {safe(state.claim.answer, 300)}"
    return Gate(Name.LOCK, open=False, why=why, command="osupdate lock status")


def why(room: Room, state: State) -> Why:
    """Every gate, whether something waits or not.

    Raises:
        ConfigError.
    """
    room.require_known(*SETTINGS)
    chosen = policy_of(room)
    facts = look(room, state)
    found = gates.evaluate(chosen, facts)
    following: tuple[windows.Stretch, ...] = ()
    if chosen.strategy == "window":
        following = windows.plan(chosen.schedule, facts.now, OPENINGS)
    return Why(
        room.running(state),
        waiting(state),
        (*found, lock_gate(room, state)),
        following,
        facts.now,
    )


def glance(room: Room, state: State) -> Waiting | None:
    """The first closed gate that can be told without asking anybody, for `status`."""
    if waiting(state) is None or not room.knows(*SETTINGS):
        return None
    try:
        chosen = policy_of(room)
    except ConfigError as error:
        return Waiting("window", str(error), error.hint)
    facts = look(room, state, whole=False)
    local = [gate for gate in gates.evaluate(chosen, facts) if gate.name in LOCAL]
    closed = gates.first_closed(local)
    if closed is not None:
        return Waiting(closed.name, closed.why, closed.command)
    last = state.waited
    text = last.text if last else "for the next tick of osupdate auto"
    return Waiting(last.gate if last else "tick", text, "osupdate why")
