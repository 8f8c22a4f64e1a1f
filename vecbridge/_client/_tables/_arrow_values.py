"""Columns of Arrow: what they can be, and their values as an upsert takes them.

Importing this needs pyarrow.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timezone
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute, types

from vecbridge._client._tables._check import refused
from vecbridge._client._tables._columns import Column
from vecbridge._contract._field_types import BASE_TYPES, BaseType

_UUID_BYTES = 16
_INSTANTS = pa.timestamp("us", tz="UTC")
_ERRORS = (ValueError, OverflowError, TypeError, AttributeError)
_STRUCT = "its values become columns of their own by flatten=True (--flatten)"
_NO_ZONE = "its times name no time zone; say which they are in: timezone='UTC' (--timezone UTC)"


def described(name: str, kind: Any, *, zoned: bool) -> Column:
    """Return what a column can be.

    Args:
        name: of the column.
        kind: its type.
        zoned: whether a zone is known of times that name none.
    """
    default, others = _kinds(kind, zoned=zoned)
    return Column(
        name,
        str(kind),
        default,
        others,
        identifies=_identifies(kind),
        vectors=_numbers(kind),
        reason=_reason(kind),
    )


def _kinds(kind: Any, *, zoned: bool) -> tuple[BaseType | None, tuple[BaseType, ...]]:
    """Return the type of field that a column becomes by itself, and those that may be asked for."""
    kind = _stored(kind)
    if is_text(kind):
        return "string", ("timestamp",)
    if types.is_boolean(kind):
        return "boolean", ()
    if types.is_integer(kind):
        return "integer", ("float", "boolean", "string")
    if types.is_floating(kind):
        return "float", ("integer",)
    if types.is_timestamp(kind):
        return ("timestamp", ()) if kind.tz or zoned else (None, ())
    if types.is_date(kind):
        return "timestamp", ("string",)
    if is_list(kind):
        inner = _stored(kind.value_type)
        if is_text(inner):
            return "strings", ()
        return None, ("strings",) if types.is_null(inner) else ()
    if types.is_decimal(kind) or _is_sixteen_bytes(kind):
        return None, ("string",)
    return None, BASE_TYPES if types.is_null(kind) else ()


def _reason(kind: Any) -> str:
    if types.is_struct(kind):
        return _STRUCT
    if types.is_timestamp(kind):
        return _NO_ZONE
    if types.is_null(kind):
        return "nothing says what its values would be"
    return "no type of field holds such values"


def _stored(kind: Any) -> Any:
    """Return the type that a dictionary or a type of Arrow's own stands for."""
    if types.is_dictionary(kind):
        return _stored(kind.value_type)
    match getattr(kind, "extension_name", None):
        case "arrow.uuid":
            return pa.string()
        case "arrow.bool8":
            return pa.bool_()
        case "arrow.json":
            return kind.storage_type
        case _:
            return kind


def is_text(kind: Any) -> bool:
    """Tell the types of strings."""
    is_view = getattr(types, "is_string_view", lambda _: False)
    return bool(types.is_string(kind) or types.is_large_string(kind) or is_view(kind))


def is_list(kind: Any) -> bool:
    """Tell the types of lists."""
    return bool(
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)
        or _is_list_view(kind)
    )


def _is_list_view(kind: Any) -> bool:
    tests = (getattr(types, name, None) for name in ("is_list_view", "is_large_list_view"))
    return any(test(kind) for test in tests if test is not None)


def _is_sixteen_bytes(kind: Any) -> bool:
    return bool(types.is_fixed_size_binary(kind)) and kind.byte_width == _UUID_BYTES


def _identifies(kind: Any) -> bool:
    stored = _stored(kind)
    return is_text(stored) or bool(types.is_integer(stored)) or _is_sixteen_bytes(stored)


def _numbers(kind: Any) -> str:
    """Return of which numbers the values are vectors; nothing where they are none."""
    kind = _listed_type(kind)
    if kind is None:
        return ""
    if types.is_floating(kind.value_type):
        return "float"
    return "integer" if types.is_integer(kind.value_type) else ""


def _listed_type(kind: Any) -> Any:
    """Return the type of lists that vectors are kept as; ``None`` where they are none."""
    if getattr(kind, "extension_name", None) == "arrow.fixed_shape_tensor":
        return kind.storage_type if len(kind.shape) == 1 else None
    return kind if is_list(kind) else None


def fixed_length(kind: Any) -> int | None:
    """Return how long all lists of a type are; ``None`` where they differ."""
    listed = _listed_type(kind)
    return listed.list_size if types.is_fixed_size_list(listed) else None


def lengths_of(column: Any) -> NDArray[Any]:
    """Return how many values each list has; -1 where the list itself is missing."""
    column = _lists(column)
    if types.is_null(column.type):
        return np.full(len(column), -1)
    lengths = compute.fill_null(compute.list_value_length(column), -1)
    return np.where(np.asarray(column.is_null()), -1, np.asarray(lengths))


def _lists(column: Any) -> Any:
    stored = column.storage if isinstance(column, pa.ExtensionArray) else column
    if _is_list_view(stored.type):
        # Not by a cast: that of pyarrow 26 gives offsets of no list where none is missing.
        lengths = compute.fill_null(compute.list_value_length(stored), 0)
        offsets = np.concatenate([[0], np.cumsum(lengths.to_numpy(zero_copy_only=False))])
        return pa.LargeListArray.from_arrays(
            pa.array(offsets, pa.int64()), stored.flatten(), mask=stored.is_null()
        )
    return stored


