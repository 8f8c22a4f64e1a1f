"""Fields as metadata, and filters as Chroma's."""

from __future__ import annotations

from typing import Any

import pytest

from vecbridge import FieldType, Filter, field
from vecbridge.filters import settle
from vecbridge_chroma._filters import condition, weight

FIELDS: dict[str, FieldType] = {"s": "string?", "i": "integer", "f": "float?", "l": "strings"}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (field("i") < 3, {"i": {"$lt": 3}}),
        (field("f") == 0.0, {"f": {"$in": [-1, 0]}}),
        (field("f") < 0.0, {"f": {"$lt": -1}}),
        (field("f") <= 0.0, {"f": {"$lte": 0}}),
        (field("f") > 0.0, {"f": {"$gt": 0}}),
        (field("f") >= 0.0, {"f": {"$gte": -1}}),
        (field("l").contains("a"), {"l": {"$contains": "a"}}),
        (~field("l").contains("a"), {"l": {"$not_contains": "a"}}),
        (field("s").is_missing(), {"s?": {"$eq": "missing"}}),
        (field("s") != "x", {"$and": [{"s": {"$ne": "x"}}, {"s?": {"$ne": "missing"}}]}),
        (~(field("i").is_in([1, 2])), {"i": {"$nin": [1, 2]}}),
        (
            ~((field("i") == 1) & (field("i") < 0)),
            {"$or": [{"i": {"$ne": 1}}, {"i": {"$gte": 0}}]},
        ),
    ],
)
def test_a_filter_becomes_a_condition(where: Filter, expected: dict[str, Any]) -> None:
    settled = settle(where, FIELDS)
    assert not isinstance(settled, bool)
    assert condition(FIELDS, settled) == expected


def test_a_list_of_values_weighs_less_than_as_many_conditions() -> None:
    listed = settle(field("i").is_in(range(1000)), FIELDS)
    assert not isinstance(listed, bool)
    assert weight(listed) < 2000 < weight(listed & listed) + weight(~listed) + 2000
