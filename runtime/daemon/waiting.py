"""Waiting for something to become true, without haste and without end."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(test: Callable[[], Awaitable[bool]], *, every: float) -> None:
    """Asks `test` every so many seconds until it says yes; the caller cancels when it has to end."""
    while not await test():
        await asyncio.sleep(every)
