"""Checks filters, so that every store refuses the same ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vecbridge._contract._filters import And, Comparison, Filter, Not, OneOf, Or
from vecbridge._contract._records import FieldType
from vecbridge._errors import InvalidArgumentError

MAX_DEPTH = 200
"""How deeply a filter may be nested: engines walk it recursively."""

_SCALARS = (str, int, float, np.integer, np.floating, np.bool_)


def filter_values(where: Filter, declared: Mapping[str, FieldType], depth: int = 0) -> None:
    """Checks that a filter is one, that its fields exist, and that its values compare with them.

    Equality with a value of another type is a filter that nothing passes, not an error.

    Raises:
        InvalidArgumentError: the filter is unusable.
    """
    if depth > MAX_DEPTH:
        raise InvalidArgumentError(
            f"a filter may be nested {MAX_DEPTH} deep, and this one is deeper; say "
            f"field(...).is_in([...]) for many values, or combine halves of the conditions"
        )
    match where:
        case And(left, right) | Or(left, right):
            filter_values(left, declared, depth + 1)
            filter_values(right, declared, depth + 1)
        case Not(operand):
            filter_values(operand, declared, depth + 1)
        case OneOf(name, values):
            _check_name(name, declared)
            for value in values:
                _check_value(name, value)
        case Comparison(name, word, value):
            kind = _check_name(name, declared)
            _check_value(name, value)
            ordered = word not in ("==", "!=")
            if ordered and isinstance(value, str) != (kind == "string"):
                raise InvalidArgumentError(
                    f"field {name!r} holds {kind} values, which have no order with {value!r}"
                )
        case _:
            raise InvalidArgumentError(
                f"a filter is made of fields, as in field('label') == 'cat', combined with &, | "
                f"and ~; got {where!r} ({type(where).__name__})"
            )


def _check_name(name: object, declared: Mapping[str, FieldType]) -> FieldType:
    if isinstance(name, str) and name in declared:
        return declared[name]
    raise InvalidArgumentError(
        f"the index has the fields {sorted(declared)}; the filter names {name!r}"
    )


def _check_value(name: str, value: object) -> None:
    if not isinstance(value, _SCALARS):
        raise InvalidArgumentError(
            f"field {name!r} is compared with strings, integers, floats and booleans; got "
            f"{value!r} ({type(value).__name__})"
        )
