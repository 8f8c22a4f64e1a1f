"""Rankings where engines drop or lose records: zeros, extreme norms, one dimension, filters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.oracle import oracle
from vecbridge import Index, Store, field

COUNT = 300
CATS = field("label") == "cat"
FILTERS = [
    CATS,
    ~CATS & (field("size") < 100.5),
    (field("size") > 250) | (field("score") <= 3),
    field("label").is_in(["cat", 'd"og']) & (field("good") == True),  # noqa: E712
    field("size").is_in([1, 2, 3.0, 2**70, 0.5]),
    ~(field("label").is_in([])) & (field("label") >= "d") & (field("size") != 7),
    field("score") < float("inf"),
]


def test_zero_vectors_stay_findable_under_cosine(make_index: Callable[..., Index]) -> None:
    index = make_index(dimension=4, metric="cosine")
    vectors = np.random.default_rng(1).standard_normal((COUNT, 4)).astype(np.float32)
    vectors[::3] = 0.0
    ids = [f"id{number:03}" for number in range(COUNT)]
    index.upsert(ids, vectors)
    queries = np.stack([vectors[1], vectors[0], np.array([1e-30, 0, 0, 0], np.float32)])
    for k in (1, 50, 150, COUNT):
        for query, hits in zip(queries, index.search(queries, k), strict=True):
            expected, distances = oracle("cosine", ids, vectors, query, k)
            assert hits.ids == expected
            assert hits.distances.tolist() == distances
            assert hits.exact
    (native,) = index.search(vectors[1], COUNT, ranking="native")
    assert set(native.ids) == set(ids)
    assert native.distances[[name in ids[::3] for name in native.ids]] == pytest.approx(1.0)


def test_a_zero_vector_is_found_as_soon_as_it_may_be(
    make_index: Callable[..., Index], milvus_store: Store
) -> None:
    index = make_index(dimension=4, metric="cosine")
    east = np.array([1, 0, 0, 0], np.float32)
    near = east + 0.1 * np.random.default_rng(3).standard_normal((50, 4)).astype(np.float32)
    index.upsert([f"id{number:02}" for number in range(50)], near)
    # All others lie on the other side, and searches have seen that nothing is special.
    assert index.search(-east, 1, consistency="strong")[0].distances[0] > 1.5
    assert index.search(-east, 1)[0].distances[0] > 1.5
    index.upsert(["own"], np.zeros((1, 4)))
    assert index.search(-east, 1)[0].ids == ("own",)
    index.delete(["own"])
    assert index.search(-east, 1)[0].distances[0] > 1.5
    row = {"pk": "theirs", "vector": [0.0] * 4, "vecbridge_norm": 0.0}
    milvus_store.backend.client.upsert(index.info.name, [row])  # type: ignore[attr-defined]
    assert index.search(-east, 1, consistency="strong")[0].ids == ("theirs",)


@pytest.mark.parametrize("metric", ["euclidean", "dotproduct", "cosine"])
def test_a_few_giants_and_dwarfs_among_ordinary_records(
    make_index: Callable[..., Index], metric: Any
) -> None:
    index = make_index(dimension=8, metric=metric)
    vectors = np.random.default_rng(2).standard_normal((COUNT, 8)).astype(np.float32)
    vectors[:4] *= np.array([[1e36], [1e30], [1e-36], [1e-42]], np.float32)
    ids = [f"id{number:03}" for number in range(COUNT)]
    index.upsert(ids, vectors)
    for query in (vectors[0], vectors[2], vectors[3], vectors[9]):
        for k in (1, 10, COUNT + 1):
            (hits,) = index.search(query, k)
            expected, distances = oracle(metric, ids, vectors, query, k)
            assert hits.ids == expected
            assert hits.distances.tolist() == distances
            assert hits.exact


@pytest.mark.parametrize("metric", ["euclidean", "dotproduct", "cosine"])
def test_one_dimension(make_index: Callable[..., Index], metric: Any) -> None:
    index = make_index(dimension=1, metric=metric)
    assert index.info.dimension == 1
    vectors = np.array([[3], [-1], [0], [2.5]], np.float32)
    index.upsert(list("abcd"), vectors)
    assert index.fetch(["d"]).vectors.tolist() == [[2.5]]
    (hits,) = index.search([2.0], 4)
    ids, distances = oracle(metric, list("abcd"), vectors, np.array([2.0], np.float32), 4)
    assert (hits.ids, hits.distances.tolist()) == (ids, distances)


@pytest.mark.parametrize("metric", ["euclidean", "dotproduct", "cosine"])
def test_native_distances_are_the_contracts(make_index: Callable[..., Index], metric: Any) -> None:
    index = make_index(dimension=16, metric=metric)
    vectors = np.random.default_rng(3).standard_normal((COUNT, 16)).astype(np.float32) * 3
    ids = [f"id{number:03}" for number in range(COUNT)]
    index.upsert(ids, vectors)
    for query, native in zip(
        vectors[:5], index.search(vectors[:5], 20, ranking="native"), strict=True
    ):
        expected, distances = oracle(metric, ids, vectors, query, 20)
        assert native.ids == expected
        assert native.distances == pytest.approx(distances, abs=1e-4)
        assert not native.exact


@pytest.fixture(scope="module")
def labelled(make_index: Callable[..., Index]) -> Any:
    index = make_index(
        dimension=3,
        metric="euclidean",
        fields={"label": "string", "size": "integer", "score": "float", "good": "boolean"},
    )
    rng = np.random.default_rng(4)
    vectors = rng.standard_normal((COUNT, 3)).astype(np.float32)
    columns = {
        "label": rng.choice(["cat", 'd"og', "d'\\og", "日本"], COUNT).tolist(),
        "size": list(range(COUNT)),
        "score": (rng.integers(0, 40, COUNT) / 4).tolist(),
        "good": (rng.random(COUNT) < 0.5).tolist(),
    }
    ids = [f"id{number:03}" for number in range(COUNT)]
    index.upsert(ids, vectors, columns)
    return index, ids, vectors, columns


def accepted(where: Any, record: dict[str, Any]) -> Any:
    """Return whether a filter accepts one record, in plain Python."""
    match type(where).__name__:
        case "And":
            return accepted(where.left, record) and accepted(where.right, record)
        case "Or":
            return accepted(where.left, record) or accepted(where.right, record)
        case "Not":
            return not accepted(where.operand, record)
        case "OneOf":
            return record[where.name] in where.values
    value = record[where.name]
    return {
        "==": lambda: value == where.value,
        "!=": lambda: value != where.value,
        "<": lambda: value < where.value,
        "<=": lambda: value <= where.value,
        ">": lambda: value > where.value,
        ">=": lambda: value >= where.value,
    }[where.operator]()


@pytest.mark.parametrize("where", FILTERS, ids=repr)
def test_filters_mean_what_they_say(labelled: Any, where: Any) -> None:
    index, ids, vectors, columns = labelled
    records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    rows = [row for row, record in enumerate(records) if accepted(where, record)]
    assert rows
    matching = [ids[row] for row in rows]
    expected, distances = oracle("euclidean", matching, vectors[rows], vectors[5], COUNT)
    for k in (7, COUNT):
        (hits,) = index.search(vectors[5], k, where=where)
        assert hits.ids == expected[:k]
        assert hits.distances.tolist() == distances[:k]
    (both,) = index.search(vectors[5], COUNT, where=where, within=ids[:100])
    assert set(both.ids) == set(matching) & set(ids[:100])


def test_a_filter_that_matches_nothing(labelled: Any) -> None:
    index, _, vectors, _ = labelled
    for where in (field("size") > 10_000, field("label").is_in([]), field("size") == 0.5):
        assert index.search(vectors[:2], 5, where=where)[1].ids == ()
        assert index.search(vectors[:2], 5, where=where, ranking="native")[0].ids == ()


def test_an_empty_index_answers_with_nothing(make_index: Callable[..., Index]) -> None:
    index = make_index(dimension=3)
    assert index.count() == 0
    assert list(index.scan()) == []
    assert index.search([[1, 2, 3], [0, 0, 0]], 5)[0].ids == ()
    assert index.fetch(["a"]).missing == ("a",)
