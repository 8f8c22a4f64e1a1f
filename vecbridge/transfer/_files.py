"""Write the records of an index to a file, in the format that its name says."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from vecbridge._client import Index
from vecbridge._client import _validate as validate
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._filters import Filter
from vecbridge._contract._needed import needing
from vecbridge._contract._records import IndexInfo
from vecbridge._errors import InvalidArgumentError
from vecbridge._landing import landing
from vecbridge.transfer._source import TAKEN, Progress, silent


class _Form(NamedTuple):
    """A format of files.

    Attributes:
        taken: names that no field can have beside it.
        write: writes every record that matches; returns how many.
    """

    taken: frozenset[str]
    write: Callable[[Index, Path, Consistency, Progress, Filter | None], int]


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
    per field; ``.jsonl`` and ``.jsonl.gz`` files a line of JSON per record with keys of these
    names, in which a time is a string in ISO 8601; ``.npz`` files the arrays ``ids``, ``vectors``
    and one per field. All formats but JSON lines record the metric. The file appears complete or
    not at all.

    NumPy stores every string as wide as the longest, and holds them in memory until the file is
    written: if the ids or a field would then need more than 2 GiB, ``.npz`` is refused.

    Args:
        index: the index to export.
        path: the file to write.
        where: only records that match are written.
        overwrite: replace the file if it exists.
        drop_unsupported: write the file without the columns in ``index.info.unsupported``.
        consistency: level of the read.
        progress: called after each batch.

    Returns:
        The number of records written.

    Raises:
        InvalidArgumentError: the file name has another extension, the folder does not exist, the
            file exists already, a field has a name that the format reserves, or strings are too
            wide for ``.npz``.
        UnsupportedError: the records hold values that none of these formats can store, and
            ``drop_unsupported`` is ``False``.
        MissingDependencyError: Parquet needs pyarrow, which is not installed.
    """
    target = Path(path)
    form = _form(target)
    clash = sorted(form.taken & set(index.info.fields))
    if clash:
        raise InvalidArgumentError(
            f"{target.suffix} files keep ids and vectors under the names {sorted(form.taken)}, and "
            f"the index has fields of these names: {clash}. {_way_out(index.info)}"
        )
    validate.refuse_unsupported(
        index.info, "The file would be without it", dropped=drop_unsupported
    )
    with landing(target, overwrite=overwrite) as partial_file:
        return form.write(index, partial_file, consistency, progress, where)


def _way_out(info: IndexInfo) -> str:
    from vecbridge.transfer import _npz

    others = {".npz": _npz.TAKEN, ".parquet or .jsonl": TAKEN}
    free = [name for name, taken in others.items() if not taken & info.fields.keys()]
    if free:
        return f"Choose {free[0]}, which keeps other names for itself"
    return "No format has room for all of them: copy() moves such an index without a file"


def _form(path: Path) -> _Form:
    name = path.name.lower()
    if name.endswith(".npz"):
        from vecbridge.transfer import _npz

        return _Form(_npz.TAKEN, _npz.write)
    if name.endswith((".jsonl", ".jsonl.gz")):
        from vecbridge.transfer import _jsonl

        return _Form(TAKEN, partial(_jsonl.write, compressed=name.endswith(".gz")))
    if name.endswith(".parquet"):
        with needing("Parquet files", "pyarrow"):
            from vecbridge.transfer import _parquet

        return _Form(TAKEN, _parquet.write)
    raise InvalidArgumentError(
        f"records are written to .parquet, .jsonl, .jsonl.gz or .npz files; got {path.name!r}"
    )
