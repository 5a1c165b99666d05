"""logind: who is logged in, and which programs ask for no shutdown now.

org.freedesktop.login1(5). Not to have got an answer is not the same as nobody.
"""

import os

from updater.core.gates import Inhibitor, Logins, Person
from updater.core.text import safe
from updater.errors import HostError
from updater.system.bus import SYSTEM, BusError, Service, ask

DEADLINE = 10.0  # seconds
SEATS = "/run/systemd/seats"  # made by every logind when it starts
_NAME = "org.freedesktop.login1"
_PATH = "/org/freedesktop/login1"
_MANAGER = "org.freedesktop.login1.Manager"
_SESSION = "org.freedesktop.login1.Session"
_NOBODY_THERE = (
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
)
_WENT_AWAY = (
    "org.freedesktop.login1.NoSuchSession",
    "org.freedesktop.DBus.Error.UnknownObject",
)


def logins(
    address: str = SYSTEM, seats: str = SEATS, deadline: float = DEADLINE
) -> Logins:
    """Ask logind.

    Args:
        address: of the bus.
        seats: the directory that tells that a logind was started here.
        deadline: seconds for all of it.

    Returns:
        What it told; or with `failure` why it did not; `absent` where this machine has
        no logind at all.
    """
    path = address.removeprefix("unix:path=")
    if not os.path.exists(path):
        return _silent(f"there is no bus at {path}", seats)
    try:
        return ask(address, _NAME, _question, deadline)
    except BusError as error:
        if error.name in _NOBODY_THERE:
            return _silent("nobody on the bus is logind", seats)
        return Logins(failure=f"logind says: {safe(str(error), 300)}")
    except HostError as error:
        return Logins(failure=str(error))
    except (ValueError, TypeError) as error:
        return Logins(
            failure=f"logind's answer cannot be read: {safe(str(error), 200)}"
        )


def _silent(reason: str, seats: str) -> Logins:
    if os.path.isdir(seats):
        return Logins(failure=f"{reason}, though logind was started here")
    return Logins(failure=reason, absent=True)


async def _question(service: Service) -> Logins:
    [sessions] = await service.call(_PATH, _MANAGER, "ListSessions")
    [inhibitors] = await service.call(_PATH, _MANAGER, "ListInhibitors")
    people = []
    for _, _, name, _, path in sessions:
        person = await _person(service, name, path)
        if person is not None:
            people.append(person)
    blocking = tuple(
        Inhibitor(who, why)
        for what, who, why, mode, _, _ in inhibitors
        if "shutdown" in what.split(":") and mode.startswith("block")
    )
    return Logins(tuple(people), blocking)


async def _person(service: Service, name: str, path: str) -> Person | None:
    """The person of a session; None for one of a program, and one that ended."""
    try:
        found = await service.properties(path, _SESSION)
    except BusError as error:
        if error.name in _WENT_AWAY:
            return None
        raise
    if not str(found.get("Class", "user")).startswith("user"):
        return None
    if found.get("State") == "closing":
        return None
    since = int(found.get("Timestamp", 0)) // 1_000_000
    where = str(found.get("TTY") or found.get("RemoteHost") or found.get("Type") or "?")
    return Person(name, where, since or None)
