"""Queries beside records, and the share of the true neighbours that is found."""

from __future__ import annotations

import numpy as np
import pytest

from vecbridge.ranking import meets_recall, queries_beside, shares_found


def test_a_query_lies_as_far_from_its_record_as_the_nearest_other() -> None:
    vectors = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)
    # The record itself, and another one of the same vector, are no neighbours that differ.
    near = [np.stack([one, one, one + np.float32(3.0), one + np.float32(0.5)]) for one in vectors]
    made = queries_beside(vectors, near)
    apart = np.linalg.norm(made.astype(np.float64) - vectors, axis=1)
    assert apart == pytest.approx([0.5 * 8**0.5] * 5, rel=1e-5)


def test_a_query_is_its_record_where_all_others_are_the_same() -> None:
    vectors = np.ones((2, 3), np.float32)
    assert (queries_beside(vectors, [vectors, vectors]) == vectors).all()


def test_queries_that_float32_cannot_hold_are_left_out() -> None:
    vectors = np.array([[3e38, 3e38], [1.0, 2.0]], np.float32)
    near = [-vectors, np.zeros((1, 2), np.float32)]
    made = queries_beside(vectors, near)
    assert np.isfinite(made).all()
    assert len(made) < 2


def test_the_share_is_of_the_true_neighbours_that_there_are() -> None:
    found = [["a", "b", "x"], ["b"], []]
    assert shares_found(found, [["a", "b", "c"], ["b"], []], 2).tolist() == [1.0, 1.0]
    assert shares_found(found, [["a", "c", "b", "d"], ["a"], []], 4).tolist() == [0.5, 0.0]


def test_a_recall_is_met_with_a_reserve_that_grows_as_queries_differ() -> None:
    assert meets_recall(np.full(20, 0.96), 0.9)
    assert not meets_recall(np.full(20, 0.91), 0.9)
    uneven = np.array([1.0] * 19 + [0.2])
    assert uneven.mean() > 0.95
    assert not meets_recall(uneven, 0.9)
    assert meets_recall(np.empty(0), 0.9)
