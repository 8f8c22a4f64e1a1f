"""Random filters over every type of field, by logic of two and of three values."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from tests.filters.logic import kept, three_valued
from vecbridge import filters
from vecbridge.fields import FIELD_TYPES, FieldType
from vecbridge.filters import (
    Contains,
    ContainsAny,
    matches,
    settle,
)
from vecbridge_conformance.suite.test_semantics_field_types import random_filter, random_rows

FIELDS: dict[str, FieldType] = {kind.replace("?", "_o"): kind for kind in FIELD_TYPES}
ROWS = random_rows(FIELDS, 60, seed=7)


KEPT = [{name: kept(value) for name, value in row.items()} for row in ROWS]
COLUMNS = {name: [row[name] for row in KEPT] for name in FIELDS}


def test_filters_accept_what_they_mean_and_come_back_from_their_text() -> None:
    draw = random.Random(11)
    for _ in range(3000):
        where, meaning = random_filter(draw, FIELDS, depth=4)
        settled = settle(where, FIELDS)
        expected = [meaning(row) for row in ROWS]
        if isinstance(settled, bool):
            assert expected == [settled] * len(ROWS), repr(where)
        else:
            assert matches(settled, COLUMNS, len(ROWS)).tolist() == expected, repr(where)
            by_three = [three_valued(settled, row) is True for row in KEPT]
            assert by_three == expected, f"{where!r}, settled: {settled!r}"
        assert filters.parse(filters.format(where)) == where


def test_a_column_of_lists_of_one_length_is_no_matrix() -> None:
    lists = [["a", "b"], ["b", "c"], ["c", "d"]]
    assert matches(Contains("t", "b"), {"t": lists}, 3).tolist() == [True, True, False]
    column: Any = np.fromiter(lists, object, 3)
    assert matches(ContainsAny("t", ("a", "d")), {"t": column}, 3).tolist() == [True, False, True]
