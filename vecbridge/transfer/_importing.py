"""Import a file or a table that another program made into an index."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from vecbridge._client import Index, Store
from vecbridge._client import _validate as validate
from vecbridge._client._tables import (
    BATCH_BYTES,
    Checked,
    Imported,
    OnError,
    Rejecting,
    Selection,
    Source,
    held_by,
    imported,
    refuse_other_dimension,
    write,
)
from vecbridge._contract._field_types import FieldType
from vecbridge._contract._metric import Metric
from vecbridge._contract._needed import needing
from vecbridge._contract._records import IndexInfo
from vecbridge._errors import (
    IndexExistsError,
    IndexNotFoundError,
    InvalidArgumentError,
    InvalidInputError,
    SchemaMismatchError,
    UnsupportedError,
)
from vecbridge.transfer._source import PARQUET_SUFFIXES, Progress, silent

logger = logging.getLogger(__name__)

_Opening = Callable[[Selection, IndexInfo | None, int], Source]
"""Makes a table of records, for an index if it is there, in batches of so many bytes."""

_LINES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")


def import_records(
    source: Any,
    target: Store,
    name: str,
    *,
    id_column: str | None = None,
    vector_column: str | None = None,
    fields: Sequence[str] | Mapping[str, str] | None = None,
    skip: Sequence[str] = (),
    types: Mapping[str, FieldType] | None = None,
    flatten: bool = False,
    timezone: str | None = None,
    ids: str | Path | Sequence[str] | None = None,
    metric: Metric | None = None,
    on_error: OnError = "stop",
    rejects: str | Path | None = None,
    overwrite: bool = False,
    drop_unsupported: bool = False,
    dry_run: bool = False,
    batch_bytes: int = BATCH_BYTES,
    progress: Progress = silent,
) -> Imported:
    """Write every record of a file or a table to an index, which is created if necessary.

    The table is read twice. First all of it is checked: whatever the index does not accept is
    reported, columns by name and values by column, row and id, before anything is changed. Then it
    is written. Records whose ids exist already are replaced, so repeat the call to finish an
    interrupted import. Memory holds a few batches and about 16 bytes per record.

    A field of a new index is optional if a value is missing. The page *Import what you have*
    explains how types become ids, vectors and fields.

    Args:
        source: a ``.parquet`` file or a folder of them, ``.jsonl`` or ``.jsonl.gz``, ``.npz``, or
            ``.npy`` with ``ids``; or a table as :meth:`vecbridge.Index.upsert_table` takes it.
        target: the store to import into.
        name: name of the index.
        id_column: column of the ids; by default ``id``, ``_id``, ``uuid``, ``guid`` or ``key``.
        vector_column: column of the vectors; by default ``vector``, or the only list of floats.
        fields: columns to take, or a mapping from columns to the names of their fields; ``"*"``
            stands for all others. All columns by default.
        skip: columns to leave out.
        types: types of fields by column, as in ``{"taken": "timestamp"}`` for strings.
        flatten: turn the values of a struct into columns: ``place.city`` is field ``place_city``.
        timezone: time zone of times that have none, such as ``"UTC"``; by default they are refused.
        ids: ids of the vectors of a ``.npy`` file, or the file that holds them: text, one per line,
            ``.json`` or ``.npy``.
        metric: metric of the index; by default that of the file, of the existing index, or of the
            store.
        on_error: ``"skip"`` leaves out the rows that the index does not accept.
        rejects: a JSON Lines file to write, which lists what was left out, and why.
        overwrite: replace that file if it exists.
        drop_unsupported: continue even if the index has columns in ``info.unsupported``, which are
            erased from the records that are replaced.
        dry_run: check everything, and write nothing, not even the file of rejects.
        batch_bytes: largest number of bytes of records to read at a time.
        progress: called after each batch, first with stage ``"checking"`` and then ``"importing"``.

    Raises:
        DuplicateIdError: an id occurs twice; nothing was changed.
        InvalidInputError: the table cannot be read, or a column or a value is unusable; nothing was
            changed.
        MissingDependencyError: pyarrow, which all formats but ``.npz`` and ``.npy`` need, is not
            installed.
        SchemaMismatchError: the index has another dimension or metric.
        UnsupportedError: the index holds what an upsert would erase; nothing was changed.
        BackendError: the store failed; repeat the call.
    """
    kinds = validate.column_types(types)
    selection = Selection(id_column, vector_column, fields, skip, kinds, flatten, timezone)
    rejecting = Rejecting(on_error, rejects, overwrite=overwrite)
    validate.positive(batch_bytes, "batch_bytes")
    known = _info_of(target, name)
    with _opened(source, ids) as opening:
        table = opening(selection, known, batch_bytes)
        wanted = metric or table.metric or (None if known is None else known.metric)
        if known is not None:
            refuse_other_dimension(table, known, SchemaMismatchError)
            target.open_index(name, metric=wanted).close()
        if dry_run:
            checked = rejecting.without_list().checked(table, known, progress)
            return imported(table, checked, wanted, 0, dry_run=True)
        checked = rejecting.checked(table, known, progress)
        return _Import(table, target, name, wanted, rejecting, progress).run(
            checked, known, dropped=drop_unsupported
        )


class _Import:
    """The writing of a table that was checked."""

    def __init__(
        self,
        table: Source,
        target: Store,
        name: str,
        metric: Metric | None,
        rejecting: Rejecting,
        progress: Progress,
    ) -> None:
        self._table = table
        self._target = target
        self._name = name
        self._metric = metric
        self._rejecting = rejecting
        self._progress = progress

    def run(self, checked: Checked, known: IndexInfo | None, *, dropped: bool) -> Imported:
        index, made = self._index(checked, known)
        written = 0
        with index:
            try:
                validate.refuse_unwritable(index.info, new=True)
                if held_by(index.info) != held_by(known):
                    # Nothing is known of an index before it is made, and this one takes less.
                    again = self._rejecting.once_more()
                    checked = again.checked(self._table, index.info, self._progress)
                for written in write(index, self._table, checked, dropped=dropped):
                    self._progress("importing", written, checked.taken)
            except (InvalidInputError, UnsupportedError):
                if made and not written:
                    self._target.drop_index(self._name)
                raise
            except BaseException:
                logger.warning(
                    "the import of %s was interrupted: %s of %s records are in index %r; repeat "
                    "the call to write them again and finish",
                    self._table.place.path,
                    f"{written:,}",
                    f"{checked.taken:,}",
                    self._name,
                )
                raise
            return imported(self._table, checked, index.info.metric, written)

    def _index(self, checked: Checked, known: IndexInfo | None) -> tuple[Index, bool]:
        """Return the index, and whether it was made for this."""
        what: dict[str, Any] = {"dimension": self._table.dimension, "metric": self._metric}
        if known is not None:
            return self._target.open_index(self._name, **what), False
        what["fields"] = checked.fields(self._table)
        # Another process may make it in between.
        with suppress(IndexExistsError):
            return self._target.create_index(self._name, **what), True
        return self._target.open_or_create_index(self._name, **what), False


def _info_of(target: Store, name: str) -> IndexInfo | None:
    """Return what is known of the index before anything is changed; ``None`` if there is none."""
    with suppress(IndexNotFoundError), target.open_index(name) as index:
        return index.info
    return None


@contextmanager
def _opened(source: Any, ids: str | Path | Sequence[str] | None) -> Iterator[_Opening]:
    """Yield what makes a table of records of a source, while the block lasts."""
    path = Path(source) if isinstance(source, (str, Path)) else None
    if ids is not None and (path is None or path.suffix.lower() != ".npy"):
        raise InvalidArgumentError("ids is for the vectors of a .npy file; all others hold theirs")
    if path is None:
        with needing("tables", "pyarrow"):
            from vecbridge._client._tables import _arrow, _frames
        with _frames.batches_of(source) as batches:
            yield partial(_arrow.source_of, batches)
        return
    name = path.name.lower()
    is_folder = path.is_dir() and not name.endswith((".npz", ".npy", *_LINES))
    if not is_folder and not name.endswith((".npz", ".npy", *_LINES, *PARQUET_SUFFIXES)):
        raise InvalidArgumentError(
            f"records are read from .parquet, .jsonl, .jsonl.gz, .npz and .npy files and from "
            f"folders of .parquet files; got {path.name!r}"
        )
    if not is_folder and not path.is_file():
        what = "is no file" if path.exists() else "is not there"
        raise InvalidArgumentError(f"{str(path)!r} {what}; give a file of records")
    if name.endswith((".npz", ".npy")):
        with _arrays(path, ids) as opening:
            yield opening
        return
    with needing("files other than .npz and .npy", "pyarrow"):
        from vecbridge._client._tables import _arrow
        from vecbridge.transfer import _jsonl, _parquet
    lines = name.endswith(_LINES)
    opened = (
        _jsonl.opened(path, compressed=name.endswith(".gz")) if lines else _parquet.opened(path)
    )
    with opened as batches:
        yield partial(_arrow.source_of, batches)


@contextmanager
def _arrays(path: Path, ids: str | Path | Sequence[str] | None) -> Iterator[_Opening]:
    from vecbridge.transfer import _npy, _npz

    if path.suffix.lower() == ".npy":
        beside = _npy.opened(path, ids)
        yield partial(_npz.source_of, beside)
        return
    with _npz.opened(path) as arrays:
        yield partial(_npz.source_of, arrays)
