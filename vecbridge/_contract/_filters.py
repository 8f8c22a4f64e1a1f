"""Filters over scalar fields, as an expression tree: never a string that a store would parse.

Programs build chains of thousands of conditions in a loop, and each adds a level to the tree. So
nothing here walks a tree by recursion: not its ``repr``, its equality, its hash or its pickle.

Example:
    >>> from vecbridge import field
    >>> (field("label") == "cat") & (field("score") > 0.5)
    (field('label') == 'cat') & (field('score') > 0.5)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal, TypeAlias, cast, get_args

from vecbridge._contract._field_types import Scalar
from vecbridge._errors import InvalidArgumentError

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
"""How a field is compared with a value."""

FilterOperator = Literal["==", "!=", "<", "<=", ">", ">=", "is_in", "&", "|", "~"]
"""What a filter is made of: comparisons, lists of values, and what combines them."""

FILTER_OPERATORS: frozenset[FilterOperator] = frozenset(get_args(FilterOperator))
"""Every operator of a filter; an engine that evaluates any filter declares them all."""


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
        return f"(field({self.name!r}) {self.operator} {_written(self.value)})"


@dataclass(frozen=True, repr=False)
class OneOf(_Combinable):
    """A field that has one of several values; none of them matches nothing."""

    name: str
    values: tuple[Scalar, ...]

    def __repr__(self) -> str:
        return f"field({self.name!r}).is_in({_written(list(self.values))})"


class _Compound(_Combinable):
    """A filter made of others."""

    def operands(self) -> tuple[Filter, ...]:
        """Return the filters that it is made of."""
        raise NotImplementedError

    def spelled(self) -> tuple[str | Filter, ...]:
        """Its ``repr``, with the filters that it is made of in their places."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Compound):
            return NotImplemented
        return all(mine == theirs for mine, theirs in zip_longest(_tokens(self), _tokens(other)))

    def __hash__(self) -> int:
        return hash(tuple(_tokens(self)))

    def __repr__(self) -> str:
        texts: list[str] = []
        waiting: list[object] = [self]
        while waiting:
            part = waiting.pop()
            if isinstance(part, _Compound):
                waiting.extend(reversed(part.spelled()))
            else:
                texts.append(part if isinstance(part, str) else repr(part))
        return "".join(texts)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (list(_tokens(self)),)


@dataclass(frozen=True, repr=False, eq=False)
class And(_Compound):
    """Both filters hold."""

    left: Filter
    right: Filter

    def operands(self) -> tuple[Filter, ...]:
        """Both."""
        return self.left, self.right

    def spelled(self) -> tuple[str | Filter, ...]:
        """Return the two with ``&`` between them."""
        return self.left, " & ", self.right


@dataclass(frozen=True, repr=False, eq=False)
class Or(_Compound):
    """At least one of the filters holds."""

    left: Filter
    right: Filter

    def operands(self) -> tuple[Filter, ...]:
        """Both."""
        return self.left, self.right

    def spelled(self) -> tuple[str | Filter, ...]:
        """Return the two with ``|`` between them."""
        return "(", self.left, " | ", self.right, ")"


@dataclass(frozen=True, repr=False, eq=False)
class Not(_Compound):
    """The filter does not hold."""

    operand: Filter

    def operands(self) -> tuple[Filter, ...]:
        """Return the one."""
        return (self.operand,)

    def spelled(self) -> tuple[str | Filter, ...]:
        """Return the one after ``~``."""
        return "~(", self.operand, ")"


Filter: TypeAlias = Comparison | OneOf | And | Or | Not
"""A condition on the scalar fields of a record."""


class field:  # noqa: N801  (reads as a function: field("label") == "cat")
    """A scalar field, to be compared with values of its type.

    Args:
        name: the field's name in the index.
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"field({self._name!r})"

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
        """Match records whose field equals one of the values.

        Args:
            values: any number of values; a generator is used up.

        Raises:
            InvalidArgumentError: it is one value, such as a string, and not several.
        """
        return OneOf(self._name, several(self._name, values))


def several(name: str, values: object) -> tuple[Any, ...]:
    """Return the values of an ``is_in`` as a tuple; refuse what is one value.

    A string would be taken for its letters, and match nothing without a word.
    """
    listed: tuple[Any, ...] | None = None
    if not isinstance(values, (str, bytes, bytearray, Mapping)):
        try:
            listed = tuple(values)  # type: ignore[arg-type]
        except TypeError:
            listed = None
    if listed is None:
        raise InvalidArgumentError(
            f"field({name!r}).is_in takes several values, as in is_in([value]); got "
            f"{shown(values)} ({type(values).__name__})"
        )
    return listed


def shown(value: object) -> str:
    """Return the beginning of a value's ``repr``, for a message."""
    return _written(value)[:80]


def _written(value: object) -> str:
    try:
        return repr(value)
    except ValueError:
        # Python writes no integer of more than 4300 digits.
        return "<a number too long to write>"


def postorder(where: object) -> Iterator[object]:
    """Yield the parts of a filter, each after those that it is made of, left before right."""
    waiting: list[tuple[object, bool]] = [(where, False)]
    while waiting:
        node, opened = waiting.pop()
        if opened or not isinstance(node, _Compound):
            yield node
        else:
            waiting.append((node, True))
            waiting.extend((part, False) for part in reversed(node.operands()))


def operators_of(where: Filter) -> frozenset[FilterOperator]:
    """Return the operators that a filter is made of."""
    return frozenset(
        node.operator if isinstance(node, Comparison) else _WORDS[type(node)]
        for node in postorder(where)
    )


def fields_of(where: Filter) -> frozenset[str]:
    """Return the names of the fields that a filter compares."""
    return frozenset(
        node.name for node in postorder(where) if isinstance(node, (Comparison, OneOf))
    )


_WORDS: dict[type[object], FilterOperator] = {OneOf: "is_in", And: "&", Or: "|", Not: "~"}


def _tokens(where: Filter | _Compound) -> Iterator[object]:
    """Yield what tells a filter from every other one: its leaves, and the kinds of the rest."""
    for node in postorder(where):
        yield type(node) if isinstance(node, _Compound) else node


def _rebuilt(tokens: list[object]) -> object:
    """Return the filter of these tokens."""
    built: list[Any] = []
    for token in tokens:
        if token is Not:
            built.append(Not(built.pop()))
        elif token is And or token is Or:
            right, left = built.pop(), built.pop()
            built.append(token(left, right))
        else:
            built.append(token)
    return built.pop()
