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


@pytest.fixture(params=["whole", "sketched", "in one block"])
def pairs(metric: Metric, request: Any) -> Pairs:
    budgets = PairBudgets()
    if request.param != "in one block":
        budgets = replace(budgets, block_rows=16, strip_rows=7, exact_pairs=11)
    if request.param == "sketched":
        budgets = replace(
            budgets,
            sketched_from=10,
            sketch_directions=(2,),
            sketch_share=math.inf,
            crowded=math.inf,
            doubtful_share=0.5,
        )
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


def test_another_distance_is_answered_from_what_the_first_one_told(metric: Metric) -> None:
    rng = np.random.default_rng(0)
    vectors = np.float32(rng.standard_normal((4200, 8)) @ rng.standard_normal((8, 96)))
    vectors = np.float32(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    vectors[100:110] = vectors[:10] * np.float32(1.0 - 2.0**-10)
    pairs = Pairs(metric, [f"{row:04}" for row in range(len(vectors))], vectors)
    table = np.array([oracle_distances(metric, query, vectors) for query in vectors[100:110]])
    limit = float(table[np.arange(10), np.arange(10)].max())
    copies = [*range(100, 110)]
    told: list[tuple[int, int]] = []
    kept = pairs.apart(limit, progress=lambda done, total: told.append((done, total)))
    assert kept == [row for row in range(4200) if row not in copies]
    assert told == [(1, 3), (2, 3), (3, 3), (4200, 4200)]
    before = replace(pairs.work)
    nearer = float(np.nextafter(table[np.arange(10), np.arange(10)].min(), -np.inf))
    assert pairs.apart(nearer) == [*range(4200)]
    assert pairs.apart(limit) == [row for row in range(4200) if row not in copies]
    assert pairs.work.surveys == before.surveys == 1
    looked = pairs.work.sketched_pairs + pairs.work.float32_pairs
    assert looked - before.sketched_pairs - before.float32_pairs < 2 * 100 * 100


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


def test_radii_of_ordinary_data_are_decided_by_a_sketch(metric: Metric) -> None:
    rng = np.random.default_rng(0)
    inner = rng.standard_normal((4200, 12)) @ rng.standard_normal((12, 96))
    vectors = np.float32(inner + 0.1 * rng.standard_normal(inner.shape))
    vectors[50:60] = vectors[:10] * np.float32(1.0001)
    table = np.array([oracle_distances(metric, query, vectors) for query in vectors[:60]])
    table[np.arange(60), np.arange(60)] = np.inf
    limit = float(np.partition(table.ravel(), 15)[15])
    pairs = Pairs(metric, [f"{row:04}" for row in range(len(vectors))], vectors)
    for row, (columns, near) in zip(range(60), pairs.within(limit), strict=False):
        expected = np.flatnonzero(table[row] <= limit)
        assert (columns.tolist(), near.tolist()) == (
            expected.tolist(),
            table[row, expected].tolist(),
        )
    assert pairs.work.sketched_pairs > 0
    assert pairs.work.float32_pairs == pairs.work.float64_rows == 0
