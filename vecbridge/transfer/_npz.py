"""Records in NumPy's npz: a zip of arrays, written and read piece by piece."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy.lib import format as npy

from vecbridge._contract._consistency import Consistency
from vecbridge._contract._records import FieldType, IndexInfo, Records
from vecbridge._errors import InvalidArgumentError
from vecbridge._front._index import Index
from vecbridge.transfer._progress import Progress
from vecbridge.transfer._source import BATCH_IDS, Source, batch_rows, metric_said, unusable

_ABOUT, _IDS, _VECTORS = "about", "ids", "vectors"
_KINDS: dict[str, FieldType] = {"U": "string", "i": "integer", "f": "float", "b": "boolean"}
_MOST_BYTES = 2 << 30
"""Of ids, or of a field, which are in memory whole."""

_BROKEN = (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error)
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
        """Writes every record; returns how many."""
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
    def opened(path: Path) -> Iterator[Source]:
        """The file, while the block lasts."""
        try:
            archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise unusable(path, error) from error
        with archive:
            yield _source(archive, path)


class _Texts:
    """How wide the texts of each array are: NumPy keeps every text as wide as the longest."""

    def __init__(self, info: IndexInfo, records: int) -> None:
        named = (name for name, kind in info.fields.items() if kind == "string")
        self._widest = dict.fromkeys([_IDS, *named], 0)
        self._records = records

    def check(self, records: Records) -> None:
        """Refuses, as soon as one is known, texts that would be too large together."""
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


def _source(archive: zipfile.ZipFile, path: Path) -> Source:
    names = {name.removesuffix(".npy") for name in archive.namelist()}
    if not {_IDS, _VECTORS} <= names:
        raise unusable(path, f"it has the arrays {sorted(names)}, not {_IDS!r} and {_VECTORS!r}")
    ids = _array(archive, _IDS, path)
    columns = {
        name: _array(archive, name, path) for name in sorted(names - {_IDS, _VECTORS, _ABOUT})
    }
    metric = metric_said(str(_array(archive, _ABOUT, path))) if _ABOUT in names else None
    with archive.open(f"{_VECTORS}.npy") as file:
        shape, dtype = _header(file, path)
    if len(shape) != 2 or shape[0] != len(ids) or ids.dtype.kind != "U":
        raise unusable(path, f"ids are {ids.shape} of {ids.dtype}, vectors {shape} of {dtype}")

    def batches() -> Iterator[Records]:
        with archive.open(f"{_VECTORS}.npy") as file:
            _header(file, path)
            rows = batch_rows(shape[1])
            for start in range(0, shape[0], rows):
                stop = min(start + rows, shape[0])
                yield Records(
                    tuple(ids[start:stop].tolist()),
                    _vectors(file, (stop - start, shape[1]), dtype, path),
                    {name: column[start:stop].tolist() for name, column in columns.items()},
                )

    def parts() -> Iterator[list[str | None]]:
        for start in range(0, len(ids), BATCH_IDS):
            yield ids[start : start + BATCH_IDS].tolist()

    fields: dict[str, FieldType] = {
        name: _kind(name, column, len(ids), path) for name, column in columns.items()
    }
    return Source(len(ids), shape[1], metric, fields, parts, batches)


def _put(archive: zipfile.ZipFile, name: str, array: np.ndarray[Any, Any]) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        npy.write_array(file, array, allow_pickle=False)


def _put_vectors(archive: zipfile.ZipFile, spool: IO[bytes], shape: tuple[int, int]) -> None:
    with archive.open(f"{_VECTORS}.npy", "w", force_zip64=True) as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        npy.write_array_header_2_0(file, header)
        shutil.copyfileobj(spool, file)


def _array(archive: zipfile.ZipFile, name: str, path: Path) -> np.ndarray[Any, Any]:
    size = archive.getinfo(f"{name}.npy").file_size
    if size > _MOST_BYTES:
        raise unusable(path, f"array {name!r} has {size:,} bytes, of at most {_MOST_BYTES:,}")
    try:
        with archive.open(f"{name}.npy") as file:
            return npy.read_array(file, allow_pickle=False)
    except _BROKEN as error:
        raise unusable(path, f"array {name!r}: {error}") from error


def _vectors(
    file: IO[bytes], shape: tuple[int, int], dtype: np.dtype[Any], path: Path
) -> np.ndarray[Any, Any]:
    try:
        data = file.read(shape[0] * shape[1] * dtype.itemsize)
        return np.frombuffer(data, dtype).reshape(shape)
    except _BROKEN as error:
        raise unusable(path, f"array {_VECTORS!r}: {error}") from error


def _header(file: IO[bytes], path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        major, _ = npy.read_magic(file)
        read = npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except _BROKEN as error:
        raise unusable(path, f"array {_VECTORS!r}: {error}") from error
    if fortran and min(shape, default=0) > 1:
        raise unusable(path, "its vectors are in Fortran order; save np.ascontiguousarray of them")
    if dtype.kind != "f":
        raise unusable(path, f"its vectors are {dtype}")
    return shape, dtype


def _kind(name: str, column: np.ndarray[Any, Any], records: int, path: Path) -> FieldType:
    kind = _KINDS.get(column.dtype.kind)
    if kind is None or column.shape != (records,):
        raise unusable(path, f"field {name!r} is {column.shape} of {column.dtype}")
    return kind
