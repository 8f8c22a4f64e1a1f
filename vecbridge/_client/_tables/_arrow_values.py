"""The values of columns of Arrow, as an upsert takes them.

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

from vecbridge._client._tables._arrow_kinds import (
    NO_ZONE,
    identifies,
    is_list,
    is_list_view,
    is_sixteen_bytes,
    is_text,
    numbers_of,
    stored_as,
    taken_as,
)
from vecbridge._client._tables._check import refused
from vecbridge._client._tables._objects import is_unusable
from vecbridge._client._tables._unions import missing, parts
from vecbridge._contract._field_types import BaseType

_INSTANTS = pa.timestamp("us", tz="UTC")
_ERRORS = (ValueError, OverflowError, TypeError, AttributeError)


def lengths_of(column: Any) -> NDArray[Any]:
    """Return how many values each list has; -1 where the list itself is missing."""
    if types.is_union(column.type):
        of_all = np.full(len(column), -1)
        for part in parts(column):
            if numbers_of(part.values.type):
                of_all[part.rows] = lengths_of(part.values)
        return of_all
    column = _lists(column)
    if not is_list(column.type):
        return np.full(len(column), -1)
    lengths = compute.fill_null(compute.list_value_length(column), -1)
    return np.where(np.asarray(column.is_null()), -1, np.asarray(lengths))


def _lists(column: Any) -> Any:
    stored = column.storage if isinstance(column, pa.ExtensionArray) else column
    if is_list_view(stored.type):
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
    if types.is_union(column.type):
        mixed = np.zeros((len(column), dimension))
        reasons: dict[int, str] = {}
        for part in parts(column):
            mixed[part.rows], wrong = vectors_of(part.values, dimension)
            if is_unusable(part.kind):
                wrong = dict.fromkeys(wrong, _no_vector(part.kind))
            reasons |= {int(part.rows[row]): reason for row, reason in wrong.items()}
        nowhere = np.flatnonzero(missing(column)).tolist()
        return mixed, reasons | dict.fromkeys(nowhere, _length_fault(-1, dimension))
    stored = stored_as(column.type)
    if not (types.is_null(stored) or numbers_of(stored) or _is_empty_list(stored)):
        present = np.flatnonzero(np.asarray(column.is_valid()))
        reasons = dict.fromkeys(range(len(column)), _length_fault(-1, dimension))
        reasons |= dict.fromkeys(present.tolist(), _no_vector(str(stored)))
        return np.zeros((len(column), dimension)), reasons
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


def _no_vector(kind: str) -> str:
    return f"a vector is a list of numbers, and this is {_article(kind)}"


def _article(kind: str) -> str:
    return kind if is_unusable(kind) else f"of {kind}"


def _is_empty_list(kind: Any) -> bool:
    return is_list(kind) and bool(types.is_null(kind.value_type))


def _length_fault(length: int, dimension: int) -> str:
    if length < 0:
        return "the vector is missing"
    values = "1 value" if length == 1 else f"{length} values"
    return f"the vector has {values}, and {dimension} are expected"


def ids_of(column: Any) -> tuple[list[Any], dict[int, str]]:
    """Return ids, and why some rows have none."""
    if not types.is_union(column.type):
        if types.is_null(column.type) or identifies(column.type):
            return texts_of(column), {}
        return [None] * len(column), _all_wrong(column, f"it is {_article(str(column.type))}", _ID)
    ids: list[Any] = [None] * len(column)
    faults: dict[int, str] = {}
    for part in parts(column):
        if is_unusable(part.kind):
            faults |= dict.fromkeys(part.rows.tolist(), f"{_ID}: it is {part.kind}")
            continue
        some, wrong = ids_of(part.values)
        for row, value in zip(part.rows.tolist(), some, strict=True):
            ids[row] = value
        faults |= {int(part.rows[row]): reason for row, reason in wrong.items()}
    return ids, faults


def _all_wrong(column: Any, reason: str, what: str) -> dict[int, str]:
    present = np.flatnonzero(np.asarray(column.is_valid()))
    return dict.fromkeys(present.tolist(), f"{what}: {reason}")


_ID = "the value cannot be an id"


def texts_of(column: Any) -> list[Any]:
    """Return ids, or other strings: integers in decimal, and 16 bytes as a UUID is written."""
    kind = column.type
    if getattr(kind, "extension_name", None) == "arrow.uuid":
        return texts_of(column.storage)
    if isinstance(column, pa.ExtensionArray):
        return texts_of(column.storage)
    if types.is_dictionary(kind):
        return texts_of(_undone(column))
    if is_sixteen_bytes(kind):
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


def values_of(
    column: Any, kind: BaseType, zone: str | None, *, mixed: bool = False
) -> tuple[list[Any], dict[int, str]]:
    """Return the values of a column as a field has them, and why some do not become such.

    Args:
        column: of Arrow.
        kind: the type of the field, without ``?``.
        zone: that times are in that name none.
        mixed: whether the column has values of several kinds, here or in another batch.

    Returns:
        One value per row, ``None`` where there is none; and reasons, by row.
    """
    if types.is_union(column.type):
        return _values_of_parts(column, kind, zone, mixed=mixed)
    if mixed and not _becomes(column.type, kind):
        why = f"it is {_article(str(column.type))}"
        return [None] * len(column), _all_wrong(column, why, _not_of(kind))

    def convert(part: Any) -> list[Any]:
        return _converted(part, kind, zone)

    try:
        return convert(column), {}
    except _ERRORS:
        errors = dict(refused(convert, column, _ERRORS))
        good = [row for row in range(len(column)) if row not in errors]
        values: list[Any] = [None] * len(column)
        # What is refused for its type is refused of no values too.
        some = convert(column.take(pa.array(good, pa.int64()))) if good else []
        for row, value in zip(good, some, strict=True):
            values[row] = value
        return values, {row: f"{_not_of(kind)}: {error}" for row, error in errors.items()}


def _values_of_parts(
    column: Any, kind: BaseType, zone: str | None, *, mixed: bool
) -> tuple[list[Any], dict[int, str]]:
    values: list[Any] = [None] * len(column)
    faults: dict[int, str] = {}
    for part in parts(column):
        if is_unusable(part.kind):
            faults |= dict.fromkeys(part.rows.tolist(), f"{_not_of(kind)}: it is {part.kind}")
            continue
        some, wrong = values_of(part.values, kind, zone, mixed=mixed)
        for row, value in zip(part.rows.tolist(), some, strict=True):
            values[row] = value
        faults |= {int(part.rows[row]): reason for row, reason in wrong.items()}
    return values, faults


def _becomes(stored: Any, kind: BaseType) -> bool:
    """Tell whether values of one kind among others can be of a field's."""
    if types.is_null(stored):
        return True
    default, others = taken_as(str(stored), stored, zoned=True)
    return kind in {default, *others}


def _not_of(kind: BaseType) -> str:
    return f"the value cannot be of type {kind}"


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
            raise ValueError(NO_ZONE)
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
