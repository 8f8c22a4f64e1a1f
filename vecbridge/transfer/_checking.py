"""Check a whole file, before anything is changed, for values that the index refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from vecbridge._client import _field_values as field_values
from vecbridge._client import _validate as validate
from vecbridge._client import _vector_values as vector_values
from vecbridge._contract._field_types import FieldType
from vecbridge._contract._limits import MAX_ID_BYTES, UNLIMITED, FieldLimits
from vecbridge._contract._records import IndexInfo
from vecbridge._errors import DuplicateIdError, InvalidInputError
from vecbridge.transfer._source import Place, Progress, Rows, Source

_LISTED = 3


def held_by(info: IndexInfo | None) -> tuple[Mapping[str, FieldLimits], int]:
    """Return what an index holds: the limits of its fields, and its longest id, in bytes.

    Args:
        info: of the index; of one that does not exist yet, all that the contract allows.
    """
    return ({}, MAX_ID_BYTES) if info is None else (info.limits, info.max_id_bytes)


def check(file: Source, info: IndexInfo | None, progress: Progress) -> None:
    """Read a file from end to end, by the rules of :meth:`vecbridge.Index.upsert`.

    Memory is a batch, and 8 bytes per record for the ids.

    Args:
        file: the file.
        info: of the index that it is for, where there is one.
        progress: called after each batch.

    Raises:
        InvalidInputError: a value of it is unusable, or an id is in it twice.
    """
    limits, max_id_bytes = held_by(info)
    repeated = _Repeated(file)
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
    file: Source, rows: Rows, start: int, limits: Mapping[str, FieldLimits], max_id_bytes: int
) -> None:
    """Check a batch whose first row is row ``start`` of the file, column by column."""
    place = file.place
    columns: list[tuple[str, Any, Callable[[Any], object]]] = [
        (place.id, rows.ids, lambda some: validate.id_column(some, max_id_bytes)),
        (place.vector, rows.vectors, partial(vector_values.vectors, dimension=file.dimension)),
    ]
    for name, kind in file.fields.items():
        accepted = partial(_check_field, name, kind, limits.get(name, UNLIMITED))
        columns.append((name, rows.fields[name], accepted))
    for column, values, accept in columns:
        error = _refusal(accept, values)
        if error is not None:
            row = _first_refused(accept, values)
            reason = _reason(place, column, values[row], accept, max_id_bytes)
            raise place.refused(column, start + row, rows.ids[row], reason, type(error)) from error


def _check_field(name: str, kind: FieldType, limits: FieldLimits, values: Sequence[Any]) -> None:
    field_values.column(name, values, kind, limits, len(values))


def _first_refused(accept: Callable[[Any], object], values: Any) -> int:
    """Return the first row of a column whose value is refused; there is one."""
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        if _refusal(accept, values[low:middle]):
            high = middle
        else:
            low = middle
    return low


def _refusal(accept: Callable[[Any], object], values: Any) -> InvalidInputError | None:
    try:
        accept(values)
    except InvalidInputError as error:
        return error
    return None


def _reason(
    place: Place, column: str, value: Any, accept: Callable[[Any], object], max_id_bytes: int
) -> str:
    """Return what is wrong with one value, in the words of its column."""
    if column == place.vector:
        is_finite = np.isfinite(value).all()
        fault = "a value too large for float32" if is_finite else "NaN or infinity"
        return f"the vector has {fault}"
    if value is None:
        return "the id is missing" if column == place.id else "the value is missing"
    if column == place.id:
        return validate.id_fault(value, max_bytes=max_id_bytes) or "it is no id"
    return str(_refusal(accept, [value]) or "the value is refused among others")


class _Repeated:
    """Finds ids that a file has twice, in 8 bytes per record.

    Where hashes suspect some, their ids are read again.
    """

    def __init__(self, file: Source) -> None:
        self._file = file
        self._parts = [np.empty(0, np.int64)]

    def add(self, ids: Sequence[Any]) -> None:
        """Take some ids, in the order of the file.

        Raises:
            DuplicateIdError: some of them are equal. Raised at once: of a file that says one id a
                thousand million times in a few bytes, the rest is not read.
        """
        self._parts.append(np.fromiter(map(hash, ids), np.int64, len(ids)))
        if len(set(ids)) < len(ids):
            self.check()

    def check(self) -> None:
        """Look at all the ids so far.

        Raises:
            DuplicateIdError: an id occurs twice.
        """
        hashes = np.concatenate(self._parts)
        hashes.sort()
        suspects = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
        # Two ids can have one hash: only the ids themselves tell.
        repeated = self._rows_of(suspects, len(hashes)) if suspects else {}
        if not repeated:
            return
        read = len(hashes)
        left = self._file.records - read
        raise DuplicateIdError(
            f"{self._file.place.path}, {self._file.place.word} {self._file.place.id!r}: ids in "
            f"several rows, counted from 0: {_repeated_rows(repeated)}. "
            + (f"The {left:,} rows after row {read - 1} were not looked at. " if left else "")
            + "Nothing was imported; leave one record of each id in the file"
        )

    def _rows_of(self, suspects: set[Any], stop: int) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        start = 0
        for some in self._file.ids():
            if start >= stop:
                break
            for row, name in enumerate(some[: stop - start], start):
                if name is not None and hash(name) in suspects:
                    rows.setdefault(name, []).append(row)
            start += len(some)
        return {name: where for name, where in rows.items() if len(where) > 1}


def _repeated_rows(repeated: dict[str, list[int]]) -> str:
    shown = []
    for name, rows in list(repeated.items())[:_LISTED]:
        more = " ..." if len(rows) > _LISTED else ""
        shown.append(f"{name!r} in rows {', '.join(map(str, rows[:_LISTED]))}{more}")
    left = len(repeated) - len(shown)
    return "; ".join(shown) + (f"; and {left:,} ids more" if left else "")
