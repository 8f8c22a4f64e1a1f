"""Write a table to an index: all of it is checked first, and what is left out is listed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple, cast, get_args

import numpy as np

from vecbridge._client import _validate as validate
from vecbridge._client._batching import ERASED
from vecbridge._client._tables._check import Checked, check
from vecbridge._client._tables._columns import Selection
from vecbridge._client._tables._source import BATCH_BYTES, Progress, Source
from vecbridge._contract._field_types import FieldType
from vecbridge._contract._metric import Metric
from vecbridge._contract._needed import needing
from vecbridge._contract._records import IndexInfo, Records
from vecbridge._errors import DimensionError, InvalidArgumentError, SchemaMismatchError
from vecbridge._landing import check_landing, landing

if TYPE_CHECKING:
    from vecbridge._client._records import RecordIndex

OnError = Literal["stop", "skip"]
"""What becomes of a row that no index takes: the table is refused, or the row is left out."""

_SAMPLE = 10


class ImportedColumn(NamedTuple):
    """A column of a table, and the field that it became.

    Attributes:
        column: its name in the table.
        type: its type there.
        field: name of the field.
        kind: type of the field.
        missing: how many records have no value of it.
    """

    column: str
    type: str
    field: str
    kind: FieldType
    missing: int


@dataclass(frozen=True, eq=False)
class Imported:
    """The result of an import.

    Attributes:
        written: records written; 0 of a dry run.
        left_out: rows left out, which the file of rejects lists.
        records: records that can be written: all that were not left out.
        dimension: length of the vectors.
        metric: of the index; ``None`` where there is none yet and nothing names it.
        id_column: the column of ids, and its type in the table.
        vector_column: the column of vectors, and its type in the table.
        columns: the columns that became fields.
        sample: the first ten records; of a dry run alone.
    """

    written: int
    left_out: int
    records: int
    dimension: int
    metric: Metric | None
    id_column: tuple[str, str]
    vector_column: tuple[str, str]
    columns: tuple[ImportedColumn, ...]
    sample: Records | None


@dataclass(frozen=True)
class Rejecting:
    """What becomes of rows that no index takes.

    Attributes:
        on_error: stop at them, or leave them out.
        rejects: the file that lists what is left out.
        overwrite: whether it may be there already.
        listing: whether it is written.
    """

    on_error: OnError = "stop"
    rejects: str | Path | None = None
    overwrite: bool = False
    listing: bool = True

    def __post_init__(self) -> None:
        """Refuse rejects without a place, and a place that is not to be used."""
        if self.on_error not in get_args(OnError):
            raise InvalidArgumentError(f"on_error is 'stop' or 'skip'; got {self.on_error!r}")
        if self.skip and self.rejects is None:
            raise InvalidArgumentError(
                "on_error='skip' leaves rows out; say in which file they are listed: "
                "rejects='left-out.jsonl' (--rejects left-out.jsonl)"
            )
        if not self.skip and self.rejects is not None:
            raise InvalidArgumentError(
                "rejects lists rows that are left out, and none are unless on_error='skip' "
                "(--on-error skip) says so"
            )
        if self.rejects is not None:
            check_landing(Path(self.rejects), overwrite=self.overwrite)

    @property
    def skip(self) -> bool:
        """Return whether rows are left out."""
        return self.on_error == "skip"

    def without_list(self) -> Rejecting:
        """Return the same, of which no file is written."""
        return replace(self, listing=False)

    def once_more(self) -> Rejecting:
        """Return the same for a second look, which lists again what the first one listed."""
        return replace(self, overwrite=True)

    def checked(self, source: Source, info: IndexInfo | None, progress: Progress) -> Checked:
        """Check a table, and list what is left out of it."""
        with self._listing() as file:
            return check(source, info, progress, file)

    @contextmanager
    def _listing(self) -> Iterator[IO[str] | None]:
        if self.rejects is None:
            yield None
            return
        if not self.listing:
            with Path(os.devnull).open("w", encoding="utf-8") as nothing:
                yield nothing
            return
        with (
            landing(Path(self.rejects), overwrite=self.overwrite) as partial,
            partial.open("w", encoding="utf-8") as file,
        ):
            yield file
            file.flush()


def write(index: RecordIndex, source: Source, checked: Checked, *, dropped: bool) -> Iterator[int]:
    """Write the rows of a table that were not left out; yield how many are, after each batch."""
    info, row, written = index.info, 0, 0
    for rows in source.batches():
        stop = row + len(rows.ids)
        first, last = np.searchsorted(checked.left_out, [row, stop])
        kept = rows.without(checked.left_out[first:last] - row)
        row = stop
        # A record of a mapping may leave out what may be missing.
        absent: dict[str, Any] = {
            name: [None] * len(kept.ids) for name in info.fields if name not in kept.fields
        }
        if kept.ids:
            index.upsert(
                # What has no id was refused or left out.
                cast("Sequence[str]", kept.ids),
                kept.vectors,
                {**kept.fields, **absent} or None,
                drop_unsupported=dropped,
            )
        written += len(kept.ids)
        yield written


def imported(
    source: Source,
    checked: Checked,
    metric: Metric | None,
    written: int,
    *,
    dry_run: bool = False,
) -> Imported:
    """Return the result of an import."""
    kinds = checked.fields(source)
    columns = tuple(
        ImportedColumn(each.column, each.type, each.field, kinds[each.field], missing)
        for each, missing in zip(source.taken, checked.missing.values(), strict=True)
    )
    left_out = len(checked.left_out)
    return Imported(
        written,
        left_out,
        checked.taken,
        source.dimension,
        metric,
        (source.place.id, source.types[0]),
        (source.place.vector, source.types[1]),
        columns,
        _sample(source, checked) if dry_run else None,
    )


def _sample(source: Source, checked: Checked) -> Records:
    """Return the first records that are not left out."""
    row = 0
    for rows in source.batches():
        stop = row + len(rows.ids)
        first, last = np.searchsorted(checked.left_out, [row, stop])
        kept = rows.without(checked.left_out[first:last] - row)
        row = stop
        if kept.ids:
            fields: Mapping[str, Any] = {n: [*c[:_SAMPLE]] for n, c in kept.fields.items()}
            vectors = kept.vectors[:_SAMPLE].astype(np.float32)
            return Records(tuple(map(str, kept.ids[:_SAMPLE])), vectors, fields)
    return Records((), np.empty((0, source.dimension), np.float32))


def refuse_other_dimension(
    source: Source, info: IndexInfo, error: type[DimensionError | SchemaMismatchError]
) -> None:
    """Refuse a table whose vectors all have another length than the index's."""
    if source.dimension != info.dimension:
        raise error(
            f"{source.place.path}, {source.place.word} {source.place.vector!r}: the vectors have "
            f"{source.dimension} dimensions, and index {info.name!r} has {info.dimension}. Were "
            f"they made by another model than the index's? Nothing was written"
        )


def upsert_table(
    index: RecordIndex,
    table: Any,
    selection: Selection,
    rejecting: Rejecting,
    progress: Progress,
    *,
    dropped: bool,
) -> Imported:
    """Write a table to an index, as :meth:`vecbridge.Index.upsert_table` says."""
    info = index.info
    validate.refuse_unwritable(info, new=True)
    validate.refuse_unsupported(info, ERASED, dropped=dropped or info.kept)
    with needing("tables", "pyarrow"):
        from vecbridge._client._tables import _arrow, _frames
    with _frames.batches_of(table) as batches:
        source = _arrow.source_of(batches, selection, info, BATCH_BYTES)
        refuse_other_dimension(source, info, DimensionError)
        checked = rejecting.checked(source, info, progress)
        written = 0
        for written in write(index, source, checked, dropped=dropped):
            progress("importing", written, checked.taken)
        return imported(source, checked, info.metric, written)
