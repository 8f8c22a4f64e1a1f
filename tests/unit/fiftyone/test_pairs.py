"""Neighbours, radii and what is apart agree with the oracle, bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.oracle import oracle_distances
from vecbridge._contract._metric import METRICS, Metric
from vecbridge.fiftyone import _pairs
from vecbridge.fiftyone._duplicates import most_apart
from vecbridge.fiftyone._pairs import Pairs

pytestmark = pytest.mark.parametrize("metric", METRICS)


def hard_vectors() -> NDArray[np.float32]:
    """Copies, neighbours one rounding apart, zeros, small integers and an offset."""
    generator = np.random.default_rng(7)
    near = np.tile(generator.normal(size=9), (12, 1)).astype(np.float32)
    near[6:] = np.nextafter(near[6:], np.float32(np.inf))
    integers = generator.integers(-2, 3, size=(20, 9)).astype(np.float32)
    offset = (1000.0 + generator.normal(size=(10, 9))).astype(np.float32)
    return np.concatenate([near, np.zeros((3, 9), np.float32), integers, offset])


@pytest.fixture(params=[256 << 20, 0], ids=["kept", "computed"])
def pairs(metric: Metric, request: Any, monkeypatch: pytest.MonkeyPatch) -> Pairs:
    monkeypatch.setattr(_pairs, "_CACHE_BYTES", request.param)
    monkeypatch.setattr(_pairs, "_MOST_ROWS", 7)
    monkeypatch.setattr(_pairs, "_EXACT_PAIRS", 11)
    vectors = hard_vectors()
    ids = [f"{(37 * row) % len(vectors):02d}" for row in range(len(vectors))]
    return Pairs(metric, ids, vectors)


@pytest.fixture
def table(metric: Metric) -> NDArray[np.float64]:
    vectors = hard_vectors()
    return np.array([oracle_distances(metric, query, vectors) for query in vectors])


@pytest.mark.parametrize("k", [1, 4, 44, 100, None])
@pytest.mark.parametrize("reverse", [False, True])
def test_neighbours_are_ranked_by_distance_and_id(
    pairs: Pairs, table: NDArray[np.float64], k: int | None, reverse: bool
) -> None:
    found, dists = pairs.neighbors(k, reverse=reverse)
    sign = -1.0 if reverse else 1.0
    for row, (columns, near) in enumerate(zip(found, dists, strict=True)):
        others = [column for column in range(len(pairs)) if column != row]
        others.sort(key=lambda column: (sign * table[row, column], pairs.ids[column]))
        assert columns.tolist() == others[:k]
        assert near.tolist() == table[row, others[:k]].tolist()


def test_radius_holds_those_at_the_very_limit(pairs: Pairs, table: NDArray[np.float64]) -> None:
    for limit in [*np.unique(table[:, 3]).tolist(), -math.inf, math.inf]:
        found, dists = pairs.within(limit, return_dists=True)
        for row, (columns, near) in enumerate(zip(found, dists, strict=True)):
            expected = [at for at in range(len(pairs)) if at != row and table[row, at] <= limit]
            assert columns.tolist() == expected
            assert near.tolist() == table[row, expected].tolist()


def test_what_is_kept_is_apart_from_all_that_is_kept_before(
    pairs: Pairs, table: NDArray[np.float64]
) -> None:
    for limit in np.unique(table)[::23].tolist():
        expected: list[int] = []
        for row in range(len(pairs)):
            if not any(table[row, before] <= limit for before in expected):
                expected.append(row)
        assert pairs.apart(limit) == expected
        assert len(pairs.apart(limit, most=2)) >= min(3, len(expected))


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
