"""Sources of records, in batches: an index, or a file; and how far the work is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from vecbridge._client import Index
from vecbridge._client import _validate as validate
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._field_types import FieldType
from vecbridge._contract._filters import Filter
from vecbridge._contract._metric import METRICS, Metric
from vecbridge._contract._records import Records
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


def index_batches(
    index: Index,
    stage: str,
    progress: Progress,
    consistency: Consistency = "strong",
    where: Filter | None = None,
) -> Iterator[Records]:
    """Yield every record of an index that matches, with progress after each batch."""
    done, total = 0, index.count(where=where, consistency=consistency)
    for records in index.scan(where=where, consistency=consistency):
        yield records
        done += len(records)
        progress(stage, done, total)


@dataclass(frozen=True)
class Rows:
    """Some records as the file has them: their types and shapes are right, their values unknown.

    Attributes:
        ids: strings; ``None`` where the file has none.
        vectors: ``(len(ids), d)`` of some type of number.
        fields: a column of values for each field; ``None`` where the file has none.
    """

    ids: Sequence[str | None]
    vectors: NDArray[Any]
    fields: Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Place:
    """A file in the words of its format, for errors.

    Attributes:
        path: of the file.
        word: for a column of it.
        id: name of the column of ids.
        vector: name of the column of vectors.
    """

    path: Path
    word: str
    id: str
    vector: str

    def unusable(self, reason: object) -> InvalidArgumentError:
        """Return the error of a file that is not one of records."""
        return InvalidArgumentError(
            f"{self.path} is not a file of records: {reason}. It needs ids (strings) and vectors "
            f"(float32, all of one length), as `vecbridge export` writes them"
        )

    def refused(
        self,
        column: str,
        row: int,
        name: object,
        reason: object,
        kind: type[InvalidInputError] = InvalidArgumentError,
    ) -> InvalidInputError:
        """Return the error of one value, by its column, row and the record's id (``name``)."""
        whose = repr(name)
        whose = f"{whose[:_SHOWN]}..." if len(whose) > _SHOWN else whose
        return kind(
            f"{self.path}, {self.word} {column!r}, row {row} (counted from 0), id {whose}: "
            f"{reason}. Nothing was imported; leave the row out, or mend it"
        )

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Name the file where reading it fails, whatever the reader makes of damaged bytes.

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


@dataclass(frozen=True)
class Source:
    """A file of records, and how to read it.

    Attributes:
        place: the file.
        records: how many.
        dimension: length of the vectors.
        metric: as the file says; ``None`` where it does not.
        fields: name and type of each scalar field.
        ids: gives the ids alone, some at a time, in the order of the records.
        batches: gives the records, a few at a time.
    """

    place: Place
    records: int
    dimension: int
    metric: Metric | None
    fields: Mapping[str, FieldType]
    ids: Callable[[], Iterator[Sequence[str | None]]]
    batches: Callable[[], Iterator[Rows]]

    def __post_init__(self) -> None:
        """Refuse what no index can be made for."""
        try:
            validate.dimension(self.dimension)
            validate.field_types(self.fields)
        except InvalidInputError as error:
            raise self.place.unusable(f"no index has such a {self.place.word}: {error}") from error


def rows_at_once(row_bytes: int, batch_bytes: int) -> int:
    """Return how many records to read at a time."""
    return max(1, min(batch_bytes // max(row_bytes, 1), _MOST_ROWS))


def metric_said(about: str | bytes) -> Metric | None:
    """Return the metric that a file names for itself; a file from elsewhere may say anything."""
    metric = said_of("metric", about)
    return metric if metric in METRICS else None


def said_of(what: str, about: str | bytes) -> Any:
    """Return what a file says of itself under a name; ``None`` where it says nothing."""
    try:
        said = json.loads(about)
    except (ValueError, RecursionError):
        return None
    return said.get(what) if isinstance(said, dict) else None
