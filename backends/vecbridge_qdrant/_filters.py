"""Settled filters, and the values of fields, as Qdrant has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from qdrant_client import models

from vecbridge.fields import FIELD_TYPES, BaseType, FieldType, base_of
from vecbridge.filters import (
    And,
    Comparison,
    Contains,
    ContainsAny,
    Filter,
    FilterOperator,
    IsMissing,
    Not,
    OneOf,
    Or,
)
from vecbridge.remote import NORM, float_key, float_of

EVERYTHING = models.Filter()
NOTHING = models.Filter(must=[models.HasIdCondition(has_id=[])])
NORM_KEY = "vecbridge-norm"
"""In a payload. No field has a hyphen in its name."""
_ORDERS: tuple[FilterOperator, ...] = ("<", "<=", ">", ">=")
FILTERS_EXCEPT: frozenset[tuple[FieldType, FilterOperator]] = frozenset(
    (kind, word)
    for kind in FIELD_TYPES
    for word in {"string": ("contains", *_ORDERS), "boolean": _ORDERS}.get(base_of(kind), ())
)
"""What no filter of Qdrant's means: it has no order of texts, and what a text holds depends on its
index."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_LEAST, _MOST = -(2**63), 2**63 - 1
_EXACT = 2**53
_LOW_BITS = 32


def stored(kind: BaseType) -> Callable[[Any], Any]:
    """Return what turns values of a field into what a payload holds."""
    convert = _STORED.get(kind)
    return (lambda value: value if value is None else convert(value)) if convert else _same


def read(kind: BaseType) -> Callable[[Any], Any]:
    """Return what turns what a payload holds into values of a field."""
    convert = _READ.get(kind)
    return (lambda value: value if value is None else convert(value)) if convert else _same


def condition(
    where: Filter,
    fields: Mapping[str, FieldType],
    norms: tuple[float, float] | None,
) -> models.Filter:
    """Return a settled filter as Qdrant's.

    Args:
        where: the filter.
        fields: type of each field.
        norms: what the norms of all records lie between, where that is known: what is then plain
            of :data:`vecbridge.remote.NORM` is not asked of every record.
    """
    match where:
        case And(left, right):
            return _all([condition(left, fields, norms), condition(right, fields, norms)])
        case Or(left, right):
            return _any([condition(left, fields, norms), condition(right, fields, norms)])
        case Not(operand):
            return _not(condition(operand, fields, norms))
        case Comparison(name, word, value) if name == NORM:
            known = None if norms is None else _plain(word, float(value), *norms)
            return known or _compared("float", NORM_KEY, word, value)
    return _of_field(where, fields)


def _of_field(where: Filter, fields: Mapping[str, FieldType]) -> models.Filter:
    match where:
        case IsMissing(name):
            return _missing(fields, name)
        case Contains(name, value):
            return _matching(name, [value])
        case ContainsAny(name, values):
            return _matching(name, [*values])
        case OneOf(name, values) if base_of(fields[name]) in ("string", "integer"):
            return _matching(name, [*values])
        case OneOf(name, values):
            return _any([_compared(base_of(fields[name]), name, "==", each) for each in values])
        case Comparison(name, "!=", value):
            equal = _compared(base_of(fields[name]), name, "==", value)
            return _not(_any([equal, _missing(fields, name)]))
        case Comparison(name, word, value):
            return _compared(base_of(fields[name]), name, word, value)
    raise TypeError(f"{where} is no filter that an index declares")


def _plain(word: str, value: float, least: float, most: float) -> models.Filter | None:
    """Return what a comparison of norms says where it says the same of every record."""
    said = {
        "<": (most < value, least >= value),
        "<=": (most <= value, least > value),
        ">": (least > value, most <= value),
        ">=": (least >= value, most < value),
        "==": (least == most == value, not least <= value <= most),
    }[word]
    return EVERYTHING if said[0] else NOTHING if said[1] else None


def _compared(kind: BaseType, key: str, word: str, value: Any) -> models.Filter:
    if kind == "float":
        return _compared_float(key, word, float(value))
    if kind == "timestamp":
        moment = _EPOCH + int(value) * _MICROSECOND
        bounds = ["gte", "lte"] if word == "==" else [_BOUNDS[word]]
        return _of(key, range=models.DatetimeRange(**dict.fromkeys(bounds, moment)))
    if word == "==":
        return _matching(key, [value])
    # Of integers: at most and at least are less and greater than the next one.
    if word in ("<", "<="):
        return _less(key, value + (word == "<="))
    return _greater(key, value - (word == ">="))


def _less(key: str, value: int) -> models.Filter:
    """Return the condition of an integer. Qdrant takes bounds as float64, and values as either."""
    if abs(value) < _EXACT:
        return _of(key, range=models.Range(lt=value))
    # Whichever way a record is compared, it is on the right side of a float64 that does not round
    # to the bound; the few between the two are listed.
    safe = math.nextafter(float(value), -math.inf)
    near = [*range(max(int(safe) + 1, _LEAST), min(value, _MOST + 1))]
    far = _of(key, range=models.Range(lte=safe)) if safe >= _LEAST else NOTHING
    return _any([far, _matching(key, near)])


