"""Scalar fields: one value of the declared type a record, that every store can keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import vecbridge
from vecbridge import FieldType, Index, InvalidArgumentError

FIELDS: dict[str, FieldType] = {
    "name": "string",
    "size": "integer",
    "score": "float",
    "good": "boolean",
}
RIGHT: dict[str, Any] = {"name": ["x"], "size": [1], "score": [0.5], "good": [True]}


@pytest.fixture
def index() -> Index:
    store = vecbridge.get_backend("sklearn")
    return store.create_index("fields", dimension=2, fields=FIELDS)


def test_values_come_back_as_plain_python_values(index: Index) -> None:
    columns: dict[str, Any] = {
        "name": np.array(["ü"]),
        "size": np.array([7], dtype=np.int16),
        "score": [np.float32(0.5)],
        "good": np.array([False]),
    }
    index.upsert(["a"], [[0, 1]], columns)
    fields = index.fetch(["a"]).fields
    assert {name: fields[name][0] for name in fields} == {
        "name": "ü",
        "size": 7,
        "score": 0.5,
        "good": False,
    }
    assert [type(fields[name][0]) for name in FIELDS] == [str, int, float, bool]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("name", [1]),
        ("name", ["a\0b"]),
        ("name", ["\ud800"]),
        ("name", ["x" * 65536]),
        ("name", ["ü" * 32768]),
        ("size", ["1"]),
        ("size", [1.5]),
        ("size", [True]),
        ("size", [2**63]),
        ("size", [-(2**63) - 1]),
        ("score", ["0.5"]),
        ("score", [float("nan")]),
        ("score", [float("inf")]),
        ("score", [10**400]),
        ("good", [1]),
        ("good", ["yes"]),
    ],
)
def test_what_some_store_could_not_keep_is_refused(
    index: Index, name: str, column: Sequence[Any]
) -> None:
    with pytest.raises(InvalidArgumentError, match=name):
        index.upsert(["a"], [[0, 1]], {**RIGHT, name: column})
    assert index.count() == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("name", ""), ("name", "ü" * 32767), ("size", 2**63 - 1), ("size", -(2**63)), ("score", 3)],
)
def test_the_ends_of_the_ranges_are_kept(index: Index, name: str, value: Any) -> None:
    index.upsert(["a"], [[0, 1]], {**RIGHT, name: [value]})
    assert index.fetch(["a"]).fields[name] == [value]


@pytest.mark.parametrize(
    "fields",
    [None, {}, {"name": ["x"]}, {**RIGHT, "other": [1]}, {**RIGHT, "name": ["x", "y"]}],
)
def test_every_declared_field_and_no_other(index: Index, fields: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        index.upsert(["a"], [[0, 1]], fields)
    assert index.count() == 0
