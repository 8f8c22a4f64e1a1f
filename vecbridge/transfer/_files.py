"""Files of records: Parquet, and NumPy's npz."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from vecbridge._client import Index, Store
from vecbridge._client import _validate as validate
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._filters import Filter
from vecbridge._contract._metric import Metric
from vecbridge._contract._records import IndexInfo
from vecbridge._errors import (
    IndexExistsError,
    IndexNotFoundError,
    InvalidArgumentError,
    InvalidInputError,
    MissingDependencyError,
    UnsupportedError,
)
from vecbridge.transfer._checking import check, held_by
from vecbridge.transfer._landing import landing
from vecbridge.transfer._source import BATCH_BYTES, Progress, Source, silent

if TYPE_CHECKING:
    from vecbridge.transfer import _npz, _parquet

    _Format: TypeAlias = type[_parquet.Format | _npz.Format]

logger = logging.getLogger(__name__)


def export_records(
    index: Index,
    path: str | Path,
    *,
    where: Filter | None = None,
    overwrite: bool = False,
    drop_unsupported: bool = False,
    consistency: Consistency = "strong",
    progress: Progress = silent,
) -> int:
    """Write every record of an index to a file, a batch at a time.

    ``.parquet`` files have the columns ``id``, ``vector`` (a fixed-size list of float32) and one
    per field; ``.npz`` files the arrays ``ids``, ``vectors`` and one per field. Both say the
    metric. The file appears whole or not at all.

    NumPy keeps texts as wide as the longest of them, and they are in memory until the file is
    written: where the ids or a field would need more than 2 GiB so, ``.npz`` is refused.

    Args:
        index: what is written.
        path: the file.
        where: only records that match are written.
        overwrite: replace the file if it is there.
        drop_unsupported: write the file without what ``index.info.unsupported`` names.
        consistency: level of the read.
        progress: called after each batch.

    Returns:
        The number of records written.

    Raises:
        InvalidArgumentError: the name ends in neither, there is no such folder, the file is there
            already, a field has a name that the format keeps for itself, or texts are too wide for
            ``.npz``.
        UnsupportedError: the records hold what no file of ours can, and ``drop_unsupported`` was
            not asked for.
        MissingDependencyError: Parquet needs pyarrow, which is not installed.
    """
    target = Path(path)
    form = _form(target)
    clash = sorted(form.taken & set(index.info.fields))
    if clash:
        raise InvalidArgumentError(
            f"{target.suffix} files keep ids and vectors under the names {sorted(form.taken)}, and "
            f"the index has fields of these names: {clash}. Choose the other format"
        )
    validate.refuse_unsupported(
        index.info, "The file would be without it", dropped=drop_unsupported
    )
    with landing(target, overwrite=overwrite) as partial:
        return form.write(index, partial, consistency, progress, where)


def import_records(
    path: str | Path,
    target: Store,
    name: str,
    *,
    metric: Metric | None = None,
    drop_unsupported: bool = False,
    batch_bytes: int = BATCH_BYTES,
    progress: Progress = silent,
) -> int:
    """Write every record of a file to an index, which is made if need be.

    The file is read twice: first all of it is checked, and a value that the index does not take is
    refused with its column, row and id before anything is changed; then it is written. Records
    whose ids are there already are replaced, so an import that was cut short is done again by the
    same call. Memory holds a few batches and some 16 bytes per record.

    Args:
        path: a file as :func:`export_records` writes it; one from elsewhere needs ids and vectors
            under the same names.
        target: where to.
        name: the index's.
        metric: the index's; the file's by default.
        drop_unsupported: go on where the index holds what ``info.unsupported`` names, which is
            erased from the records that are replaced.
        batch_bytes: most bytes of records that are read at a time.
        progress: called after each batch, of stage ``"checking"`` first and then ``"importing"``.

    Returns:
        The number of records written.

    Raises:
        DuplicateIdError: an id is in the file twice; nothing was changed.
        InvalidInputError: the file cannot be read, is not such a file, or a value of it is
            unusable; nothing was changed.
        MissingDependencyError: Parquet needs pyarrow, which is not installed.
        SchemaMismatchError: the index has another dimension, metric or set of fields.
        UnsupportedError: the index holds what an upsert would erase; nothing was changed.
        BackendError: the store failed; call again.
    """
    source = Path(path)
    form = _form(source)
    validate.positive(batch_bytes, "batch_bytes")
    if not source.is_file():
        what = "is no file" if source.exists() else "is not there"
        raise InvalidArgumentError(f"{str(source)!r} {what}; give a file of records")
    with form.opened(source, batch_bytes) as file:
        return _import(file, target, name, metric, progress, drop_unsupported=drop_unsupported)


def _import(
    file: Source,
    target: Store,
    name: str,
    metric: Metric | None,
    progress: Progress,
    *,
    drop_unsupported: bool,
) -> int:
    known = _info_of(target, name)
    check(file, known, progress)
    index, made = _opened(file, target, name, metric, known)
    written = 0
    with index:
        try:
            if held_by(index.info) != held_by(known):
                check(file, index.info, progress)
            for rows in file.batches():
                index.upsert(
                    rows.ids,  # type: ignore[arg-type]
                    rows.vectors,
                    rows.fields or None,
                    drop_unsupported=drop_unsupported,
                )
                written += len(rows.ids)
                progress("importing", written, file.records)
        except (InvalidInputError, UnsupportedError):
            # Nothing is known of an index before it is made, and this one takes less.
            if made and not written:
                target.drop_index(name)
            raise
        except BaseException:
            logger.warning(
                "the import of %s was cut short: %s of %s records are in index %r; the same "
                "call writes them again and goes on",
                file.place.path,
                f"{written:,}",
                f"{file.records:,}",
                name,
            )
            raise
    return written


def _info_of(target: Store, name: str) -> IndexInfo | None:
    """Return what is known of the index before anything is changed; ``None`` where there is none.

    It may be another one than the file's: what is wrong in the file is said first.
    """
    with suppress(IndexNotFoundError), target.open_index(name) as index:
        return index.info
    return None


def _opened(
    file: Source, target: Store, name: str, metric: Metric | None, known: IndexInfo | None
) -> tuple[Index, bool]:
    """Return the index, and whether it was made for this."""
    what: dict[str, Any] = {
        "dimension": file.dimension,
        "metric": metric or file.metric,
        "fields": dict(file.fields),
    }
    if known is None:
        # Another process may make it in between.
        with suppress(IndexExistsError):
            return target.create_index(name, **what), True
    return target.open_or_create_index(name, **what), False


def _form(path: Path) -> _Format:
    match path.suffix.lower():
        case ".npz":
            from vecbridge.transfer import _npz

            return _npz.Format
        case ".parquet":
            try:
                from vecbridge.transfer import _parquet
            except ModuleNotFoundError as error:
                raise MissingDependencyError(
                    "Parquet needs pyarrow, which is not installed: pip install "
                    "'vecbridge[parquet]'",
                    name="pyarrow",
                ) from error
            return _parquet.Format
        case _:
            raise InvalidArgumentError(
                f"records are kept in .parquet or .npz files; got {path.name!r}"
            )
