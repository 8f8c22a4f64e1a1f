"""``AsyncStore`` and ``AsyncIndex``: the same methods, awaited, the same answers and errors."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import vecbridge
from vecbridge import (
    AsyncIndex,
    AsyncStore,
    ClosedError,
    Hits,
    Index,
    IndexNotFoundError,
    InvalidArgumentError,
    InvalidIdError,
    PartialWriteError,
    Store,
    get_backend,
)

PAIRS: list[tuple[type[Any], type[Any]]] = [(Store, AsyncStore), (Index, AsyncIndex)]
ITERATORS = {"scan", "neighbors", "neighbors_within"}
VECTORS = pa.list_(pa.float32(), 2)
NOTHING = np.empty((0, 2), dtype=np.float32)
NO_TABLE = pa.table({"id": pa.array([], pa.string()), "vector": pa.array([], VECTORS)})
CALLS: dict[str, Callable[[AsyncIndex], Any]] = {
    "upsert": lambda index: index.upsert([], NOTHING),
    "upsert_table": lambda index: index.upsert_table(NO_TABLE),
    "delete": lambda index: index.delete([]),
    "update_fields": lambda index: index.update_fields([], {}),
    "partitions": lambda index: index.partitions(2),
    "fetch": lambda index: index.fetch([]),
    "contains": lambda index: index.contains([]),
    "count": lambda index: index.count(),
    "scan": lambda index: listed(index.scan()),
    "search": lambda index: index.search(NOTHING),
    "farthest": lambda index: index.farthest(NOTHING),
    "search_aggregated": lambda index: index.search_aggregated(NOTHING),
    "candidates": lambda index: index.candidates(NOTHING, 1),
    "range_search": lambda index: index.range_search(NOTHING, 1.0),
    "neighbors": lambda index: listed(index.neighbors(1)),
    "neighbors_within": lambda index: listed(index.neighbors_within(1.0)),
    "duplicates": lambda index: index.duplicates(1.0),
}
STORE_CALLS: dict[str, Callable[[AsyncStore], Any]] = {
    "create_index": lambda store: store.create_index("p", dimension=2),
    "open_index": lambda store: store.open_index("photos"),
    "open_or_create_index": lambda store: store.open_or_create_index("photos", dimension=2),
    "index_names": lambda store: store.index_names(),
    "drop_index": lambda store: store.drop_index("photos"),
}
FORKS = """
import asyncio, os, vecbridge

store = vecbridge.AsyncStore(vecbridge.get_backend("sklearn"))

async def fill():
    index = await store.create_index("p", dimension=1, metric="euclidean")
    await index.upsert(["a"], [[1.0]])
    return index

async def use(index):
    await index.upsert(["b"], [[2.0]])
    return await index.count()

index = asyncio.run(fill())
child = os.fork()
if child == 0:
    os._exit(asyncio.run(asyncio.wait_for(use(index), 20)))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


async def listed(answers: Any) -> list[Any]:
    return [each async for each in answers]


async def photos(store: AsyncStore) -> AsyncIndex:
    index = await store.create_index("photos", dimension=2, metric="euclidean")
    await index.upsert(["a", "b", "c"], [[0, 0], [1, 0], [5, 0]])
    return index


def public(kind: type[Any]) -> dict[str, Any]:
    return {
        name: getattr(kind, name)
        for name in dir(kind)
        if not name.startswith("_") and name not in {"store", "index"}
    }


def no_threads() -> bool:
    return not [each for each in threading.enumerate() if each.name.startswith("vecbridge-awaited")]


@pytest.mark.parametrize(("plain", "awaited"), PAIRS)
def test_both_have_the_same_names(plain: type[Any], awaited: type[Any]) -> None:
    assert public(awaited).keys() == public(plain).keys()


