"""How things stand: status and check. Without libgit2, because they are quick."""

import os

from updater.agent import public
from updater.agent.room import Room
from updater.core import machine, policy, urls
from updater.core.text import safe
from updater.model import Checked, Offer, Record, State, Status, TrustMode, Waiting


def status(room: Room) -> Status:
    """Everything that `status` shows."""
    state, trouble = room.look()
    booted = room.booted()
    running = machine.find(state, booted)
    target = machine.find(state, state.target)
    shown = {record.id for record in (running, target) if record}
    coming = target if target and target.id != booted else available(state, running)
    return Status(
        state=state,
        booted=booted,
        running=running,
        target=target,
        previous=machine.previous(state, booted),
        kept=tuple(r for r in reversed(state.deployments) if r.id not in shown),
        channel=_channel(room, state),
        url=urls.shown(room.settings.remote.url),
        mode=room.mode,
        unprivileged=not (running.owners if running else room.owner.privileged),
        enter_command=enter_command(room) if running else None,
        now=room.now(),
        available=available(state, running),
        brief=_brief(room, running, coming),
        doubts=tuple(room.doubts),
        log=room.accepted(state),
        turn=room.turn(state, available(state, running)),
        device_time=room.device_time(state),
        trouble=trouble,
        pinned=room.mode is not TrustMode.UNSIGNED and room.is_pinned(),
        waiting=_waiting(room, state, target),
    )


def _waiting(room: Room, state: State, target: Record | None) -> Waiting | None:
    if target is None:
        return None
    from updater.agent import gating  # noqa: PLC0415 - status stays quick

    return gating.glance(room, state)


def _brief(
    room: Room, running: Record | None, other: Record | Offer | None
) -> tuple[str, ...]:
    if running is None or other is None or running.commit == other.commit:
        return ()
    return public.read_brief(room.layout, running.commit, other.commit)


def _channel(room: Room, state: State) -> str:
    """The channel; when the configuration does not tell, the one last asked."""
    if room.knows("remote.channel") or state.offer is None:
        return room.remote(state).channel
    return state.offer.channel


def check_now(room: Room, state: State) -> Checked:
    """Ask the remote, and say what that means for this machine.

    Raises:
        OsupdateError: remembered for `status`.
    """
    from updater.agent.ask import find_offer  # noqa: PLC0415 - status stays quick

    state, offer = find_offer(room, state, None)
    if room.mode is TrustMode.SIGNED:
        from updater.agent import heard  # noqa: PLC0415 - loads the report

        heard.note(room, state)
    running = room.running(state)
    found = available(state, running)
    if found is None:
        target = machine.find(state, state.target)
        if target is not None and target.commit == offer.commit:
            return Checked(offer, None, f"{safe(target.version)} is staged already")
        name = safe(running.version) if running else "nothing"
        return Checked(offer, None, f"{name} is the newest in {safe(offer.channel)}")
    log, turn = room.accepted(state), room.turn(state, found)
    obstacle = policy.obstacle(state, running, found, log, turn)
    brief = _brief(room, running, found)
    if obstacle is not None:
        return Checked(offer, found, obstacle.text, obstacle, brief)
    if running is None:
        return Checked(offer, found, "nothing is deployed here yet")
    return Checked(offer, found, f"{safe(running.version)} runs here", brief=brief)


def available(state: State, running: Record | None) -> Offer | None:
    """The last offer, when it is neither what runs nor what is staged."""
    offer = state.offer
    target = machine.find(state, state.target)
    here = {record.commit for record in (running, target) if record}
    return None if offer is None or offer.commit in here else offer


def enter_command(room: Room) -> str | None:
    """The line that starts what runs as a container, its data bound over the seeds.

    None where it is not known which data that is.
    """
    if not room.knows("deploy.persistent"):
        return None
    binds = [
        f" --bind={room.layout.data(path)}:{path}"
        for path in room.settings.deploy.persistent
        if os.path.isdir(room.layout.data(path))
    ]
    return f"systemd-nspawn -D {room.layout.current}{''.join(binds)}"
