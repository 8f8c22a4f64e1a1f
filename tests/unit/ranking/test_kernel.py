"""The exact distance is a definition: the same bits whatever surrounds the pair."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.adversarial import DIMENSIONS, KINDS, make
from tests.oracle import oracle_distances
from vecbridge import METRICS, Metric
from vecbridge.ranking import distance_matrix, distances, norms, pair_distances


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dimension", [*DIMENSIONS, 2, 15, 16, 17, 32, 33, 512])
def test_equals_the_written_definition(metric: Metric, kind: str, dimension: int) -> None:
    data = make(kind, dimension, count=20)
    for query in data.queries:
        expected = oracle_distances(metric, query, data.vectors)
        assert distances(metric, query, data.vectors).tolist() == expected.tolist()


@pytest.mark.parametrize("metric", METRICS)
def test_batch_position_and_layout_change_nothing(metric: Metric) -> None:
    data = make("gaussian", 513, count=3000)
    together = distances(metric, data.queries[0], data.vectors)
    alone = [distances(metric, data.queries[0], row[np.newaxis])[0] for row in data.vectors[:50]]
    assert together[:50].tolist() == alone
    matrix = distance_matrix(metric, data.queries, data.vectors)
    assert matrix[0].tolist() == together.tolist()
    strided = np.repeat(data.vectors, 2, axis=0)[::2]
    assert distances(metric, data.queries[0], strided).tolist() == together.tolist()
    rows = np.repeat(data.queries[:1], len(data.vectors), axis=0)
    assert distances(metric, rows, data.vectors).tolist() == together.tolist()


@pytest.mark.parametrize("metric", METRICS)
def test_inputs_are_left_alone(metric: Metric) -> None:
    data = make("gaussian", 64)
    before = data.vectors.copy(), data.queries.copy()
    distance_matrix(metric, data.queries, data.vectors)
    assert np.array_equal(data.vectors, before[0])
    assert np.array_equal(data.queries, before[1])


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=40),
    st.data(),
)
@settings(max_examples=200, deadline=None)
def test_close_to_a_sum_in_unlimited_precision(values: list[float], data: st.DataObject) -> None:
    others = data.draw(
        st.lists(
            st.floats(width=32, allow_nan=False, allow_infinity=False),
            min_size=len(values),
            max_size=len(values),
        )
    )
    query, vector = np.array(values, np.float32), np.array(others, np.float32)
    found = -float(distances("dotproduct", query, vector[np.newaxis])[0])
    products = [float(a) * float(b) for a, b in zip(query, vector, strict=True)]
    slack = 2.0**-47 * math.fsum(abs(product) for product in products)
    assert abs(found - math.fsum(products)) <= slack


def test_a_zero_vector_is_at_cosine_distance_one() -> None:
    zero, one = np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)
    assert distances("cosine", zero[0], one).tolist() == [1.0]
    assert distances("cosine", one[0], zero).tolist() == [1.0]
    assert distances("cosine", zero[0], zero).tolist() == [1.0]


def test_no_distance_is_a_negative_zero() -> None:
    vectors = np.array([[0.0, 0.0], [-0.0, 0.0], [1.0, 0.0]], np.float32)
    found = distances("dotproduct", np.array([0.0, -1.0], np.float32), vectors)
    assert not np.signbit(found).any()


def test_norms_are_the_kernels_own() -> None:
    assert norms(np.array([[3, 4], [0, 0]], np.float32)).tolist() == [5.0, 0.0]
    assert norms(np.empty((0, 4), np.float32)).shape == (0,)


@pytest.mark.parametrize("metric", METRICS)
def test_pairs_of_known_norms_have_the_same_distances_to_the_last_bit(metric: Metric) -> None:
    rng = np.random.default_rng(5)
    left, right = (rng.standard_normal((3000, 67)).astype(np.float32) for _ in range(2))
    left[7] = right[9] = 0.0
    found = pair_distances(metric, left, right, norms(left), norms(right))
    assert found.tobytes() == distances(metric, left, right).tobytes()
