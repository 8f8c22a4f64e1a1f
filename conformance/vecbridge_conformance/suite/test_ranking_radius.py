"""What lies within a distance, and what is near each record: exact, itself left out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vecbridge import METRICS, Hits, InvalidArgumentError, Metric, field
from vecbridge.ranking import distance_matrix
from vecbridge_conformance import Harness, clause, requires
from vecbridge_conformance.data import make

Ranked = list[tuple[float, str]]


@clause("NEAR-1", "NEAR-2")
@pytest.mark.parametrize("kind", ["small_integers", "gaussian"])
@pytest.mark.parametrize("metric", METRICS)
def test_a_radius_holds_those_at_its_very_edge(harness: Harness, metric: Metric, kind: str) -> None:
    """Look at distances that records have exactly; the next smaller float leaves them out."""
    data = make(kind, 3, count=80)
    index = harness.index(dimension=3, metric=metric)
    index.upsert(data.ids, data.vectors)
    table = distance_matrix(metric, data.queries, data.vectors)
    edge = float(np.sort(table[0])[20])
    for radius in (edge, float(np.nextafter(edge, -math.inf)), math.inf, float(table.min()) - 1.0):
        found = index.range_search(data.queries, radius)
        for row, hits in zip(table, found, strict=True):
            _check(hits, _sorted(row, data.ids, radius), whole=harness.capabilities.exact)


@clause("NEAR-1", "SEARCH-7")
def test_a_radius_is_searched_among_the_ids_allowed(harness: Harness) -> None:
    """Look at an allow-list that holds half of the records and an unknown id."""
    data = make("gaussian", 3, count=80)
    index = harness.index(dimension=3)
    index.upsert(data.ids, data.vectors)
    row = distance_matrix("cosine", data.queries[:1], data.vectors[::2])[0]
    (hits,) = index.range_search(data.queries[0], 1.0, within=[*data.ids[::2], "unknown"])
    _check(hits, _sorted(row, data.ids[::2], 1.0), whole=harness.capabilities.exact)


@requires("fields")
@clause("NEAR-1", "SEARCH-8")
def test_a_radius_is_searched_among_the_records_that_match(harness: Harness) -> None:
    """Look at a native search by radius: the filter is easily forgotten there."""
    data = make("gaussian", 3, count=80)
    index = harness.index(dimension=3, fields={"even": "boolean"})
    index.upsert(data.ids, data.vectors, {"even": [True, False] * 40})
    row = distance_matrix("cosine", data.queries[:1], data.vectors[::2])[0]
    (hits,) = index.range_search(data.queries[0], 1.0, where=field("even") == True)  # noqa: E712
    _check(hits, _sorted(row, data.ids[::2], 1.0), whole=harness.capabilities.exact)


@clause("NEAR-2")
@pytest.mark.parametrize("radius", [math.nan, "1", None, True])
def test_a_radius_that_is_no_number_is_refused(harness: Harness, radius: object) -> None:
    """Look at each call that takes one."""
    index = harness.index(dimension=2)
    wrong: Any = radius
    calls: list[Callable[[], object]] = [
        lambda: index.range_search([1.0, 0.0], wrong),
        lambda: index.neighbors_within(wrong),
        lambda: index.duplicates(wrong),
    ]
    for call in calls:
        with pytest.raises(InvalidArgumentError, match="radius"):
            call()


@clause("NEAR-3", "NEAR-4")
@pytest.mark.parametrize("metric", METRICS)
def test_the_neighbours_of_each_record_are_the_others(harness: Harness, metric: Metric) -> None:
    """Look at copies: a record leaves itself out, never its like."""
    data = make("duplicates", 3, count=40)
    index = harness.index(dimension=3, metric=metric)
    index.upsert(data.ids, data.vectors)
    table = distance_matrix(metric, data.vectors, data.vectors)
    edge = float(np.sort(table, axis=None)[200])
    rows = {name: row for row, name in enumerate(data.ids)}
    nearest, inside = list(index.neighbors(4)), list(index.neighbors_within(edge))
    assert [name for name, _ in nearest] == [name for name, _ in inside] == sorted(data.ids)
    for (name, four), (_, near) in zip(nearest, inside, strict=True):
        others = [other for other in data.ids if other != name]
        ranked = _sorted(table[rows[name], [rows[other] for other in others]], others, math.inf)
        _check(four, ranked[:4], whole=True)
        _check(near, [pair for pair in ranked if pair[0] <= edge], whole=True)


@clause("NEAR-5")
@pytest.mark.parametrize("metric", METRICS)
def test_duplicates_are_near_a_record_that_is_kept(harness: Harness, metric: Metric) -> None:
    """Look at who is kept: in the order of ids, each record that is far from all kept before."""
    data = make("small_integers", 3, count=60)
    index = harness.index(dimension=3, metric=metric)
    index.upsert(data.ids, data.vectors)
    order = np.argsort(np.array(data.ids))
    ids, vectors = [data.ids[at] for at in order], data.vectors[order]
    table = distance_matrix(metric, vectors, vectors)
    radius = float(np.sort(table, axis=None)[300])
    kept: list[int] = []
    expected: dict[str, Ranked] = {}
    for row in range(len(ids)):
        if not kept or table[row, kept].min() > radius:
            kept.append(row)
    for row, name in enumerate(ids):
        if row not in kept:
            far, owner = min((float(table[row, other]), ids[other]) for other in kept)
            expected.setdefault(owner, []).append((far, name))
    found = index.duplicates(radius)
    assert list(found) == sorted(expected)
    for owner, hits in found.items():
        _check(hits, sorted(expected[owner]), whole=True)


def _sorted(row: NDArray[np.float64], ids: list[str], radius: float) -> Ranked:
    return sorted((far, name) for far, name in zip(row.tolist(), ids, strict=True) if far <= radius)


def _check(hits: Hits, expected: Ranked, *, whole: bool) -> None:
    found = [(hit.distance, hit.id) for hit in hits]
    if whole:
        assert hits.exact
        assert found == expected
    else:
        assert found == sorted(set(found) & set(expected))
