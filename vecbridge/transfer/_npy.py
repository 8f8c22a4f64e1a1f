"""Vectors in a file of NumPy's, and their ids in another one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge._client._tables import Place
from vecbridge._errors import InvalidArgumentError
from vecbridge.transfer._arrays import Array, described, rows_of

_IDS, _VECTORS = "ids", "vectors"
_BOM = "\ufeff"


class Beside:
    """The arrays of two files, as an archive has them.

    Attributes:
        place: the file of vectors.
        all: the arrays, by name.
    """

    def __init__(self, path: Path, ids: NDArray[Any]) -> None:
        self.place = Place(path, "array", _IDS, _VECTORS)
        self._path = path
        self._ids = ids
        with self.place.reading("the file"), path.open("rb") as file:
            vectors = described(_VECTORS, file, path.stat().st_size, self.place)
        self.all = {_IDS: Array(_IDS, ids.shape, ids.dtype, 0, ""), _VECTORS: vectors}

    @contextmanager
    def reader(self, array: Array) -> Iterator[Callable[[int], NDArray[Any]]]:
        """Yield what returns the next rows of an array, so many at a time, from the first on."""
        if array.name == _IDS:
            start = 0

            def read(count: int) -> NDArray[Any]:
                nonlocal start
                start += count
                return self._ids[start - count : start]

            yield read
            return
        with self._path.open("rb") as file:
            yield rows_of(array, file, self.place)


def opened(path: Path, ids: str | Path | Sequence[str] | None) -> Beside:
    """Return a file of vectors, and their ids.

    Args:
        path: of the vectors.
        ids: they, or the file that holds them.

    Raises:
        InvalidArgumentError: there are no ids, or some are no ids.
    """
    if ids is None:
        raise InvalidArgumentError(
            f"{path} holds only vectors; give the file of their ids: ids='ids.txt' "
            f"(--ids ids.txt), one per line, or a .json or .npy file of them"
        )
    if isinstance(ids, (str, Path)):
        place = Place(Path(ids), "array", _IDS, _VECTORS)
        with place.reading("the file of ids"):
            values = _read(Path(ids))
    else:
        place, values = Place("the ids", "array", _IDS, _VECTORS), list(ids)
    return Beside(path, _checked(values, place))


def _read(path: Path) -> Any:
    match path.suffix.lower():
        case ".npy":
            return np.load(path, allow_pickle=False)
        case ".json":
            return json.loads(path.read_bytes())
        case _:
            # Not splitlines(): an id may hold any other character that ends a line somewhere.
            text = path.read_text(encoding="utf-8").removeprefix(_BOM)
            return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def _checked(values: Any, place: Place) -> NDArray[Any]:
    if isinstance(values, np.ndarray):
        if values.ndim != 1 or values.dtype.kind not in "Uiu":
            raise place.unusable(
                f"ids are one str or integer per vector; got {values.shape} of {values.dtype}"
            )
        return values
    if not isinstance(values, list):
        raise place.unusable(f"ids must be a list; got a {type(values).__name__}")
    for row, value in enumerate(values):
        # NumPy drops NUL at the end of a text.
        if not isinstance(value, (str, int)) or isinstance(value, bool) or "\0" in str(value):
            raise place.unusable(
                f"ids are strings without NUL, or integers; number {row} (counted from 0) is "
                f"{value!r}"
            )
    return np.array([str(value) for value in values], dtype=np.str_)
