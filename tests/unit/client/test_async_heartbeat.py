"""The event loop is never blocked: while a store works, a task that only sleeps goes on."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest

from vecbridge import AsyncIndex, AsyncStore, get_backend

CALLS = 200
LONGEST_S = 0.1
"""Pause that is allowed: on a busy machine, threads wait for each other and for the interpreter."""
TRIES = 3


async def beat(pauses: list[float]) -> None:
    while True:
        started = time.perf_counter()
        await asyncio.sleep(0.001)
        pauses.append(time.perf_counter() - started)


async def longest_pause(index: AsyncIndex, vectors: np.ndarray) -> tuple[float, float]:
    """The longest pause of the loop during many calls at once, and how long they took."""
    pauses: list[float] = []
    heart = asyncio.create_task(beat(pauses))
    started = time.perf_counter()
    await asyncio.gather(
        *(
            index.search(vectors[number : number + 20], k=100)
            if number % 2
            else index.upsert([f"{number}-{at}" for at in range(200)], vectors[:200])
            for number in range(CALLS)
        )
    )
    took = time.perf_counter() - started
    heart.cancel()
    return max(pauses), took


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_many_searches_and_writes_at_once_leave_the_loop_free(place: str, tmp_path: Path) -> None:
    vectors = np.random.default_rng(1).standard_normal((10_000, 64), dtype=np.float32)

    async def main() -> list[tuple[float, float]]:
        path = tmp_path if place == "disk" else None
        async with AsyncStore(get_backend("sklearn", path=path)) as store:
            index = await store.create_index("photos", dimension=64, metric="cosine")
            await index.upsert([f"{at}" for at in range(len(vectors))], vectors)
            await index.search(vectors[0])
            found: list[tuple[float, float]] = []
            while len(found) < TRIES and min(found, default=(1.0,))[0] > LONGEST_S:
                found.append(await longest_pause(index, vectors))
            return found

    found = asyncio.run(main())
    assert min(found)[0] <= LONGEST_S, found
    assert min(took for _, took in found) > 3 * LONGEST_S, "too little work to notice anything"


def test_a_long_list_is_converted_while_the_loop_goes_on() -> None:
    rows = np.random.default_rng(1).standard_normal((20_000, 256)).tolist()
    ids = [f"{at}" for at in range(len(rows))]

    async def main() -> list[float]:
        async with AsyncStore(get_backend("sklearn")) as store:
            index = await store.create_index("photos", dimension=256, metric="cosine")
            found: list[float] = []
            while len(found) < TRIES and min(found, default=1.0) > LONGEST_S:
                pauses: list[float] = []
                heart = asyncio.create_task(beat(pauses))
                await index.upsert(ids, rows)
                heart.cancel()
                found.append(max(pauses))
            return found

    found = asyncio.run(main())
    assert min(found) <= LONGEST_S, found


def test_the_heartbeat_notices_a_call_that_is_not_awaited() -> None:
    async def main() -> float:
        pauses: list[float] = []
        heart = asyncio.create_task(beat(pauses))
        await asyncio.sleep(0.01)
        time.sleep(2 * LONGEST_S)  # noqa: ASYNC251 - what must not happen
        await asyncio.sleep(0.01)
        heart.cancel()
        return max(pauses)

    assert asyncio.run(main()) > LONGEST_S
