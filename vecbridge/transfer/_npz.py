"""Records in NumPy's npz: a zip of arrays, written and read piece by piece.

What is read is held to what the headers of the arrays say; nothing in a file is loaded by pickle.
"""

from __future__ import annotations

import io
import json
import math
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vecbridge._client import Index
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._field_types import FieldType, refuse_unknown_types
from vecbridge._contract._filters import Filter
from vecbridge._contract._metric import Metric
from vecbridge._contract._records import IndexInfo, Records
from vecbridge._errors import InvalidArgumentError
from vecbridge.transfer._source import (
    Place,
    Progress,
    Rows,
    Source,
    index_batches,
    metric_said,
    rows_at_once,
)

_ABOUT, _IDS, _VECTORS = "about", "ids", "vectors"
_SUFFIX = ".npy"
_KINDS: dict[str, FieldType] = {
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

_MOST_ARRAYS = 1000
"""Each takes some 50 kB while it is read."""

_MOST_ABOUT_BYTES = _MOST_HEADER_BYTES = 1 << 16
_MAGIC_BYTES = 8
_LAST_CHARACTER = 0x10FFFF
_ENCRYPTED = 0x1
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


class Format:
    """Writes and reads the format.

    Ids and fields are kept in memory whole, vectors are not. Texts are as wide as the longest one.

    Attributes:
        taken: names that no field can have beside it.
    """

    taken: ClassVar[frozenset[str]] = frozenset({_ABOUT, _IDS, _VECTORS})

    @staticmethod
    def write(
        index: Index,
        path: Path,
        consistency: Consistency,
        progress: Progress,
        where: Filter | None,
    ) -> int:
        """Write every record that matches; return how many.

        Raises:
            UnsupportedError: NumPy has no array for a field's type; nothing was written.
        """
        info = index.info
        refuse_unknown_types(info.fields, frozenset(_KINDS.values()), "an .npz file (see .parquet)")
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


def _source(archive: zipfile.ZipFile, place: Place, batch_bytes: int) -> Source:
    arrays = _Arrays(archive, place)
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
            readers = {array.name: stack.enter_context(arrays.reader(array)) for array in columns}
            for start, rows in stretches(row_bytes):
                parts = {name: read(rows) for name, read in readers.items()}
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
        with arrays.reader(ids) as read:
            for start, rows in stretches(ids.row_bytes):
                yield _listed(place, ids, read(rows), start, None)

    fields: dict[str, FieldType] = {name: _kind(array, place) for name, array in found.items()}
    return Source(place, count, vectors.shape[1], metric, fields, names, batches)


def _columns(arrays: _Arrays, place: Place) -> tuple[_Array, _Array, dict[str, _Array]]:
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


def _metric(arrays: _Arrays, about: _Array, place: Place) -> Metric | None:
    if about.dtype.kind != "U" or about.shape or about.dtype.itemsize > _MOST_ABOUT_BYTES:
        raise place.unusable(f"array {about}: this name is kept for what a file says of itself")
    with arrays.reader(about) as read:
        (said,) = _listed(place, about, read(1), 0, None)
    return metric_said(said.encode(errors="replace"))


def _kind(array: _Array, place: Place) -> FieldType:
    if array.dtype.kind != "U" and array.dtype.itemsize > np.dtype(np.float64).itemsize:
        raise place.unusable(f"array {array}: a field keeps numbers of 64 bits")
    return _KINDS[array.dtype.kind]


def _listed(
    place: Place, array: _Array, part: NDArray[Any], start: int, names: list[Any] | None
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


@dataclass(frozen=True)
class _Array:
    """An array of the file.

    Attributes:
        name: of its member, without ``.npy``.
        shape: its shape.
        dtype: its type: numbers, booleans or texts.
        header_bytes: bytes before its values.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    header_bytes: int

    def __str__(self) -> str:
        return f"{self.name!r} {self.shape} of {self.dtype}"

    @property
    def row_bytes(self) -> int:
        """Return the bytes of one row."""
        return self.dtype.itemsize * math.prod(self.shape[1:])


class _Arrays:
    """The arrays of an archive; only their headers are read at first.

    Args:
        archive: the archive.
        place: its file.

    Raises:
        InvalidArgumentError: it holds what NumPy does not write, or what no record is made of.
    """

    def __init__(self, archive: zipfile.ZipFile, place: Place) -> None:
        self._archive = archive
        self._place = place
        members = archive.infolist()
        if len(members) > _MOST_ARRAYS:
            raise place.unusable(f"it has {len(members):,} arrays, of at most {_MOST_ARRAYS:,}")
        self.all: dict[str, _Array] = {}
        for member in members:
            array = self._described(member)
            if array.name in self.all:
                raise place.unusable(f"it has two arrays of the name {array.name!r}")
            self.all[array.name] = array

    @contextmanager
    def reader(self, array: _Array) -> Iterator[Callable[[int], NDArray[Any]]]:
        """Yield what returns the next rows of an array, so many at a time, from the first on."""
        place, what = self._place, f"array {array.name!r}"

        def read(count: int) -> NDArray[Any]:
            with place.reading(what):
                data = file.read(count * array.row_bytes)
            if len(data) != count * array.row_bytes:
                raise place.unusable(f"{what} ends before its last row")
            if not data:
                return np.zeros((count, *array.shape[1:]), array.dtype)
            return np.frombuffer(data, array.dtype).reshape(count, *array.shape[1:])

        with place.reading(what):
            file = self._archive.open(f"{array.name}{_SUFFIX}")
        with file:
            with place.reading(what):
                file.read(array.header_bytes)
            yield read

    def _described(self, member: zipfile.ZipInfo) -> _Array:
        place, shown = self._place, repr(member.filename)
        if not member.filename.endswith(_SUFFIX) or "/" in member.filename:
            raise place.unusable(f"it holds {shown}, which is no array that NumPy put there")
        if member.flag_bits & _ENCRYPTED:
            raise place.unusable(f"{shown} is encrypted; save it without a password")
        if member.compress_type not in _METHODS:
            raise place.unusable(
                f"{shown} is compressed by method {member.compress_type}, which NumPy does not "
                f"write; save it by numpy.savez or numpy.savez_compressed"
            )
        name = member.filename.removesuffix(_SUFFIX)
        with place.reading(f"array {name!r}"), self._archive.open(member) as file:
            shape, fortran, dtype, size = _header(file)
        if dtype.kind not in "biufU":
            what = "Python objects, which are never loaded" if dtype.hasobject else str(dtype)
            raise place.unusable(f"array {name!r} holds {what}; it needs numbers, booleans or str")
        if fortran and min(sorted(shape)[-2:], default=0) > 1:
            raise place.unusable(
                f"array {name!r} is in Fortran order; save np.ascontiguousarray of it"
            )
        wanted = size + dtype.itemsize * math.prod(shape)
        if min(shape, default=0) < 0 or wanted != member.file_size:
            raise place.unusable(
                f"array {name!r} is {shape} of {dtype}, which makes {wanted:,} bytes, and has "
                f"{member.file_size:,}"
            )
        return _Array(name, shape, dtype, size)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, order, type and its own length, holding no more than a header may have."""
    magic = file.read(_MAGIC_BYTES)
    major, _ = npy.read_magic(io.BytesIO(magic))
    sized = file.read(2 if major == 1 else 4)
    length = int.from_bytes(sized, "little")
    if length > _MOST_HEADER_BYTES:
        raise ValueError(f"its header has {length:,} bytes")
    body = file.read(length)
    read = npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0
    shape, fortran, dtype = read(io.BytesIO(sized + body))
    return shape, fortran, dtype, len(magic) + len(sized) + len(body)
