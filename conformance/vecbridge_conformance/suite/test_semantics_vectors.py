"""Vectors: finite float32, converted once, kept bit for bit, never shared with the caller."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vecbridge import DimensionError, InvalidVectorError
from vecbridge_conformance import Harness, clause
from vecbridge_conformance.checks import bits, unchanged

TINY, HUGE = np.finfo(np.float32).smallest_subnormal, np.finfo(np.float32).max
EXTREMES = np.array(
    [
        [0.0, -0.0, 1.0],
        [TINY, -TINY, 0.1],
        [HUGE, -HUGE, 1 / 3],
        [1e-38, 1e38, -1e-45],
        [16777216.0, 16777217.0, np.pi],
    ],
    dtype=np.float32,
)
ROWS = [[1, 2, 3], [4, 5, 6]]
FORMS: dict[str, Any] = {
    "lists": ROWS,
    "tuples": tuple(map(tuple, ROWS)),
    "int64": np.array(ROWS),
    "uint8": np.array(ROWS, dtype=np.uint8),
    "float16": np.array(ROWS, dtype=np.float16),
    "float64": np.array(ROWS, dtype=np.float64),
    "big_endian": np.array(ROWS, dtype=">f4"),
    "column_major": np.asfortranarray(np.array(ROWS, dtype=np.float32)),
    "strided": np.repeat(np.array(ROWS, dtype=np.float32), 2, axis=1)[:, ::2],
    "reversed": np.array(ROWS[::-1], dtype=np.float32)[::-1],
}
REFUSED: dict[str, tuple[Any, type[Exception]]] = {
    "nan": ([[1, 2, float("nan")]], InvalidVectorError),
    "infinity": ([[1, float("inf"), 3]], InvalidVectorError),
    "minus_infinity": ([[1, float("-inf"), 3]], InvalidVectorError),
    "overflow": ([[1, 2, 3.5e38]], InvalidVectorError),
    "text": ([["a", "b", "c"]], InvalidVectorError),
    "complex": (np.ones((1, 3), dtype=complex), InvalidVectorError),
    "too_long": ([[1, 2, 3, 4]], DimensionError),
    "too_short": ([[1, 2]], DimensionError),
    "no_dimensions": ([[]], DimensionError),
    "three_axes": (np.ones((1, 1, 3)), DimensionError),
}


@clause("REC-3", "READ-3")
def test_a_vector_comes_back_bit_for_bit(harness: Harness) -> None:
    """Look for normalising, float16, text, and a store that drops the sign of a zero."""
    for metric in ("cosine", "dotproduct", "euclidean"):
        index = harness.index(dimension=3, metric=metric)
        ids = [f"row-{row}" for row in range(len(EXTREMES))]
        index.upsert(ids, EXTREMES)
        assert bits(index.fetch(ids).vectors) == bits(EXTREMES), metric
        assert index.fetch(ids).vectors.dtype == np.float32


@clause("REC-4")
def test_anything_array_like_is_a_vector(harness: Harness) -> None:
    """Look at the client layer's conversion, and at whether the engine reads strides."""
    index = harness.index(dimension=3, metric="euclidean")
    for form, rows in FORMS.items():
        index.upsert([f"a {form}", f"b {form}"], rows)
    for form, rows in FORMS.items():
        both = [f"a {form}", f"b {form}"]
        assert index.fetch(both).vectors.tolist() == ROWS, form
        assert [hits.ids for hits in index.search(rows, k=1, within=both)] == [
            (name,) for name in both
        ]


@clause("REC-4")
def test_float64_is_rounded_to_the_nearest_float32(harness: Harness) -> None:
    """Look at the conversion: rounding, not cutting."""
    index = harness.index(dimension=2, metric="euclidean")
    exact = np.array([[0.1, 1.0 + 2.0**-24 + 2.0**-40]])
    index.upsert(["a"], exact)
    assert bits(index.fetch(["a"]).vectors) == bits(exact.astype(np.float32))
    assert index.fetch(["a"]).vectors[0, 1] == np.float32(1.0 + 2.0**-23)


@clause("REC-5", "ERR-3")
def test_what_is_no_vector_is_refused_before_anything_is_done(harness: Harness) -> None:
    """Look at the client layer; where an engine is reached, at what it wrote before it noticed."""
    index = harness.index(dimension=3)
    index.upsert(["kept"], [[1, 2, 3]])
    with unchanged(index):
        for kind, (bad, error) in REFUSED.items():
            with pytest.raises(error):
                index.upsert(["kept"], bad)
            with pytest.raises(error):
                index.search(bad, k=1)
            if kind in {"nan", "infinity", "overflow"}:
                with pytest.raises(error):
                    index.upsert(["new", "kept"], [[7, 8, 9], bad[0]])


@clause("REC-7")
def test_what_was_given_is_neither_changed_nor_kept(harness: Harness) -> None:
    """Look for normalising in place, and for an array that is kept instead of copied."""
    for metric in ("cosine", "dotproduct", "euclidean"):
        index = harness.index(dimension=2, metric=metric)
        ids, vectors = ["a", "b"], np.array([[3, 4], [0, 2]], dtype=np.float32)
        query = np.array([[3, 4]], dtype=np.float32)
        index.upsert(ids, vectors)
        index.search(query, k=2)
        assert ids == ["a", "b"]
        assert vectors.tolist() == [[3, 4], [0, 2]]
        assert query.tolist() == [[3, 4]]
        vectors[:] = 99
        ids[0] = "changed"
        assert index.fetch(["a", "b"]).vectors.tolist() == [[3, 4], [0, 2]]
        assert index.count() == 2
        if metric == "euclidean":
            assert index.search(query, k=1)[0].distances.tolist() == [0.0]


@clause("REC-8")
def test_what_was_returned_belongs_to_the_caller(harness: Harness) -> None:
    """Look for a view of the store's own memory that is given away."""
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert(["a", "b"], [[3, 4], [0, 2]])
    index.fetch(["a", "b"]).vectors[:] = 99
    for records in index.scan():
        records.vectors[:] = 99
    for candidates in index.candidates([[0, 0]], 2):
        candidates.vectors[:] = 99
    index.search([0, 0], k=2)[0].distances[:] = 99
    index.search([0, 0], k=2, ranking="native")[0].distances[:] = 99
    index.contains(["a", "b"])[:] = False
    assert index.fetch(["a", "b"]).vectors.tolist() == [[3, 4], [0, 2]]
    assert index.search([0, 0], k=2)[0].distances.tolist() == [2, 5]
    assert index.contains(["a", "b"]).tolist() == [True, True]
