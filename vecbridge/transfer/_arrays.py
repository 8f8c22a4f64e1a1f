"""The arrays of an npz file, read a few rows at a time and held to what their headers say."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vecbridge.transfer._source import Place

_SUFFIX = ".npy"
_ENCRYPTED = 0x1
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_MOST_ARRAYS = 1000
"""Each takes some 50 kB while it is read."""

_MOST_HEADER_BYTES = 1 << 16
_MAGIC_BYTES = 8


@dataclass(frozen=True)
class Array:
    """An array of the file.

    Attributes:
        name: of its member, without ``.npy``.
        shape: its shape.
        dtype: its type: numbers, booleans or texts.
        header_bytes: how many stand before its values.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    header_bytes: int

    def __str__(self) -> str:
        return f"{self.name!r} {self.shape} of {self.dtype}"

    @property
    def row_bytes(self) -> int:
        """What one row of it takes."""
        return self.dtype.itemsize * math.prod(self.shape[1:])


class Arrays:
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
        self.all: dict[str, Array] = {}
        for member in members:
            array = self._described(member)
            if array.name in self.all:
                raise place.unusable(f"it has two arrays of the name {array.name!r}")
            self.all[array.name] = array

    @contextmanager
    def rows(self, array: Array) -> Iterator[Rows]:
        """Yield a reader of an array, from its first row on, while the block lasts."""
        with self._place.reading(f"array {array.name!r}"):
            file = self._archive.open(f"{array.name}{_SUFFIX}")
        with file:
            yield Rows(file, array, self._place)

    def _described(self, member: zipfile.ZipInfo) -> Array:
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
        return Array(name, shape, dtype, size)


class Rows:
    """An array that is being read.

    Args:
        file: its member, from the beginning.
        array: what its header says.
        place: the file.
    """

    def __init__(self, file: IO[bytes], array: Array, place: Place) -> None:
        self._file = file
        self._array = array
        self._place = place
        self._begun = False

    def next(self, count: int) -> NDArray[Any]:
        """Return the next rows; there are as many."""
        array = self._array
        with self._place.reading(f"array {array.name!r}"):
            if not self._begun:
                self._file.read(array.header_bytes)
                self._begun = True
            wanted = count * array.row_bytes
            data = self._file.read(wanted)
            if len(data) != wanted:
                raise self._place.unusable(f"array {array.name!r} ends before its last row")
            if not array.row_bytes:
                return np.zeros((count, *array.shape[1:]), array.dtype)
            return np.frombuffer(data, array.dtype).reshape(count, *array.shape[1:])


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
