"""A file is read once before anything is changed: every value that no index takes is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import _validate as validate
from vecbridge._client import _vector_values as vector_values
from vecbridge._errors import InvalidInputError
from vecbridge.transfer._progress import Progress
from vecbridge.transfer._repeated import Repeated
from vecbridge.transfer._source import Rows, Source, first_refused


def check(file: Source, progress: Progress) -> None:
    """Read a file from end to end, by the rules of :meth:`vecbridge.Index.upsert`.

    Memory is a batch, and 8 bytes a record for the ids.

    Raises:
        InvalidInputError: a value of it is unusable, or an id is in it twice.
    """
    repeated = Repeated(file)
    row = 0
    for rows in file.batches():
        _check_rows(file, rows, row)
        row += len(rows.ids)
        repeated.add(rows.ids)
        progress("checking", row, file.records)
    if row != file.records:
        raise file.place.unusable(f"it says that it has {file.records:,} records, and has {row:,}")
    repeated.check()


def _check_rows(file: Source, rows: Rows, start: int) -> None:
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

    check(place.id, rows.ids, _accept_ids, _fault_of_id)
    check(
        place.vector,
        rows.vectors,
        lambda some: vector_values.vectors(some, dimension=file.dimension),
        _fault_of_vector,
    )
    for name, kind in file.fields.items():

        def accept(some: Sequence[Any], name: str = name, kind: Any = kind) -> None:
            validate.fields({name: some}, {name: kind}, len(some))

        def reason(value: object, accept: Callable[[list[object]], None] = accept) -> str:
            return "the value is missing" if value is None else _reason(accept, [value])

        check(name, rows.fields[name], accept, reason)


def _accept_ids(ids: Sequence[Any]) -> None:
    validate.id_column(ids)


def _fault_of_id(name: str | None) -> str:
    return "the id is missing" if name is None else validate.id_fault(name) or "it is no id"


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
