"""A cancelled await leaves the store usable: what it asked for is done, or not done."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecbridge import (
    AsyncIndex,
    AsyncStore,
    ClosedError,
    Consistency,
    FieldType,
    Metric,
    Scope,
    Store,
    get_backend,
)
from vecbridge.local import LocalIndex
from vecbridge_sklearn import SklearnBackend, SklearnSettings

ROUNDS = 1000
IDS = [f"id {number}" for number in range(20)]


class Gate:
    """Ids that come when a test lets them, which says how far a call has come."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.opened = threading.Event()

    def ids(self, *ids: str) -> Iterator[str]:
        self.begun.set()
        assert self.opened.wait(20)
        yield from ids

    async def entered(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 20)


class SlowBackend(SklearnBackend):
    """Opens an index when a test lets it, and keeps what it has opened."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(SklearnSettings())
        self.gate = gate
        self.engines: list[LocalIndex] = []

    def create_index(
        self, name: str, *, dimension: int, metric: Metric, fields: Any, consistency: Any
    ) -> LocalIndex:
        list(self.gate.ids())
        self.engines.append(
            super().create_index(
                name, dimension=dimension, metric=metric, fields=fields, consistency=consistency
            )
        )
        return self.engines[-1]

    def open_index(self, name: str) -> LocalIndex:
        list(self.gate.ids())
        self.engines.append(super().open_index(name))
        return self.engines[-1]


async def empty(store: AsyncStore) -> AsyncIndex:
    return await store.create_index("photos", dimension=2, metric="euclidean")


async def cancelled(task: asyncio.Task[Any]) -> bool:
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_cancelled_at_any_moment_everything_acknowledged_is_there(
    place: str, tmp_path: Path
) -> None:
    draw = random.Random(place)
    known: dict[str, float] = {}
    counts = {"cancelled": 0, "done": 0}

    async def one(index: AsyncIndex, number: int) -> None:
        ids = draw.sample(IDS, draw.randint(1, 5))
        kind = draw.choice(["upsert", "upsert", "delete", "search", "scan"])
        array = np.full((len(ids), 2), number, dtype=np.float32)
        calls: dict[str, Callable[[], Coroutine[Any, Any, Any]]] = {
            "upsert": lambda: index.upsert(ids, array),
            "delete": lambda: index.delete(ids),
            "search": lambda: index.search([0.0, 0.0]),
            "scan": lambda: read(index),
        }
        task = asyncio.ensure_future(calls[kind]())
        await pause(draw)
        task.cancel()
        lost = await cancelled(task)
        counts["cancelled" if lost else "done"] += 1
        # The await has ended: the array is the caller's again.
        array[:] = -1.0
        found = await state(index, ids)
        after = dict.fromkeys(ids, float(number)) if kind == "upsert" else {}
        before = {each: known[each] for each in ids if each in known}
        if kind in {"search", "scan"}:
            after = before
        assert found == after or (lost and found == before)
        known.update(found)
        for gone in set(ids) - found.keys():
            known.pop(gone, None)

    async def main() -> None:
        path = tmp_path if place == "disk" else None
        async with AsyncStore(get_backend("sklearn", path=path)) as store:
            index = await empty(store)
            for number in range(ROUNDS):
                await one(index, number)
            assert await state(index, IDS) == known
            assert await index.count() == len(known)
        if place == "disk":
            with get_backend("sklearn", path=path) as again:
                records = again.open_index("photos").fetch(IDS)
                assert dict(zip(records.ids, records.vectors[:, 0], strict=True)) == known

    asyncio.run(main())
    assert not [each for each in threading.enumerate() if each.name.startswith("vecbridge-awaited")]
    assert min(counts.values()) > ROUNDS / 20, counts


async def read(index: AsyncIndex) -> None:
    async for _ in index.scan(2):
        pass


async def state(index: AsyncIndex, ids: list[str]) -> dict[str, float]:
    records = await index.fetch(ids)
    return dict(zip(records.ids, records.vectors[:, 0].tolist(), strict=True))


async def pause(draw: random.Random) -> None:
    for _ in range(draw.choice([0, 1, 2])):
        await asyncio.sleep(0)
    if draw.random() < 0.7:
        await asyncio.sleep(draw.random() * 0.002)


def test_a_write_that_has_begun_is_waited_for() -> None:
    gate = Gate()

    async def main() -> None:
        async with AsyncStore(get_backend("sklearn")) as store:
            index = await empty(store)
            task = asyncio.ensure_future(index.upsert(gate.ids("a"), [[1, 2]]))
            await gate.entered()
            for _ in range(3):
                task.cancel("no longer wanted")
                await asyncio.sleep(0.02)
                assert not task.done()
            gate.opened.set()
            with pytest.raises(asyncio.CancelledError, match="no longer wanted"):
                await task
            assert await index.count() == 1

    asyncio.run(main())


def test_a_write_that_has_not_begun_is_never_made() -> None:
    gate = Gate()

    async def main() -> None:
        async with AsyncStore(get_backend("sklearn")) as store:
            index = await empty(store)
            first = asyncio.ensure_future(index.upsert(gate.ids("a"), [[1, 2]]))
            await gate.entered()
            second = asyncio.ensure_future(index.upsert(["b"], [[1, 2]]))
            third = asyncio.ensure_future(index.upsert(["c"], [[1, 2]]))
            await asyncio.sleep(0.01)
            second.cancel()
            # At once: nothing of it has to be waited for.
            assert await cancelled(second)
            assert not first.done()
            gate.opened.set()
            await first
            await third
            assert (await index.contains(["a", "b", "c"])).tolist() == [True, False, True]

    asyncio.run(main())


def test_an_error_of_a_cancelled_write_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = Gate()

    async def main() -> None:
        async with AsyncStore(get_backend("sklearn")) as store:
            index = await empty(store)
            task = asyncio.ensure_future(index.upsert(gate.ids("a", "a"), [[1, 2], [3, 4]]))
            await gate.entered()
            task.cancel()
            await asyncio.sleep(0)
            gate.opened.set()
            assert await cancelled(task)
            assert await index.count() == 0

    asyncio.run(main())
    assert [each for each in caplog.records if each.levelname != "DEBUG"] == []


def test_a_read_that_has_begun_is_not_waited_for() -> None:
    gate = Gate()

    async def main() -> None:
        async with AsyncStore(get_backend("sklearn"), readers=1) as store:
            index = await empty(store)
            with pytest.raises((TimeoutError, asyncio.TimeoutError)):
                await asyncio.wait_for(index.fetch(gate.ids("a")), 0.02)
            assert gate.begun.is_set()
            await index.upsert(["a"], [[1, 2]])
            gate.opened.set()
            assert await index.count() == 1

    asyncio.run(main())


def test_an_iterator_is_closed_after_the_step_it_was_in_the_middle_of() -> None:
    gate = Gate()

    def progress(*_: Any) -> None:
        list(gate.ids())

    async def main() -> None:
        async with AsyncStore(get_backend("sklearn")) as store:
            index = await empty(store)
            await index.upsert(IDS, np.arange(40).reshape(20, 2))

            async def walk() -> None:
                async for _ in index.neighbors(1, progress=progress):
                    pass

            task = asyncio.ensure_future(walk())
            await gate.entered()
            task.cancel()
            assert await cancelled(task)
            gate.opened.set()
            assert await index.count() == 20

    asyncio.run(main())


@pytest.mark.parametrize("asked", ["open_index", "create_index"])
def test_an_index_that_nobody_takes_is_closed(asked: str) -> None:
    gate = Gate()
    backend = SlowBackend(gate)
    fields: dict[str, FieldType] = {}
    level: Consistency | None = None
    if asked == "open_index":
        SklearnBackend.create_index(
            backend, "p", dimension=2, metric="cosine", fields=fields, consistency=level
        )

    async def main() -> None:
        async with AsyncStore(Store(backend), readers=1) as store:
            task = asyncio.ensure_future(
                store.open_index("p")
                if asked == "open_index"
                else store.create_index("p", dimension=2)
            )
            await gate.entered()
            task.cancel()
            await asyncio.sleep(0)
            gate.opened.set()
            assert await cancelled(task)
            # The one reader has done it by then.
            await store.index_names()
            with pytest.raises(ClosedError):
                backend.engines[0].count(Scope())

    asyncio.run(main())


def test_closing_waits_for_what_has_begun_and_refuses_the_rest() -> None:
    reading, writing = Gate(), Gate()

    async def main() -> None:
        store = AsyncStore(get_backend("sklearn"), readers=1)
        index = await empty(store)
        read = asyncio.ensure_future(index.contains(reading.ids("a")))
        write = asyncio.ensure_future(index.upsert(writing.ids("a"), [[1, 2]]))
        await reading.entered()
        await writing.entered()
        later = [asyncio.ensure_future(each) for each in (index.count(), index.delete(["a"]))]
        await asyncio.sleep(0.01)
        closing = asyncio.ensure_future(store.close())
        await asyncio.sleep(0.02)
        latest = asyncio.ensure_future(index.count())
        again = asyncio.ensure_future(store.close())
        await asyncio.sleep(0.02)
        assert not any(each.done() for each in (read, write, closing, latest, again))
        writing.opened.set()
        await write
        await asyncio.sleep(0.02)
        assert not closing.done()
        reading.opened.set()
        assert (await read).shape == (1,)
        await closing
        await again
        for each in (*later, latest):
            with pytest.raises(ClosedError):
                await each

    asyncio.run(main())


def test_closing_goes_on_where_its_await_is_cancelled() -> None:
    gate = Gate()
    backend = SklearnBackend(SklearnSettings())

    async def main() -> None:
        store = AsyncStore(Store(backend))
        index = await empty(store)
        write = asyncio.ensure_future(index.upsert(gate.ids("a"), [[1, 2]]))
        await gate.entered()
        closing = asyncio.ensure_future(store.close())
        await asyncio.sleep(0.01)
        closing.cancel()
        await asyncio.sleep(0.01)
        gate.opened.set()
        await write
        assert await cancelled(closing)
        with pytest.raises(ClosedError):
            backend.index_names()

    asyncio.run(main())


def test_a_deadline_of_anyio_ends_a_call() -> None:
    """Starlette and FastAPI cancel through anyio, again and again until the call has ended."""
    anyio: Any = pytest.importorskip("anyio")
    gate = Gate()

    async def main() -> None:
        async with AsyncStore(get_backend("sklearn")) as store:
            index = await empty(store)
            threading.Timer(0.05, gate.opened.set).start()
            with anyio.move_on_after(0.02) as scope:
                await index.upsert(gate.ids("a"), [[1, 2]])
            assert scope.cancelled_caught
            assert gate.opened.is_set()
            assert await index.count() == 1

    anyio.run(main, backend="asyncio")
