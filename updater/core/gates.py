"""Gates: what has to be open before a machine switches or reboots by itself.

Pure: facts in, answers out, in the order in which they are asked, what is cheap and
local first and the lock last. A gate that cannot be looked at is closed, and says so.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

from updater.core import windows
from updater.core.text import plural, safe
from updater.core.times import clock_time, minute, short

_NAMED = 3  # people, inhibitors in a sentence


class Name(StrEnum):
    """The gates, in order."""

    ENABLED = "enabled"
    CLOCK = "clock"
    HOLD = "hold"
    WINDOW = "window"
    USERS = "users"
    INHIBITORS = "inhibitors"
    HOOKS = "hooks"
    LOCK = "lock"


class Gate(Struct, frozen=True):
    """One answer: `until` is when it changes by itself, where that is known.

    `command` opens it, or goes past it.
    """

    name: Name
    open: bool
    why: str
    until: int | None = None
    command: str | None = None


class Person(Struct, frozen=True):
    """Somebody who is logged in; `since` is None where nobody knows."""

    name: str
    where: str
    since: int | None = None


class Inhibitor(Struct, frozen=True):
    """A program that asks for no shutdown now."""

    who: str
    why: str


class Logins(Struct, frozen=True):
    """What logind told; `failure` is why it did not, `absent` that there is none."""

    people: tuple[Person, ...] = ()
    inhibitors: tuple[Inhibitor, ...] = ()
    failure: str | None = None
    absent: bool = False


class Policy(Struct, frozen=True):
    """What the settings say."""

    enabled: bool
    strategy: str
    schedule: windows.Schedule
    needs_clock: bool
    users: str
    users_grace: int


class Facts(Struct, frozen=True):
    """What is so at `now`.

    `synchronised` is None where the kernel does not say. `held` and `held_until` are
    the pause; `held_release` is why the release that waits is not taken, and
    `held_command` what would take it. `people_since`
    is when people first were what everything waited for. `hooks` are the sentences of
    those that are not content.
    """

    now: int
    synchronised: bool | None
    held: str | None = None
    held_until: int | None = None
    held_release: str | None = None
    held_command: str | None = None
    logins: Logins = Logins()
    people_since: int | None = None
    hooks: tuple[str, ...] = ()


NOW = "osupdate apply staged"
"""The command by which a person goes past the gates."""


def evaluate(policy: Policy, facts: Facts) -> tuple[Gate, ...]:
    """Every gate but the lock, which is only asked when these are open."""
    return (
        _enabled(policy),
        _clock(policy, facts),
        _hold(facts),
        _window(policy, facts),
        _users(policy, facts),
        _inhibitors(policy, facts),
        _hooks(facts),
    )


def first_closed(gates: Iterable[Gate]) -> Gate | None:
    """The gate that everything waits for."""
    return next((gate for gate in gates if not gate.open), None)


def _enabled(policy: Policy) -> Gate:
    if not policy.enabled:
        why = "[update] enabled is false: nothing is done without a person"
        return Gate(Name.ENABLED, open=False, why=why, command=NOW)
    if policy.strategy == "manual":
        why = '[reboot] strategy is "manual": a person says when'
        return Gate(Name.ENABLED, open=False, why=why, command=NOW)
    return Gate(Name.ENABLED, open=True, why="updates are taken without a person")


def _clock(policy: Policy, facts: Facts) -> Gate:
    if not policy.needs_clock:
        return Gate(Name.CLOCK, open=True, why='[update] clock is "trust"')
    if facts.synchronised:
        return Gate(Name.CLOCK, open=True, why="the kernel's clock is synchronised")
    if facts.synchronised is None:
        why = "the kernel does not say whether the clock is synchronised"
    else:
        why = "the clock is not synchronised, so that nobody can tell the time"
    return Gate(Name.CLOCK, open=False, why=why, command="timedatectl timesync-status")


def _hold(facts: Facts) -> Gate:
    if facts.held is not None:
        why = f"updates are on hold: {safe(facts.held, 200)}"
        until = facts.held_until
        return Gate(
            Name.HOLD, open=False, why=why, until=until, command="osupdate unhold"
        )
    if facts.held_release is not None:
        return Gate(
            Name.HOLD,
            open=False,
            why=facts.held_release,
            command=facts.held_command,
        )
    return Gate(Name.HOLD, open=True, why="nothing is held")


def _window(policy: Policy, facts: Facts) -> Gate:
    if policy.strategy != "window":
        return Gate(Name.WINDOW, open=True, why='[reboot] strategy is "immediate"')
    if not policy.schedule.windows:
        why = "[reboot] window names none, so that none ever opens"
        return Gate(Name.WINDOW, open=False, why=why, command=NOW)
    if windows.open_at(policy.schedule, facts.now):
        closes = windows.closes_at(policy.schedule, facts.now)
        end = f"until {clock_time(closes, facts.now)}" if closes else "all the time"
        return Gate(Name.WINDOW, open=True, why=f"a window is open {end}", until=closes)
    following = windows.plan(policy.schedule, facts.now, 1)
    if not following:
        why = "no window opens in the next weeks"
        return Gate(Name.WINDOW, open=False, why=why, command=NOW)
    opens = following[0].opens
    why = f"the next window opens {minute(opens)} (in {short(opens - facts.now)})"
    return Gate(Name.WINDOW, open=False, why=why, until=opens, command=NOW)


def _asked(policy: Policy, facts: Facts, name: Name) -> Gate | None:
    """The answer where logind gave none."""
    logins = facts.logins
    if logins.failure is None and not logins.absent:
        return None
    if logins.absent and policy.users == "ignore":
        return Gate(name, open=True, why="there is no logind here to ask")
    failure = safe(logins.failure or "there is no logind here", 300)
    why = f"cannot tell: {failure}"
    if logins.absent:
        why += '; [reboot] users = "ignore" goes without'
    return Gate(name, open=False, why=why, command=NOW)


def _users(policy: Policy, facts: Facts) -> Gate:
    if policy.users == "ignore":
        why = '[reboot] users is "ignore"'
        return Gate(Name.USERS, open=True, why=why)
    unasked = _asked(policy, facts, Name.USERS)
    if unasked is not None:
        return unasked
    people = facts.logins.people
    if not people:
        return Gate(Name.USERS, open=True, why="nobody is logged in")
    since = facts.now if facts.people_since is None else facts.people_since
    end = since + policy.users_grace
    named = _list([f"{safe(p.name, 40)} on {safe(p.where, 40)}" for p in people])
    if facts.now >= end:
        why = f"{named} had {short(policy.users_grace)} to finish"
        return Gate(Name.USERS, open=True, why=why)
    why = f"{named}: waiting until {clock_time(end, facts.now)}"
    return Gate(Name.USERS, open=False, why=why, until=end, command=NOW)


def _inhibitors(policy: Policy, facts: Facts) -> Gate:
    unasked = _asked(policy, facts, Name.INHIBITORS)
    if unasked is not None:
        return unasked
    found = facts.logins.inhibitors
    if not found:
        return Gate(Name.INHIBITORS, open=True, why="no program asks to wait")
    named = _list([f"{safe(i.who, 60)} ({safe(i.why, 100)})" for i in found])
    why = f"{plural(len(found), 'program')} asked to wait: {named}"
    return Gate(Name.INHIBITORS, open=False, why=why, command=NOW)


def _hooks(facts: Facts) -> Gate:
    if not facts.hooks:
        return Gate(Name.HOOKS, open=True, why="no hook objects")
    why = "; ".join(safe(text, 300) for text in facts.hooks[:_NAMED])
    return Gate(Name.HOOKS, open=False, why=why, command=NOW)


def _list(texts: Sequence[str]) -> str:
    more = len(texts) - _NAMED
    shown = ", ".join(texts[:_NAMED])
    return f"{shown} and {more} more" if more > 0 else shown
