"""Indexes: made, opened, listed, dropped, independent of each other."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vecbridge import (
    METRICS,
    ClosedError,
    Index,
    IndexExistsError,
    IndexNotFoundError,
    InvalidArgumentError,
    SchemaMismatchError,
)
from vecbridge_conformance import Harness, clause, requires
from vecbridge_conformance.checks import assert_same_vectors, contents, contents_of, unchanged

BAD_NAMES = ("", "1a", "a-b", "a b", "a.b", "a/b", "\u00e9", "a\0", "x" * 256, "a;b", None, 7)
BAD_DIMENSIONS = (0, -1, 32769, 2.5, "4", True, None)
BAD_METRICS = ("l2", "COSINE", "ip", "", 7)
USES: dict[str, Callable[[Any], Any]] = {
    "upsert": lambda index: index.upsert(["a"], [[1, 2]]),
    "delete": lambda index: index.delete(["a"]),
    "fetch": lambda index: index.fetch(["a"]),
    "contains": lambda index: index.contains(["a"]),
    "count": lambda index: index.count(),
    "scan": lambda index: list(index.scan()),
    "search": lambda index: index.search([1, 2], k=1),
    "native": lambda index: index.search([1, 2], k=1, ranking="native"),
}
USES_OF_NOTHING: dict[str, Callable[[Any], Any]] = {
    "upsert": lambda index: index.upsert([], np.empty((0, 2))),
    "delete": lambda index: index.delete([]),
    "fetch": lambda index: index.fetch([]),
    "contains": lambda index: index.contains([]),
    "scan": lambda index: index.scan(),
    "search": lambda index: index.search(np.empty((0, 2)), k=1),
    "farthest": lambda index: index.farthest(np.empty((0, 2)), k=1),
    "range_search": lambda index: index.range_search(np.empty((0, 2)), 1.0),
    "neighbors": lambda index: index.neighbors(1),
}


@clause("INDEX-1", "ERR-3")
@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: repr(name)[:12])
def test_what_is_no_name_is_refused(harness: Harness, name: str) -> None:
    """Look at the client layer."""
    before = harness.store.index_names()
    with pytest.raises(InvalidArgumentError):
        harness.store.create_index(name, dimension=2)
    with pytest.raises(InvalidArgumentError):
        harness.store.open_index(name)
    assert harness.store.index_names() == before


@clause("INDEX-1", "INDEX-6")
def test_names_are_told_apart_by_case_and_may_be_long(harness: Harness) -> None:
    """Look for names that are folded, cut, or clash with the store's own."""
    tag = uuid.uuid4().hex[:8]
    names = [f"_{tag}_{'x' * 244}{last}" for last in "yYz"]
    try:
        for number, name in enumerate(names):
            index = harness.store.create_index(name, dimension=2, metric="euclidean")
            index.upsert(["a"], [[number, 0]])
        listed = harness.store.index_names()
        assert listed == sorted(listed)
        assert set(names) <= set(listed)
        for number, name in enumerate(names):
            found = harness.store.open_index(name).fetch(["a"])
            assert found.vectors[0, 0] == number, name
    finally:
        for name in set(names) & set(harness.store.index_names()):
            harness.store.drop_index(name)


@clause("INDEX-2", "CAP-6", "ERR-3")
def test_a_dimension_or_metric_that_is_none_is_refused(harness: Harness) -> None:
    """Look at the client layer."""
    before = harness.store.index_names()
    for dimension in (*BAD_DIMENSIONS, harness.capabilities.max_dimension + 1):
        with pytest.raises(InvalidArgumentError, match="dimension"):
            harness.store.create_index("conformance_bad", dimension=dimension)  # type: ignore[arg-type]
    for metric in BAD_METRICS:
        with pytest.raises(InvalidArgumentError, match="metric"):
            harness.store.create_index("conformance_bad", dimension=2, metric=metric)  # type: ignore[arg-type]
    assert harness.store.index_names() == before