def _greater(key: str, value: int) -> models.Filter:
    if abs(value) < _EXACT:
        return _of(key, range=models.Range(gt=value))
    safe = math.nextafter(float(value), math.inf)
    near = [*range(max(value + 1, _LEAST), min(int(safe), _MOST + 1))]
    far = _of(key, range=models.Range(gte=safe)) if safe <= _MOST else NOTHING
    return _any([far, _matching(key, near)])


def _compared_float(key: str, word: str, value: float) -> models.Filter:
    """Return the condition of a float, which is kept as two integers that order as it does."""
    # The two zeros are one value, and two patterns of bits.
    least, most = float_key(-0.0 if value == 0.0 else value), float_key(value or 0.0)
    if word == "==":
        return _any(
            [
                _all([_matching(f"{key}.{part}", [bits]) for part, bits in _halves(each)])
                for each in sorted({least, most})
            ]
        )
    bound = _BOUNDS[word]
    high, low = _halves(least if bound in ("lt", "gte") else most)
    beyond = bound.rstrip("e")
    tie = _matching(f"{key}.{high[0]}", [high[1]])
    rest = _of(f"{key}.{low[0]}", range=models.Range(**{bound: low[1]}))
    return _any(
        [_of(f"{key}.{high[0]}", range=models.Range(**{beyond: high[1]})), _all([tie, rest])]
    )


def _halves(ordinal: int) -> tuple[tuple[str, int], tuple[str, int]]:
    return ("high", ordinal >> _LOW_BITS), ("low", ordinal & (1 << _LOW_BITS) - 1)


def stored_float(value: float) -> dict[str, int]:
    """Return a float as integers. Qdrant's reader of JSON changes the last bit of one in five."""
    return dict(_halves(float_key(value)))


def _read_float(value: Mapping[str, int]) -> float:
    return float_of((value["high"] << _LOW_BITS) | value["low"])


def _same(value: Any) -> Any:
    return value


_BOUNDS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_STORED: dict[BaseType, Callable[[Any], Any]] = {
    "float": stored_float,
    "timestamp": lambda value: (_EPOCH + value * _MICROSECOND).isoformat(),
}


def _only(kind: type) -> Callable[[Any], Any]:
    """Return what refuses values of other types: a program may have written them."""

    def checked(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"a {type(value).__name__} is no {kind.__name__}")
        return value

    return checked


def _read_strings(value: Any) -> Any:
    return [*map(_only(str), _only(list)(value))]


_READ: dict[BaseType, Callable[[Any], Any]] = {
    "string": _only(str),
    "strings": _read_strings,
    "integer": _only(int),
    "boolean": _only(bool),
    "float": _read_float,
    "timestamp": lambda value: (datetime.fromisoformat(value) - _EPOCH) // _MICROSECOND,
}


def _of(key: str, **parts: Any) -> models.Filter:
    return models.Filter(must=[models.FieldCondition(key=key, **parts)])


def _missing(fields: Mapping[str, FieldType], name: str) -> models.Filter:
    """Return the condition that a record has no value; of lists, an empty one is a value."""
    key = models.PayloadField(key=name)
    if base_of(fields[name]) == "strings":
        return models.Filter(must=[models.IsNullCondition(is_null=key)])
    return models.Filter(must=[models.IsEmptyCondition(is_empty=key)])


def _matching(key: str, values: list[Any]) -> models.Filter:
    if not values:
        return NOTHING
    if len(values) == 1:
        return _of(key, match=models.MatchValue(value=values[0]))
    return _of(key, match=models.MatchAny(any=values))


def _all(parts: list[models.Filter]) -> models.Filter:
    """Return the condition that all of some hold."""
    rest = [each for each in parts if each is not EVERYTHING]
    if any(each is NOTHING for each in rest):
        return NOTHING
    if len(rest) < 2:
        return rest[0] if rest else EVERYTHING
    # A chain of them is one list: servers limit how deep a filter may be.
    return models.Filter(must=[one for each in rest for one in _parts(each, "must")])


def _any(parts: list[models.Filter]) -> models.Filter:
    """Return the condition that one of some holds; an empty list of Qdrant's says nothing."""
    rest = [each for each in parts if each is not NOTHING]
    if any(each is EVERYTHING for each in rest):
        return EVERYTHING
    if len(rest) < 2:
        return rest[0] if rest else NOTHING
    return models.Filter(should=[one for each in rest for one in _parts(each, "should")])


def _not(part: models.Filter) -> models.Filter:
    if part is EVERYTHING or part is NOTHING:
        return EVERYTHING if part is NOTHING else NOTHING
    return models.Filter(must_not=_parts(part, "should"))


def _parts(part: models.Filter, word: str) -> list[Any]:
    """Return the conditions of a filter that has no others than those."""
    found: Any = getattr(part, word)
    single: Any = part.must if isinstance(part.must, list) and len(part.must) == 1 else None
    return list(found or single or [part])
