"""Vectors as callers have them, and as float32: each number is rounded once."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vecbridge._errors import DimensionError, InvalidInputError, InvalidVectorError

_FINITE_BLOCK = 1 << 20
_LISTED_NUMBERS = 1 << 17
"""Numbers of a list that are converted at a time: 10 ms."""

_EXACT = 2.0**53
_MASKED = np.ma.MaskedArray


def vectors(
    values: ArrayLike, *, dimension: int, what: str = "vectors", ids: Sequence[str] = ()
) -> NDArray[np.float32]:
    """Convert anything array-like to ``(n, d)`` C-contiguous finite float32, rounded once.

    An array that is that already is passed through, not copied.

    Args:
        values: what was given.
        dimension: of the index.
        what: name of the values in errors.
        ids: ids of the rows, for errors: a caller of many batches does not know the rows of one.

    Raises:
        InvalidVectorError: not numeric, NaN, infinite, or too large for float32.
        DimensionError: not two-dimensional, or of another length than ``dimension``.
    """
    rows = max(1, _LISTED_NUMBERS // max(dimension, 1))
    if type(values) in {list, tuple} and len(values) > rows:  # type: ignore[arg-type]
        converted = _in_blocks(values, rows, dimension)
        if converted is not None:
            return converted
    array = _as_array(values, what)
    if array.ndim != 2:
        raise DimensionError(
            f"{what} must have shape (n, {dimension}); got shape {tuple(array.shape)}"
        )
    if array.shape[1] != dimension:
        raise DimensionError(
            f"{what} must have {dimension} dimensions, as the index has; got {array.shape[1]}. "
            f"Were they made by another model than the index's?"
        )
    with np.errstate(all="ignore"):
        converted = np.ascontiguousarray(array, dtype=np.float32)
    _check_finite(converted, array, what, ids)
    return converted


def _in_blocks(values: Any, rows: int, dimension: int) -> NDArray[np.float32] | None:
    """Convert a long list; ``None`` where something is wrong in it, which the whole can tell.

    While numpy reads a list, no other thread runs, such as one with an event loop.
    """
    converted = np.empty((len(values), dimension), dtype=np.float32)
    try:
        for start in range(0, len(values), rows):
            block = values[start : start + rows]
            converted[start : start + rows] = vectors(block, dimension=dimension)
    except InvalidInputError:
        return None
    return converted


def queries(values: ArrayLike, *, dimension: int) -> NDArray[np.float32]:
    """Check and convert like :func:`vectors`; a single vector, ``(d,)``, is one query."""
    array = _as_array(values, "queries")
    if array.ndim == 1 and (array.size or not dimension):
        array = array[np.newaxis]
    if array.size == 0 and array.ndim == 1:
        array = array.reshape(0, dimension)
    return vectors(array, dimension=dimension, what="queries")


def _as_array(values: Any, what: str) -> NDArray[Any]:
    given = _without_tensors(values, what)
    try:
        array = np.asarray(given)
        if array.shape == (0,):
            # Of an empty column, nothing says what its rows would be.
            return np.empty(0)
        if _is_column(array):
            given = _without_tensors(list(array), what)
            array = np.asarray(given)
        array = _rounded_once(array, given)
    except ValueError as error:
        raise _uneven(given, what, error) from error
    except (TypeError, RuntimeError) as error:
        raise _unconverted(values, what, error) from error
    if not _is_real(array.dtype):
        raise _unreal(array, what)
    return array


def _without_tensors(values: Any, what: str) -> Any:
    """Return what numpy understands: tensors, alone or as rows, as arrays."""
    rows: Any = values if type(values) in (list, tuple) else ()
    if any(map(np.ma.is_masked, [values, *(row for row in rows if isinstance(row, _MASKED))])):
        raise InvalidVectorError(
            f"{what} must not have masked values: the number under a mask has no "
            f"meaning. Leave such rows out, or fill them with .filled(...)"
        )
    try:
        if _is_tensor(values):
            return _array_of(values)
        if any(map(_is_tensor, rows)):
            return [_array_of(row) if _is_tensor(row) else row for row in rows]
    except (TypeError, RuntimeError) as error:
        raise _unconverted(values, what, error) from error
    return values


def _is_tensor(value: Any) -> bool:
    """Tell a tensor of torch by its methods: the core imports no torch."""
    return hasattr(value, "detach") and hasattr(value, "cpu")


def _array_of(tensor: Any) -> Any:
    held = tensor.detach().cpu()
    # numpy has no such types, and float32 holds every number of them.
    narrow = str(held.dtype).startswith(("torch.bfloat16", "torch.float8"))
    return (held.float() if narrow else held).numpy()


def _is_column(array: NDArray[Any]) -> bool:
    """Tell whether each element is a row, as in a column of pandas or Arrow."""
    rows = array if array.dtype == object and array.ndim == 1 else ()
    return any(hasattr(row, "__len__") and not isinstance(row, str | bytes) for row in rows)


def _is_real(dtype: np.dtype[Any]) -> bool:
    # The narrow types of ml_dtypes call themselves void. float32 holds every number of them.
    return dtype.kind in "fiu" or (dtype.kind == "V" and np.can_cast(dtype, np.float32))


def _unreal(array: NDArray[Any], what: str) -> InvalidVectorError:
    said = f"{what} must be real numbers; got dtype {array.dtype}"
    if array.dtype.kind == "O":
        row = next((at for at, row in enumerate(array) if _holds_objects(row)), 0)
        said += f" of Python objects, such as None or an integer beyond 64 bits, in row {row}"
    return InvalidVectorError(said)


def _holds_objects(row: Any) -> bool:
    try:
        return not _is_real(np.asarray(row.tolist()).dtype)
    except (AttributeError, ValueError):
        return True


def _uneven(rows: Any, what: str, error: Exception) -> InvalidInputError:
    """Return the error that names the first row that is none, or longer or shorter than others."""
    lengths = [len(row) for row in rows if hasattr(row, "__len__")]
    for number, row in enumerate(rows):
        if not hasattr(row, "__len__"):
            return InvalidVectorError(
                f"{what} must be rows of numbers; row {number} is a {type(row).__name__}. Leave "
                f"such rows out"
            )
        if len(row) != lengths[0]:
            return DimensionError(
                f"{what} must all have the same length; row {number} has {len(row)} numbers, the "
                f"first one {lengths[0]}"
            )
    return DimensionError(f"{what} must all have the same length: {error}")


def _unconverted(values: Any, what: str, error: Exception) -> InvalidVectorError:
    return InvalidVectorError(
        f"{what} must be real numbers in an array; got a {type(values).__name__} that does not "
        f"convert to one: {error}"
    )


def _rounded_once(array: NDArray[Any], given: Any) -> NDArray[Any]:
    """Undo what numpy has rounded where float64 is its common type of integers and floats.

    An integer of more than 53 bits would be rounded again on its way to float32. Each becomes the
    neighbour in float64 that is odd in its last bit, which float32 rounds as it would the integer.
    """
    if array.dtype != np.float64 or hasattr(given, "dtype") or not array.size:
        return array
    wide = np.abs(array) >= _EXACT
    if not wide.any():
        return array
    exact = np.asarray(given, dtype=object)
    if exact.shape != array.shape:
        return array
    array = array.copy()
    for place in zip(*np.nonzero(wide), strict=True):
        # Nothing has rounded a float yet.
        if hasattr(exact[place], "__index__") and (number := _whole(exact[place])) is not None:
            array[place] = _to_odd(number)
    return array


def _whole(value: Any) -> int | None:
    try:
        return operator.index(value)
    except TypeError:
        # A tensor of one float has the method too.
        return None


def _to_odd(number: int) -> float:
    near = float(number)
    # Where float64 is not exact and its last bit is 0, the neighbour beyond the integer has a 1.
    if int(near) == number or int(math.frexp(near)[0] * _EXACT) % 2:
        return near
    return math.nextafter(near, math.inf if number > near else -math.inf)


def _check_finite(
    converted: NDArray[np.float32], given: NDArray[Any], what: str, ids: Sequence[str]
) -> None:
    rows = max(1, _FINITE_BLOCK // max(converted.shape[1], 1))
    for start in range(0, len(converted), rows):
        good = np.isfinite(converted[start : start + rows]).all(axis=1)
        if not good.all():
            row = start + int(np.argmin(good))
            overflow = bool(np.isfinite(given[row]).all())
            found = "a value too large for float32" if overflow else "NaN or infinity"
            whose = f", the vector of {ids[row]!r}" if row < len(ids) else ""
            raise InvalidVectorError(
                f"{what} must be finite float32; row {row} has {found}{whose}. Leave such rows "
                f"out, or repair them"
            )
