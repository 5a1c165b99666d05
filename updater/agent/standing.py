"""How things stand: status and check. Without libgit2, because they are quick."""

import os

from updater.agent import public
from updater.agent.room import Room
from updater.core import machine, urls
from updater.core.text import safe
from updater.model import Brief, Checked, Offer, Record, State, Status


def status(room: Room) -> Status:
    """Everything that `status` shows."""
    state = room.load()
    booted = room.booted()
    running = machine.find(state, booted)
    target = machine.find(state, state.target)
    shown = {record.id for record in (running, target) if record}
    return Status(
        state=state,
        booted=booted,
        running=running,
        target=target,
        previous=machine.previous(state, booted),
        kept=tuple(r for r in reversed(state.deployments) if r.id not in shown),
        channel=room.settings.remote.channel,
        url=urls.shown(room.settings.remote.url),
        mode=room.mode,
        unprivileged=not room.owner.privileged,
        enter_command=enter_command(room) if running else None,
        now=room.now(),
        available=available(state, running),
        brief=_brief(room, running, target),
    )


def _brief(room: Room, running: Record | None, target: Record | None) -> Brief | None:
    if running is None or target is None or running.id == target.id:
        return None
    return public.read_brief(room.layout, running.commit, target.commit)


def check_now(room: Room, state: State) -> Checked:
    """Ask the remote, and say what that means for this machine.

    Raises:
        OsupdateError: remembered for `status`.
    """
    from updater.agent.ask import find_offer  # noqa: PLC0415 - status stays quick

    state, offer = find_offer(room, state, None)
    running = room.running(state)
    found = available(state, running)
    if found is None:
        target = machine.find(state, state.target)
        if target is not None and target.commit == offer.commit:
            return Checked(offer, None, f"{safe(target.version)} is staged already")
        name = safe(running.version) if running else "nothing"
        return Checked(offer, None, f"{name} is the newest in {safe(offer.channel)}")
    if machine.is_held(state, found.commit):
        return Checked(offer, found, "it is held here")
    if running is None:
        return Checked(offer, found, "nothing is deployed here yet")
    return Checked(offer, found, f"{safe(running.version)} runs here")


def available(state: State, running: Record | None) -> Offer | None:
    """The last offer, when it is neither what runs nor what is staged."""
    offer = state.offer
    target = machine.find(state, state.target)
    here = {record.commit for record in (running, target) if record}
    return None if offer is None or offer.commit in here else offer


def enter_command(room: Room) -> str:
    """The line that starts what runs as a container, its data bound over the seeds."""
    binds = [
        f" --bind={room.layout.data(path)}:{path}"
        for path in room.settings.deploy.persistent
        if os.path.isdir(room.layout.data(path))
    ]
    return f"systemd-nspawn -D {room.layout.current}{''.join(binds)}"
