"""The expressions of a field, from which callers build filters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from functools import reduce
from typing import Any

from vecbridge._contract._field_types import Operand
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
    StartsWith,
    shown,
)
from vecbridge._errors import InvalidArgumentError


class field:  # noqa: N801  (reads as a function: field("label") == "cat")
    """A scalar field, to be compared with values of its type.

    If a record has no value of the field, every condition on it except :meth:`is_missing` is false,
    and ``~`` of the condition is true.

    Args:
        name: the field's name in the index.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"field({self._name!r})"

    def __eq__(self, value: Operand) -> Comparison:  # type: ignore[override]
        return self._compared("==", value)

    def __ne__(self, value: Operand) -> Comparison:  # type: ignore[override]
        return self._compared("!=", value)

    def __lt__(self, value: Operand) -> Comparison:
        return self._compared("<", value)

    def __le__(self, value: Operand) -> Comparison:
        return self._compared("<=", value)

    def __gt__(self, value: Operand) -> Comparison:
        return self._compared(">", value)

    def __ge__(self, value: Operand) -> Comparison:
        return self._compared(">=", value)

    def _compared(self, operator: Operator, value: Operand) -> Comparison:
        return Comparison(self._name, operator, _in_utc(value))

    def is_in(self, values: Iterable[Operand]) -> OneOf:
        """Match records whose field equals one of the values.

        Args:
            values: any number of values; a generator is consumed.

        Raises:
            InvalidArgumentError: a single value, such as a string, was given instead of several.
        """
        found = several(self._name, values, "is_in")
        return OneOf(self._name, tuple(map(_in_utc, found)))

    def between(self, least: Operand, greatest: Operand) -> And:
        """Match records whose field is between two values, both included."""
        return And(self >= least, self <= greatest)

    def is_missing(self) -> IsMissing:
        """Match records without a value of the field; only an optional field may lack one."""
        return IsMissing(self._name)

    def starts_with(self, prefix: str) -> StartsWith:
        """Match records whose string begins with a prefix, compared character by character."""
        return StartsWith(self._name, prefix)

    def contains(self, value: str) -> Contains:
        """Match records whose string contains a substring, or whose list contains an element."""
        return Contains(self._name, value)

    def contains_any(self, values: Iterable[str]) -> ContainsAny:
        """Match records whose list of strings has at least one of several elements.

        Raises:
            InvalidArgumentError: a single value was given instead of several.
        """
        return ContainsAny(self._name, several(self._name, values, "contains_any"))

    def contains_all(self, values: Iterable[str]) -> Filter:
        """Match records whose list of strings has each of several elements.

        With no elements given, it matches every record that has a list.

        Raises:
            InvalidArgumentError: a single value was given instead of several.
        """
        found = several(self._name, values, "contains_all")
        conditions: list[Filter] = [Contains(self._name, value) for value in found]
        return reduce(And, conditions) if conditions else Not(IsMissing(self._name))


def _in_utc(value: Any) -> Any:
    """Return a time in UTC, which equals the same time in every zone; other values as they are."""
    if isinstance(value, datetime):
        # Not at the ends of the years that there are; what is no time is refused by the index.
        with suppress(Exception):
            return value.astimezone(timezone.utc) if value.utcoffset() is not None else value
    return value


def several(name: str, values: object, operator: str) -> tuple[Any, ...]:
    """Return the values of an operator such as ``is_in`` as a tuple; refuse what is one value.

    A string would be taken for its letters, and match nothing without a word.
    """
    if not isinstance(values, (str, bytes, bytearray, Mapping)):
        with suppress(TypeError):
            return tuple(values)  # type: ignore[arg-type]
    raise InvalidArgumentError(
        f"field({name!r}).{operator} takes several values, as in {operator}([value]); got "
        f"{shown(values)} ({type(values).__name__})"
    )
