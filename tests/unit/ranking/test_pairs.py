"""Neighbours, radii and what is apart agree with the oracle, bit for bit."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.oracle import oracle_distances
from vecbridge import METRICS, Metric
from vecbridge.ranking import PairBudgets, Pairs

pytestmark = pytest.mark.parametrize("metric", METRICS)


def hard_vectors() -> NDArray[np.float32]:
    """Copies, neighbours one rounding apart, zeros, small integers and an offset."""
    generator = np.random.default_rng(7)
    near = np.tile(generator.normal(size=9), (12, 1)).astype(np.float32)
    near[6:] = np.nextafter(near[6:], np.float32(np.inf))
    integers = generator.integers(-2, 3, size=(20, 9)).astype(np.float32)
    offset = (1000.0 + generator.normal(size=(10, 9))).astype(np.float32)
    return np.concatenate([near, np.zeros((3, 9), np.float32), integers, offset])


@pytest.fixture(params=["in blocks", "in one block", "joined", "more than may be joined"])
def pairs(metric: Metric, request: Any) -> Pairs:
    budgets = PairBudgets()
    if request.param != "in one block":
        budgets = replace(budgets, block_rows=16, strip_rows=7, exact_bytes=800)
    if "joined" in request.param:
        few = 60 if request.param != "joined" else 1 << 20
        budgets = replace(budgets, joined_from=0, directions=(2,), pairs_bytes=few)
    vectors = hard_vectors()
    ids = [f"{(37 * row) % len(vectors):02d}" for row in range(len(vectors))]
    return Pairs(metric, ids, vectors, budgets=budgets)


@pytest.fixture
def table(metric: Metric) -> NDArray[np.float64]:
    vectors = hard_vectors()
    return np.array([oracle_distances(metric, query, vectors) for query in vectors])


@pytest.mark.parametrize("k", [1, 4, 44, 100, None])
@pytest.mark.parametrize("reverse", [False, True])
def test_neighbours_are_ranked_by_distance_and_id(
    pairs: Pairs, table: NDArray[np.float64], k: int | None, reverse: bool
) -> None:
    found = list(pairs.neighbors(k, farthest=reverse))
    sign = -1.0 if reverse else 1.0
    for row, (columns, near) in enumerate(found):
        others = [column for column in range(len(pairs)) if column != row]
        others.sort(key=lambda column: (sign * table[row, column], pairs.ids[column]))
        assert columns.tolist() == others[:k]
        assert near.tolist() == table[row, others[:k]].tolist()


def test_radius_holds_those_at_the_very_limit(pairs: Pairs, table: NDArray[np.float64]) -> None:
    for limit in [*np.unique(table[:, 3]).tolist(), -math.inf, math.inf]:
        found = list(pairs.within(limit))
        for row, (columns, near) in enumerate(found):
            expected = [at for at in range(len(pairs)) if at != row and table[row, at] <= limit]
            assert columns.tolist() == expected
            assert near.tolist() == table[row, expected].tolist()


@pytest.mark.parametrize("nearest_known", [False, True])
def test_what_is_kept_is_apart_from_all_that_is_kept_before(
    pairs: Pairs, table: NDArray[np.float64], nearest_known: bool
) -> None:
    if nearest_known:
        pairs.nearest()
    for limit in np.unique(table)[::23].tolist():
        expected: list[int] = []
        for row in range(len(pairs)):
            if not any(table[row, before] <= limit for before in expected):
                expected.append(row)
        assert pairs.apart(limit) == expected
        assert len(pairs.apart(limit, most=2)) >= min(3, len(expected))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("scale", [1e-40, 1e-30, 1.0, 1e30])
def test_neighbours_of_ordinary_data_are_decided_by_float32(
    metric: Metric, scale: float, reverse: bool
) -> None:
    vectors = np.random.default_rng(0).standard_normal((300, 24))
    vectors = np.float32(vectors * scale)
    told: list[tuple[int, int]] = []
    ids = [f"{row:03}" for row in range(300)]
    pairs = Pairs(metric, ids, vectors, budgets=PairBudgets(block_rows=64))
    found = list(
        pairs.neighbors(
            5, farthest=reverse, progress=lambda done, total: told.append((done, total))
        )
    )
    for row, (columns, near) in enumerate(found):
        exact = oracle_distances(metric, vectors[row], vectors)
        keys = -exact if reverse else exact
        order = np.argsort(keys, kind="stable")
        best = order[order != row][:5]
        assert (columns.tolist(), near.tolist()) == (best.tolist(), exact[best].tolist())
    assert told[-1] == (15, 15)
    # Subnormal numbers are integers, and tie.
    assert scale == 1e-40 or pairs.work.float64_rows == 0
