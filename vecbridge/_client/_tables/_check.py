"""Check a whole table, before anything is changed, for values that the index refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import _field_values as field_values
from vecbridge._client import _validate as validate
from vecbridge._client import _vector_values as vector_values
from vecbridge._client._tables._source import Fault, Place, Progress, Rows, Source
from vecbridge._contract._field_types import FieldType, as_optional, base_of
from vecbridge._contract._limits import MAX_ID_BYTES, UNLIMITED, FieldLimits
from vecbridge._contract._records import IndexInfo
from vecbridge._errors import DuplicateIdError, InvalidInputError

_LISTED = 3
_TOLD = 5


def held_by(info: IndexInfo | None) -> tuple[Mapping[str, FieldLimits], int, bool]:
    """Return what an index holds: limits of fields, the longest id, whether ids are integers.

    Args:
        info: of the index; of one that does not exist yet, all that the contract allows.
    """
    if info is None:
        return {}, MAX_ID_BYTES, False
    return info.limits, info.max_id_bytes, info.integer_ids


@dataclass(frozen=True)
class Checked:
    """What a table holds, as far as a look at every value tells.

    Attributes:
        missing: how many records have no value of each field.
        left_out: rows that no index takes, ascending.
        taken: how many are left.
    """

    missing: Mapping[str, int]
    left_out: NDArray[np.int64]
    taken: int

    def fields(self, source: Source) -> dict[str, FieldType]:
        """Return the fields of an index for the table: optional where a value is missing."""
        return {
            each.field: as_optional(base_of(each.kind)) if self.missing[each.field] else each.kind
            for each in source.taken
        }


def check(
    source: Source, info: IndexInfo | None, progress: Progress, rejects: IO[str] | None = None
) -> Checked:
    """Read a table from end to end, by the rules of :meth:`vecbridge.Index.upsert`.

    Memory is a batch, and 8 bytes per record for the ids.

    Args:
        source: the table.
        info: of the index that it is for, where there is one.
        progress: called after each batch.
        rejects: where rows are listed that are left out; without it, the first of them is refused.

    Raises:
        InvalidInputError: a value of it is unusable, or an id is in it twice.
    """
    return _Check(source, info, rejects).run(progress)


class _Check:
    """A look at every row of a table."""

    def __init__(self, source: Source, info: IndexInfo | None, rejects: IO[str] | None) -> None:
        self._source = source
        self._rejects = rejects
        self._repeated = _Repeated(source, at_once=rejects is None)
        self._left_out: set[int] = set()
        self._missing = dict.fromkeys((each.field for each in source.taken), 0)
        self._info, (limits, *_) = info, held_by(info)
        kinds: dict[str, FieldType] = {
            each.field: as_optional(base_of(each.kind)) if info is None else info.fields[each.field]
            for each in source.taken
        }
        self._accepts: dict[str, Callable[[Any], object]] = {
            name: partial(_check_field, name, kind, limits.get(name, UNLIMITED))
            for name, kind in kinds.items()
        }

    def run(self, progress: Progress) -> Checked:
        source, row = self._source, 0
        for rows in source.batches():
            faults = self._faults(rows)
            if faults:
                self._refuse(rows, row, faults)
            at_fault = np.array(sorted(faults), np.int64)
            kept = rows.without(at_fault)
            for name, values in kept.fields.items():
                self._missing[name] += sum(value is None for value in values)
            positions = np.delete(np.arange(row, row + len(rows.ids)), at_fault)
            self._repeated.add(kept.ids, positions)
            row += len(rows.ids)
            progress("checking", row, source.records)
        if row != source.records:
            raise source.place.unusable(
                f"it says that it has {source.records:,} records, and has {row:,}"
            )
        for later, name, first in self._repeated.found(self._left_out):
            where, number = source.place.located(first)
            fault = Fault(
                source.place.id, f"row {number} of {where} has the same id", DuplicateIdError
            )
            self._reject(later, name, fault)
        left_out = np.array(sorted(self._left_out), np.int64)
        return Checked(self._missing, left_out, row - len(left_out))

    def _faults(self, rows: Rows) -> dict[int, Fault]:
        """Return what is wrong with rows of a batch, by their positions."""
        place, source, faults = self._source.place, self._source, dict(rows.faults)
        columns: list[tuple[str, Any, Callable[[Any], object]]] = [
            (place.id, rows.ids, lambda some: validate.id_column(some, self._info)),
            (
                place.vector,
                rows.vectors,
                partial(vector_values.vectors, dimension=source.dimension),
            ),
        ]
        columns += [
            (each.column, rows.fields[each.field], self._accepts[each.field])
            for each in source.taken
        ]
        for column, values, accept in columns:
            for position, error in refused(accept, values):
                if position not in faults:
                    reason = self._reason(column, values[position], error)
                    faults[position] = Fault(column, reason, type(error))
        return faults

    def _reason(self, column: str, value: Any, error: InvalidInputError) -> str:
        """Return what is wrong with one value, in the words of its column."""
        place = self._source.place
        if column == place.vector:
            is_finite = np.isfinite(value).all()
            fault = "a value too large for float32" if is_finite else "NaN or infinity"
            return f"the vector has {fault}"
        if value is None:
            return "the id is missing" if column == place.id else "the value is missing"
        if column == place.id:
            return validate.id_fault(value, info=self._info) or "it is no id"
        return str(error)

    def _refuse(self, rows: Rows, start: int, faults: dict[int, Fault]) -> None:
        """List the rows of a batch that are at fault, or refuse the table for them."""
        place = self._source.place
        if self._rejects is not None:
            for position in sorted(faults):
                self._reject(start + position, rows.ids[position], faults[position])
            return
        told = [
            place.said(start + position, rows.ids[position], faults[position])
            for position in sorted(faults)[:_TOLD]
        ]
        more = len(faults) - len(told)
        beyond = f"; and {more:,} more up to row {start + max(faults)}" if more else ""
        raise faults[min(faults)].kind(
            f"{'; '.join(told)}{beyond}. Nothing was written; mend it, or leave such rows out: "
            f"on_error='skip' (--on-error skip)"
        )

    def _reject(self, row: int, name: object, fault: Fault) -> None:
        """Note a row that is left out, and list it."""
        self._left_out.add(row)
        if self._rejects is not None:
            source, number = self._source.place.located(row)
            where = f"{self._source.place.word} {fault.column!r}: " if fault.column else ""
            entry = {"source": source, "row": number, "id": name, "reason": where + fault.reason}
            # Escaped: what is wrong with an id may be that it has no form in UTF-8.
            self._rejects.write(json.dumps(entry) + "\n")


def _check_field(name: str, kind: FieldType, limits: FieldLimits, values: Sequence[Any]) -> None:
    field_values.column(name, values, kind, limits, len(values))


def refused(
    accept: Callable[[Any], object],
    values: Any,
    errors: tuple[type[Exception], ...] = (InvalidInputError,),
) -> Iterator[tuple[int, Any]]:
    """Yield the position of each value that is refused, and the error of it alone.

    Args:
        accept: raises where one of the values that it is given is refused.
        values: what can be sliced.
        errors: what it raises then.
    """
    parts = [(0, len(values))] if len(values) else []
    while parts:
        start, stop = parts.pop()
        try:
            accept(values[start:stop])
        except errors as error:
            if stop - start == 1:
                yield start, error
                continue
            middle = (start + stop) // 2
            parts += [(middle, stop), (start, middle)]


class _Repeated:
    """Finds ids that a table has twice, in 8 bytes per record.

    Where hashes suspect some, their ids are read again.

    Args:
        source: the table.
        at_once: refuse a repeated id, as soon as it is known.
    """

    def __init__(self, source: Source, *, at_once: bool) -> None:
        self._source = source
        self._at_once = at_once
        self._parts = [np.empty(0, np.int64)]
        self._read = 0

    def add(self, ids: Sequence[Any], rows: NDArray[np.int64]) -> None:
        """Take some ids, in the order of the table, and their rows.

        Raises:
            DuplicateIdError: some of them are equal. Raised at once: of a file that says one id a
                thousand million times in a few bytes, the rest is not read.
        """
        self._parts.append(np.fromiter(map(hash, ids), np.int64, len(ids)))
        if len(rows):
            self._read = int(rows[-1]) + 1
        if self._at_once and len(set(ids)) < len(ids):
            self._refuse(self._rows_of(self._suspects(), set()))

    def found(self, left_out: set[int]) -> Iterator[tuple[int, str, int]]:
        """Yield each row whose id an earlier row has: row, id and the first row.

        Args:
            left_out: rows that are left out anyway.

        Raises:
            DuplicateIdError: there are some, and they are to be refused.
        """
        suspects = self._suspects()
        repeated = self._rows_of(suspects, left_out) if suspects else {}
        if self._at_once:
            self._refuse(repeated)
        for name, rows in repeated.items():
            for row in rows[1:]:
                yield row, name, rows[0]

    def _suspects(self) -> set[Any]:
        hashes = np.concatenate(self._parts)
        hashes.sort()
        return set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())

    def _refuse(self, repeated: dict[str, list[int]]) -> None:
        # Two ids can have one hash: only the ids themselves tell.
        if not repeated:
            return
        place, left = self._source.place, self._source.records - self._read
        raise DuplicateIdError(
            f"{place.path}, {place.word} {place.id!r}: ids in several rows, counted from 0: "
            f"{_repeated_rows(repeated, place)}. "
            + (f"The {left:,} rows after row {self._read - 1} were not looked at. " if left else "")
            + "Nothing was written; leave one record of each id in the table, or say that the "
            "first of each is taken: on_error='skip' (--on-error skip)"
        )

    def _rows_of(self, suspects: set[Any], left_out: set[int]) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        start = 0
        for some in self._source.ids():
            if start >= self._read:
                break
            for row, name in enumerate(some[: self._read - start], start):
                if name is not None and hash(name) in suspects and row not in left_out:
                    rows.setdefault(name, []).append(row)
            start += len(some)
        return {name: where for name, where in rows.items() if len(where) > 1}


def _repeated_rows(repeated: dict[str, list[int]], place: Place) -> str:
    shown = []
    for name, rows in list(repeated.items())[:_LISTED]:
        more = " ..." if len(rows) > _LISTED else ""
        shown.append(f"{name!r} in rows {', '.join(_row(r, place) for r in rows[:_LISTED])}{more}")
    left = len(repeated) - len(shown)
    return "; ".join(shown) + (f"; and {left:,} ids more" if left else "")


def _row(row: int, place: Place) -> str:
    source, number = place.located(row)
    return f"{number} of {source}" if place.parts else str(number)
