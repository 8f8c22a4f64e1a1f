"""Exact ranking on top of a store that searches in float32, and drops what is no number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.adversarial import KINDS, make
from tests.oracle import oracle
from tests.unit.remote.shelf import Server, ShelfBackend
from vecbridge import Metric, Store
from vecbridge.ranking import ScoreForm

FORMS: list[tuple[Metric, ScoreForm]] = [
    ("cosine", "distance"),
    ("cosine", "similarity"),
    ("cosine", "negative"),
    ("dotproduct", "similarity"),
    ("dotproduct", "negative"),
    ("dotproduct", "one-minus"),
    ("euclidean", "distance"),
    ("euclidean", "squared"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("metric", "form"), FORMS)
def test_the_ranking_is_exact_whatever_the_form_of_the_scores(
    metric: Metric, form: ScoreForm, kind: str
) -> None:
    data = make(kind, 8)
    with Store(ShelfBackend(Server(form))) as store:
        index = store.create_index("t", dimension=8, metric=metric)
        index.upsert(data.ids, data.vectors)
        for k in (1, 7, 60):
            for hits, query in zip(index.search(data.queries, k=k), data.queries, strict=True):
                names, distances = oracle(metric, data.ids, data.vectors, query, k)
                assert hits.exact
                assert hits.ids == names
                assert hits.distances.tolist() == distances


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
def test_extreme_queries_and_records_are_ranked_exactly(metric: Metric) -> None:
    vectors = np.zeros((9, 2), np.float32)
    vectors[:, 0] = [0, 1e-44, 1e-25, 1e-10, 1, 1e10, 1e19, 1e30, 3e38]
    queries = np.array([[0, 0], [1, 0], [1e-40, 1e-41], [3e38, -3e38]], np.float32)
    ids = [f"r{row}" for row in range(9)]
    with Store(ShelfBackend(Server())) as store:
        index = store.create_index("t", dimension=2, metric=metric)
        index.upsert(ids, vectors)
        for hits, query in zip(index.search(queries, k=4), queries, strict=True):
            assert hits.exact
            assert (hits.ids, hits.distances.tolist()) == oracle(metric, ids, vectors, query, 4)


def test_more_zero_vectors_than_are_asked_for_are_ranked_by_their_ids() -> None:
    vectors: Any = np.zeros((200, 4), np.float32)
    vectors[:3, 0] = -1.0
    ids = [f"{row:03}" for row in range(200)]
    with Store(ShelfBackend(Server())) as store:
        index = store.create_index("t", dimension=4, metric="cosine")
        index.upsert(ids, vectors)
        query = np.array([1, 0, 0, 0], np.float32)
        assert index.search(query, k=30)[0].ids == tuple(ids[3:33])
        assert index.search(query, k=30, ranking="native")[0].ids[0] in ids[3:]


def test_the_native_ranking_is_never_short() -> None:
    data = make("zero_vectors", 6)
    with Store(ShelfBackend(Server())) as store:
        index = store.create_index("t", dimension=6, metric="cosine")
        index.upsert(data.ids, data.vectors)
        for k in (5, 50, 60):
            # A server finds nothing with a zero vector: everything is as far from it.
            queries = np.concatenate([data.queries, np.zeros((1, 6), np.float32)])
            found = index.search(queries, k=k, ranking="native")
            assert [len(hits) for hits in found] == [k] * 4
            assert found[-1].distances.tolist() == [1.0] * k


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
def test_pages_shorter_than_asked_for_leave_no_record_out(metric: Metric) -> None:
    data = make("mixed_norms", 6)
    server = Server(page=3)
    with Store(ShelfBackend(server)) as store:
        index = store.create_index("t", dimension=6, metric=metric)
        index.upsert(data.ids, data.vectors)
        for hits, query in zip(index.search(data.queries, k=20), data.queries, strict=True):
            assert (hits.ids, hits.distances.tolist()) == oracle(
                metric, data.ids, data.vectors, query, 20
            )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
def test_without_norms_nothing_is_certified_that_is_not_so(metric: Metric, kind: str) -> None:
    data = make(kind, 8)
    with Store(ShelfBackend(Server(norms=False))) as store:
        index = store.create_index("t", dimension=8, metric=metric)
        index.upsert(data.ids, data.vectors)
        for k in (1, 20, 60):
            native = index.search(data.queries, k=k, ranking="native")
            assert [len(hits) for hits in native] == len(data.queries) * [k]
            for hits, query in zip(index.search(data.queries, k=k), data.queries, strict=True):
                assert (hits.ids, hits.distances.tolist()) == oracle(
                    metric, data.ids, data.vectors, query, k
                )
