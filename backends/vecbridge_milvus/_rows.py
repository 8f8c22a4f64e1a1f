"""Columns to Milvus's rows, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge import Fields, InvalidArgumentError, Records, Scalar
from vecbridge.ranking import norms
from vecbridge_milvus._requests import Columns
from vecbridge_milvus._schema import TEXT_BYTES, Layout

_INT64 = 2**63


def to_columns(
    layout: Layout, ids: Sequence[str], vectors: NDArray[np.float32], fields: Fields
) -> Columns:
    """What is written of records: the columns of the collection."""
    columns: dict[str, Any] = {layout.key: ids, layout.vector: to_stored(layout, vectors)}
    if layout.norm is not None:
        columns[layout.norm] = norms(vectors).tolist()
    for name, values in fields.items():
        _check_column(name, layout.info.fields[name], values)
        columns[name] = values
    return columns


def part_of(columns: Columns, start: int, stop: int) -> Columns:
    """A stretch of records."""
    return {name: values[start:stop] for name, values in columns.items()}


def to_rows(columns: Columns) -> list[dict[str, Any]]:
    """Rows of dicts, as pymilvus takes them."""
    names = tuple(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def to_stored(layout: Layout, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors of the stored dimension: zeros at the end change no distance."""
    missing = layout.stored_dimension - vectors.shape[1]
    return np.pad(vectors, ((0, 0), (0, missing))) if missing else vectors


def to_vectors(layout: Layout, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
    """The vectors of rows, ``(n, d)``."""
    stored = np.array([row[layout.vector] for row in rows], dtype=np.float32)
    shaped = stored.reshape(len(rows), layout.stored_dimension)
    return np.ascontiguousarray(shaped[:, : layout.info.dimension])


def to_ids(layout: Layout, rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The ids of rows."""
    return tuple(row[layout.key] for row in rows)


def to_records(
    layout: Layout, rows: Sequence[Mapping[str, Any]], missing: tuple[str, ...] = ()
) -> Records:
    """Rows as columns."""
    columns: dict[str, list[Scalar]] = {
        name: [row[name] for row in rows] for name in layout.info.fields
    }
    return Records(to_ids(layout, rows), to_vectors(layout, rows), columns, missing)


def _check_column(name: str, kind: str, values: Sequence[Any]) -> None:
    if kind == "string" and any(len(value.encode()) > TEXT_BYTES for value in values):
        raise InvalidArgumentError(
            f"field {name!r}: Milvus holds strings of at most {TEXT_BYTES} bytes of UTF-8"
        )
    if kind == "integer" and any(not -_INT64 <= value < _INT64 for value in values):
        raise InvalidArgumentError(f"field {name!r}: Milvus holds integers of 64 bits")
