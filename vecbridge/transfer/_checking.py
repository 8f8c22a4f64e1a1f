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
from vecbridge._errors import DuplicateIdError, InvalidInputError
from vecbridge.transfer._source import Progress, Rows, Source

_LISTED = 3


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
            row = _first_refused(count, refused)
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


def _first_refused(count: int, refused: Callable[[slice], bool]) -> int:
    """Return the first of ``count`` rows that is refused alone; some of them are.

    Args:
        count: how many there are.
        refused: tells whether one of a stretch of rows is.
    """
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) // 2
        if refused(slice(low, middle)):
            high = middle
        else:
            low = middle
    return low


class _Repeated:
    """Looks for them, in 8 bytes a record; where one is suspected, the ids are read again.

    Args:
        file: the file.
    """

    def __init__(self, file: Source) -> None:
        self._file = file
        self._parts = [np.empty(0, np.int64)]

    def add(self, ids: Sequence[Any]) -> None:
        """Take some ids, in the order of the file.

        Raises:
            DuplicateIdError: some of them are equal. Told at once: of a file that says one id a
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
