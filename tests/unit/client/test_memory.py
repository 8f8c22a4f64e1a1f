"""Answers to many queries at once do not need memory for every pair of query and record."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from tests.engine import make_engine
from vecbridge import Budgets, Index

RECORDS, QUERIES = 20_000, 800
EVERY_PAIR = RECORDS * QUERIES * 8


@pytest.mark.parametrize(
    "ask",
    [
        lambda index, queries: index.farthest(queries, 3),
        lambda index, queries: index.range_search(queries, 1e-6),
        lambda index, queries: index.search_aggregated(queries, 3, aggregation="post-max"),
    ],
    ids=["ranking", "radius", "aggregation"],
)
def test_distances_of_every_pair_are_never_kept(
    ask: Callable[[Index, np.ndarray], object],
) -> None:
    random = np.random.default_rng(3)
    index = Index(make_engine(1), budgets=Budgets(range_hits=0))
    index.upsert([str(row) for row in range(RECORDS)], random.random((RECORDS, 1)))
    queries = random.random((QUERIES, 1)).astype(np.float32)
    tracemalloc.start()
    try:
        ask(index, queries)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < EVERY_PAIR
