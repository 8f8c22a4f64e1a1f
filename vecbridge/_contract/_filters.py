"""Filters over scalar fields, as an expression tree: never a string that a store would parse.

Example:
    >>> from vecbridge import field
    >>> (field("label") == "cat") & (field("score") > 0.5)
    (field('label') == 'cat') & (field('score') > 0.5)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from vecbridge._contract._records import Scalar

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
"""How a field is compared with a value."""


class _Combinable:
    """Filters combine with ``&``, ``|`` and ``~``."""

    def __and__(self, other: Filter) -> And:
        return And(cast(Filter, self), other)

    def __or__(self, other: Filter) -> Or:
        return Or(cast(Filter, self), other)

    def __invert__(self) -> Not:
        return Not(cast(Filter, self))

    def __bool__(self) -> bool:
        # ``a == 1 and b == 2`` would silently drop the first half.
        raise TypeError("a filter has no truth value; combine filters with &, | and ~")


@dataclass(frozen=True, repr=False)
class Comparison(_Combinable):
    """A field compared with a value."""

    name: str
    operator: Operator
    value: Scalar

    def __repr__(self) -> str:
        return f"(field({self.name!r}) {self.operator} {self.value!r})"


@dataclass(frozen=True, repr=False)
class OneOf(_Combinable):
    """A field that has one of several values; none of them matches nothing."""

    name: str
    values: tuple[Scalar, ...]

    def __repr__(self) -> str:
        return f"field({self.name!r}).is_in({list(self.values)!r})"


@dataclass(frozen=True, repr=False)
class And(_Combinable):
    """Both filters hold."""

    left: Filter
    right: Filter

    def __repr__(self) -> str:
        return f"{self.left!r} & {self.right!r}"


@dataclass(frozen=True, repr=False)
class Or(_Combinable):
    """At least one of the filters holds."""

    left: Filter
    right: Filter

    def __repr__(self) -> str:
        return f"({self.left!r} | {self.right!r})"


@dataclass(frozen=True, repr=False)
class Not(_Combinable):
    """The filter does not hold."""

    operand: Filter

    def __repr__(self) -> str:
        return f"~({self.operand!r})"


Filter: TypeAlias = Comparison | OneOf | And | Or | Not
"""A condition on the scalar fields of a record."""


class field:  # noqa: N801  (reads as a function: field("label") == "cat")
    """A scalar field, to be compared with values.

    Args:
        name: the field's name in the index.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        self._name = name

    def __eq__(self, value: Scalar) -> Comparison:  # type: ignore[override]
        return Comparison(self._name, "==", value)

    def __ne__(self, value: Scalar) -> Comparison:  # type: ignore[override]
        return Comparison(self._name, "!=", value)

    def __lt__(self, value: Scalar) -> Comparison:
        return Comparison(self._name, "<", value)

    def __le__(self, value: Scalar) -> Comparison:
        return Comparison(self._name, "<=", value)

    def __gt__(self, value: Scalar) -> Comparison:
        return Comparison(self._name, ">", value)

    def __ge__(self, value: Scalar) -> Comparison:
        return Comparison(self._name, ">=", value)

    def is_in(self, values: Iterable[Scalar]) -> OneOf:
        """Matches records whose field equals one of the values."""
        return OneOf(self._name, tuple(values))
