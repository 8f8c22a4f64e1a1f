"""What a precision decides, and what an engine's own answer is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.adversarial import make
from tests.oracle import oracle, oracle_distances
from tests.unit.torch_backend.helpers import index_of
from vecbridge import METRICS, Metric
from vecbridge.local import ExactSearch


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_centre_makes_narrow_euclidean_products_decide_offset_data(
    precision: str,
) -> None:
    data = make("offset_1000", 64, count=3000)
    index: Any = index_of(data, "euclidean", precision=precision)

    def never(*_: object) -> Any:
        raise AssertionError("float32 was asked")

    index.engine.exact = ExactSearch("euclidean", 64, products=never)
    for query, candidates in zip(data.queries, index.candidates(data.queries, 10), strict=True):
        assert len(candidates.ids) < 60
        tenth = np.sort(oracle_distances("euclidean", query, data.vectors))[9]
        assert candidates.lower_bound > tenth


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("metric", METRICS)
def test_native_answers_are_candidates_at_their_true_distances(
    metric: Metric, precision: str
) -> None:
    data = make("gaussian", 64, count=400)
    index = index_of(data, metric, precision=precision)
    for k in (5, 100):
        found = index.search(data.queries, k, ranking="native")
        for query, hits in zip(data.queries, found, strict=True):
            assert not hits.exact
            ids, distances = oracle(metric, data.ids, data.vectors, query, k)
            assert (hits.ids, hits.distances.tolist()) == (ids, distances)