@clause("INDEX-2", "CAP-6")
@pytest.mark.parametrize("dimension", [1, 4097, 32768])
def test_every_dimension_up_to_the_largest_works(harness: Harness, dimension: int) -> None:
    """Look at dimension 1 and at the largest: stores have limits of their own."""
    dimension = min(dimension, harness.capabilities.max_dimension)
    index = harness.index(dimension=dimension, metric="euclidean")
    vectors = [[1.0] * dimension, [2.0] * dimension]
    index.upsert(["a", "b"], vectors)
    assert index.search(vectors[1], k=2)[0].ids == ("b", "a")
    assert_same_vectors(index.fetch(["a"]).vectors, vectors[:1])


@clause("INDEX-3")
def test_a_taken_name_is_refused_and_what_is_there_stays(harness: Harness) -> None:
    """Look for create_index that opens, empties or replaces."""
    index = harness.index(dimension=2)
    index.upsert(["a"], [[1, 2]])
    with unchanged(index):
        for dimension in (2, 3):
            with pytest.raises(IndexExistsError, match=index.info.name):
                harness.store.create_index(index.info.name, dimension=dimension)
    assert harness.store.open_index(index.info.name).info.dimension == 2


@clause("INDEX-4", "INDEX-2")
@pytest.mark.parametrize("metric", METRICS)
def test_an_opened_index_is_what_was_created(harness: Harness, metric: Any) -> None:
    """Look at what the store keeps of metric and dimension; open must not assume."""
    index = harness.index(dimension=3, metric=metric)
    index.upsert(["a"], [[1] * 3])
    for opened in (harness.store.open_index(index.info.name), index):
        assert opened.info.name == index.info.name
        assert opened.info.dimension == 3
        assert opened.info.metric == metric
        assert dict(opened.info.fields) == {}
        assert opened.count() == 1


@requires("fields")
@clause("INDEX-4", "REC-6")
def test_an_opened_index_knows_its_fields(harness: Harness) -> None:
    """Look at what the store keeps of the fields' types."""
    fields: Any = {"b": "string", "a": "integer", "c": "float", "d": "boolean"}
    index = harness.index(dimension=2, fields=fields)
    assert dict(harness.store.open_index(index.info.name).info.fields) == fields


@clause("INDEX-4")
def test_an_unknown_name_is_not_found(harness: Harness) -> None:
    """Look for open_index that makes what it does not find."""
    name = f"absent_{uuid.uuid4().hex}"
    for attempt in (harness.store.open_index, harness.store.drop_index):
        with pytest.raises(IndexNotFoundError, match=name):
            attempt(name)
    assert name not in harness.store.index_names()


@clause("INDEX-5")
def test_another_dimension_or_metric_than_the_index_has_is_refused(harness: Harness) -> None:
    """Look at what open compares: a metric that is ignored ranks by another."""
    name = harness.index(dimension=3, metric="euclidean").info.name
    assert harness.store.open_index(name, dimension=3, metric="euclidean").info.name == name
    wrong: list[dict[str, Any]] = [{"dimension": 4}, {"metric": "cosine"}]
    for expectation in wrong:
        with pytest.raises(SchemaMismatchError):
            harness.store.open_index(name, **expectation)


@clause("INDEX-7", "INDEX-3")
def test_an_index_of_a_dropped_name_is_empty(harness: Harness) -> None:
    """Look for records, and caches of them, that outlive their index."""
    index = harness.index(dimension=2, metric="euclidean")
    name = index.info.name
    index.upsert(["a", "b"], [[1, 0], [2, 0]])
    index.search([0, 0], k=1)
    harness.store.drop_index(name)
    again = harness.store.create_index(name, dimension=3, metric="cosine")
    assert again.count() == 0
    assert again.search([0, 0, 1], k=5)[0].ids == ()
    assert again.info.dimension == 3


@clause("INDEX-7")
def test_a_dropped_index_answers_nothing_more(harness: Harness) -> None:
    """Look for an index that still answers, from a cache, after it was dropped."""
    index = harness.index(dimension=2)
    index.upsert(["a"], [[1, 2]])
    harness.store.drop_index(index.info.name)
    for use in ("fetch", "count", "search", "native"):
        with pytest.raises((IndexNotFoundError, ClosedError)):
            USES[use](index)


