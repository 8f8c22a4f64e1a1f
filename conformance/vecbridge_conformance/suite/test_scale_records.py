"""Ten thousand records: batches, pages and long lists that small examples never reach."""

from __future__ import annotations

import tracemalloc

import numpy as np

from vecbridge import Index
from vecbridge_conformance import Harness, clause, requires
from vecbridge_conformance.checks import Model, assert_same_hits

_COUNT = 10_000
_DIMENSION = 32
_WIDE = 256
_PAGE = 250


def _large(harness: Harness, dimension: int = _DIMENSION) -> tuple[Index, Model]:
    """Return an index of records of which some are alike, and the model of it."""
    rng = np.random.default_rng(20_261_122)
    vectors = rng.standard_normal((_COUNT, dimension)).astype(np.float32)
    vectors[::10] = vectors[5::10]
    ids = [f"record-{number:05d}" for number in rng.permutation(_COUNT)]
    model = Model(dimension, "cosine")
    model.upsert(ids, vectors)
    index = harness.index(dimension=dimension, metric="cosine", consistency="strong")
    index.upsert(ids, vectors)
    return index, model


@clause("WRITE-4", "READ-5", "WRITE-5", "READ-1")
def test_a_large_write_arrives_whole_and_a_large_delete_too(harness: Harness) -> None:
    """Look at batches, and at limits of what one request may hold or return."""
    index, model = _large(harness)
    assert index.count() == _COUNT
    names = sorted(model.records)
    asked = [*names[::-7], "missing"]
    model.check_records(index.fetch(asked), asked)
    index.delete(names[::2])
    model.delete(names[::2])
    assert index.count() == _COUNT // 2
    there = index.contains(names)
    wrong = [
        name
        for name, is_there in zip(names, there, strict=True)
        if is_there != (name in model.records)
    ]
    assert not wrong


@clause("RANK-3", "SEARCH-5", "SEARCH-6")
@requires("exact")
def test_many_queries_get_the_exact_ranking(harness: Harness) -> None:
    """Look at limits of queries in one request, and at ties among many records."""
    index, model = _large(harness)
    rng = np.random.default_rng(7)
    queries = rng.standard_normal((60, _DIMENSION)).astype(np.float32)
    # Queries that are records, among which are equal ones.
    queries[:20] = model.matrix(sorted(model.records)[:20])
    found = index.search(queries, 10)
    for position in range(60):
        assert_same_hits(found[position], model.search(queries[position], 10))
    for position in (0, 59):
        assert_same_hits(
            index.search(queries[position], 2_000)[0], model.search(queries[position], 2_000)
        )


@clause("SEARCH-3", "SEARCH-4", "SEARCH-10", "CAP-5")
def test_everything_can_be_ranked(harness: Harness) -> None:
    """Look at scan beyond one page."""
    index, model = _large(harness)
    query = np.ones(_DIMENSION, dtype=np.float32)
    everything = index.search(query, None)[0]
    assert_same_hits(everything, model.search(query, None))
    farthest = index.farthest(query, 3)[0]
    assert farthest.distances.tolist() == everything.distances[::-1][:3].tolist()
    assert len(index.search(query, _COUNT + 1)[0]) == _COUNT


@clause("SEARCH-7", "CAP-5")
@requires("exact")
def test_a_long_allow_list_keeps_its_tail(harness: Harness) -> None:
    """Look at max_within: is it the store's real ceiling?"""
    index, model = _large(harness)
    names = sorted(model.records)
    allowed = [*names[1::2], "missing"]
    query = model.records[names[0]]
    assert_same_hits(
        index.search(query, 20, within=allowed)[0], model.search(query, 20, within=set(allowed))
    )


@clause("READ-6", "READ-7")
def test_a_scan_visits_everything_once_in_little_memory(harness: Harness) -> None:
    """Look for a scan that fetches everything before it gives the first page."""
    # Wide vectors, beside which a list of every id is small.
    index, model = _large(harness, _WIDE)
    left = set(model.records)
    index.count()
    tracemalloc.start()
    try:
        for records in index.scan(_PAGE):
            assert 0 < len(records) <= _PAGE
            assert left.issuperset(records.ids)
            left.difference_update(records.ids)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert not left
    vectors = 4 * _COUNT * _WIDE
    assert peak < vectors / 2, f"a scan of {vectors} bytes of vectors in pages held {peak} bytes"
