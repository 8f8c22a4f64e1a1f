"""Filters over scalar fields, as an expression tree: never a string that a store would parse.

Programs build chains of thousands of conditions in a loop, and each adds a level to the tree. So
nothing here walks a tree by recursion: not its text, its equality, its hash or its pickle.

A filter is shown in the language that :mod:`vecbridge.filters` reads.

Example:
    >>> from vecbridge import field
    >>> print((field("label") == "cat") & (field("score") > 0.5))
    label == "cat" and score > 0.5
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, zip_longest
from typing import Any, Literal, TypeAlias, TypeGuard, cast, get_args

import numpy as np

from vecbridge._contract._field_types import Scalar

Operator = Literal["==", "!=", "<", "<=", ">", ">="]
"""How a field is compared with a value."""

FilterOperator = Literal[
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "is_in",
    "is_missing",
    "contains",
    "contains_any",
    "&",
    "|",
    "~",
]
"""What a settled filter is made of: conditions on one field, and what combines them."""

FILTER_OPERATORS: frozenset[FilterOperator] = frozenset(get_args(FilterOperator))
"""Every operator of a filter; an engine that evaluates any filter declares them all."""


class _Combinable:
    """Filters combine with ``&``, ``|`` and ``~``, and are shown as text that ``parse`` reads."""

    def __and__(self, other: Filter) -> And:
        return And(cast(Filter, self), other)

    def __or__(self, other: Filter) -> Or:
        return Or(cast(Filter, self), other)

    def __invert__(self) -> Not:
        return Not(cast(Filter, self))

    def __bool__(self) -> bool:
        # ``a == 1 and b == 2`` would silently drop the first half.
        raise TypeError("a filter has no truth value; combine filters with &, | and ~")

    def __str__(self) -> str:
        # A filter that holds another one often is short in memory, and its text has no end.
        pieces = _pieces(self)
        return "".join(islice(pieces, _MOST_PIECES)) + "".join("..." for _ in islice(pieces, 1))

    def __repr__(self) -> str:
        return f"parse({str(self)!r})"


@dataclass(frozen=True, repr=False)
class Comparison(_Combinable):
    """A field compared with a value; a settled filter compares a time as microseconds."""

    name: str
    operator: Operator
    value: Scalar


@dataclass(frozen=True, repr=False)
class OneOf(_Combinable):
    """A field that equals one of several values; an empty list matches nothing."""

    name: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, repr=False)
class IsMissing(_Combinable):
    """A field that has no value in the record."""

    name: str


@dataclass(frozen=True, repr=False)
class StartsWith(_Combinable):
    """A string that begins with a prefix. A settled filter has comparisons in its place."""

    name: str
    prefix: str


@dataclass(frozen=True, repr=False)
class Contains(_Combinable):
    """A string that contains a substring, or a list of strings that contains an element."""

    name: str
    value: str


@dataclass(frozen=True, repr=False)
class ContainsAny(_Combinable):
    """A list of strings that contains at least one of several elements."""

    name: str
    values: tuple[str, ...]


class _Compound(_Combinable):
    """A filter made of others."""

    def operands(self) -> tuple[Filter, ...]:
        """Return the filters that it is made of, left before right."""
        return tuple(vars(self).values())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Compound):
            return NotImplemented
        return all(mine == theirs for mine, theirs in zip_longest(_tokens(self), _tokens(other)))

    def __hash__(self) -> int:
        return hash(tuple(_tokens(self)))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (list(_tokens(self)),)


@dataclass(frozen=True, repr=False, eq=False)
class _Pair(_Compound):
    left: Filter
    right: Filter


class And(_Pair):
    """Both filters hold."""


class Or(_Pair):
    """At least one of the filters holds."""


@dataclass(frozen=True, repr=False, eq=False)
class Not(_Compound):
    """The filter does not hold."""

    operand: Filter


Condition: TypeAlias = Comparison | OneOf | IsMissing | StartsWith | Contains | ContainsAny
"""A condition on one field."""


def is_condition(node: object) -> TypeGuard[Condition]:
    """Return whether a part of a filter is a condition on one field."""
    return isinstance(node, get_args(Condition))


Filter: TypeAlias = Condition | And | Or | Not
"""A condition on the scalar fields of a record."""


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


RESERVED = frozenset({"and", "or", "not", "in", "true", "false"})
"""What is no field's bare name, in capitals or not, in the text of a filter."""

BARE_NAME = re.compile(r"[^\W\d]\w*")
"""A field's name that the text of a filter has without backticks."""

_MOST_PIECES = 400_000
"""Pieces of a text that is shown: many more than a filter has that any index takes."""

_STRENGTHS: dict[type[object], int] = {Or: 1, And: 2, Not: 3}
_ESCAPES = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def shown(value: object) -> str:
    """Return the beginning of a filter's text, or of a value's ``repr``, for a message."""
    parts = _pieces(value) if isinstance(value, _Combinable) else [_written(value)]
    return "".join(islice(parts, 80))[:80]


def _pieces(where: object) -> Iterator[str]:
    """Yield the text of a filter, piece by piece."""
    waiting = [where]
    while waiting:
        match waiting.pop():
            case And(left, right) | Or(left, right) as pair:
                strength = _STRENGTHS[type(pair)]
                # A chain that hangs on the right needs parentheses to come back as it is.
                waiting += [*_enclosed(right, strength + 1), " and " if strength == 2 else " or "]
                waiting += _enclosed(left, strength)
            case Not(OneOf(name, values)):
                yield f"{_name(name)} not in {_list(values)}"
            case Not(IsMissing(name)):
                yield f"{_name(name)} is not missing"
            case Not(operand):
                waiting += [*_enclosed(operand, 3), "not "]
            case str(text):
                yield text
            case condition:
                yield _condition(condition)


def _condition(condition: object) -> str:
    match condition:
        case OneOf(name, values):
            return f"{_name(name)} in {_list(values)}"
        case Comparison(name, operator, value):
            return f"{_name(name)} {operator} {_literal(value)}"
        case IsMissing(name):
            return f"{_name(name)} is missing"
        case StartsWith(name, value):
            return f"{_name(name)} starts with {_literal(value)}"
        case Contains(name, value):
            return f"{_name(name)} contains {_literal(value)}"
        case ContainsAny(name, values):
            return f"{_name(name)} contains any {_list(values)}"
    return _written(condition)


def _enclosed(where: object, strength: int) -> list[object]:
    """Return a filter in reversed order of its pieces, in parentheses where it binds less."""
    return [")", where, "("] if _STRENGTHS.get(type(where), 4) < strength else [where]


def _name(name: object) -> str:
    if not isinstance(name, str):
        return _written(name)
    bare = BARE_NAME.fullmatch(name) and name.lower() not in RESERVED
    return name if bare else _quoted(name, "`")


def _list(values: Iterable[object]) -> str:
    return f"[{', '.join(map(_literal, values))}]"


def _literal(value: object) -> str:
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, datetime):
        return f'timestamp("{plain.isoformat()}")'
    if isinstance(plain, str):
        return _quoted(str.__str__(plain), '"')
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, int):
        plain = int.__int__(plain)
    elif isinstance(plain, float):
        plain = float.__float__(plain)
    return _written(plain)


def _quoted(text: str, mark: str) -> str:
    special = {**_ESCAPES, mark: f"\\{mark}", "\\": r"\\"}
    return mark + "".join(special.get(each) or _printed(each) for each in text) + mark


def _printed(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _written(value: object) -> str:
    try:
        return repr(value)
    except ValueError:
        # Python writes no integer of more than 4300 digits.
        return "<a number too long to write>"
