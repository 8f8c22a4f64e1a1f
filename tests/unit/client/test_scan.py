"""What is ranked by reading every record is the same in however many batches they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import vecbridge
from vecbridge import METRICS, Budgets, Index, Metric, field

RANDOM = np.random.default_rng(3)
IDS = [f"{number:02}" for number in RANDOM.permutation(60)]
VECTORS = RANDOM.standard_normal((60, 4)).astype(np.float32)
QUERIES = RANDOM.standard_normal((5, 4)).astype(np.float32)
CALLS: dict[str, Callable[[Index], Any]] = {
    "nearest": lambda index: index.search(QUERIES, None),
    "farthest": lambda index: index.farthest(QUERIES, None),
    "within": lambda index: index.search(QUERIES, None, within=IDS[::2]),
    "where": lambda index: index.search(QUERIES, None, where=field("even") == True),  # noqa: E712
    "in range": lambda index: index.range_search(QUERIES, 0.5),
    "neighbours": lambda index: list(index.neighbors(3)),
    "aggregated": lambda index: index.search_aggregated(QUERIES, 9, aggregation="post-mean"),
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_batches_do_not_show_in_a_ranking(call: Callable[[Index], Any], metric: Metric) -> None:
    with vecbridge.get_backend("sklearn") as store:
        index = store.create_index("t", dimension=4, metric=metric, fields={"even": "boolean"})
        index.upsert(IDS, VECTORS, {"even": [int(name) % 2 == 0 for name in IDS]})
        at_once = call(index)
        # Seven records per batch, ten distances at a time, and ranges by no ranking.
        small = Budgets(scan_bytes=7 * 4 * 4, table_bytes=10 * 8, range_hits=0)
        assert call(Index(index.engine, budgets=small)) == at_once


def test_a_range_for_which_every_record_was_read_is_certified() -> None:
    with vecbridge.get_backend("sklearn") as store:
        index = store.create_index("t", dimension=4, metric="euclidean")
        index.upsert(IDS, VECTORS)
        scanning = Index(index.engine, budgets=Budgets(range_hits=0))
        answers = scanning.range_search(QUERIES, 1.5)
        assert [hits.exact for hits in answers] == [True] * len(QUERIES)
