"""As many records as wanted are kept, and they are apart."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.oracle import oracle_distances
from tests.unit.ranking.test_pairs import hard_vectors
from vecbridge._contract._metric import METRICS, Metric
from vecbridge.fiftyone._duplicates import most_apart
from vecbridge.ranking import Pairs

pytestmark = pytest.mark.parametrize("metric", METRICS)


@pytest.fixture
def pairs(metric: Metric) -> Pairs:
    vectors = hard_vectors()
    return Pairs(
        metric, [f"{(37 * row) % len(vectors):02d}" for row in range(len(vectors))], vectors
    )


@pytest.fixture
def table(metric: Metric) -> NDArray[np.float64]:
    vectors = hard_vectors()
    return np.array([oracle_distances(metric, query, vectors) for query in vectors])


def test_as_many_are_kept_as_ties_allow(pairs: Pairs, table: NDArray[np.float64]) -> None:
    for wanted in range(1, len(pairs)):
        kept, limit = most_apart(pairs, wanted, pairs.ids)
        positions = [pairs.ids.index(name) for name in kept]
        assert len(kept) >= wanted
        apart = table[np.ix_(positions, positions)]
        assert (apart[np.triu_indices(len(kept), 1)] > limit).all()


def test_first_distance_is_tried_first(pairs: Pairs, table: NDArray[np.float64]) -> None:
    limit = float(np.median(table))
    wanted = len(pairs.apart(limit))
    assert most_apart(pairs, wanted, pairs.ids, limit)[1] == limit