@pytest.mark.parametrize(("plain", "awaited"), PAIRS)
def test_every_method_has_the_same_arguments_and_documentation(
    plain: type[Any], awaited: type[Any]
) -> None:
    for name, method in public(plain).items():
        made = getattr(awaited, name)
        assert inspect.getdoc(made) == inspect.getdoc(method), name
        if isinstance(method, property):
            assert isinstance(made, property)
            continue
        one, other = inspect.signature(method), inspect.signature(made)
        assert one.parameters == other.parameters, name
        kind = "Async" if name in ITERATORS or one.return_annotation == "Index" else ""
        assert other.return_annotation == f"{kind}{one.return_annotation}", name
        assert made.__name__ == name
        assert inspect.iscoroutinefunction(made) != (name in ITERATORS)
        assert inspect.isasyncgenfunction(made) == (name in ITERATORS)


def test_every_operation_is_called_below() -> None:
    methods = {name for name, each in public(AsyncIndex).items() if not isinstance(each, property)}
    assert methods - {"close"} == CALLS.keys()
    methods = {name for name, each in public(AsyncStore).items() if not isinstance(each, property)}
    assert methods - {"close"} == STORE_CALLS.keys()


def test_what_comes_back_is_what_the_plain_call_gives() -> None:
    async def main() -> None:
        async with AsyncStore(get_backend("sklearn")) as store:
            index = await photos(store)
            plain = index.index
            assert repr(store) == "<AsyncStore 'sklearn'>"
            assert repr(index) == "<AsyncIndex 'photos': 2 dimensions, euclidean>"
            assert (store.name, store.backend) == ("sklearn", store.store.backend)
            assert (index.info, index.engine) == (plain.info, plain.engine)
            assert index.capabilities == plain.capabilities
            assert await index.search([0, 0], k=2) == plain.search([0, 0], k=2)
            assert await listed(index.neighbors(1)) == list(plain.neighbors(1))
            assert await index.duplicates(1.0) == plain.duplicates(1.0)
            assert [each.ids async for each in index.scan(2)] == [
                each.ids for each in plain.scan(2)
            ]
            assert await store.index_names() == ["photos"]
            async with await store.open_index("photos") as again:
                assert await again.count() == 3
            with pytest.raises(ClosedError, match="index 'photos' was closed"):
                await again.count()
            assert await index.count() == 3
            await index.delete(["a"])
            assert (await index.contains(["a", "b"])).tolist() == [False, True]
            await store.drop_index("photos")
            made = await store.open_or_create_index("photos", dimension=3)
            assert made.info.dimension == 3

    asyncio.run(main())
    assert no_threads()


def test_errors_are_the_same() -> None:
    fault = PartialWriteError("p", backend="x", operation="upsert", written=["a"], unknown=["b"])

    def ids() -> Any:
        yield "a"
        raise fault

    async def main() -> None:
        async with AsyncStore(get_backend("sklearn")) as store:
            with pytest.raises(IndexNotFoundError, match="no index named 'photos'"):
                await store.open_index("photos")
            index = await photos(store)
            with pytest.raises(InvalidArgumentError, match="k"):
                await index.search([0, 0], k=0)
            with pytest.raises(InvalidIdError):
                await index.upsert([""], [[1, 2]])
            with pytest.raises(PartialWriteError) as caught:
                await index.upsert(ids(), [[1, 2]])
            assert caught.value is fault
            with pytest.raises(InvalidArgumentError, match="batch_size"):
                await listed(index.scan(0))
            with pytest.raises(TypeError, match="kk"):
                await index.search([0, 0], kk=1)  # type: ignore[call-arg]

    asyncio.run(main())


@pytest.mark.parametrize("readers", [0, -1, "4"])
def test_how_many_reads_are_made_at_a_time_is_a_number(readers: Any) -> None:
    with get_backend("sklearn") as store, pytest.raises(InvalidArgumentError, match="readers"):
        AsyncStore(store, readers=readers)


