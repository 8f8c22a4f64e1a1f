"""A table of records, whatever it was read from: its columns, and its rows in batches."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import _validate as validate
from vecbridge._contract._field_types import FieldType
from vecbridge._contract._metric import Metric
from vecbridge._errors import InvalidArgumentError, InvalidInputError, VecbridgeError

BATCH_BYTES = 16 << 20
_MOST_ROWS = 1 << 16
"""Read at a time: of small records, what Python keeps of each is many times its bytes."""

_SHOWN = 80


class Progress(Protocol):
    """Called after each batch."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report how far the work is.

        Args:
            stage: what is being done, such as ``"copying"``.
            done: records that are done.
            total: records in all, as far as that is known.
        """


def silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""


class Fault(NamedTuple):
    """What is wrong with one row, and in which column.

    Attributes:
        column: of the table; nothing where the row could not even be read.
        reason: what is wrong with its value.
        kind: the error that an upsert of it raises.
    """

    column: str
    reason: str
    kind: type[InvalidInputError] = InvalidArgumentError


@dataclass(frozen=True)
class Rows:
    """Some records as the table has them: their types and shapes are right, their values unknown.

    Attributes:
        ids: strings; ``None`` where the table has none.
        vectors: ``(len(ids), d)`` of some type of number.
        fields: a column of values for each field; ``None`` where the table has none.
        faults: what is wrong with rows that could not even be converted, by position; what stands
            in their place means nothing.
    """

    ids: Sequence[str | None]
    vectors: NDArray[Any]
    fields: Mapping[str, Sequence[Any]]
    faults: Mapping[int, Fault] = field(default_factory=dict)

    def without(self, rows: NDArray[np.int64]) -> Rows:
        """Return the rows but those at some positions."""
        if not len(rows):
            return self
        kept = np.ones(len(self.ids), np.bool_)
        kept[rows] = False
        positions = np.flatnonzero(kept).tolist()
        fields = {name: [column[at] for at in positions] for name, column in self.fields.items()}
        return Rows([self.ids[at] for at in positions], self.vectors[kept], fields)


@dataclass(frozen=True)
class Place:
    """A table in the words of its format, for errors.

    Attributes:
        path: of the file, or what the table is.
        word: for a column of it.
        id: name of the column of ids.
        vector: name of the column of vectors.
        parts: of a table in several files, the first row and the path of each.
    """

    path: Path | str
    word: str
    id: str
    vector: str
    parts: Sequence[tuple[int, Path]] = ()

    def located(self, row: int) -> tuple[str, int]:
        """Return the file that a row of the table is in, and its number there."""
        if not self.parts:
            return str(self.path), row
        start, path = self.parts[bisect_right([first for first, _ in self.parts], row) - 1]
        return str(path), row - start

    def unusable(self, reason: object) -> InvalidArgumentError:
        """Return the error of a table that is not one of records."""
        return InvalidArgumentError(f"{self.path} cannot be taken as records: {reason}")

    def said(self, row: int, name: object, fault: Fault) -> str:
        """Return what is wrong with a row, by its column, number and the record's id (``name``)."""
        whose = repr(name)
        whose = f"{whose[:_SHOWN]}..." if len(whose) > _SHOWN else whose
        path, number = self.located(row)
        if not fault.column:
            return f"{path}, row {number} (counted from 0): {fault.reason}"
        return (
            f"{path}, {self.word} {fault.column!r}, row {number} (counted from 0), id {whose}: "
            f"{fault.reason}"
        )

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Name the table where reading it fails, whatever the reader makes of damaged bytes.

        zipfile, NumPy and pyarrow raise what their own parsers, and Python's, raise underneath:
        errors of Unicode, of overflow, of recursion and of types that none of them documents.
        """
        try:
            yield
        except VecbridgeError:
            raise
        except MemoryError as error:
            raise self.unusable(f"{what} needs more memory than there is") from error
        except Exception as error:
            reason = str(error) or type(error).__name__
            raise self.unusable(f"{what} cannot be read: {reason}") from error


class Taken(NamedTuple):
    """A column that becomes a field.

    Attributes:
        column: its name in the table.
        type: its type there, as the table's format calls it.
        field: name of the field.
        kind: type of the field; optional where the table or the index says so.
    """

    column: str
    type: str
    field: str
    kind: FieldType


@dataclass(frozen=True)
class Source:
    """A table of records, and how to read it; it can be read several times.

    Attributes:
        place: the table.
        records: how many.
        dimension: length of the vectors.
        metric: as the table says; ``None`` where it does not.
        taken: the columns that become fields.
        ids: gives the ids alone, some at a time, in the order of the records.
        batches: gives the records, a few at a time.
        types: of the columns of ids and of vectors, as the table's format calls them.
    """

    place: Place
    records: int
    dimension: int
    metric: Metric | None
    taken: Sequence[Taken]
    ids: Callable[[], Iterator[Sequence[str | None]]]
    batches: Callable[[], Iterator[Rows]]
    types: tuple[str, str]

    def __post_init__(self) -> None:
        """Refuse what no index can be made for."""
        try:
            validate.dimension(self.dimension)
        except InvalidInputError as error:
            raise self.place.unusable(
                f"no index has vectors as in {self.place.word} {self.place.vector!r}: {error}"
            ) from error


def rows_at_once(row_bytes: int, batch_bytes: int) -> int:
    """Return how many records to read at a time."""
    return max(1, min(batch_bytes // max(row_bytes, 1), _MOST_ROWS))
