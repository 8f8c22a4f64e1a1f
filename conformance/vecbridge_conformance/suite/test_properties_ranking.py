"""Properties of searching: what must hold of an answer whatever the records are."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from vecbridge import Hits, Index, field
from vecbridge.ranking import distances
from vecbridge_conformance import Harness, clause, requires
from vecbridge_conformance.checks import Model, assert_same_bits, assert_same_hits
from vecbridge_conformance.properties import (
    DIMENSION,
    Drawn,
    filled,
    for_all,
    fresh,
    ids,
    lattice,
    metrics,
    queries,
    records,
    vector,
)


def _model(metric: Any, drawn: Drawn) -> Model:
    model = Model(DIMENSION, metric)
    model.upsert(drawn.ids, drawn.vectors)
    return model


def _searches(most: int) -> dict[str, st.SearchStrategy[Any]]:
    """Return what a search is drawn from: records, queries, at most so many hits, a metric."""
    hits = st.integers(1, most)
    return {"drawn": records(), "asked": queries(), "k": hits, "metric": metrics()}


@clause("RANK-1", "RANK-2", "RANK-3", "RANK-5", "DIST-8", "SEARCH-3")
@requires("exact")
def test_an_answer_is_the_exact_ranking(harness: Harness) -> None:
    """Look at the lower bound: what is left out may be nearer, or tie with a smaller id."""

    def body(drawn: Drawn, asked: Any, k: int, metric: Any) -> None:
        model = _model(metric, drawn)
        with filled(harness, metric, drawn) as index:
            for query, hits in zip(asked, index.search(asked, k), strict=True):
                assert_same_hits(hits, model.search(query, k))
                assert hits.exact

    for_all(harness, body, **_searches(14))


@clause("SEARCH-5", "SEARCH-1")
def test_a_batch_gives_each_query_the_answer_that_it_gets_alone(harness: Harness) -> None:
    """Look at how the answers of a batch are cut apart and put in order."""

    def body(drawn: Drawn, asked: Any, k: int, metric: Any) -> None:
        with filled(harness, metric, drawn) as index:
            together = index.search(asked, k)
            assert len(together) == len(asked)
            for query, hits in zip(asked, together, strict=True):
                assert_same_hits(hits, index.search(query, k)[0])

    for_all(harness, body, **_searches(14))


@clause("SEARCH-6")
def test_an_answer_is_the_beginning_of_a_longer_one(harness: Harness) -> None:
    """Look at what the engine does with k: more spare records must not change the best."""

    def body(drawn: Drawn, asked: Any, k: int, more: int, metric: Any) -> None:
        with filled(harness, metric, drawn) as index:
            short = index.search(asked, k)
            for less, longer in zip(short, index.search(asked, k + more), strict=True):
                assert less.distances.tolist() == longer.distances[: len(less)].tolist()
                # Which of the records that tie with the last one is found is up to an
                # approximate index.
                sure = len(less) if harness.capabilities.exact else _before_the_last(less)
                assert less.ids[:sure] == longer.ids[:sure]

    for_all(harness, body, **_searches(8), more=st.integers(1, 8))


@clause("RANK-3")
@requires("exact")
def test_one_record_more_leaves_the_order_of_the_others(harness: Harness) -> None:
    """Look for an order that depends on where a record lies: a segment, a block, a cache."""

    def body(drawn: Drawn, asked: Any, metric: Any) -> None:
        before = drawn.part(range(len(drawn) - 1))
        last = drawn.ids[-1]
        with filled(harness, metric, before) as index:
            old = index.search(asked, len(drawn))
            index.upsert(drawn.ids[-1:], drawn.vectors[-1:])
            for less, more in zip(old, index.search(asked, len(drawn)), strict=True):
                assert less.ids == tuple(name for name in more.ids if name != last)

    for_all(harness, body, drawn=records(least=2), asked=queries(), metric=metrics())


@clause("RANK-4")
@requires("exact")
def test_the_order_of_insertion_makes_no_difference(harness: Harness) -> None:
    """Look at ties: they are told apart by id, never by position."""

    def body(drawn: Drawn, asked: Any, k: int, metric: Any, order: Any) -> None:
        shuffled = drawn.part(order.draw(st.permutations(range(len(drawn)))))
        with filled(harness, metric, drawn) as one, filled(harness, metric, shuffled) as other:
            for left, right in zip(one.search(asked, k), other.search(asked, k), strict=True):
                assert_same_hits(left, right)

    for_all(harness, body, **_searches(12), order=st.data())


@clause("SEARCH-7")
@requires("exact")
def test_within_is_the_full_ranking_without_the_others(harness: Harness) -> None:
    """Look at the allow-list: unknown and repeated ids, and candidates filtered too late."""

    def body(drawn: Drawn, asked: Any, k: int, others: list[str], choice: Any) -> None:
        chosen = [name for name in drawn.ids if choice.draw(st.booleans())]
        allowed = [*chosen, *others, *chosen]
        model = _model("euclidean", drawn)
        with filled(harness, "euclidean", drawn) as index:
            found = index.search(asked, k, within=allowed)
            for query, hits in zip(asked, found, strict=True):
                assert_same_hits(hits, model.search(query, k, within=set(allowed)))

    for_all(
        harness,
        body,
        drawn=records(most=24),
        asked=queries(),
        k=st.integers(1, 24),
        others=st.lists(ids(), max_size=3),
        choice=st.data(),
    )


@clause("SEARCH-8")
@requires("fields", "exact")
def test_a_filter_is_the_full_ranking_without_what_it_refuses(harness: Harness) -> None:
    """Look at how the filter is put into the store's language."""

    def body(drawn: Drawn, asked: Any, k: int, numbers: list[int], least: int) -> None:
        column = [numbers[row % len(numbers)] for row in range(len(drawn))]
        allowed = {name for name, number in zip(drawn.ids, column, strict=True) if number >= least}
        model = _model("euclidean", drawn)
        with fresh(harness, "euclidean", fields={"number": "integer"}) as index:
            index.upsert(drawn.ids, drawn.vectors, {"number": column})
            found = index.search(asked, k, where=field("number") >= least)
            for query, hits in zip(asked, found, strict=True):
                assert_same_hits(hits, model.search(query, k, within=allowed))

    for_all(
        harness,
        body,
        drawn=records(most=24),
        asked=queries(),
        k=st.integers(1, 24),
        numbers=st.lists(st.integers(0, 5), min_size=1, max_size=5),
        least=st.integers(0, 6),
    )