@pytest.mark.parametrize("closed", ["index", "store"])
def test_what_was_closed_refuses_calls_with_nothing_to_do(closed: str) -> None:
    async def main() -> None:
        store = AsyncStore(get_backend("sklearn"))
        index = await photos(store)
        await (index if closed == "index" else store).close()
        for name, call in CALLS.items():
            with pytest.raises(ClosedError) as caught:
                await call(index)
            assert caught.value.operation == name
        await index.close()
        await store.close()
        await store.close()
        for ask in STORE_CALLS.values():
            with pytest.raises(ClosedError):
                await ask(store)

    asyncio.run(main())
    assert no_threads()


def test_an_iterator_ends_with_its_index() -> None:
    async def main() -> None:
        store = AsyncStore(get_backend("sklearn"))
        index = await photos(store)
        answers = index.scan(1)
        await anext(answers)
        await store.close()
        with pytest.raises(ClosedError, match="scan"):
            await anext(answers)

    asyncio.run(main())


def test_what_a_task_knows_is_known_in_the_thread() -> None:
    known = contextvars.ContextVar("known", default="nothing")
    found = []

    def ids() -> Any:
        found.append((known.get(), threading.current_thread() is threading.main_thread()))
        yield "a"

    async def ask(index: AsyncIndex, word: str) -> None:
        known.set(word)
        await index.fetch(ids())
        await listed(index.neighbors(1, within=ids()))

    async def main() -> None:
        async with AsyncStore(get_backend("sklearn")) as store:
            index = await photos(store)
            await asyncio.gather(ask(index, "one"), ask(index, "two"))

    asyncio.run(main())
    assert sorted(found) == [("one", False)] * 2 + [("two", False)] * 2


def test_a_span_of_a_task_is_the_parent_of_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)

    async def ask(index: AsyncIndex, name: str) -> None:
        with provider.get_tracer("test").start_as_current_span(name):
            await index.search([0, 0])
            await index.delete([name])
            await listed(index.scan())

    async def main() -> None:
        async with AsyncStore(get_backend("sklearn")) as store:
            index = await photos(store)
            await asyncio.gather(*(ask(index, f"request {number}") for number in range(8)))

    asyncio.run(main())
    spans = exporter.get_finished_spans()
    for number in range(8):
        (request,) = [span for span in spans if span.name == f"request {number}"]
        assert request.context is not None
        inside = {
            span.name
            for span in spans
            if span.parent and span.parent.span_id == request.context.span_id
        }
        assert inside == {"search photos", "delete photos", "scan photos"}


def test_writes_are_made_in_the_order_in_which_they_are_asked_for() -> None:
    async def main() -> None:
        async with AsyncStore(get_backend("sklearn")) as store:
            index = await photos(store)
            for _ in range(20):
                await asyncio.gather(*(index.upsert(["a"], [[number, 0]]) for number in range(10)))
                assert (await index.fetch(["a"])).vectors.tolist() == [[9, 0]]

    asyncio.run(main())


def test_a_store_serves_one_loop_after_another() -> None:
    store = AsyncStore(get_backend("sklearn"))
    index = asyncio.run(photos(store))

    async def ask() -> list[Hits]:
        return await index.search([0, 0], k=1)

    for _ in range(3):
        assert asyncio.run(ask())[0].ids == ("a",)
    asyncio.run(store.close())
    assert no_threads()


def test_a_forked_child_starts_threads_of_its_own(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKS],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "2\n", done.stderr


def test_importing_vecbridge_imports_no_event_loop() -> None:
    code = "import numpy, sys; had = 'asyncio' in sys.modules; import vecbridge; "
    code += "print(had or 'asyncio' not in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "True\n"


def test_both_are_public() -> None:
    assert {"AsyncIndex", "AsyncStore"} <= {*vecbridge.__all__}


def test_an_index_of_another_store_outlives_the_threads_it_was_given() -> None:
    async def main() -> None:
        with get_backend("sklearn") as plain:
            index = plain.create_index("photos", dimension=2)
            async with AsyncStore(get_backend("sklearn")) as store:
                awaited = AsyncIndex(index, store)
                await awaited.upsert(["a"], [[1, 2]])
            assert await awaited.count() == 1
            await awaited.delete(["a"])
            assert index.count() == 0

    asyncio.run(main())
