"""What a filter accepts, one row at a time: as plain as it can be said."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from vecbridge.filters import And, Comparison, Filter, Not, OneOf, Or
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
        case Comparison(name, word, value):
            return _OPERATORS[word](row.fields[name], value)
