"""A file is read once before anything is changed: every value that the index refuses is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import _field_values as field_values
from vecbridge._client import _validate as validate
from vecbridge._client import _vector_values as vector_values
from vecbridge._contract._limits import MAX_ID_BYTES, UNLIMITED, FieldLimits
from vecbridge._contract._records import IndexInfo
from vecbridge._errors import InvalidInputError
from vecbridge.transfer._progress import Progress
from vecbridge.transfer._repeated import Repeated
from vecbridge.transfer._source import Rows, Source, first_refused


def held_by(info: IndexInfo | None) -> tuple[Mapping[str, FieldLimits], int]:
    """Return what an index holds: the limits of its fields, and its longest id, in bytes.

    Args:
        info: of the index; of one that does not exist yet, all that the contract allows.
    """
    return ({}, MAX_ID_BYTES) if info is None else (info.limits, info.max_id_bytes)


def check(file: Source, info: IndexInfo | None, progress: Progress) -> None:
    """Read a file from end to end, by the rules of :meth:`vecbridge.Index.upsert`.

    Memory is a batch, and 8 bytes a record for the ids.

    Args:
        file: the file.
        info: of the index that it is for, where there is one.
        progress: called after each batch.

    Raises:
        InvalidInputError: a value of it is unusable, or an id is in it twice.
    """
    limits, max_id_bytes = held_by(info)
    repeated = Repeated(file)
    row = 0
    for rows in file.batches():
        _check_rows(file, rows, row, limits, max_id_bytes)
        row += len(rows.ids)
        repeated.add(rows.ids)
        progress("checking", row, file.records)
    if row != file.records:
        raise file.place.unusable(f"it says that it has {file.records:,} records, and has {row:,}")
    repeated.check()


def _check_rows(
    file: Source,
    rows: Rows,
    start: int,
    limits: Mapping[str, FieldLimits],
    max_id_bytes: int,
) -> None:
    place, count = file.place, len(rows.ids)

    def check(
        column: str, values: Any, accept: Callable[[Any], object], reason: Callable[[Any], str]
    ) -> None:
        def refused(part: slice) -> bool:
            try:
                accept(values[part])
            except InvalidInputError:
                return True
            return False

        try:
            accept(values)
        except InvalidInputError as error:
            row = first_refused(count, refused)
            raise place.refused(
                column, start + row, rows.ids[row], reason(values[row]), type(error)
            ) from error

    check(
        place.id,
        rows.ids,
        lambda some: validate.id_column(some, max_id_bytes),
        lambda name: _fault_of_id(name, max_id_bytes),
    )
    check(
        place.vector,
        rows.vectors,
        lambda some: vector_values.vectors(some, dimension=file.dimension),
        _fault_of_vector,
    )
    for name, kind in file.fields.items():

        def accept(some: Sequence[Any], name: str = name, kind: Any = kind) -> None:
            field_values.column(name, some, kind, limits.get(name, UNLIMITED), len(some))

        def reason(value: object, accept: Callable[[list[object]], None] = accept) -> str:
            return "the value is missing" if value is None else _reason(accept, [value])

        check(name, rows.fields[name], accept, reason)


def _fault_of_id(name: str | None, max_bytes: int) -> str:
    if name is None:
        return "the id is missing"
    return validate.id_fault(name, max_bytes=max_bytes) or "it is no id"


def _fault_of_vector(vector: NDArray[Any]) -> str:
    if np.isfinite(vector).all():
        return "the vector has a value too large for float32"
    return "the vector has NaN or infinity"


def _reason(accept: Callable[[list[object]], None], values: list[object]) -> str:
    try:
        accept(values)
    except InvalidInputError as error:
        return str(error)
    return "the value is refused among others"
