"""Checks scalar fields: what is declared, and the columns that records carry."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from vecbridge._contract._records import (
    FIELD_TYPES,
    MAX_TEXT_BYTES,
    Fields,
    FieldType,
    Scalar,
    encodable,
)
from vecbridge._errors import InvalidArgumentError
from vecbridge._front._validate import index_name


def field_types(fields: Mapping[str, object] | None) -> dict[str, FieldType]:
    """Checks the declaration of scalar fields."""
    checked: dict[str, FieldType] = {}
    for name, wanted in _mapping(fields).items():
        index_name(name)
        checked[name] = _field_type(name, wanted)
    return checked


def fields(
    columns: Fields | None, declared: Mapping[str, FieldType], count: int
) -> dict[str, list[Scalar]]:
    """Checks that every declared field, and no other, has ``count`` values of its type."""
    given = _mapping(columns)
    unknown = sorted(set(given) - set(declared), key=repr)
    absent = sorted(set(declared) - set(given))
    if unknown or absent:
        raise InvalidArgumentError(
            f"the index has the fields {sorted(declared)}; "
            f"missing: {absent}, not in the index: {unknown}"
        )
    return {name: _column(name, given[name], kind, count) for name, kind in declared.items()}


def _mapping(fields: Any) -> Mapping[str, Any]:
    if fields is None:
        return {}
    if isinstance(fields, Mapping):
        return fields
    raise InvalidArgumentError(
        f"fields must be a mapping from the name of each field; got {fields!r}"
    )


def _text(value: str) -> str:
    # Not ``str(value)``: a member of an enumeration of strings shows its name there.
    return str.__str__(value)


_FIELD_CASTS: dict[FieldType, tuple[tuple[type, ...], type[Any], Callable[[Any], Any]]] = {
    "string": ((str,), str, _text),
    "integer": ((int, np.integer), int, int),
    "float": ((float, int, np.floating, np.integer), float, float),
    "boolean": ((bool, np.bool_), bool, bool),
}


def _field_type(name: str, wanted: object) -> FieldType:
    # An array as a type would not compare to one truth value.
    if isinstance(wanted, str):
        for known in FIELD_TYPES:
            if known == wanted:
                return known
    raise InvalidArgumentError(
        f"field {name!r} must be one of {', '.join(FIELD_TYPES)}; got {wanted!r}"
    )


def _column(name: str, values: Any, kind: FieldType, count: int) -> list[Scalar]:
    single = isinstance(values, (str, bytes, set, frozenset)) or not isinstance(values, Iterable)
    if single or (isinstance(values, np.ndarray) and not values.ndim):
        raise InvalidArgumentError(
            f"field {name!r} must have one value a record, {count}, in a sequence; got {values!r}"
        )
    column: list[Scalar] = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if len(column) != count:
        raise InvalidArgumentError(
            f"field {name!r} must have one value a record, {count}; got {len(column)}"
        )
    plain = _FIELD_CASTS[kind][1]
    if set(map(type, column)) - {plain}:
        column = [_scalar(name, value, kind) for value in column]
    if column and not _storable(column, kind):
        culprit = next(value for value in column if not _storable([value], kind))
        raise InvalidArgumentError(
            f"field {name!r} holds {_RANGES[kind]}; got {str(culprit)[:40]!r}"
        )
    return column


def _scalar(name: str, value: object, kind: FieldType) -> Scalar:
    """One value of a field as a plain Python scalar."""
    accepted, _, cast = _FIELD_CASTS[kind]
    is_boolean = isinstance(value, (bool, np.bool_))
    # A time span of numpy is one of its integers.
    is_span = isinstance(value, np.timedelta64)
    if not isinstance(value, accepted) or is_span or (is_boolean and kind != "boolean"):
        raise InvalidArgumentError(
            f"field {name!r} holds {kind} values; got {value!r} ({type(value).__name__})"
        )
    try:
        plain: Scalar = cast(value)
    except OverflowError:
        return math.inf
    return plain


_RANGES: dict[FieldType, str] = {
    "string": f"strings of at most {MAX_TEXT_BYTES} bytes of UTF-8 without NUL",
    "integer": "integers of 64 bits",
    "float": "finite floats",
    "boolean": "booleans",
}


def _storable(column: list[Any], kind: FieldType) -> bool:
    """Whether every store can keep the values, which are of the right type."""
    if kind == "integer":
        return bool(min(column) >= -(2**63) and max(column) < 2**63)
    if kind == "float":
        return bool(np.isfinite(column).all())
    if kind == "boolean":
        return True
    joined = "\0".join(column)
    if joined.count("\0") != len(column) - 1 or not encodable(joined):
        return False
    return all(
        len(value.encode()) <= MAX_TEXT_BYTES
        for value in column
        if len(value) > MAX_TEXT_BYTES // 4
    )
