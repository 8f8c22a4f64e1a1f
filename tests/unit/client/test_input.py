"""Bad input is refused with its own error, before the store is touched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vecbridge
from tests.engine import make_engine
from vecbridge import Index

HOSTILE_IDS = [
    "'",
    '"',
    "\\",
    "a\nb",
    "]",
    "' or 1 == 1 or id == '",
    "🦆",
    "e\u0301",
    "\u00e9",
    " ",
    "x" * 512,
    "é" * 256,
]


@pytest.fixture
def index() -> Index:
    return Index(make_engine(2))


@pytest.mark.parametrize(
    ("ids", "error"),
    [
        ([""], vecbridge.InvalidIdError),
        (["a\0b"], vecbridge.InvalidIdError),
        ([1], vecbridge.InvalidIdError),
        ([None], vecbridge.InvalidIdError),
        ([b"a"], vecbridge.InvalidIdError),
        ("a", vecbridge.InvalidIdError),
        (["x" * 513], vecbridge.InvalidIdError),
        (["é" * 257], vecbridge.InvalidIdError),
        (["\ud800"], vecbridge.InvalidIdError),
    ],
)
def test_ids_that_no_store_could_keep(index: Index, ids: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        index.upsert(ids, [[0, 0]])
    with pytest.raises(ValueError, match="ids"):
        index.fetch(ids)
    assert index.count() == 0


@pytest.mark.parametrize(
    ("vectors", "error", "words"),
    [
        ([[0, float("nan")]], vecbridge.InvalidVectorError, "row 0 has NaN .*, the vector of 'a'"),
        ([[float("inf"), 0]], vecbridge.InvalidVectorError, "row 0 has NaN or infinity"),
        ([[1e39, 0]], vecbridge.InvalidVectorError, "too large for float32, the vector of 'a'"),
        ([["a", "b"]], vecbridge.InvalidVectorError, "real numbers"),
        ([[1j, 0]], vecbridge.InvalidVectorError, "real numbers"),
        ([[True, False]], vecbridge.InvalidVectorError, "real numbers"),
        ([[0, 0, 0]], vecbridge.DimensionError, "2 dimensions, as the index has; got 3"),
        ([0, 0], vecbridge.DimensionError, "shape"),
        ([[[0, 0]]], vecbridge.DimensionError, "shape"),
        ([[0, 0], [0]], vecbridge.DimensionError, "same length"),
    ],
)
def test_vectors_that_no_metric_could_measure(
    index: Index, vectors: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        index.upsert(["a"], vectors)
    assert index.count() == 0


@pytest.mark.parametrize("query", [[float("nan"), 0], [0, 0, 0], ["a", "b"], [[[0, 0]]]])
def test_queries_are_checked_like_vectors(index: Index, query: Any) -> None:
    with pytest.raises(vecbridge.InvalidInputError):
        index.search(query, 1)
    with pytest.raises(vecbridge.InvalidInputError):
        index.farthest(query, 1)


def test_two_equal_ids_in_a_call_write_nothing(index: Index) -> None:
    with pytest.raises(vecbridge.DuplicateIdError, match="'a'"):
        index.upsert(["a", "b", "a"], np.zeros((3, 2)))
    assert index.count() == 0


def test_one_vector_an_id(index: Index) -> None:
    with pytest.raises(vecbridge.InvalidArgumentError, match="2 ids and 1 vectors"):
        index.upsert(["a", "b"], [[0, 0]])
    assert index.count() == 0


@pytest.mark.parametrize("k", [0, -1, 1.5, "3", True])
def test_k_is_a_positive_integer(index: Index, k: Any) -> None:
    with pytest.raises(vecbridge.InvalidArgumentError, match="k must be"):
        index.search([0, 0], k)


def test_an_unknown_ranking_is_refused(index: Index) -> None:
    with pytest.raises(vecbridge.InvalidArgumentError, match="ranking"):
        index.search([0, 0], 1, ranking="fast")  # type: ignore[arg-type]


def test_filters_are_refused_where_they_are_not_declared(index: Index) -> None:
    with pytest.raises(vecbridge.UnsupportedError, match="filters") as caught:
        index.search([0, 0], 1, where=vecbridge.field("label") == "cat")
    assert caught.value.capability == "filters"


def test_fields_that_the_index_has_not_are_refused(index: Index) -> None:
    with pytest.raises(vecbridge.InvalidArgumentError, match="label"):
        index.upsert(["a"], [[0, 0]], {"label": ["cat"]})


def test_ordinary_ids_come_back_as_they_were(index: Index) -> None:
    index.upsert(HOSTILE_IDS, np.arange(2 * len(HOSTILE_IDS)).reshape(-1, 2))
    assert index.count() == len(HOSTILE_IDS)
    assert index.fetch(reversed(HOSTILE_IDS)).ids == tuple(reversed(HOSTILE_IDS))
    index.delete([HOSTILE_IDS[0]])
    assert index.contains(HOSTILE_IDS).tolist() == [False] + [True] * (len(HOSTILE_IDS) - 1)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int32, np.uint8])
def test_numbers_of_any_type_are_converted_once(index: Index, kind: Any) -> None:
    given = np.array([[1, 2]], dtype=kind)
    index.upsert(["a"], given)
    assert index.fetch(["a"]).vectors.dtype == np.float32
    assert index.fetch(["a"]).vectors.tolist() == [[1.0, 2.0]]
    assert given.dtype == kind


def test_numpy_strings_are_ids(index: Index) -> None:
    index.upsert(np.array(["a", "b"]), np.zeros((2, 2)))
    assert [type(name) for name in index.fetch(["b"]).ids] == [str]


def test_neither_input_nor_output_is_shared_with_the_store(index: Index) -> None:
    given = np.ones((1, 2), dtype=np.float32)
    index.upsert(["a"], given)
    given[:] = 7
    index.fetch(["a"]).vectors[:] = 9
    assert index.fetch(["a"]).vectors.tolist() == [[1.0, 1.0]]


def test_missing_and_repeated_ids_of_a_fetch(index: Index) -> None:
    index.upsert(["a", "b"], [[0, 0], [1, 1]])
    records = index.fetch(["b", "x", "a", "b"])
    assert records.ids == ("b", "a")
    assert records.missing == ("x",)
    assert index.contains(["b", "x", "b"]).tolist() == [True, False, True]


def test_nothing_to_do_does_nothing(index: Index) -> None:
    index.upsert([], np.empty((0, 2)))
    index.delete([])
    assert index.count() == 0
    assert index.fetch([]).ids == ()
    assert index.contains([]).tolist() == []
