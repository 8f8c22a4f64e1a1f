"""What a filter means: evaluated on columns, for stores that keep their fields in memory."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._filters import And, Comparison, Filter, Not, OneOf, Operator, Or
from vecbridge._contract._records import Scalar

_OPERATORS: dict[Operator, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matches(where: Filter, fields: Mapping[str, Sequence[Scalar]], count: int) -> NDArray[np.bool_]:
    """Which of ``count`` records a filter accepts.

    Strings compare by code point. Returns ``(count,)`` bool.
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
            return np.fromiter((value in wanted for value in fields[name]), np.bool_, count)
        case Comparison(name, word, value):
            column = np.empty(count, dtype=object)
            column[:] = fields[name]
            # A comparison with NaN is false, and no reason for a warning.
            with np.errstate(invalid="ignore"):
                compared: NDArray[np.bool_] = _OPERATORS[word](column, value).astype(np.bool_)
            return compared
