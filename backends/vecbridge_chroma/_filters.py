"""Settled filters as Chroma's, and the metadata that they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from vecbridge import FieldValue
from vecbridge.fields import FieldType, base_of, is_optional
from vecbridge.filters import (
    And,
    Comparison,
    Contains,
    ContainsAny,
    Filter,
    IsMissing,
    Not,
    OneOf,
    Or,
)
from vecbridge.remote import float_key, float_of

Condition = dict[str, Any]

_MISSING = "missing"
_WORDS = {"==": "$eq", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
_OPPOSITES = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_PER_CONDITION = 50


def metadata(fields: Mapping[str, FieldType], values: Iterable[FieldValue]) -> dict[str, Any]:
    """Return fields as metadata.

    Chroma adds metadata to what a record has: each key is named, with nothing where it has to go.
    It rounds one float in ten, and no integer.
    """
    found: dict[str, Any] = {}
    for (name, kind), value in zip(fields.items(), values, strict=True):
        if is_optional(kind):
            found[f"{name}?"] = _MISSING if value is None else None
        found[name] = float_key(value) if isinstance(value, float) else value
        if value is not None and base_of(kind) == "strings":
            # A list of none is no value of Chroma's.
            found[name] = list(cast(Sequence[str], value)) or None
    return found


def field_of(name: str, kind: FieldType, found: Mapping[str, Any]) -> FieldValue:
    """Return the value of a field."""
    if f"{name}?" in found:
        return None
    value = found.get(name, [] if base_of(kind) == "strings" else None)
    return float_of(value) if base_of(kind) == "float" else value


def weight(where: Filter) -> int:
    """Return what a filter costs SQLite, in values: 32766 are the most of a query."""
    match where:
        case And(left, right) | Or(left, right):
            return weight(left) + weight(right)
        case Not(operand):
            return weight(operand)
        case OneOf(_, values):
            return _PER_CONDITION + len(values)
        case ContainsAny(_, values):
            return _PER_CONDITION * len(values)
    return _PER_CONDITION


def condition(
    fields: Mapping[str, FieldType], where: Filter, *, negated: bool = False
) -> Condition:
    """Return the condition of a settled filter, or its opposite: Chroma has no *not*.

    A condition with ``$ne``, ``$nin`` or ``$not_contains`` holds of a record without the key too,
    as the opposite of one does.
    """
    match where:
        case And(left, right) | Or(left, right):
            word = "$and" if isinstance(where, And) is not negated else "$or"
            both = (condition(fields, each, negated=negated) for each in (left, right))
            return {word: [*both]}
        case Not(operand):
            return condition(fields, operand, negated=not negated)
        case IsMissing(name):
            return {f"{name}?": {"$ne" if negated else "$eq": _MISSING}}
        case Contains(name, value):
            return {name: {"$not_contains" if negated else "$contains": value}}
        case ContainsAny(name, values):
            parts = [condition(fields, Contains(name, each), negated=negated) for each in values]
            return parts[0] if len(parts) == 1 else {"$and" if negated else "$or": parts}
        case OneOf(name, values):
            return {name: {"$nin" if negated else "$in": _listed(values)}}
        case Comparison(name, word, value):
            wanted = _OPPOSITES[word] if negated else word
            found = _compared(name, wanted, value)
            if word == "!=" and not negated and is_optional(fields.get(name, "float")):
                return {"$and": [found, {f"{name}?": {"$ne": _MISSING}}]}
            return found
    raise TypeError(f"{where} is no filter that an index declares")


def _compared(name: str, word: str, value: Any) -> Condition:
    held = _listed([value])
    if word in {"==", "!="} and len(held) > 1:
        return {name: {"$in" if word == "==" else "$nin": held}}
    return {name: {_WORDS[word]: held[-1] if word in {"<=", ">"} else held[0]}}


def _listed(values: Iterable[Any]) -> list[Any]:
    """Return values as they are kept: two for the float zero, the negative one first."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, float):
            found += [float_key(each) for each in ((-0.0, 0.0) if value == 0 else (value,))]
        else:
            found.append(value)
    return found
