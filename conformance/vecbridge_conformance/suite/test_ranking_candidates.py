"""Candidates: what an engine lists, and what it promises about the rest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vecbridge import METRICS, Candidates, Metric, Scope
from vecbridge.ranking import distances
from vecbridge_conformance import Harness, clause, requires
from vecbridge_conformance.checks import bits
from vecbridge_conformance.data import DIMENSIONS, KINDS, Data, make
from vecbridge_conformance.properties import some

COUNT = 120
KS = (1, 3, 20, COUNT - 1, COUNT, COUNT + 1)


@clause("CAND-1", "CAND-2", "CAND-3", "CAND-4")
@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("metric", METRICS)
def test_candidates_are_the_records_and_the_lower_bound_is_honest(
    harness: Harness, metric: Metric, dimension: int
) -> None:
    """Look at the error behind the lower bound: a record left out may be nearer than it says."""
    engine = harness.engine(dimension=dimension, metric=metric)
    at = DIMENSIONS.index(dimension)
    # Three at a turn: each kind has its turn with each metric and with each dimension.
    kinds = some(harness, KINDS, turn=METRICS.index(metric) + at, few=3)
    for turn, kind in enumerate(kinds, at):
        data = make(kind, dimension, count=COUNT)
        engine.upsert(data.ids, data.vectors, {})
        for k in some(harness, KS, turn=turn):
            found = engine.candidates(data.queries, k, Scope())
            assert len(found) == len(data.queries)
            for query, listed in zip(data.queries, found, strict=True):
                if listed.lower_bound == -math.inf:
                    continue
                prefix = f"{kind}, k = {k}: "
                _check_listed(listed, data, k, prefix)
                _check_bound(listed, data, metric, query, prefix)


@clause("CAND-1", "CAND-3", "CAND-4", "SEARCH-7")
@pytest.mark.parametrize("metric", METRICS)
def test_candidates_within_an_allow_list(harness: Harness, metric: Metric) -> None:
    """Look at the scope: nothing from outside, and a lower bound of what is inside."""
    data = make("gaussian", 64, count=COUNT)
    engine = harness.engine(dimension=64, metric=metric)
    engine.upsert(data.ids, data.vectors, {})
    inside = Data(data.ids[::3], data.vectors[::3], data.queries)
    listed_ids = [*inside.ids, "unknown"]
    for k in (1, 10, len(inside.ids), COUNT):
        found = engine.candidates(data.queries, k, Scope(within=listed_ids))
        for query, listed in zip(data.queries, found, strict=True):
            _check_listed(listed, inside, k, f"k = {k}: ")
            _check_bound(listed, inside, metric, query, f"k = {k}: ")


@requires("exact")
@clause("CAND-5")
@pytest.mark.parametrize("metric", METRICS)
def test_an_exact_engine_always_promises_something(harness: Harness, metric: Metric) -> None:
    """Look at the lower bound where float32 decides nothing: low and finite, not -inf."""
    engine = harness.engine(dimension=64, metric=metric)
    for kind in some(harness, KINDS, turn=METRICS.index(metric), few=3):
        data = make(kind, 64, count=COUNT)
        engine.upsert(data.ids, data.vectors, {})
        for listed in engine.candidates(data.queries, 5, Scope()):
            assert listed.lower_bound > -math.inf, kind


@requires("exact")
@clause("CAND-6", "RANK-5")
def test_the_lower_bound_usually_decides(harness: Harness) -> None:
    """Look at spare candidates and error bound: too few, too wide, and all is scanned."""
    data = make("gaussian", 64, count=1000, queries=50)
    for metric in METRICS:
        engine = harness.engine(dimension=64, metric=metric)
        engine.upsert(data.ids, data.vectors, {})
        decided = 0
        for query, listed in zip(
            data.queries, engine.candidates(data.queries, 10, Scope()), strict=True
        ):
            kth = np.sort(distances(metric, query, listed.vectors))[9]
            decided += bool(kth < listed.lower_bound)
        assert decided >= 45, f"{metric}: {decided} of 50 queries were decided"


@clause("CAND-2", "REC-8")
def test_the_vectors_of_candidates_belong_to_the_caller(harness: Harness) -> None:
    """Look for a view of the store's memory."""
    engine = harness.engine(dimension=2, metric="euclidean")
    engine.upsert(["a", "b"], np.array([[1, 2], [3, 4]], dtype=np.float32), {})
    query = np.zeros((1, 2), dtype=np.float32)
    engine.candidates(query, 2, Scope())[0].vectors[:] = 9
    assert sorted(engine.candidates(query, 2, Scope())[0].vectors.tolist()) == [[1, 2], [3, 4]]


