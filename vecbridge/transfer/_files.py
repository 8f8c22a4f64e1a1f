"""Files of records: Parquet, and NumPy's npz."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

from vecbridge._contract._consistency import Consistency
from vecbridge._contract._metric import Metric
from vecbridge._errors import InvalidArgumentError
from vecbridge._front._index import Index
from vecbridge._front._store import Store
from vecbridge.transfer import _npz, _parquet
from vecbridge.transfer._progress import Progress, silent
from vecbridge.transfer._repeated import refuse_repeated
from vecbridge.transfer._source import Source

_Format: TypeAlias = type[_parquet.Format] | type[_npz.Format]
_FORMATS: dict[str, _Format] = {".parquet": _parquet.Format, ".npz": _npz.Format}


def export_records(
    index: Index,
    path: str | Path,
    *,
    consistency: Consistency = "strong",
    progress: Progress = silent,
) -> int:
    """Writes every record of an index to a file, a batch at a time.

    ``.parquet`` files have the columns ``id``, ``vector`` (a fixed-size list of float32) and one
    a field; ``.npz`` files the arrays ``ids``, ``vectors`` and one a field. Both say the metric.
    The file appears whole or not at all.

    NumPy keeps texts as wide as the longest of them, and they are in memory until the file is
    written: where the ids or a field would need more than 2 GiB so, ``.npz`` is refused.

    Args:
        index: what is written.
        path: the file, which is replaced if it is there.
        consistency: level of the read.
        progress: called after each batch.

    Returns:
        The number of records written.

    Raises:
        InvalidArgumentError: the name ends in neither, there is no such folder, a field has a
            name that the format keeps for itself, or texts are too wide for ``.npz``.
        MissingDependencyError: Parquet needs pyarrow, which is not installed.
    """
    target = Path(path)
    form = _form(target)
    if not target.parent.is_dir():
        raise InvalidArgumentError(f"there is no folder {str(target.parent)!r} for {target.name!r}")
    if target.is_dir():
        raise InvalidArgumentError(f"{str(target)!r} is a folder; give the name of a file")
    clash = sorted(form.taken & set(index.info.fields))
    if clash:
        raise InvalidArgumentError(
            f"{target.suffix} files keep ids and vectors under the names {sorted(form.taken)}, and "
            f"the index has fields of these names: {clash}. Choose the other format"
        )
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        written = form.write(index, partial, consistency, progress)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return written


def import_records(
    path: str | Path,
    target: Store,
    name: str,
    *,
    metric: Metric | None = None,
    progress: Progress = silent,
) -> int:
    """Writes every record of a file to an index, which is made if need be.

    Records whose ids are there already are replaced, so an import that was cut short is done again
    by the same call. The ids are read first, since an id that the file has twice is an error.
    Memory holds a few batches and 16 bytes a record; of an ``.npz`` file all ids and fields too.

    Args:
        path: a file as :func:`export_records` writes it; one from elsewhere needs ids and vectors
            under the same names.
        target: where to.
        name: the index's.
        metric: the index's; the file's by default.
        progress: called after each batch.

    Returns:
        The number of records written.

    Raises:
        DuplicateIdError: an id is in the file twice; nothing was changed.
        InvalidArgumentError: the file cannot be read, or is not such a file.
        MissingDependencyError: Parquet needs pyarrow, which is not installed.
        SchemaMismatchError: the index has another dimension or metric.
    """
    source = Path(path)
    with _form(source).opened(source) as file:
        refuse_repeated(file.ids, source)
        with target.open_or_create_index(
            name,
            dimension=file.dimension,
            metric=metric or file.metric,
            fields=dict(file.fields),
        ) as index:
            return _written(file, index, progress)


def _written(file: Source, index: Index, progress: Progress) -> int:
    written = 0
    for records in file.batches():
        index.upsert(records.ids, records.vectors, records.fields or None)
        written += len(records)
        progress("importing", written, file.records)
    return written


def _form(path: Path) -> _Format:
    form = _FORMATS.get(path.suffix.lower())
    if form is None:
        raise InvalidArgumentError(
            f"records are kept in {' or '.join(_FORMATS)} files; got {path.name!r}"
        )
    return form
