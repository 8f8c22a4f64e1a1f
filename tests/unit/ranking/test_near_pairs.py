"""Pairs within a distance are those of the definition, bit for bit, on any data."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.oracle import oracle_distances
from vecbridge import METRICS, Metric
from vecbridge.ranking import PairBudgets, Pairs, _pair_keys, distance_matrix

Vectors = NDArray[np.float32]
Table = NDArray[np.float64]

KINDS = (
    "isotropic",
    "clusters",
    "few directions",
    "bursts of copies",
    "bursts of near copies",
    "one unit in the last place apart",
    "all equal",
    "two groups",
    "a line",
    "small integers",
    "far from the origin",
    "zero vectors",
    "subnormal",
    "tiny",
    "huge",
    "norms of all sizes",
    "one long vector",
)
SMALL = PairBudgets(
    block_rows=64,
    strip_rows=16,
    exact_bytes=1 << 12,
    joined_from=0,
    tile_rows=4,
    tile_columns=7,
    directions=(1, 2, 4, 8),
)


def vectors_of(kind: str, count: int, dimension: int, seed: int) -> Vectors:
    """Return records on which bounds go wrong, of a kind."""
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((count, dimension))
    some = rng.integers(0, max(count // 10, 1), count)
    made: dict[str, Any] = {
        "clusters": lambda: 3.0 * normal[some] + rng.uniform(0.01, 1.0) * normal,
        "few directions": lambda: (
            rng.standard_normal((count, 3)) @ rng.standard_normal((3, dimension)) + 0.001 * normal
        ),
        "bursts of copies": lambda: normal[some],
        "bursts of near copies": lambda: normal[some] + 1e-7 * normal,
        "one unit in the last place apart": lambda: np.nextafter(
            np.float32(normal[:1]), np.float32(rng.choice([-9, 9], normal.shape))
        ),
        "all equal": lambda: np.tile(normal[:1], (count, 1)),
        "two groups": lambda: normal[some % 2] + 0.0001 * normal,
        "a line": lambda: np.outer(normal[:, 0], rng.standard_normal(dimension)),
        "small integers": lambda: rng.integers(-2, 3, normal.shape),
        "far from the origin": lambda: normal + 1000.0,
        "zero vectors": lambda: normal * (rng.random((count, 1)) > 0.5),
        "subnormal": lambda: normal * 1e-42,
        "tiny": lambda: normal * 1e-30,
        "huge": lambda: normal * 1e30,
        "norms of all sizes": lambda: normal * 10.0 ** rng.uniform(-30, 30, (count, 1)),
        "one long vector": lambda: normal * np.where(np.arange(count) == 1, 1e20, 1.0)[:, None],
    }
    return np.asarray(made.get(kind, lambda: normal)() if count else normal, dtype=np.float32)


def table_of(metric: Metric, vectors: Vectors) -> Table:
    """Return the distances of all pairs."""
    rows = [oracle_distances(metric, query, vectors) for query in vectors]
    return np.array(rows).reshape(len(vectors), len(vectors))


def limits_of(table: Table, rng: np.random.Generator) -> list[float]:
    """Return distances that a pair has, exactly, those beside them, and what no pair has."""
    if not table.size:
        return [0.0]
    values = np.unique(table)
    pair, near = rng.choice(values), rng.choice(values[: len(values) // 50 + 1])
    return [0.0, float(pair), float(near), float(np.nextafter(near, -np.inf))]


def check(pairs: Pairs, table: Table, limit: float) -> None:
    """Compare what is within a distance, and what follows, with the definition."""
    everyone = list(pairs.within(limit))
    assert len(everyone) == len(table)
    for row, (others, distances) in enumerate(everyone):
        expected = np.flatnonzero(table[row] <= limit)
        expected = expected[expected != row]
        assert others.tolist() == expected.tolist()
        assert distances.tobytes() == table[row, expected].tobytes()
    kept: list[int] = []
    for row in range(len(table)):
        if not (table[row, kept] <= limit).any():
            kept.append(row)
    assert pairs.apart(limit) == kept
    gone = np.setdiff1d(np.arange(len(table)), kept)
    rows, owners, distances = pairs.nearest_among(kept, limit)
    assert rows.tolist() == gone.tolist()
    if len(gone):
        best = table[gone][:, kept].argmin(axis=1)
        assert owners.tolist() == np.array(kept)[best].tolist()
        assert distances.tobytes() == table[gone, owners].tobytes()


def pairs_of(metric: Metric, vectors: Vectors, budgets: PairBudgets) -> Pairs:
    return Pairs(metric, [f"{row:05}" for row in range(len(vectors))], vectors, budgets=budgets)


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from(KINDS),
    count=st.sampled_from([0, 1, 2, 3, 30, 130]),
    dimension=st.sampled_from([1, 2, 3, 5, 8, 16, 33, 64]),
    seed=st.integers(0, 2**32 - 1),
    pairs_bytes=st.sampled_from([0, 400, 1 << 20]),
)
def test_any_data_and_any_distance(
    metric: Metric, kind: str, count: int, dimension: int, seed: int, pairs_bytes: int
) -> None:
    vectors = vectors_of(kind, count, dimension, seed)
    table = table_of(metric, vectors)
    for limit in limits_of(table, np.random.default_rng(seed)):
        budgets = replace(SMALL, pairs_bytes=pairs_bytes)
        check(pairs_of(metric, vectors, budgets), table, limit)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["isotropic", "clusters", "a line", "bursts of near copies"])
def test_cells_of_several_tiles(metric: Metric, kind: str) -> None:
    vectors = vectors_of(kind, 2600, 24, 0)
    # Most records are in one cell.
    vectors[:1800] = vectors[0] + np.float32(0.01) * vectors[:1800]
    table = distance_matrix(metric, vectors, vectors)
    pairs = pairs_of(metric, vectors, PairBudgets(joined_from=0, tile_rows=64))
    limit = float(np.partition(table.ravel(), 40_000)[40_000])
    check(pairs, table, limit)
    assert pairs.work.joins == 1
    # A smaller distance is answered from what the larger one told.
    check(pairs, table, float(np.partition(table.ravel(), 9_000)[9_000]))
    assert pairs.work.joins == 1
    assert pairs.work.float32_pairs == 0


@pytest.mark.parametrize("metric", METRICS)
def test_few_pairs_take_few_products(metric: Metric) -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((60, 10)) @ rng.standard_normal((10, 128))
    vectors = centres[rng.integers(0, 60, 6000)] + 0.1 * rng.standard_normal((6000, 128))
    vectors[100:110] = vectors[:10] * (1.0 - 1e-4)
    # Of one length, since a long vector has large dot products with all others.
    vectors = np.float32(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    pairs = pairs_of(metric, vectors, PairBudgets())
    near = oracle_distances(metric, vectors[0], vectors)
    told: list[tuple[int, int]] = []
    limit = float(near[100])
    found = list(pairs.within(limit, progress=lambda done, total: told.append((done, total))))
    assert found[0][0].tolist() == np.flatnonzero(near <= limit)[1:].tolist()
    assert [done for done, _ in told] == [*range(1, told[-1][1] + 1)]
    work, every = pairs.work, 6000 * 5999 // 2
    assert work.joined_pairs < every / 4
    assert work.joined_products < every * 128 / 16
    assert work.float32_pairs == work.float64_rows == 0


def test_of_too_many_pairs_the_records_in_one_are_compared_with_each_other() -> None:
    vectors = np.random.default_rng(0).standard_normal((3000, 32), dtype=np.float32)
    vectors[500:600] = vectors[500]
    table = distance_matrix("cosine", vectors, vectors)
    pairs = pairs_of("cosine", vectors, PairBudgets(joined_from=0, pairs_bytes=32 * 1000))
    check(pairs, table, 1e-6)
    # Twice for its answers and once for what is kept, not all with all.
    assert pairs.work.float32_pairs < 5 * 100 * 100


@pytest.mark.parametrize("weakened", ["reach", "slack", "errors"])
def test_a_weaker_bound_would_be_noticed(weakened: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = _pair_keys.PairKeys
    if weakened == "reach":
        reach_of = keys.reach_of
        monkeypatch.setattr(keys, "reach_of", lambda *given: 0.999 * reach_of(*given))
    else:
        make = keys.__init__

        def made(self: Any, *given: Any) -> None:
            make(self, *given)
            if weakened == "slack":
                self.slack = -(2.0**-18) * self.largest
            else:
                self.errors -= 2.0**-18

        monkeypatch.setattr(keys, "__init__", made)
    vectors = vectors_of("a line", 130, 8, 1)
    table = table_of("euclidean", vectors)
    with pytest.raises(AssertionError):  # noqa: PT012
        for limit in np.unique(table)[1:4000:200].tolist():
            check(pairs_of("euclidean", vectors, SMALL), table, limit)


@pytest.mark.parametrize("limit", [-math.inf, math.inf, -1e308, 1e308])
@pytest.mark.parametrize("metric", METRICS)
def test_no_distance_is_beyond(metric: Metric, limit: float) -> None:
    vectors = vectors_of("norms of all sizes", 40, 8, 0)
    check(pairs_of(metric, vectors, SMALL), table_of(metric, vectors), limit)
