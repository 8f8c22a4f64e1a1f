"""Awaited calls to Milvus: the loop goes on, and a cancelled write is done or not done."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import uuid
from collections.abc import Iterator

import numpy as np
import pytest

import vecbridge
from tests.heartbeat import attempts, is_free
from vecbridge import AsyncIndex, AsyncStore

SERVES = """
import sys
import vecbridge

with vecbridge.get_backend("milvus", uri=sys.argv[1]) as store:
    print(store.backend.client.list_collections(), flush=True)
    sys.stdin.read()
"""
"""Has Milvus Lite open first, and so has its engine: that is written in Python, and a search after
a write holds the interpreter for up to 0.3 s, be it awaited or not."""


async def many(index: AsyncIndex, vectors: np.ndarray) -> None:
    await asyncio.gather(
        *(
            index.search(vectors[number], k=10)
            if number % 4
            else index.upsert([f"{number}-{at}" for at in range(10)], vectors[:10])
            for number in range(200)
        )
    )


@pytest.fixture
def name() -> str:
    return f"t_{uuid.uuid4().hex}"


@pytest.fixture
def uri_elsewhere(milvus_uri: str) -> Iterator[str]:
    """Where a Milvus is, whose engine is in another process."""
    if not milvus_uri.endswith(".db"):
        yield milvus_uri
        return
    process = subprocess.Popen(
        [sys.executable, "-c", SERVES, milvus_uri],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield milvus_uri
        assert process.stdin is not None
        process.stdin.close()


def test_many_searches_and_writes_at_once_leave_the_loop_free(
    uri_elsewhere: str, name: str
) -> None:
    vectors = np.random.default_rng(1).standard_normal((2000, 64), dtype=np.float32)

    async def main() -> list[tuple[float, float]]:
        plain = vecbridge.get_backend("milvus", uri=uri_elsewhere)
        async with AsyncStore(plain, readers=8) as store:
            index = await store.create_index(name, dimension=64, metric="cosine")
            await index.upsert([f"{at}" for at in range(len(vectors))], vectors)
            await index.search(vectors[0])
            found = await attempts(lambda: many(index, vectors))
            assert await index.count() == len(vectors) + 500
            await store.drop_index(name)
            return found

    found = asyncio.run(main())
    assert is_free(*found[-1]), found


def test_cancelled_at_any_moment_everything_acknowledged_is_there(
    milvus_uri: str, name: str
) -> None:
    draw = random.Random(1)
    known: dict[str, float] = {}
    ids = [f"id {number}" for number in range(5)]

    async def state(index: AsyncIndex) -> dict[str, float]:
        records = await index.fetch(ids)
        return dict(zip(records.ids, records.vectors[:, 0].tolist(), strict=True))

    async def main() -> int:
        lost = 0
        async with AsyncStore(vecbridge.get_backend("milvus", uri=milvus_uri)) as store:
            index = await store.create_index(name, dimension=2, metric="euclidean")
            for number in range(60):
                array = np.full((len(ids), 2), number, dtype=np.float32)
                task = asyncio.ensure_future(index.upsert(ids, array))
                await asyncio.sleep(draw.random() * 0.01)
                task.cancel()
                (failed,) = await asyncio.gather(task, return_exceptions=True)
                array[:] = -1.0
                found = await state(index)
                after = dict.fromkeys(ids, float(number))
                if failed is None:
                    assert found == after
                else:
                    assert isinstance(failed, asyncio.CancelledError)
                    assert found in (known, after)
                    lost += 1
                known.clear()
                known.update(found)
            await store.drop_index(name)
        return lost

    assert asyncio.run(main()) > 0
