"""What a settled filter means, on columns: for stores that keep their fields in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._field_types import FieldValue, Scalar
from vecbridge._contract._filters import (
    And,
    Comparison,
    Contains,
    ContainsAny,
    Filter,
    IsMissing,
    Not,
    OneOf,
    Operator,
    Or,
    shown,
)
from vecbridge._contract._operands import OPERATORS


def matches(where: Filter, fields: Mapping[str, Sequence[Any]], count: int) -> NDArray[np.bool_]:
    """Return which of ``count`` records a settled filter accepts.

    Args:
        where: a filter that :func:`settle` returned, as every engine is given.
        fields: one column of ``count`` values for each field that it names.
        count: how many records there are.

    Returns:
        ``(count,)`` bool.
    """
    match where:
        case And(left, right):
            return matches(left, fields, count) & matches(right, fields, count)
        case Or(left, right):
            return matches(left, fields, count) | matches(right, fields, count)
        case Not(operand):
            return ~matches(operand, fields, count)
        case OneOf(name, values):
            wanted = frozenset(values)
            return np.fromiter(map(wanted.__contains__, fields[name]), np.bool_, count)
        case Comparison(name, word, value):
            return _compared(word, _objects(fields[name], count), value)
        case IsMissing(name):
            return _are_missing(_objects(fields[name], count))
        case Contains(name, value):
            held = (each is not None and value in each for each in fields[name])
            return np.fromiter(held, np.bool_, count)
        case ContainsAny(name, values):
            apart = frozenset(values).isdisjoint
            held = (each is not None and not apart(each) for each in fields[name])
            return np.fromiter(held, np.bool_, count)
        case _:
            raise TypeError(f"{shown(where)} is not settled")


def _compared(word: Operator, column: NDArray[np.object_], value: Scalar) -> NDArray[np.bool_]:
    """Return which values meet a comparison; a missing one meets none."""
    compare = OPERATORS[word]
    found: NDArray[np.bool_]
    # Values that are missing equal nothing, and have no order.
    with suppress(TypeError):
        if word != "!=":
            found = compare(column, value).astype(np.bool_)
            return found
    found = ~_are_missing(column)
    found[found] = compare(column[found], value)
    return found


def _are_missing(column: NDArray[np.object_]) -> NDArray[np.bool_]:
    equal: Any = np.equal
    missing: NDArray[np.bool_] = equal(column, None).astype(np.bool_)
    return missing


def _objects(column: Sequence[FieldValue] | NDArray[np.object_], count: int) -> NDArray[np.object_]:
    if isinstance(column, np.ndarray) and column.dtype == object:
        return column
    # Not by assignment, which would look into values that are lists.
    return np.fromiter(column, object, count)