@clause("CAND-4", "CAND-1")
def test_candidates_of_an_empty_index(harness: Harness) -> None:
    """Look at no records: nothing listed, nothing left out."""
    engine = harness.engine(dimension=3)
    for listed in engine.candidates(np.ones((2, 3), dtype=np.float32), 5, Scope()):
        assert listed.ids == ()
        assert listed.vectors.shape == (0, 3)
        if harness.capabilities.exact:
            assert listed.lower_bound == math.inf


@requires("range_search")
@clause("CAND-8", "CAND-2", "CAP-7")
@pytest.mark.parametrize("metric", METRICS)
def test_an_engine_that_finds_by_distance_lists_all_within(
    harness: Harness, metric: Metric
) -> None:
    """Look at distances that records have exactly, where rounding may lose one."""
    engine: Any = harness.engine(dimension=64, metric=metric)
    for kind in some(harness, KINDS, turn=METRICS.index(metric)):
        data = make(kind, 64, count=COUNT)
        engine.upsert(data.ids, data.vectors, {})
        for query in data.queries:
            table = distances(metric, query, data.vectors)
            radius = float(np.sort(table)[20])
            (listed,) = engine.in_range(query[np.newaxis], radius, Scope())
            _check_listed(listed, data, 0, f"{kind}: ")
            if listed.lower_bound > radius:
                inside = {data.ids[row] for row in np.flatnonzero(table <= radius).tolist()}
                assert inside <= set(listed.ids), f"{kind}: a record within is not listed"


@requires("farthest")
@clause("CAND-9", "CAND-2", "CAP-7")
@pytest.mark.parametrize("metric", METRICS)
def test_an_engine_that_lists_the_farthest_bounds_the_others(
    harness: Harness, metric: Metric
) -> None:
    """Look at the sign of the lower bound: it is one of minus the distance."""
    engine: Any = harness.engine(dimension=64, metric=metric)
    for kind in some(harness, KINDS, turn=METRICS.index(metric)):
        data = make(kind, 64, count=COUNT)
        engine.upsert(data.ids, data.vectors, {})
        for k in (1, 20, COUNT + 1):
            found = engine.far_candidates(data.queries, k, Scope())
            for query, listed in zip(data.queries, found, strict=True):
                if listed.lower_bound == -math.inf:
                    continue
                prefix = f"{kind}, k = {k}: "
                _check_listed(listed, data, k, prefix)
                _check_bound(listed, data, metric, query, prefix, farthest=True)


def _check_listed(listed: Candidates, data: Data, k: int, prefix: str) -> None:
    rows = {name: row for row, name in enumerate(data.ids)}
    assert len(set(listed.ids)) == len(listed.ids), f"{prefix}an id is listed twice"
    assert set(listed.ids) <= rows.keys(), f"{prefix}listed, and not in scope"
    assert len(listed.ids) >= min(k, len(rows)), f"{prefix}only {len(listed.ids)} are listed"
    stored = data.vectors[[rows[name] for name in listed.ids]]
    assert listed.vectors.dtype == np.float32
    assert bits(listed.vectors) == bits(stored), f"{prefix}a vector is not the stored one"


def _check_bound(
    listed: Candidates,
    data: Data,
    metric: Metric,
    query: NDArray[np.float32],
    prefix: str,
    *,
    farthest: bool = False,
) -> None:
    assert not math.isnan(listed.lower_bound)
    inside = set(listed.ids)
    out = [row for row, name in enumerate(data.ids) if name not in inside]
    if not out:
        return
    table = distances(metric, query, data.vectors[out])
    nearest = float((-table if farthest else table).min())
    assert listed.lower_bound < math.inf, (
        f"{prefix}{len(out)} records are left out, the lower bound denies it"
    )
    assert listed.lower_bound <= nearest, (
        f"{prefix}a record left out lies at {nearest!r}, the lower bound is {listed.lower_bound!r}"
    )
