"""Awaiting that is not cut short."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


async def to_the_end(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Await something to its end, also when the one who waits is cancelled.

    A thread that writes goes on after its awaiter is gone; what it holds must not be
    given to the next one before it is done.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
