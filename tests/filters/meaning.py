"""What a condition means, by exact fractions and code points; written apart from the product."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from fractions import Fraction
from typing import Any

import numpy as np

from tests.filters.making import COUNT, Condition, columns

EVERYTHING = (1 << COUNT) - 1


class RefusedError(Exception):
    """The condition means nothing."""


class _Column:
    """A field's values in ascending order, and masks of the records that have the first of them."""

    def __init__(self, values: list[Any]) -> None:
        order = sorted(range(COUNT), key=lambda number: _stored(values[number]))
        self._values = [_stored(values[number]) for number in order]
        self._masks = [0]
        for number in order:
            self._masks.append(self._masks[-1] | 1 << number)

    def below(self, operand: Any) -> int:
        """The records with a smaller value."""
        return self._masks[bisect_left(self._values, operand)]

    def up_to(self, operand: Any) -> int:
        """The records with a smaller value, or the same."""
        return self._masks[bisect_right(self._values, operand)]


def meaning(condition: Condition) -> int:
    """The records that a condition accepts, as a mask.

    Raises:
        RefusedError: it compares a field with what is no value of its type.
    """
    match condition:
        case ("compare", name, word, value):
            return _compared(word, COLUMNS[name], _operand(name, value))
        case ("in", name, values):
            mask = 0
            for operand in [_operand(name, value) for value in values]:
                mask |= _compared("==", COLUMNS[name], operand)
            return mask
        case ("not", part):
            return EVERYTHING & ~meaning(part)
    # All parts are looked at: one that means nothing makes the whole mean nothing.
    masks = [meaning(part) for part in condition[1]]
    whole = EVERYTHING if condition[0] == "and" else 0
    for mask in masks:
        whole = whole & mask if condition[0] == "and" else whole | mask
    return whole


def _stored(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-32-be")
    return value if isinstance(value, bool) else Fraction(value)


def _operand(name: str, value: Any) -> Any:
    """The value as it is compared: of code points, a truth value, or a number that is exact."""
    if name == "t":
        if not isinstance(value, str):
            raise RefusedError
        try:
            return str.encode(value, "utf-32-be")
        except UnicodeEncodeError as error:
            raise RefusedError from error
    if name == "b":
        if type(value) not in (bool, np.bool_):
            raise RefusedError
        return bool(value)
    if type(value) in (bool, np.bool_, np.timedelta64):
        raise RefusedError
    if isinstance(value, (int, np.integer)):
        return Fraction(int(value))
    if isinstance(value, (float, np.floating)):
        if np.isnan(value):
            return math.nan
        if np.isinf(value):
            return math.inf if value > 0 else -math.inf
        return Fraction(*value.as_integer_ratio())
    raise RefusedError


def _compared(word: str, column: _Column, operand: Any) -> int:
    if isinstance(operand, float):
        # NaN has no order and equals nothing; infinity is beyond everything that is stored.
        below = up_to = EVERYTHING if operand > 0 else 0
        above = EVERYTHING if operand < 0 else 0
    else:
        below, up_to = column.below(operand), column.up_to(operand)
        above = EVERYTHING & ~up_to
    equal = up_to & ~below
    return {
        "==": equal,
        "!=": EVERYTHING & ~equal,
        "<": below,
        "<=": up_to,
        ">": above,
        ">=": above | equal,
    }[word]


COLUMNS = {name: _Column(values) for name, values in columns().items()}
