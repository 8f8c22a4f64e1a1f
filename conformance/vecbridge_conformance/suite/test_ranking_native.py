"""The engine's own ranking: right by id within what float32 can tell."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vecbridge import METRICS, Hits, Metric
from vecbridge.ranking import distances, norms
from vecbridge_conformance import Harness, clause
from vecbridge_conformance.checks import exact_ranking
from vecbridge_conformance.data import Data, make

EPSILON = float(np.finfo(np.float32).eps)


@clause("RANK-7", "CAND-7", "DIST-1")
@pytest.mark.parametrize("kind", ["gaussian", "small_integers", "duplicates"])
@pytest.mark.parametrize("metric", METRICS)
def test_native_answers_are_right_within_the_error_of_float32(
    harness: Harness, metric: Metric, kind: str
) -> None:
    """Look at the engine's distances one id at a time; order and membership follow from them."""
    dimension = 64
    data = make(kind, dimension, count=300, queries=20)
    index = harness.index(dimension=dimension, metric=metric)
    index.upsert(data.ids, data.vectors)
    decided = pairs = 0
    for k in (1, 10, 301):
        for query, hits in zip(
            data.queries, index.search(data.queries, k, ranking="native"), strict=True
        ):
            true = distances(metric, query, data.vectors)
            allowed = _tolerance(metric, query, data.vectors)
            _check(hits, data, true, allowed, k, complete=harness.capabilities.exact)
            ranked = np.sort(true)
            decided += int((np.diff(ranked) > 2 * float(allowed.max())).sum())
            pairs += len(ranked) - 1
    if kind == "gaussian":
        assert decided / pairs >= 0.9, f"only {decided} of {pairs} pairs can be told apart"


@clause("RANK-7", "RANK-1")
def test_a_native_answer_is_in_order_and_says_that_it_is_not_exact(harness: Harness) -> None:
    """Look at the client layer: it sorts what the engine gives by (distance, id)."""
    data = make("duplicates", 64, count=100)
    for metric in METRICS:
        index = harness.index(dimension=64, metric=metric)
        index.upsert(data.ids, data.vectors)
        for hits in index.search(data.queries, k=30, ranking="native"):
            pairs = [(hit.distance, hit.id) for hit in hits]
            assert pairs == sorted(pairs)
            assert not hits.exact
            assert np.isfinite(hits.distances).all()


@clause("RANK-7", "RANK-3")
def test_beyond_what_the_engine_takes_the_answer_is_the_exact_one(harness: Harness) -> None:
    """Look at k=None under native ranking."""
    data = make("gaussian", 64, count=50)
    index = harness.index(dimension=64, metric="cosine")
    index.upsert(data.ids, data.vectors)
    for query in data.queries:
        everything = index.search(query, k=None, ranking="native")[0]
        assert everything == exact_ranking("cosine", data.ids, data.vectors, query, 50)
        assert everything.exact


def _tolerance(
    metric: Metric, query: NDArray[np.float32], vectors: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return how far a float32 engine may be off per record: a forward bound, never relative."""
    dimension = len(query)
    lengths = norms(vectors)
    length = float(norms(query[np.newaxis])[0])
    if metric == "dotproduct":
        return dimension * EPSILON * length * lengths + 1e-30
    if metric == "cosine":
        return np.full(len(vectors), (dimension + 8) * EPSILON)
    # Engines may expand |q - v|^2, which costs the larger of the norms, and the root of it at 0.
    squared = (dimension + 8) * EPSILON * (length + lengths) ** 2
    true = distances(metric, query, vectors)
    carried = squared / np.maximum(true, np.sqrt(squared))
    return np.asarray(carried)


def _check(
    hits: Hits,
    data: Data,
    true: NDArray[np.float64],
    allowed: NDArray[np.float64],
    k: int,
    *,
    complete: bool,
) -> None:
    rows = {name: row for row, name in enumerate(data.ids)}
    assert len(set(hits.ids)) == len(hits.ids)
    chosen = [rows[name] for name in hits.ids]
    off = np.abs(hits.distances - true[chosen]) - allowed[chosen]
    assert (off <= 0).all(), (
        f"{hits.ids[int(off.argmax())]!r} is reported at {hits.distances[off.argmax()]!r} "
        f"and lies at {true[chosen][off.argmax()]!r}"
    )
    assert (np.diff(hits.distances) >= 0).all()
    if not complete:
        return
    assert len(hits) == min(k, len(rows))
    beyond_doubt = float((true[chosen] - allowed[chosen]).max())
    left_out = np.setdiff1d(np.arange(len(true)), chosen)
    nearer = left_out[true[left_out] + allowed[left_out] < beyond_doubt]
    assert len(nearer) == 0, f"{data.ids[nearer[0]]!r} is left out, and nearer than the last hit"
