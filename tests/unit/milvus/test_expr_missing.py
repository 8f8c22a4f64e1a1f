"""Conditions on fields that may have no value: never unknown to a server, whatever its logic."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.servers.milvus_wire import Wire
from tests.unit.milvus.written import Written
from vecbridge import FieldType, Filter, Store, field

FIELDS: dict[str, FieldType] = {"i": "integer?", "s": "strings?", "tags": "strings", "n": "integer"}


@pytest.fixture
def server(wire: Wire, opened: Callable[..., Store]) -> Written:
    return Written(wire, opened(), FIELDS)


@pytest.mark.parametrize(
    ("where", "expression"),
    [
        (field("i") != 3, "(i__missing == false) and (i != 3)"),
        (~(field("i") == 3), "not ((i__missing == false) and (i == 3))"),
        (field("i").is_missing(), "i__missing == true"),
        (~field("i").is_missing(), "i__missing == false"),
        (field("s").contains("a"), '(s__missing == false) and (array_contains(s, "a"))'),
        (
            ~field("s").contains_any(["a", '"']),
            'not ((s__missing == false) and (array_contains_any(s, ["a","\\""])))',
        ),
        (field("tags").contains("\U00020bb7"), 'array_contains(tags, "\\U00020BB7")'),
        (
            field("i").is_missing() | (field("n") == 1),
            "not ((i__missing == false) and (not (n == 1)))",
        ),
        (
            ~field("i").is_missing() & field("i").is_missing(),
            "(i__missing == true) and (i__missing == false)",
        ),
    ],
)
def test_a_condition_is_asked_of_records_that_have_a_value(
    server: Written, where: Filter, expression: str
) -> None:
    assert server.filter(where) == expression
