"""How long an event loop pauses while a store works."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

LONGEST_S = 0.1
"""Pause that is allowed: threads wait for each other and for the interpreter."""
LONGEST_SHARE = 0.2
"""Or this share of all the work, where the machine is busy: in the loop, it would be one pause."""
TRIES = 3


async def pause_and_time(work: Callable[[], Awaitable[Any]]) -> tuple[float, float]:
    """The longest pause of the loop during some work, and how long that took."""
    pauses: list[float] = []

    async def beat() -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(0.001)
            pauses.append(time.perf_counter() - started)

    heart = asyncio.create_task(beat())
    await asyncio.sleep(0)
    started = time.perf_counter()
    await work()
    took = time.perf_counter() - started
    # Until the pause has ended that the work may have made.
    await asyncio.sleep(0.01)
    heart.cancel()
    return max(pauses), took


def is_free(pause: float, took: float) -> bool:
    return pause <= max(LONGEST_S, LONGEST_SHARE * took)


async def attempts(work: Callable[[], Awaitable[Any]]) -> list[tuple[float, float]]:
    """Pause and time of each try, the last of which left the loop free, if any did."""
    found: list[tuple[float, float]] = []
    while len(found) < TRIES and not any(is_free(*each) for each in found):
        found.append(await pause_and_time(work))
    return found