def vectors_of(column: Any, dimension: int) -> tuple[NDArray[Any], dict[int, str]]:
    """Return the vectors of a column, and why some rows have none.

    Args:
        column: lists of numbers.
        dimension: their length.

    Returns:
        ``(len(column), dimension)`` numbers, zeros where there is no vector; and reasons.
    """
    lengths = lengths_of(column)
    faults = {
        int(row): _length_fault(int(lengths[row]), dimension)
        for row in np.flatnonzero(lengths != dimension)
    }
    good = np.flatnonzero(lengths == dimension)
    if not len(good):
        return np.zeros((len(column), dimension), np.float32), faults
    lists = _lists(column)
    flat = (lists.take(pa.array(good)) if faults else lists).flatten()
    if flat.null_count:
        absent = np.asarray(flat.is_null()).reshape(-1, dimension).any(axis=1)
        faults |= {int(row): "of the vector, the value is missing" for row in good[absent]}
        flat = compute.fill_null(flat, pa.scalar(0).cast(flat.type))
    values: NDArray[Any] = flat.to_numpy(zero_copy_only=False).reshape(-1, dimension)
    if len(good) == len(column):
        return values, faults
    vectors = np.zeros((len(column), dimension), values.dtype)
    vectors[good] = values
    return vectors, faults


def _length_fault(length: int, dimension: int) -> str:
    if length < 0:
        return "the vector is missing"
    values = "1 value" if length == 1 else f"{length} values"
    return f"the vector has {values}, and {dimension} are expected"


def texts_of(column: Any) -> list[Any]:
    """Return ids, or other strings: integers in decimal, and 16 bytes as a UUID is written."""
    kind = column.type
    if getattr(kind, "extension_name", None) == "arrow.uuid":
        return texts_of(column.storage)
    if isinstance(column, pa.ExtensionArray):
        return texts_of(column.storage)
    if types.is_dictionary(kind):
        return texts_of(_undone(column))
    if _is_sixteen_bytes(kind):
        given = column.to_pylist()
        return [None if each is None else str(uuid.UUID(bytes=each)) for each in given]
    if not is_text(kind):
        column = column.cast(pa.string())
    values: list[Any] = column.to_pylist()
    return values


def _undone(column: Any) -> Any:
    """Return the values of a dictionary, one per row."""
    values = column.dictionary
    if is_text(values.type):
        # pyarrow takes no views out of a dictionary.
        values = values.cast(pa.large_string())
    return values.take(column.indices)


def values_of(column: Any, kind: BaseType, zone: str | None) -> tuple[list[Any], dict[int, str]]:
    """Return the values of a column as a field has them, and why some do not become such.

    Args:
        column: of Arrow.
        kind: the type of the field, without ``?``.
        zone: that times are in that name none.

    Returns:
        One value per row, ``None`` where there is none; and reasons, by row.
    """

    def convert(part: Any) -> list[Any]:
        return _converted(part, kind, zone)

    try:
        return convert(column), {}
    except _ERRORS:
        errors = dict(refused(convert, column, _ERRORS))
        good = [row for row in range(len(column)) if row not in errors]
        values: list[Any] = [None] * len(column)
        for row, value in zip(good, convert(column.take(pa.array(good, pa.int64()))), strict=True):
            values[row] = value
        return values, {
            row: f"the value cannot be of type {kind}: {error}" for row, error in errors.items()
        }


def _converted(column: Any, kind: BaseType, zone: str | None) -> list[Any]:
    if types.is_null(column.type):
        return [None] * len(column)
    if types.is_dictionary(column.type):
        return _converted(_undone(column), kind, zone)
    if isinstance(column, pa.ExtensionArray):
        is_uuid = column.type.extension_name == "arrow.uuid"
        return texts_of(column) if is_uuid else _converted(column.storage, kind, zone)
    if kind == "timestamp":
        return _times(column, zone)
    if kind == "string":
        return texts_of(column)
    if kind == "boolean" and not types.is_boolean(column.type):
        return _booleans(column.to_pylist())
    if kind == "float":
        column = column.cast(pa.float64())
    if kind == "integer" and types.is_floating(column.type):
        column = column.cast(pa.int64())
    values: list[Any] = column.to_pylist()
    return values


def _booleans(values: Sequence[Any]) -> list[bool | None]:
    for value in values:
        if value not in {None, 0, 1}:
            raise ValueError(f"{value} is neither 0 nor 1")
    return [None if value is None else bool(value) for value in values]


def _times(column: Any, zone: str | None) -> list[Any]:
    if is_text(column.type):
        column = _parsed(column, zone)
    if types.is_date(column.type):
        column = column.cast(pa.timestamp("us")).cast(_INSTANTS)
    elif column.type.tz is None:
        if zone is None:
            raise ValueError(_NO_ZONE)
        column = compute.assume_timezone(column, zone)
    if column.type.unit == "ns" and types.is_timestamp(column.type):
        _refuse_nanoseconds(column)
    whole = column.cast(_INSTANTS)
    counts = compute.fill_null(whole.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    times = counts.astype("M8[us]").tolist()
    if not all(hasattr(each, "replace") for each in times):
        raise ValueError("it is outside of the years 1 to 9999")
    present = np.asarray(whole.is_valid()).tolist()
    return [
        each.replace(tzinfo=timezone.utc) if there else None
        for each, there in zip(times, present, strict=True)
    ]


def _parsed(column: Any, zone: str | None) -> Any:
    # pyarrow parses no views.
    texts = column.cast(pa.large_string())
    try:
        return texts.cast(_INSTANTS)
    except pa.ArrowInvalid:
        if zone is None:
            raise
        return texts.cast(pa.timestamp("us"))


def _refuse_nanoseconds(column: Any) -> None:
    counts = compute.fill_null(column.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    if (counts % 1000).any():
        raise ValueError("it has nanoseconds, and a timestamp has microseconds; round it")
