"""Arrays of NumPy's in a file, read piece by piece.

What is read is held to what the headers of the arrays say; nothing in a file is loaded by pickle.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vecbridge._client._tables import Place

_SUFFIX = ".npy"
_MOST_ARRAYS = 1000
"""Each takes some 50 kB while it is read."""

_MOST_HEADER_BYTES = 1 << 16
_MAGIC_BYTES = 8
_ENCRYPTED = 0x1
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


@dataclass(frozen=True)
class Array:
    """An array of the file.

    Attributes:
        name: of its member, without ``.npy``.
        shape: its shape.
        dtype: its type: numbers, booleans or texts.
        header_bytes: bytes before its values.
        fault: why it is no column of records, or nothing.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    header_bytes: int
    fault: str

    def __str__(self) -> str:
        return f"{self.name!r} of {self.dtype} {self.shape}"

    @property
    def row_bytes(self) -> int:
        """Return the bytes of one row."""
        return self.dtype.itemsize * math.prod(self.shape[1:])


class Arrays:
    """The arrays of an archive; only their headers are read at first.

    Args:
        archive: the archive.
        place: its file.

    Raises:
        InvalidArgumentError: it holds what NumPy does not write.
    """

    def __init__(self, archive: zipfile.ZipFile, place: Place) -> None:
        self._archive = archive
        self.place = place
        members = archive.infolist()
        if len(members) > _MOST_ARRAYS:
            raise place.unusable(f"it has {len(members):,} arrays, of at most {_MOST_ARRAYS:,}")
        self.all: dict[str, Array] = {}
        for member in members:
            array = self._described(member)
            if array.name in self.all:
                raise place.unusable(f"it has two arrays of the name {array.name!r}")
            self.all[array.name] = array

    @contextmanager
    def reader(self, array: Array) -> Iterator[Callable[[int], NDArray[Any]]]:
        """Yield what returns the next rows of an array, so many at a time, from the first on."""
        with self.place.reading(f"array {array.name!r}"):
            file = self._archive.open(f"{array.name}{_SUFFIX}")
        with file:
            yield rows_of(array, file, self.place)

    def _described(self, member: zipfile.ZipInfo) -> Array:
        place, shown = self.place, repr(member.filename)
        if not member.filename.endswith(_SUFFIX) or "/" in member.filename:
            raise place.unusable(f"it holds {shown}, which is not an array written by NumPy")
        if member.flag_bits & _ENCRYPTED:
            raise place.unusable(f"{shown} is encrypted; save it without a password")
        if member.compress_type not in _METHODS:
            raise place.unusable(
                f"{shown} is compressed by method {member.compress_type}, which NumPy does not "
                f"write; save it with numpy.savez or numpy.savez_compressed"
            )
        name = member.filename.removesuffix(_SUFFIX)
        with place.reading(f"array {name!r}"), self._archive.open(member) as file:
            return described(name, file, member.file_size, place)


def rows_of(array: Array, file: IO[bytes], place: Place) -> Callable[[int], NDArray[Any]]:
    """Return what gives the next rows of an array, so many at a time, from the first on.

    Args:
        array: which.
        file: at its beginning.
        place: of it.
    """
    what = f"array {array.name!r}"

    def read(count: int) -> NDArray[Any]:
        with place.reading(what):
            data = file.read(count * array.row_bytes)
        if len(data) != count * array.row_bytes:
            raise place.unusable(f"{what} ends before its last row")
        if not data:
            return np.zeros((count, *array.shape[1:]), array.dtype)
        return np.frombuffer(data, array.dtype).reshape(count, *array.shape[1:])

    with place.reading(what):
        file.read(array.header_bytes)
    return read


def described(name: str, file: IO[bytes], size: int, place: Place) -> Array:
    """Return what the header of an array says, held to the bytes that there are.

    Args:
        name: of the array.
        file: at its beginning.
        size: how many bytes it has.
        place: of it.

    Raises:
        InvalidArgumentError: header and size do not agree.
    """
    shape, fortran, dtype, header_bytes = _header(file)
    fault = ""
    if dtype.kind not in "biufU":
        what = "Python objects, which are never loaded" if dtype.hasobject else str(dtype)
        fault = f"it holds {what}; it needs numbers, booleans or str"
    elif fortran and min(sorted(shape)[-2:], default=0) > 1:
        fault = "it is in Fortran order; save np.ascontiguousarray of it"
    array = Array(name, shape, dtype, header_bytes, fault)
    wanted = header_bytes + dtype.itemsize * math.prod(shape)
    # A pickle is as long as it is.
    if not dtype.hasobject and (min(shape, default=0) < 0 or wanted != size):
        raise place.unusable(f"array {array} has {size:,} bytes, and its header says {wanted:,}")
    return array


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
