"""What a settled filter means, on columns: for stores that keep their fields in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._field_types import FieldValue
from vecbridge._contract._filters import And, Comparison, Filter, Not, OneOf, Or
from vecbridge._contract._operands import OPERATORS


def matches(
    where: Filter, fields: Mapping[str, Sequence[FieldValue]], count: int
) -> NDArray[np.bool_]:
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
            compared: NDArray[np.bool_] = OPERATORS[word](_objects(fields[name], count), value)
            return compared.astype(np.bool_)


def _objects(column: Sequence[FieldValue] | NDArray[np.object_], count: int) -> NDArray[np.object_]:
    if isinstance(column, np.ndarray) and column.dtype == object:
        return column
    return np.fromiter(column, object, count)
