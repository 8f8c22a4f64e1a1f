"""The total order, and picking the smallest of a long row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vecbridge.ranking import dot_error, float32_floor, gamma, ids_at, rank, smallest_columns


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.0, 0.5]), st.text(max_size=3)), max_size=40),
    st.integers(1, 45),
)
def test_rank_is_a_sort_by_distance_then_id(pairs: list[tuple[float, str]], k: int) -> None:
    distinct = list({name: distance for distance, name in pairs}.items())
    ids = [name for name, _ in distinct]
    table = np.array([distance for _, distance in distinct], dtype=np.float64)
    order = rank(ids, table, k).tolist()
    expected = sorted(range(len(ids)), key=lambda row: (table[row], ids[row]))[:k]
    assert order == expected
    assert rank(ids, table)[:k].tolist() == expected


def test_ids_compare_by_code_point() -> None:
    ids = ["é", "e", "Z", "\U0001f986", "\ufffd"]
    assert [ids[row] for row in rank(ids, np.zeros(5))] == ["Z", "e", "é", "\ufffd", "\U0001f986"]


@pytest.mark.parametrize("columns", [1, 5, 2048, 2049, 5000, 50_021])
@pytest.mark.parametrize("count", [1, 7, 26, 1000])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_smallest_columns_hold_the_smallest_values(columns: int, count: int, kind: type) -> None:
    rng = np.random.default_rng(columns + count)
    values: Any = rng.integers(0, 300, (3, columns)).astype(kind)
    count = min(count, columns)
    chosen = smallest_columns(values, count)
    for row, picked in zip(values, chosen, strict=True):
        assert len(set(picked.tolist())) == count
        assert sorted(row[picked].tolist()) == sorted(row.tolist())[:count]


def test_no_rows_have_no_smallest_columns() -> None:
    for columns in (5, 5000):
        assert smallest_columns(np.empty((0, columns)), 3).shape == (0, 3)


@pytest.mark.parametrize("dimension", [1, 3, 64, 513])
def test_float32_floors_lie_below_what_float32_computes(dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    for scale in (1e-15, 1.0, 1e15):
        query = (rng.standard_normal(dimension) * scale).astype(np.float32)
        rows = (rng.standard_normal((500, dimension)) * scale).astype(np.float32)
        wide_query, wide = query.astype(np.float64), rows.astype(np.float64)
        norm, largest = np.linalg.norm(wide_query), np.linalg.norm(wide, axis=1).max()
        engine = {
            "dotproduct": -(rows @ query),
            "euclidean": np.sqrt(((rows - query) ** 2).sum(axis=1)),
        }
        truth = {
            "dotproduct": -(wide @ wide_query),
            "euclidean": np.sqrt(((wide - wide_query) ** 2).sum(axis=1)),
        }
        bounds: Any = {
            "dimension": dimension,
            "query_norm": float(norm),
            "largest_norm": float(largest),
        }
        for metric in ("dotproduct", "euclidean"):
            computed = engine[metric].astype(np.float64)
            floors = float32_floor(metric, computed, **bounds)
            assert (floors <= truth[metric]).all()
            one_by_one = [float32_floor(metric, value, **bounds) for value in computed.tolist()]
            assert floors.tolist() == one_by_one


def test_bounds_say_nothing_where_float32_overflows() -> None:
    assert dot_error(8, 1e30, 1e30) == np.inf
    assert dot_error(8, 1e30, 1e30, roundoff=2.0**-53) < np.inf
    assert gamma(2**24) == np.inf
    for metric in ("cosine", "dotproduct", "euclidean"):
        for far in (np.inf, np.nan):
            floor = float32_floor(metric, far, dimension=8, query_norm=1.0, largest_norm=1.0)
            # Nothing but what the norms say.
            assert floor == pytest.approx(-1.0 if metric == "dotproduct" else 0.0, abs=1e-11)
            assert floor <= 0.0
    table = np.array([np.inf, 1.0])
    floors = float32_floor("euclidean", table, dimension=8, query_norm=1.0, largest_norm=1.0)
    assert floors[0] == 0.0
    assert 0.9 < floors[1] < 1.0


@pytest.mark.parametrize("k", [1, 10, 499, 500, 501, None])
@pytest.mark.parametrize("values", [3, 100_000])
def test_a_long_ranking_is_cut_before_it_is_sorted(k: int | None, values: int) -> None:
    rng = np.random.default_rng(values)
    table = rng.integers(0, values, 500).astype(np.float64)
    ids = [f"{number:03d}" for number in rng.permutation(500)]
    expected = sorted(range(500), key=lambda row: (table[row], ids[row]))
    assert rank(ids, table, k).tolist() == expected[:k]


@pytest.mark.parametrize("positions", [[], [2], [2, 0], [1, 1, 2, 0]])
def test_ids_at_positions_are_a_tuple_however_few(positions: list[int]) -> None:
    expected = tuple("abc"[at] for at in positions)
    assert ids_at(["a", "b", "c"], np.array(positions, dtype=np.intp)) == expected
