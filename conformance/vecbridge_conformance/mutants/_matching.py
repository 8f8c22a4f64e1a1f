"""What a filter accepts, one row at a time: as plain as it can be said."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from vecbridge.filters import (
    And,
    Comparison,
    Contains,
    ContainsAny,
    Filter,
    IsMissing,
    Not,
    OneOf,
    Or,
)
from vecbridge_conformance.mutants._shelf import Row

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def accepts(where: Filter, row: Row) -> bool:
    """Return whether a row passes a filter."""
    match where:
        case And(left, right):
            return accepts(left, row) and accepts(right, row)
        case Or(left, right):
            return accepts(left, row) or accepts(right, row)
        case Not(operand):
            return not accepts(operand, row)
        case OneOf(name, values):
            return row.fields[name] in values
        case IsMissing(name):
            return row.fields[name] is None
        case _:
            value: Any = row.fields[where.name]
            return value is not None and _holds(where, value)


def _holds(where: Filter, value: Any) -> bool:
    match where:
        case Comparison(_, word, other):
            return _OPERATORS[word](value, other)
        case Contains(_, part):
            return part in value
        case ContainsAny(_, parts):
            return not set(parts).isdisjoint(value)
    raise TypeError(f"{where} is not settled")
