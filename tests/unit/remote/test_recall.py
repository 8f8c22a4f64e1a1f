"""An approximate index is searched with the effort that its recall needs, or not at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from tests.unit.remote.shelf import Server, ShelfBackend
from vecbridge import Index, Metric, Scope, Store
from vecbridge.ranking import UNCERTIFIED

COUNT, DIMENSION = 600, 8


def filled(store: Store, metric: Metric = "euclidean") -> tuple[Index, np.ndarray]:
    vectors = np.random.default_rng(0).standard_normal((COUNT, DIMENSION)).astype(np.float32)
    index = store.create_index("t", dimension=DIMENSION, metric=metric)
    index.upsert([f"id{row}" for row in range(COUNT)], vectors)
    return index, vectors


def shares(index: Index, queries: np.ndarray, k: int) -> float:
    found = index.search(queries, k=k)
    true = index.search(queries, k=k, ranking="certified")
    return float(
        np.mean([len(set(a.ids) & set(b.ids)) / k for a, b in zip(found, true, strict=True)])
    )


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
@pytest.mark.parametrize("share", [0.3, 0.99])
def test_the_recall_that_was_asked_for_is_met(metric: Metric, share: float) -> None:
    with Store(ShelfBackend(Server(share=share))) as store:
        index, _ = filled(store, metric)
        queries = np.random.default_rng(1).standard_normal((50, DIMENSION)).astype(np.float32)
        assert shares(index, queries, 10) >= 0.9
        assert index.engine.collection.prepared == [COUNT]  # type: ignore[attr-defined]


def test_where_no_effort_meets_the_recall_every_record_is_looked_at(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Store(ShelfBackend(Server(share=0.01))) as store:
        index, vectors = filled(store)
        found = index.search(vectors[:20] + np.float32(0.01), k=10)
        assert all(hits.exact for hits in found)
        assert "recall=0.9 was asked for" in caplog.text


def test_answers_are_never_short_and_hold_zero_vectors() -> None:
    with Store(ShelfBackend(Server(share=0.3))) as store:
        index, _ = filled(store, "cosine")
        index.upsert(["zero"], np.zeros((1, DIMENSION), np.float32))
        query = np.ones(DIMENSION, np.float32)
        assert len(index.search(query, k=COUNT + 1)[0]) == COUNT + 1
        assert "zero" in index.search(query, k=COUNT - 50)[0].ids
        assert len(index.search(query, k=5, within=["zero", "id1"])[0]) == 2


@pytest.mark.parametrize("norms", [True, False])
@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
def test_a_store_that_has_its_index_alone_meets_the_recall_and_is_never_short(
    metric: Metric, norms: bool
) -> None:
    with Store(ShelfBackend(Server(share=0.3, exhaustive=False, norms=norms))) as store:
        index, _ = filled(store, metric)
        index.upsert(["zero"], np.zeros((1, DIMENSION), np.float32))
        queries = np.random.default_rng(1).standard_normal((50, DIMENSION)).astype(np.float32)
        assert shares(index, queries, 10) >= 0.9
        for k in (COUNT - 50, COUNT + 1):
            found = index.search(queries[:2], k=k)
            native = index.search(queries[:2], k=k, ranking="native")
            assert [len(hits) for hits in (*found, *native)] == 4 * [k]
            assert "zero" in found[0].ids


@pytest.mark.parametrize("exhaustive", [True, False])
def test_a_query_without_a_direction_is_answered(exhaustive: bool) -> None:
    with Store(ShelfBackend(Server(share=0.3, exhaustive=exhaustive))) as store:
        index, _ = filled(store, "cosine")
        query = np.zeros(DIMENSION, np.float32)
        (native,) = index.search(query, k=5, ranking="native")
        (hits,) = index.search(query, k=5, ranking="certified")
        assert native.distances.tolist() == hits.distances.tolist() == [1.0] * 5
        assert hits.ids == tuple(sorted(f"id{row}" for row in range(COUNT))[:5])


def test_what_the_index_finds_is_not_certified_where_no_effort_is_enough() -> None:
    with Store(ShelfBackend(Server(share=0.08, exhaustive=False))) as store:
        index, vectors = filled(store)
        (found,) = index.engine.candidates(vectors[:1], 5, Scope())
        assert 5 <= len(found.ids) < COUNT
        assert found.lower_bound == UNCERTIFIED


def test_what_was_left_out_is_not_certified_because_as_many_went_away() -> None:
    server = Server(share=0.94, exhaustive=False)
    with Store(ShelfBackend(server)) as store:
        index, vectors = filled(store)
        index.search(vectors[0], k=COUNT)
        rows = server.indexes["t"][1]
        missed: list[set[str]] = []

        def as_many_go_away(found: Sequence[str]) -> None:
            missed.append(rows.keys() - set(found))
            for name in found[: len(missed[-1])]:
                del rows[name]
            server.meanwhile = None

        server.meanwhile = as_many_go_away
        (hits,) = index.search(vectors[0], k=COUNT)
        assert missed[0]
        assert not hits.exact or missed[0] <= set(hits.ids)


def test_the_effort_is_measured_again_when_the_collection_has_grown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vecbridge.remote._recall._CHECK_S", 0.0)
    with Store(ShelfBackend(Server(share=0.99))) as store:
        index, vectors = filled(store)
        index.search(vectors[0], k=3)
        index.search(vectors[0], k=3)
        index.upsert([f"more{row}" for row in range(COUNT)], vectors + 1)
        index.search(vectors[0], k=3)
        assert index.engine.collection.prepared == [COUNT, 2 * COUNT]  # type: ignore[attr-defined]
