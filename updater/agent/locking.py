"""The fleet's reboot lock around a switch: asked for, held, given back.

That it is asked for is remembered before the question, so that no crash leaves a lock
that this machine forgot.
"""

import os
from typing import TYPE_CHECKING

from msgspec.structs import replace

from updater.agent.room import Room
from updater.core import machine
from updater.core.fleet import Ask, Phase, Proof, Verdict
from updater.core.text import safe
from updater.core.times import short
from updater.errors import HostError
from updater.model import Claim, Record, State

if TYPE_CHECKING:
    from updater.lock.access import Access
    from updater.lock.client import Outcome


def acquire(room: Room, state: State, record: Record) -> tuple[State, str | None]:
    """Ask for the lock.

    Returns:
        The state, and why it is not granted, in a sentence; None is a grant.

    Raises:
        ConfigError, HostError: nobody can be asked.
    """
    from updater.lock import client  # noqa: PLC0415 - loads aiohttp

    claim = state.claim
    if claim is None or claim.target != record.id:
        running = room.running(state)
        last = claim.request if claim else 0
        claim = Claim(
            target=record.id,
            commit=record.commit,
            name=_called(record),
            origin=_called(running),
            request=max(room.now(), last + 1),
            since=claim.since if claim else room.now(),
        )
        state = room.save(replace(state, claim=claim))
    ask = Ask(
        _node(room, state),
        name=os.uname().nodename,
        why="update without a person",
        origin=claim.origin,
        target=claim.name,
        phase=Phase.GRANTED,
        request=claim.request,
    )
    outcome = client.pre_reboot(_access(room), room.settings.lock.group, ask)
    answer = _in_words(outcome)
    if isinstance(outcome, client.Granted):
        room.tell("lock", f"granted for {claim.name}", deployment=record.id)
    state = room.save(replace(state, claim=replace(claim, answer=answer)))
    return state, None if isinstance(outcome, client.Granted) else answer


def give_back(room: Room, state: State) -> State:
    """Give back what is perhaps held, with what became of the machine.

    A service that cannot be reached is told at the next tick.
    """
    claim = state.claim
    if claim is None:
        return state
    if room.settings.lock.url is None:
        room.tell("lock", f"forgotten, [lock] url is not set: {claim.name}")
        return room.save(replace(state, claim=None))
    from updater.lock import client  # noqa: PLC0415 - loads aiohttp

    running = room.running(state)
    verdict = _verdict(state, claim, running)
    proof = Proof(
        _node(room, state),
        name=os.uname().nodename,
        booted=_called(running),
        verdict=verdict,
        request=claim.request,
    )
    outcome = client.steady_state(_access(room), room.settings.lock.group, proof)
    if isinstance(outcome, client.Granted):
        room.tell("lock", f"given back, {verdict}: {claim.name}")
        return room.save(replace(state, claim=None))
    answer = f"not given back yet: {_in_words(outcome)}"
    room.watcher.notice(f"The reboot lock is {answer}")
    return room.save(replace(state, claim=replace(claim, answer=answer)))


def alarm(room: Room, state: State) -> tuple[State, str | None]:
    """A sentence for somebody who should look, when the lock takes too long."""
    claim = state.claim
    if claim is None:
        return state, None
    waited = room.now() - claim.since
    if waited < room.settings.lock.deadline:
        return state, None
    text = (
        f"no reboot lock for {short(waited)}, more than [lock] deadline: "
        f"{safe(claim.answer, 300)}"
    )
    if not claim.alarmed:
        room.tell("alarm", text, deployment=claim.target)
        state = room.save(replace(state, claim=replace(claim, alarmed=True)))
    return state, text


def _verdict(state: State, claim: Claim, running: Record | None) -> Verdict:
    if running is not None and running.commit == claim.commit:
        return Verdict.GOOD
    if machine.is_held(state, claim.commit):
        return Verdict.FAILED
    return Verdict.UNCHANGED


def _called(record: Record | None) -> str:
    return f"{safe(record.version, 80)}@{record.commit[:12]}" if record else "nothing"


def _node(room: Room, state: State) -> str:
    node = room.node(state)
    if node is None:
        raise HostError(
            "this machine has no name for the reboot lock: no machine-id",
            hint="Give it one: [node] id = ...",
        )
    return node


def _access(room: Room) -> "Access":
    from updater.lock.access import access  # noqa: PLC0415 - loads ssl

    lock = room.settings.lock
    assert lock.url is not None
    return access(
        lock.url,
        ca=lock.ca,
        cert=lock.cert,
        key=lock.key,
        token_file=lock.token_file,
        proxy=lock.proxy,
        secrets_dir=room.secrets,
    )


def _in_words(outcome: "Outcome") -> str:
    from updater.lock import client  # noqa: PLC0415

    match outcome:
        case client.Granted():
            return "granted"
        case client.Wait():
            place = ""
            if outcome.position is not None and outcome.waiting is not None:
                place = f" (place {outcome.position} of {outcome.waiting})"
            return f"{safe(outcome.text, 300)}{place}"
        case client.Refused():
            return f"refused: {safe(outcome.text, 300)}"
        case client.Unreachable():
            return f"cannot be asked: {safe(outcome.reason, 300)}"
