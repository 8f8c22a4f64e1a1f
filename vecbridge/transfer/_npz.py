"""Records in NumPy's npz: a zip of arrays, written and read piece by piece."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, ClassVar, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vecbridge._client import Index
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._field_types import FieldType
from vecbridge._contract._metric import Metric
from vecbridge._contract._records import IndexInfo, Records
from vecbridge._errors import InvalidArgumentError
from vecbridge.transfer._arrays import Array, Arrays
from vecbridge.transfer._progress import Progress
from vecbridge.transfer._source import Place, Rows, Source, metric_said, rows_at_once

_ABOUT, _IDS, _VECTORS = "about", "ids", "vectors"
_KINDS: dict[str, FieldType] = {
    "U": "string",
    "i": "integer",
    "u": "integer",
    "f": "float",
    "b": "boolean",
}
_MOST_BYTES = 2 << 30
"""Of ids, or of a field, which are in memory whole while they are written."""

_MOST_ROW_BYTES = 64 << 20
"""Of one record, every array together: some texts of the longest that a field takes."""

_MOST_ABOUT_BYTES = 1 << 16
_LAST_CHARACTER = 0x10FFFF
_DTYPES: dict[FieldType, Any] = {"integer": np.int64, "float": np.float64, "boolean": np.bool_}


class Format:
    """Writes and reads the format.

    Ids and fields are kept in memory whole, vectors are not. Texts are as wide as the longest one.

    Attributes:
        taken: names that no field can have beside it.
    """

    taken: ClassVar[frozenset[str]] = frozenset({_ABOUT, _IDS, _VECTORS})

    @staticmethod
    def write(index: Index, path: Path, consistency: Consistency, progress: Progress) -> int:
        """Write every record; return how many."""
        info = index.info
        ids: list[str] = []
        columns: dict[str, list[Any]] = {name: [] for name in info.fields}
        total = index.count(consistency=consistency)
        texts = _Texts(info, total)
        # How many there are is in the header, and known at the end.
        with tempfile.TemporaryFile(dir=path.parent) as spool:
            for records in index.scan(consistency=consistency):
                spool.write(np.ascontiguousarray(records.vectors, "<f4").data)
                ids.extend(records.ids)
                for name, column in columns.items():
                    column.extend(records.fields[name])
                texts.check(records)
                progress("exporting", len(ids), total)
            spool.seek(0)
            with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
                about = json.dumps({"metric": info.metric, "index": info.name})
                _put(archive, _ABOUT, np.array(about))
                _put(archive, _IDS, np.array(ids, dtype=np.str_))
                for name, kind in info.fields.items():
                    _put(archive, name, np.array(columns[name], dtype=_DTYPES.get(kind, np.str_)))
                _put_vectors(archive, spool, (len(ids), info.dimension))
        return len(ids)

    @staticmethod
    @contextmanager
    def opened(path: Path, batch_bytes: int) -> Iterator[Source]:
        """Yield the file, while the block lasts."""
        place = Place(path, "array", _IDS, _VECTORS)
        with place.reading("the archive"):
            archive = zipfile.ZipFile(path)
        with archive:
            yield _source(archive, place, batch_bytes)


class _Texts:
    """How wide the texts of each array are: NumPy keeps every text as wide as the longest."""

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


def _source(archive: zipfile.ZipFile, place: Place, batch_bytes: int) -> Source:
    arrays = Arrays(archive, place)
    about = arrays.all.get(_ABOUT)
    metric = None if about is None else _metric(arrays, about, place)
    ids, vectors, found = _columns(arrays, place)
    columns = [ids, vectors, *found.values()]
    count = ids.shape[0]
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
            opened = {array.name: stack.enter_context(arrays.rows(array)) for array in columns}
            for start, rows in stretches(row_bytes):
                parts = {name: each.next(rows) for name, each in opened.items()}
                names = _listed(place, ids, parts[_IDS], start, None)
                yield Rows(
                    names,
                    parts[_VECTORS],
                    {
                        name: _listed(place, array, parts[name], start, names)
                        for name, array in found.items()
                    },
                )

    def names() -> Iterator[list[Any]]:
        with arrays.rows(ids) as opened:
            for start, rows in stretches(ids.row_bytes):
                yield _listed(place, ids, opened.next(rows), start, None)

    fields: dict[str, FieldType] = {name: _kind(array, place) for name, array in found.items()}
    return Source(place, count, vectors.shape[1], metric, fields, names, batches)


def _columns(arrays: Arrays, place: Place) -> tuple[Array, Array, dict[str, Array]]:
    """Return the ids, the vectors and the fields, all of as many rows."""
    found = {name: array for name, array in arrays.all.items() if name != _ABOUT}
    if not {_IDS, _VECTORS} <= set(found):
        raise place.unusable(f"it has the arrays {sorted(found)}, not {_IDS!r} and {_VECTORS!r}")
    ids, vectors = found.pop(_IDS), found.pop(_VECTORS)
    if len(ids.shape) != 1 or ids.dtype.kind != "U":
        raise place.unusable(f"array {ids}: ids are one str per record")
    if len(vectors.shape) != 2 or vectors.dtype.kind != "f":
        raise place.unusable(f"array {vectors}: vectors are one row of floats per record")
    for array in found.values():
        if len(array.shape) != 1:
            raise place.unusable(f"array {array}: a field is one value per record")
    count = ids.shape[0]
    if uneven := [str(each) for each in (vectors, *found.values()) if each.shape[0] != count]:
        raise place.unusable(f"there are {count:,} ids, and not as many of {'; '.join(uneven)}")
    return ids, vectors, found


def _metric(arrays: Arrays, about: Array, place: Place) -> Metric | None:
    if about.dtype.kind != "U" or about.shape or about.dtype.itemsize > _MOST_ABOUT_BYTES:
        raise place.unusable(f"array {about}: this name is kept for what a file says of itself")
    with arrays.rows(about) as opened:
        (said,) = _listed(place, about, opened.next(1), 0, None)
    return metric_said(said.encode(errors="replace"))


def _kind(array: Array, place: Place) -> FieldType:
    if array.dtype.kind != "U" and array.dtype.itemsize > np.dtype(np.float64).itemsize:
        raise place.unusable(f"array {array}: a field keeps numbers of 64 bits")
    return _KINDS[array.dtype.kind]


def _listed(
    place: Place, array: Array, part: NDArray[Any], start: int, names: list[Any] | None
) -> list[Any]:
    """Return the values as Python has them; NumPy keeps any 32 bits as a character."""
    if array.dtype.kind != "U" or not array.dtype.itemsize:
        return cast("list[Any]", part.tolist())
    codes = np.ascontiguousarray(part.astype(part.dtype.newbyteorder("="), copy=False))
    wrong = (codes.view(np.uint32).reshape(len(part), -1) > _LAST_CHARACTER).any(axis=1)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise place.refused(
            array.name,
            start + row,
            None if names is None else names[row],
            "the text has a character that is not of Unicode",
        )
    return cast("list[Any]", codes.tolist())


def _put(archive: zipfile.ZipFile, name: str, array: np.ndarray[Any, Any]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        npy.write_array(file, array, allow_pickle=False)


def _put_vectors(archive: zipfile.ZipFile, spool: IO[bytes], shape: tuple[int, int]) -> None:
    with archive.open(f"{_VECTORS}.npy", "w", force_zip64=True) as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        npy.write_array_header_2_0(file, header)
        shutil.copyfileobj(spool, file)