@clause("SEARCH-10")
@requires("exact")
def test_farthest_is_the_same_distances_the_other_way(harness: Harness) -> None:
    """Look at scan: the client layer ranks what it gives."""

    def body(drawn: Drawn, query: list[float], k: int, metric: Any) -> None:
        asked = np.array(query, dtype=np.float32)
        table = distances(metric, asked, drawn.vectors).tolist()
        expected = sorted(zip(table, drawn.ids, strict=True), key=lambda pair: (-pair[0], pair[1]))
        with filled(harness, metric, drawn) as index:
            hits = index.farthest(asked, k)[0]
            assert list(hits.ids) == [name for _, name in expected[:k]]
            assert hits.distances.tolist() == [distance for distance, _ in expected[:k]]

    for_all(harness, body, drawn=records(), query=vector(), k=st.integers(1, 13), metric=metrics())


@clause("CAND-1", "CAND-2", "CAND-3", "CAND-4")
def test_candidates_are_stored_records_and_their_lower_bound_is_true(harness: Harness) -> None:
    """Look at the error bound behind the lower bound, and at the vectors that are listed."""

    def body(drawn: Drawn, asked: Any, k: int, metric: Any) -> None:
        model = _model(metric, drawn)
        with filled(harness, metric, drawn) as index:
            for query, found in zip(asked, index.candidates(asked, k), strict=True):
                assert len(set(found.ids)) == len(found.ids) >= min(k, len(drawn))
                assert set(found.ids) <= set(drawn.ids)
                assert_same_bits(found.vectors, model.matrix(found.ids))
                left = [name for name in drawn.ids if name not in found.ids]
                true = distances(metric, query, model.matrix(left))
                assert not (true < found.lower_bound).any(), (
                    f"bound {found.lower_bound}, left out at {true}"
                )

    for_all(
        harness,
        body,
        drawn=records(least=12, most=40),
        asked=queries(),
        k=st.integers(1, 6),
        metric=metrics(),
    )


@clause("CAND-7", "DIST-1", "RANK-7")
def test_native_distances_are_on_the_scale_of_the_contract(harness: Harness) -> None:
    """Look at how the engine's values become distances: sign, square, one minus."""

    def body(drawn: Drawn, asked: Any, k: int, metric: Any) -> None:
        model = _model(metric, drawn)
        with filled(harness, metric, drawn) as index:
            for query, hits in zip(asked, index.search(asked, k, ranking="native"), strict=True):
                assert not hits.exact
                assert len(hits) == min(k, len(drawn)) == len(set(hits.ids))
                assert set(hits.ids) <= set(drawn.ids)
                true = distances(metric, query, model.matrix(hits.ids))
                # Small integers leave float32 nothing to round but the last step.
                np.testing.assert_allclose(hits.distances, true, rtol=1e-6, atol=1e-6)
                assert np.all(np.diff(hits.distances) >= 0)

    for_all(
        harness,
        body,
        drawn=records(vectors=lattice()),
        asked=queries(vectors=lattice()),
        k=st.integers(1, 14),
        metric=metrics(),
    )


@clause("SEARCH-7", "SEARCH-3")
def test_an_allow_list_finds_what_is_far_away(harness: Harness) -> None:
    """Look for an allow-list that is applied to the best few only."""
    with fresh(harness, "euclidean") as index:
        names = _far_apart(index)
        for ranking in ("exact", "native"):
            hits = index.search([0.0] * DIMENSION, 5, within=names[-5:], ranking=ranking)[0]
            assert list(hits.ids) == names[-5:]


@clause("SEARCH-8", "SEARCH-3")
@requires("fields")
def test_a_filter_finds_what_is_far_away(harness: Harness) -> None:
    """Look for a filter that is applied to the best few only."""
    with fresh(harness, "euclidean", fields={"number": "integer"}) as index:
        names = _far_apart(index)
        for ranking in ("exact", "native"):
            far = field("number") >= len(names) - 5
            hits = index.search([0.0] * DIMENSION, 5, where=far, ranking=ranking)[0]
            assert list(hits.ids) == names[-5:]


def _before_the_last(hits: Hits) -> int:
    """Return how many hits are nearer than the last one."""
    return int((hits.distances < hits.distances[-1:]).sum())


def _far_apart(index: Index) -> list[str]:
    """Fill an index with records in a row away from the origin; return ids, nearest first."""
    names = [f"id-{number:03d}" for number in range(200)]
    rows = np.arange(200, dtype=np.float32)[:, np.newaxis].repeat(DIMENSION, axis=1)
    index.upsert(names, rows, {"number": list(range(200))} if index.info.fields else None)
    return names
