"""Input that has to be refused before any engine sees it."""

from __future__ import annotations

from functools import reduce
from operator import or_

import numpy as np
import pytest

from vecbridge import InvalidArgumentError, InvalidVectorError, field, get_backend
from vecbridge._front._filter_values import MAX_DEPTH


def test_masked_values_are_refused_and_a_mask_of_nothing_is_not() -> None:
    index = get_backend("sklearn").create_index("t", dimension=2)
    with pytest.raises(InvalidVectorError, match="masked"):
        index.upsert(["a"], np.ma.masked_greater([[1.0, 5.0]], 2.0))
    assert index.count() == 0
    index.upsert(["a"], np.ma.masked_greater([[1.0, 5.0]], 9.0))
    with pytest.raises(InvalidVectorError, match="queries must not have masked"):
        index.search(np.ma.masked_greater([1.0, 5.0], 2.0))


def test_a_filter_that_is_nested_too_deeply_is_refused() -> None:
    index = get_backend("sklearn").create_index("t", dimension=2, fields={"n": "integer"})
    index.upsert(["a"], [[1.0, 0.0]], {"n": [7]})
    parts = [field("n") == number for number in range(MAX_DEPTH + 1)]
    (hits,) = index.search([1.0, 0.0], where=reduce(or_, parts))
    assert hits.ids == ("a",)
    for count in (2, 100_000):
        deep = reduce(or_, [field("n") == number for number in range(MAX_DEPTH + count)])
        with pytest.raises(InvalidArgumentError, match=f"nested {MAX_DEPTH} deep"):
            index.search([1.0, 0.0], where=deep)
