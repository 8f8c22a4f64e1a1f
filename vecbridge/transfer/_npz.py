"""Records in NumPy's npz, a zip of arrays: written, and its arrays chosen as columns."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Protocol, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vecbridge._client import Index
from vecbridge._client._tables import (
    Chosen,
    Column,
    Fault,
    Place,
    Rows,
    Selection,
    Source,
    choose,
    rows_at_once,
)
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._field_types import (
    BaseType,
    FieldType,
    base_of,
    is_optional,
    refuse_unknown_types,
)
from vecbridge._contract._filters import Filter
from vecbridge._contract._metric import METRICS, Metric
from vecbridge._contract._records import IndexInfo, Records
from vecbridge._errors import InvalidArgumentError, UnsupportedError
from vecbridge.transfer._arrays import Array, Arrays
from vecbridge.transfer._source import Progress, index_batches

_ABOUT, _IDS, _VECTORS = "about", "ids", "vectors"
_KINDS: dict[str, BaseType] = {
    "U": "string",
    "i": "integer",
    "u": "integer",
    "f": "float",
    "b": "boolean",
}
_DTYPES: dict[FieldType, Any] = {"integer": np.int64, "float": np.float64, "boolean": np.bool_}
_MOST_BYTES = 2 << 30
"""Of ids, or of a field, which are in memory whole while they are written."""

_MOST_ROW_BYTES = 64 << 20
"""Of one record, every array together: some texts of the longest that a field takes."""

_MOST_ABOUT_BYTES = 1 << 16
_LAST_CHARACTER = 0x10FFFF
TAKEN = frozenset({_ABOUT, _IDS, _VECTORS})
"""Names that no field can have beside the ids and vectors."""


def write(
    index: Index,
    path: Path,
    consistency: Consistency,
    progress: Progress,
    where: Filter | None,
) -> int:
    """Write every record that matches; return how many.

    Raises:
        UnsupportedError: NumPy has no array for a field's type, or the field may be missing;
            nothing was written.
    """
    info = index.info
    for name, kind in info.fields.items():
        if is_optional(kind):
            raise UnsupportedError(
                f"an .npz file has no missing values, and field {name!r}, of type {kind!r}, may be "
                f"missing: choose .parquet or .jsonl, which keep such fields",
                capability="field_types",
            )
    refuse_unknown_types(
        info.fields, frozenset[FieldType](_KINDS.values()), "an .npz file (see .parquet)"
    )
    ids: list[str] = []
    columns: dict[str, list[Any]] = {name: [] for name in info.fields}
    texts = _Texts(info, index.count(where=where, consistency=consistency))
    # How many there are is in the header, and known at the end.
    with tempfile.TemporaryFile(dir=path.parent) as spool:
        for records in index_batches(index, "exporting", progress, consistency, where):
            spool.write(np.ascontiguousarray(records.vectors, "<f4").data)
            ids.extend(records.ids)
            for name, column in columns.items():
                column.extend(records.fields[name])
            texts.check(records)
        spool.seek(0)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            about = json.dumps({"metric": info.metric, "index": info.name})
            _put(archive, _ABOUT, np.array(about))
            _put(archive, _IDS, np.array(ids, dtype=np.str_))
            for name, kind in info.fields.items():
                _put(archive, name, np.array(columns[name], dtype=_DTYPES.get(kind, np.str_)))
            _put_vectors(archive, spool, (len(ids), info.dimension))
    return len(ids)


@contextmanager
def opened(path: Path) -> Iterator[Arrays]:
    """Yield the arrays of a file, while the block lasts."""
    place = Place(path, "array", _IDS, _VECTORS)
    with place.reading("the archive"):
        archive = zipfile.ZipFile(path)
    with archive:
        yield Arrays(archive, place)


class _Texts:
    """The widest text of each array: NumPy keeps every text as wide as the longest."""

    def __init__(self, info: IndexInfo, records: int) -> None:
        named = (name for name, kind in info.fields.items() if kind == "string")
        self._widest = dict.fromkeys([_IDS, *named], 0)
        self._records = records

    def check(self, records: Records) -> None:
        """Refuse, as soon as one is known, texts that would be too large together."""
        for name, before in self._widest.items():
            texts = records.ids if name == _IDS else records.fields[name]
            widest = self._widest[name] = max(before, max(map(len, map(str, texts)), default=0))
            size = 4 * widest * self._records
            if size > _MOST_BYTES:
                raise InvalidArgumentError(
                    f"an .npz file keeps every text as wide as the longest: {name!r}, with one of "
                    f"{widest:,} characters in {self._records:,} records, needs {size:,} bytes of "
                    f"memory, of at most {_MOST_BYTES:,}. Choose .parquet, which keeps texts as "
                    f"they are"
                )


def _put(archive: zipfile.ZipFile, name: str, array: np.ndarray[Any, Any]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        npy.write_array(file, array, allow_pickle=False)


def _put_vectors(archive: zipfile.ZipFile, spool: IO[bytes], shape: tuple[int, int]) -> None:
    with archive.open(f"{_VECTORS}.npy", "w", force_zip64=True) as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        npy.write_array_header_2_0(file, header)
        shutil.copyfileobj(spool, file)


class ArraysOf(Protocol):
    """Arrays that are read piece by piece: of an archive, or of files side by side."""

    place: Place
    all: dict[str, Array]

    def reader(self, array: Array) -> AbstractContextManager[Callable[[int], NDArray[Any]]]:
        """Yield what returns the next rows of an array, so many at a time, from the first on."""
        ...


def source_of(
    arrays: ArraysOf, selection: Selection, info: IndexInfo | None, batch_bytes: int
) -> Source:
    """Return the arrays of a file as a table of records.

    Args:
        arrays: of the file.
        selection: what the caller says of them.
        info: of the index that they are for, where there is one.
        batch_bytes: most bytes of records that are read at a time.

    Raises:
        InvalidArgumentError: an array cannot be taken.
    """
    about = arrays.all.get(_ABOUT)
    metric = None if about is None else _metric(arrays, about)
    chosen = choose(_columns(arrays), selection, arrays.place, info)
    return _table(arrays, chosen, metric, batch_bytes)


def _columns(arrays: ArraysOf) -> list[Column]:
    """Return what each array can be."""
    return [
        Column(
            array.name,
            f"{array.dtype} {array.shape}",
            None if array.fault else _kind(array),
            ("float", "string") if not array.fault and _kind(array) == "integer" else (),
            identifies=not array.fault and len(array.shape) == 1 and array.dtype.kind in "Uiu",
            vectors="float" if not array.fault and _are_vectors(array) else "",
            reason="a field is one value per record, of at most 64 bits",
            fault=array.fault,
        )
        for array in arrays.all.values()
        if array.name != _ABOUT
    ]


def _kind(array: Array) -> BaseType | None:
    if len(array.shape) != 1:
        return None
    if array.dtype.kind != "U" and array.dtype.itemsize > np.dtype(np.float64).itemsize:
        return None
    return _KINDS[array.dtype.kind]


def _are_vectors(array: Array) -> bool:
    return len(array.shape) == 2 and array.dtype.kind == "f"


def _table(arrays: ArraysOf, chosen: Chosen, metric: Metric | None, batch_bytes: int) -> Source:
    ids, vectors = arrays.all[chosen.id.name], arrays.all[chosen.vector.name]
    place = replace(arrays.place, id=ids.name, vector=vectors.name)
    found = {each.field: arrays.all[each.column] for each in chosen.taken}
    kinds: dict[str, BaseType] = {each.field: base_of(each.kind) for each in chosen.taken}
    columns = [ids, vectors, *found.values()]
    count = ids.shape[0]
    if uneven := [str(each) for each in columns if each.shape[0] != count]:
        raise place.unusable(f"there are {count:,} ids, but another number of {'; '.join(uneven)}")
    row_bytes = sum(array.row_bytes for array in columns)
    if row_bytes > _MOST_ROW_BYTES:
        raise place.unusable(
            f"one record takes {row_bytes:,} bytes, of at most {_MOST_ROW_BYTES:,}"
        )

    def stretches(row_bytes: int) -> Iterator[tuple[int, int]]:
        rows = rows_at_once(row_bytes, batch_bytes)
        return ((start, min(rows, count - start)) for start in range(0, count, rows))

    def batches() -> Iterator[Rows]:
        with ExitStack() as stack:
            readers = {array.name: stack.enter_context(arrays.reader(array)) for array in columns}
            for _, rows in stretches(row_bytes):
                parts = {name: read(rows) for name, read in readers.items()}
                faults: dict[int, Fault] = {}
                names = _listed(ids, parts[ids.name], faults)
                fields = {
                    name: _as(kinds[name], array, _listed(array, parts[array.name], faults), faults)
                    for name, array in found.items()
                }
                yield Rows(_as("string", ids, names, faults), parts[vectors.name], fields, faults)

    def names() -> Iterator[list[Any]]:
        with arrays.reader(ids) as read:
            for _, rows in stretches(ids.row_bytes):
                yield _as("string", ids, _listed(ids, read(rows), {}), {})

    types = (chosen.id.type, chosen.vector.type)
    return Source(place, count, vectors.shape[1], metric, chosen.taken, names, batches, types)


def _as(kind: BaseType, array: Array, values: list[Any], faults: dict[int, Fault]) -> list[Any]:
    """Return values as those of a type, which integers can become where that is asked for."""
    if array.dtype.kind not in "iu" or kind == "integer":
        return values
    if kind == "string":
        return [str(each) for each in values]
    for row, value in enumerate(values):
        if int(float(value)) != value:
            faults.setdefault(row, Fault(array.name, f"no float of 64 bits equals {value}"))
    return [float(each) for each in values]


def _metric(arrays: ArraysOf, about: Array) -> Metric | None:
    place = arrays.place
    if about.dtype.kind != "U" or about.shape or about.dtype.itemsize > _MOST_ABOUT_BYTES:
        raise place.unusable(f"array {about}: this name is reserved for the metadata of the file")
    with arrays.reader(about) as read:
        (text,) = _listed(about, read(1), {})
    try:
        said = json.loads(text.encode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    metric = said.get("metric") if isinstance(said, dict) else None
    return metric if metric in METRICS else None


def _listed(array: Array, part: NDArray[Any], faults: dict[int, Fault]) -> list[Any]:
    """Return the values as Python has them; NumPy keeps any 32 bits as a character."""
    if array.dtype.kind != "U" or not array.dtype.itemsize:
        return cast("list[Any]", part.tolist())
    codes = np.ascontiguousarray(part.astype(part.dtype.newbyteorder("="), copy=False))
    characters = codes.view(np.uint32).reshape(len(part), -1)
    wrong = (characters > _LAST_CHARACTER).any(axis=1)
    for row in np.flatnonzero(wrong).tolist():
        reason = "the text has a character that is not of Unicode"
        faults.setdefault(row, Fault(array.name, reason))
    if wrong.any():
        codes = codes.copy()
        codes[wrong] = ""
    return cast("list[Any]", codes.tolist())
