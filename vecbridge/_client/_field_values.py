"""Check and convert the values of scalar fields, by what the index says that it holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from vecbridge._contract._limits import UNLIMITED, FieldLimits
from vecbridge._contract._records import Fields, FieldType, IndexInfo, Scalar, encodable
from vecbridge._errors import InvalidArgumentError


def fields(columns: Fields | None, info: IndexInfo, ids: Sequence[str]) -> dict[str, list[Scalar]]:
    """Check that every field of the index, and no other, has one value of its own per id.

    Args:
        columns: as the caller gave them.
        info: of the index.
        ids: of the records.

    Raises:
        InvalidArgumentError: a field is missing or unknown, or a value is not one of its field.
    """
    given, declared = mapping(columns), info.fields
    unknown = sorted(set(given) - set(declared), key=repr)
    absent = sorted(set(declared) - set(given))
    if unknown or absent:
        raise InvalidArgumentError(
            f"the index has the fields {sorted(declared)}; "
            f"missing: {absent}, not in the index: {unknown}"
        )
    return some_fields(given, info, ids)


def some_fields(columns: Any, info: IndexInfo, ids: Sequence[str]) -> dict[str, list[Scalar]]:
    """Check columns of some fields of the index: one value of its own per id.

    Args:
        columns: as the caller gave them.
        info: of the index.
        ids: of the records.

    Raises:
        InvalidArgumentError: a field is unknown, or a value is not one of its field.
    """
    given = mapping(columns)
    unknown = sorted(set(given) - set(info.fields), key=repr)
    if unknown:
        raise InvalidArgumentError(
            f"the index has the fields {sorted(info.fields)}; not in the index: {unknown}"
        )
    return {
        name: column(
            name, given[name], info.fields[name], info.limits.get(name, UNLIMITED), len(ids), ids
        )
        for name in given
    }


def mapping(fields: Any) -> Mapping[str, Any]:
    """Return what maps the names of fields; empty for ``None``."""
    if fields is None:
        return {}
    if isinstance(fields, Mapping):
        return fields
    raise InvalidArgumentError(
        f"fields must be a mapping from the name of each field; got {fields!r}"
    )


def column(
    name: str,
    values: Any,
    kind: FieldType,
    limits: FieldLimits,
    count: int,
    ids: Sequence[str] = (),
) -> list[Scalar]:
    """Return the values of one field as plain Python scalars.

    Args:
        name: of the field.
        values: as the caller gave them.
        kind: its type.
        limits: what it holds of its type.
        count: how many there must be.
        ids: of the records, for errors.

    Raises:
        InvalidArgumentError: there are not ``count`` of them, or the field does not hold one.
    """
    single = isinstance(values, (str, bytes, set, frozenset)) or not isinstance(values, Iterable)
    if single or (isinstance(values, np.ndarray) and not values.ndim):
        raise InvalidArgumentError(
            f"field {name!r} must have one value per record ({count}), in a sequence; "
            f"got {values!r}"
        )
    given: list[Any] = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if len(given) != count:
        raise InvalidArgumentError(
            f"field {name!r} must have one value per record ({count}); got {len(given)}"
        )
    plain = given
    if set(map(type, given)) - {_CASTS[kind][1]}:
        plain = [_scalar(name, value, kind, _whose(row, ids)) for row, value in enumerate(given)]
    if plain and not _held(plain, kind, limits):
        row = next(row for row, value in enumerate(plain) if not _held([value], kind, limits))
        raise InvalidArgumentError(
            f"field {name!r} holds {_range(kind, limits)}; got "
            f"{_shown(plain[row], kind)}{_whose(row, ids)}"
        )
    return plain


def _text(value: str) -> str:
    # Not ``str(value)``: a member of an enumeration of strings shows its name there.
    return str.__str__(value)


_CASTS: dict[FieldType, tuple[tuple[type, ...], type[Any], Callable[[Any], Any]]] = {
    "string": ((str,), str, _text),
    "integer": ((int, np.integer), int, int),
    "float": ((float, int, np.floating, np.integer), float, float),
    "boolean": ((bool, np.bool_), bool, bool),
}


def _scalar(name: str, value: object, kind: FieldType, whose: str) -> Scalar:
    """Return one value of a field as a plain Python scalar."""
    accepted, _, cast = _CASTS[kind]
    is_boolean = isinstance(value, (bool, np.bool_))
    # A time span of numpy is one of its integers.
    is_span = isinstance(value, np.timedelta64)
    if not isinstance(value, accepted) or is_span or (is_boolean and kind != "boolean"):
        raise InvalidArgumentError(
            f"field {name!r} holds {kind} values; got {value!r} ({type(value).__name__}){whose}"
        )
    try:
        plain: Scalar = cast(value)
    except OverflowError:
        return math.inf
    return plain


def _held(column: list[Any], kind: FieldType, limits: FieldLimits) -> bool:
    """Return whether the field holds the values, which are of its type, as they are."""
    if kind == "integer":
        return bool(min(column) >= limits.smallest and max(column) <= limits.largest)
    if kind == "float":
        return _held_floats(np.array(column, dtype=np.float64), limits)
    if kind == "boolean":
        return True
    joined = "\0".join(column)
    if joined.count("\0") != len(column) - 1 or not encodable(joined):
        return False
    return all(
        len(value.encode()) <= limits.max_bytes
        for value in column
        # No character has more than four bytes.
        if len(value) > limits.max_bytes // 4
    )


def _held_floats(numbers: np.ndarray[Any, np.dtype[np.float64]], limits: FieldLimits) -> bool:
    if not np.isfinite(numbers).all():
        return False
    if not limits.single_precision:
        return True
    with np.errstate(all="ignore"):
        return bool((numbers.astype(np.float32) == numbers).all())


def _range(kind: FieldType, limits: FieldLimits) -> str:
    """Return what a field holds, for a message."""
    if kind == "string":
        return f"strings of at most {limits.max_bytes} bytes of UTF-8 without NUL"
    if kind == "integer":
        narrow = (limits.smallest, limits.largest) != (UNLIMITED.smallest, UNLIMITED.largest)
        within = f"integers from {limits.smallest} to {limits.largest}"
        return within if narrow else "integers of 64 bits"
    if kind == "float" and limits.single_precision:
        return "finite floats of 32 bits (float(numpy.float32(x)) is the one next to x)"
    return "finite floats" if kind == "float" else "booleans"


def _shown(value: object, kind: FieldType) -> str:
    shown = repr(str(value)[:40])
    if kind == "string" and isinstance(value, str) and encodable(value):
        return f"{shown} ({len(value.encode())} bytes)"
    return shown


def _whose(row: int, ids: Sequence[str]) -> str:
    return f" in row {row}, the record {ids[row]!r}" if row < len(ids) else ""
