"""The types of public names, as a user's type checker infers them: mypy and pyright read this file.

It runs as well, so that what the checkers are told is also what comes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from typing_extensions import assert_type

import vecbridge
from vecbridge import (
    AsyncIndex,
    AsyncStore,
    Backend,
    Candidates,
    FieldValue,
    Filter,
    Hit,
    Hits,
    Index,
    Records,
    Scan,
    Store,
    field,
)


@pytest.fixture
def index() -> Iterator[Index]:
    with vecbridge.get_backend("sklearn") as store:
        assert_type(store, Store)
        index = store.create_index("typed", dimension=2, metric="cosine", fields={"n": "integer"})
        assert_type(index, Index)
        index.upsert(["a", "b"], [[1.0, 0.0], [0.0, 1.0]], {"n": [1, 2]})
        yield index


def test_hits(index: Index) -> None:
    answers = index.search(np.eye(2), k=1)
    assert_type(answers, list[Hits])
    hits = answers[0]
    assert_type(hits.ids, tuple[str, ...])
    assert_type(hits.distances, NDArray[np.float64])
    assert_type(hits.exact, bool)
    assert_type(hits[0], Hit)
    for hit in hits:
        assert_type(hit.id, str)
        assert_type(hit.distance, float)
    assert_type(index.search_aggregated(np.eye(2), k=1), Hits)
    assert_type(index.farthest(np.eye(2), k=1), list[Hits])
    assert_type(index.range_search(np.eye(2), 0.5), list[Hits])
    assert_type(index.candidates(np.eye(2), 1), list[Candidates])
    assert hits.ids == ("a",)
    assert hits.distances.dtype == np.float64


def test_records(index: Index) -> None:
    records = index.fetch(["a", "c"])
    assert_type(records, Records)
    assert_type(records.vectors, NDArray[np.float32])
    assert_type(records.fields, Mapping[str, Sequence[FieldValue]])
    assert_type(records.missing, tuple[str, ...])
    assert_type(index.scan(), Scan)
    assert_type(index.contains(["a"]), NDArray[np.bool_])
    assert_type(index.count(), int)
    assert records.missing == ("c",)
    assert records.vectors.dtype == np.float32


def test_whole_index(index: Index) -> None:
    assert_type(index.neighbors(1), Iterator[tuple[str, Hits]])
    assert_type(index.neighbors_within(0.5), Iterator[tuple[str, Hits]])
    assert_type(index.duplicates(0.5), dict[str, Hits])
    assert dict(index.neighbors(1))["a"].ids == ("b",)


def test_filters(index: Index) -> None:
    wanted: Filter = (field("n") >= 1) & ~field("n").is_in([2])
    assert index.search([1.0, 0.0], k=2, where=wanted)[0].ids == ("a",)


def test_names_are_literals(index: Index) -> None:
    assert_type(index.info.metric, Literal["cosine", "dotproduct", "euclidean"])
    assert_type(index.info.consistency, Literal["strong", "session", "bounded", "eventual"])
    assert index.info.metric == "cosine"


def test_a_stores_own_objects_are_reached(index: Index) -> None:
    with vecbridge.get_backend("sklearn") as store:
        assert_type(store.backend, Backend)
        assert_type(store.index_names(), list[str])
    assert_type(vecbridge.backend_names(), list[str])
    assert "sklearn" in vecbridge.backend_names()


def test_awaited_calls(index: Index) -> None:
    async def main() -> None:
        async with AsyncStore(vecbridge.get_backend("sklearn")) as store:
            assert_type(store, AsyncStore)
            made = await store.create_index("typed", dimension=2, metric="cosine")
            assert_type(made, AsyncIndex)
            assert_type(await store.open_index("typed", dimension=2), AsyncIndex)
            assert_type(await store.open_or_create_index("typed", dimension=2), AsyncIndex)
            assert_type(await store.index_names(), list[str])
            assert_type(await made.upsert(["a"], [[1.0, 0.0]]), None)
            assert_type(await made.search(np.eye(2), k=1, ranking="native"), list[Hits])
            assert_type(await made.search_aggregated(np.eye(2)), Hits)
            assert_type(await made.candidates([1.0, 0.0], 1), list[Candidates])
            assert_type(await made.fetch(["a"]), Records)
            assert_type(await made.contains(["a"]), NDArray[np.bool_])
            assert_type(await made.count(), int)
            assert_type(await made.duplicates(0.5), dict[str, Hits])
            assert_type(made.scan(batch_size=1), AsyncGenerator[Records, None])
            assert_type(made.neighbors(1), AsyncGenerator[tuple[str, Hits], None])
            async for records in made.scan():
                assert_type(records, Records)
            async with AsyncIndex(index, store) as wrapped:
                assert_type(wrapped, AsyncIndex)
                assert_type(wrapped.index, Index)
                assert await wrapped.count() == 2

    asyncio.run(main())


async def wrong_arguments_are_seen(index: AsyncIndex) -> None:
    """Not called: a type checker reads it, and would report an ignore that is not needed."""
    await index.search([1.0, 0.0], k="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await index.search([1.0, 0.0], ranks="native")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await index.search()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
