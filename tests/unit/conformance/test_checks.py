"""The model agrees with an oracle that shares no code with it, and its checks can fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import beta  # type: ignore[import-untyped]

from tests.oracle import oracle
from vecbridge import METRICS, Hits, Metric, Records
from vecbridge_conformance.checks import (
    Model,
    assert_same_bits,
    assert_same_hits,
    exact_ranking,
    recall_bound,
)
from vecbridge_conformance.data import HOSTILE_IDS

ROWS: Any = np.array([[1, 2], [1, 2], [-1, 0], [0, 0]], dtype=np.float32)


@pytest.fixture
def model() -> Model:
    filled = Model(2, "euclidean")
    filled.upsert(["d", "b", "c", "a"], ROWS)
    return filled


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("k", [1, 2, 3, 9])
def test_its_ranking_is_the_oracles(metric: Metric, k: int) -> None:
    model = Model(2, metric)
    model.upsert(["d", "b", "c", "a"], ROWS)
    query = np.array([1, 1], dtype=np.float32)
    hits = model.search(query, k)
    assert (hits.ids, hits.distances.tolist()) == oracle(metric, "dbca", ROWS, query, k)


def test_within_leaves_the_others_out(model: Model) -> None:
    assert model.search(ROWS[0], 9, within={"c", "b", "z"}).ids == ("b", "c")


def test_it_keeps_its_own_copy_and_forgets_what_is_deleted(model: Model) -> None:
    given = np.ones((1, 2), dtype=np.float32)
    model.upsert(["e"], given)
    given[:] = 7
    assert model.matrix(["e"]).tolist() == [[1, 1]]
    model.delete(["e", "unknown"])
    assert sorted(model.records) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "found",
    [
        Records(("b", "d"), ROWS[:2], missing=("z",)),
        Records(("d", "b"), ROWS[:2]),
        Records(("d", "b"), ROWS[1:3], missing=("z",)),
        Records(("d",), ROWS[:1], missing=("z",)),
    ],
    ids=["order", "missing", "vectors", "short"],
)
def test_wrong_records_are_noticed(model: Model, found: Records) -> None:
    with pytest.raises(AssertionError):
        model.check_records(found, ["d", "z", "b"])


def test_right_records_pass(model: Model) -> None:
    model.check_records(Records(("d", "b"), ROWS[:2], missing=("z",)), ["d", "z", "b"])


@pytest.mark.parametrize("rows", [[0, 1, 2], [0, 1, 2, 3, 3]], ids=["gap", "overlap"])
def test_a_wrong_scan_is_noticed(model: Model, rows: list[int]) -> None:
    batches = [Records(("dbca"[row],), ROWS[row : row + 1]) for row in rows]
    with pytest.raises(AssertionError):
        model.check_all(batches)


def test_a_right_scan_passes(model: Model) -> None:
    model.check_all([Records(("a", "d"), ROWS[[3, 0]]), Records(("c", "b"), ROWS[[2, 1]])])


def test_one_bit_makes_vectors_different() -> None:
    zero = np.zeros((1, 2), dtype=np.float32)
    with pytest.raises(AssertionError):
        assert_same_bits(-zero, zero)
    with pytest.raises(AssertionError, match="float64"):
        assert_same_bits(zero.astype(np.float64), zero)


def test_one_bit_makes_answers_different() -> None:
    one = Hits(("a",), np.array([1.0]))
    assert_same_hits(one, Hits(("a",), np.array([1.0]), exact=True))
    with pytest.raises(AssertionError, match="at rank 0"):
        assert_same_hits(one, Hits(("a",), np.nextafter(np.array([1.0]), 2)))
    with pytest.raises(AssertionError, match="the exact ranking has"):
        assert_same_hits(one, Hits(("b",), np.array([1.0])))


def test_hostile_ids_are_ids_and_distinct() -> None:
    assert all(0 < len(name.encode()) <= 512 and "\0" not in name for name in HOSTILE_IDS)
    assert len(set(HOSTILE_IDS)) == len(HOSTILE_IDS)


def test_the_exact_ranking_is_by_distance_and_id() -> None:
    vectors = [[3, 4], [0, 0], [3, 4]]
    hits = exact_ranking("euclidean", ["b", "c", "a"], vectors, [0, 0], 5)

    assert hits.ids == ("c", "a", "b")
    assert hits.distances.tolist() == [0, 5, 5]
    assert len(exact_ranking("cosine", [], np.empty((0, 2)), [1, 2], 5)) == 0


@pytest.mark.parametrize(("successes", "trials"), [(1, 10), (9, 10), (10, 10), (1950, 2000)])
@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_the_bound_is_the_quantile(successes: int, trials: int, confidence: float) -> None:
    expected = beta.ppf(1 - confidence, successes, trials - successes + 1)

    assert recall_bound(successes, trials, confidence=confidence) == pytest.approx(expected)


def test_no_success_says_nothing() -> None:
    assert recall_bound(0, 100) == 0.0


def test_more_trials_of_the_same_rate_say_more() -> None:
    assert recall_bound(95, 100) < recall_bound(950, 1000) < 0.95
