"""The event loop is never blocked: while a store works, a task that only sleeps goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from tests.heartbeat import TRIES, attempts, is_free
from vecbridge import AsyncIndex, AsyncStore, get_backend

CALLS = 200
VECTORS = np.random.default_rng(1).standard_normal((10_000, 64), dtype=np.float32)


async def many(index: AsyncIndex) -> None:
    await asyncio.gather(
        *(
            index.search(VECTORS[number : number + 20], k=100)
            if number % 2
            else index.upsert([f"{number}-{at}" for at in range(200)], VECTORS[:200])
            for number in range(CALLS)
        )
    )


async def filled(store: AsyncStore) -> AsyncIndex:
    index = await store.create_index("photos", dimension=64, metric="cosine")
    await index.upsert([f"{at}" for at in range(len(VECTORS))], VECTORS)
    await index.search(VECTORS[0])
    return index


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_many_searches_and_writes_at_once_leave_the_loop_free(place: str, tmp_path: Path) -> None:
    async def main() -> list[tuple[float, float]]:
        path = tmp_path if place == "disk" else None
        async with AsyncStore(get_backend("sklearn", path=path)) as store:
            index = await filled(store)
            return await attempts(lambda: many(index))

    found = asyncio.run(main())
    assert is_free(*found[-1]), found


def test_a_long_list_is_converted_while_the_loop_goes_on() -> None:
    rows = np.random.default_rng(1).standard_normal((20_000, 256)).tolist()
    ids = [f"{at}" for at in range(len(rows))]

    async def main() -> list[tuple[float, float]]:
        async with AsyncStore(get_backend("sklearn")) as store:
            index = await store.create_index("photos", dimension=256, metric="cosine")
            return await attempts(lambda: index.upsert(ids, rows))

    found = asyncio.run(main())
    assert is_free(*found[-1]), found


def test_calls_that_are_not_awaited_in_threads_are_noticed() -> None:
    async def main() -> list[tuple[float, float]]:
        async with AsyncStore(get_backend("sklearn")) as store:
            index = await filled(store)

            async def in_the_loop() -> None:
                for number in range(40):
                    index.index.search(VECTORS[number : number + 20], k=100)

            return await attempts(in_the_loop)

    found = asyncio.run(main())
    assert len(found) == TRIES
    assert not any(is_free(*each) for each in found), found