@clause("INDEX-7")
@pytest.mark.parametrize("dimension", [2, 3])
def test_an_index_of_before_does_not_reach_one_of_its_name(
    harness: Harness, dimension: int
) -> None:
    """Look for an index that is found by its name alone, and answers by the metric it had."""
    old = harness.index(dimension=2, metric="euclidean")
    old.upsert(["a"], [[1, 2]])
    name = old.info.name
    harness.store.drop_index(name)
    again = harness.store.create_index(name, dimension=dimension, metric="cosine")
    again.upsert(["b"], np.eye(1, dimension))
    for use in ("upsert", "delete", "fetch", "count", "search", "native"):
        with pytest.raises((IndexNotFoundError, ClosedError)):
            USES[use](old)
    assert contents(again) == contents_of("b", np.eye(1, dimension))


@clause("INDEX-8")
def test_indexes_do_not_touch_each_other(harness: Harness) -> None:
    """Look for records of several indexes in one place, told apart by too little."""
    one = harness.index(dimension=2, metric="euclidean")
    other = harness.index(dimension=2, metric="euclidean")
    one.upsert(["a", "b"], [[1, 0], [2, 0]])
    other.upsert(["b", "c"], [[3, 0], [4, 0]])
    one.delete(["b"])
    assert contents(one) == contents_of("a", [[1, 0]])
    assert contents(other) == contents_of("bc", [[3, 0], [4, 0]])
    harness.store.drop_index(one.info.name)
    assert other.search([0, 0], k=5)[0].ids == ("b", "c")


@clause("INDEX-10")
def test_a_closed_index_is_used_no_more(harness: Harness) -> None:
    """Look at every method of a closed index."""
    index = harness.index(dimension=2)
    index.upsert(["a"], [[1, 2]])
    index.close()
    index.close()
    # Behind an Index that was not closed, the engine has to know by itself.
    for wrapper in (index, Index(index.engine)):
        for use, call in USES.items():
            assert _is_refused(call, wrapper), f"{use} of a closed index answers"


@clause("INDEX-10")
@pytest.mark.parametrize("closed", ["index", "store"])
def test_what_is_closed_refuses_calls_that_ask_for_nothing(harness: Harness, closed: str) -> None:
    """Look at the client layer: it answers these without the engine."""
    store = harness.deployment.open()
    name = f"conformance_{uuid.uuid4().hex}"
    try:
        index = store.create_index(name, dimension=2)
        (index if closed == "index" else store).close()
        for use, call in USES_OF_NOTHING.items():
            assert _is_refused(call, index), f"{use} of a closed index answers"
    finally:
        store.close()
        with harness.deployment.open() as cleaner:
            if name in cleaner.index_names():
                cleaner.drop_index(name)


@clause("INDEX-10")
def test_closing_an_index_closes_no_other(harness: Harness) -> None:
    """Look at what two openings of one index share."""
    index = harness.index(dimension=2)
    index.upsert(["a"], [[1, 2]])
    harness.store.open_index(index.info.name).close()
    assert index.count() == 1


@clause("INDEX-10")
def test_a_closed_store_is_used_no_more(harness: Harness) -> None:
    """Look at the backend's methods, and at the indexes that were opened over it."""
    store = harness.deployment.open()
    name = f"conformance_{uuid.uuid4().hex}"
    index = store.create_index(name, dimension=2)
    index.upsert(["a"], [[1, 2]])
    store.close()
    store.close()
    try:
        uses: list[Callable[[], Any]] = [
            store.index_names,
            lambda: store.open_index(name),
            lambda: store.create_index(name, dimension=2),
            lambda: store.drop_index(name),
            index.count,
            lambda: index.search([1, 2]),
        ]
        for use in uses:
            with pytest.raises(ClosedError):
                use()
    finally:
        with harness.deployment.open() as cleaner:
            if name in cleaner.index_names():
                cleaner.drop_index(name)


def _is_refused(call: Callable[[Any], Any], index: Index) -> bool:
    try:
        call(index)
    except ClosedError:
        return True
    return False
