"""D-Bus: the only module that knows dbus-next."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from msgspec import Struct

from updater.errors import HostError

SYSTEM = "unix:path=/run/dbus/system_bus_socket"
_PROPERTIES = "org.freedesktop.DBus.Properties"
T = TypeVar("T")


class BusError(HostError):
    """The other side answered with an error; `name` is that of D-Bus."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{message} ({name})")
        self.name = name


class Service(Struct, frozen=True):
    """Calls to one service; `send` takes path, interface, method, signature, body."""

    send: Callable[[str, str, str, str, list[Any]], Coroutine[Any, Any, list[Any]]]

    async def call(self, path: str, interface: str, method: str) -> list[Any]:
        """What a method without arguments answers.

        Raises:
            BusError.
        """
        return await self.send(path, interface, method, "", [])

    async def properties(self, path: str, interface: str) -> dict[str, Any]:
        """Every property of an object.

        Raises:
            BusError.
        """
        [found] = await self.send(path, _PROPERTIES, "GetAll", "s", [interface])
        return {name: variant.value for name, variant in found.items()}


def ask(
    address: str,
    name: str,
    question: Callable[[Service], Coroutine[Any, Any, T]],
    deadline: float,
) -> T:
    """Put a question to a service of a bus.

    Args:
        address: of the bus.
        name: of the service, which is started when it can be.
        question: gets the service, gives the answer.
        deadline: seconds for all of it.

    Raises:
        HostError: the bus or the service is out of reach, or too slow.
        BusError: the service said no.
    """
    try:
        import dbus_next  # noqa: F401, PLC0415 - `status` does not pay for it
    except ModuleNotFoundError as error:
        raise HostError(
            f"D-Bus needs {error.name}, which is not installed",
            hint="It comes with: pip install 'osupdate[bus]'",
        ) from error
    try:
        return asyncio.run(asyncio.wait_for(_ask(address, name, question), deadline))
    except TimeoutError as error:
        raise HostError(f"{name} gave no answer within {deadline:g} s") from error
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "it hung up"
        raise HostError(f"cannot reach the bus at {address}: {reason}") from error


async def _ask(
    address: str, name: str, question: Callable[[Service], Coroutine[Any, Any, T]]
) -> T:
    from dbus_next.aio.message_bus import MessageBus  # noqa: PLC0415
    from dbus_next.constants import MessageType  # noqa: PLC0415
    from dbus_next.errors import (  # noqa: PLC0415
        AuthError,
        InvalidAddressError,
    )
    from dbus_next.message import Message  # noqa: PLC0415

    bus = MessageBus(bus_address=address)

    async def send(
        path: str, interface: str, method: str, signature: str, body: list[Any]
    ) -> list[Any]:
        reply = await bus.call(
            Message(
                destination=name,
                path=path,
                interface=interface,
                member=method,
                signature=signature,
                body=body,
            )
        )
        if reply is None or reply.message_type is MessageType.ERROR:
            error = reply.error_name if reply else "no reply"
            text = str(reply.body[0]) if reply and reply.body else "no reason was given"
            raise BusError(str(error), text)
        return list(reply.body)

    try:
        await bus.connect()
        return await question(Service(send))
    except (AuthError, InvalidAddressError) as error:
        raise HostError(f"cannot reach the bus at {address}: {error}") from error
    finally:
        # dbus-next leaves both open, after `disconnect` too.
        for left in (vars(bus).get("_stream"), vars(bus).get("_sock")):
            if left is not None:
                left.close()
