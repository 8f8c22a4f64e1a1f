"""Input that has to be refused before any engine sees it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.engine import make_engine
from vecbridge import (
    Index,
    InvalidArgumentError,
    InvalidIdError,
    InvalidVectorError,
    SchemaMismatchError,
    get_backend,
)


def test_masked_values_are_refused_and_a_mask_of_nothing_is_not() -> None:
    index = get_backend("sklearn").create_index("t", dimension=2)
    with pytest.raises(InvalidVectorError, match="masked"):
        index.upsert(["a"], np.ma.masked_greater([[1.0, 5.0]], 2.0))
    assert index.count() == 0
    index.upsert(["a"], np.ma.masked_greater([[1.0, 5.0]], 9.0))
    with pytest.raises(InvalidVectorError, match="queries must not have masked"):
        index.search(np.ma.masked_greater([1.0, 5.0], 2.0))


def test_what_has_no_order_is_no_column() -> None:
    index = get_backend("sklearn").create_index("ordered", dimension=1, fields={"n": "integer"})
    with pytest.raises(InvalidIdError, match="give a list"):
        index.upsert({"a", "b"}, [[1], [2]], {"n": [1, 2]})
    with pytest.raises(InvalidArgumentError, match="in a sequence"):
        index.upsert(["a", "b"], [[1], [2]], {"n": frozenset({1, 2})})  # type: ignore[dict-item]
    assert index.count() == 0
    index.upsert({"a": 0, "b": 0}.keys(), [[1], [2]], {"n": [1, 2]})
    index.delete({"a"})
    assert index.search([1], within={"a", "b"})[0].ids == ("b",)


def test_a_radius_beyond_every_float_is_one() -> None:
    index = get_backend("sklearn").create_index("far", dimension=1, metric="dotproduct")
    index.upsert(["a"], [[1]])
    assert index.range_search([1], 10**400)[0].ids == ("a",)
    assert index.range_search([1], -(10**400))[0].ids == ()


def test_an_index_that_exists_with_other_fields_is_not_opened_for_these() -> None:
    store = get_backend("sklearn")
    store.create_index("one", dimension=1, fields={"n": "integer"})
    assert store.open_or_create_index("one", dimension=1).info.fields == {"n": "integer"}
    store.open_or_create_index("one", dimension=1, fields={"n": "integer"})
    for other in ({}, {"n": "float"}, {"n": "integer", "s": "string"}):
        with pytest.raises(SchemaMismatchError, match="fields"):
            store.open_or_create_index("one", dimension=1, fields=other)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="integer"):
        store.open_or_create_index("one", dimension=1, fields={"n": "whole"})  # type: ignore[dict-item]


def test_an_index_is_true_though_nothing_is_in_it_and_the_store_is_not_asked() -> None:
    engine = make_engine(3)
    assert Index(engine)
    assert engine.calls == []


@pytest.mark.parametrize("given", [{}, {"where": None}, {"ids": None, "where": None}])
def test_a_delete_of_nothing_in_particular_says_what_it_takes(given: dict[str, None]) -> None:
    index = get_backend("sklearn").create_index("kept", dimension=1)
    index.upsert(["a"], [[1]])
    with pytest.raises(InvalidIdError, match="ids or where="):
        index.delete(**given)
    assert index.count() == 1
