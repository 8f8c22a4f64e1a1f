"""Vectors as callers have them, and as float32: each number is rounded once."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vecbridge._errors import DimensionError, InvalidVectorError

_FINITE_BLOCK = 1 << 20
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


def queries(values: ArrayLike, *, dimension: int) -> NDArray[np.float32]:
    """Check and convert like :func:`vectors`; a single vector, ``(d,)``, is one query."""
    array = _as_array(values, "queries")
    if array.ndim == 1 and (array.size or not dimension):
        array = array[np.newaxis]
    if array.size == 0 and array.ndim == 1:
        array = array.reshape(0, dimension)
    return vectors(array, dimension=dimension, what="queries")


def _as_array(values: Any, what: str) -> NDArray[Any]:
    rows: Any = values if type(values) in (list, tuple) else ()
    if any(map(np.ma.is_masked, [values, *(row for row in rows if isinstance(row, _MASKED))])):
        raise InvalidVectorError(
            f"{what} must not have masked values: there is a number under each mask, and nothing "
            f"says what to make of it. Leave such rows out, or fill them with .filled(...)"
        )
    try:
        # A torch tensor, told by its methods: the core imports no torch.
        if hasattr(values, "detach") and hasattr(values, "cpu"):
            values = values.detach().cpu()
            values = values.float() if str(values.dtype) == "torch.bfloat16" else values
            values = values.numpy()
        array = _rounded_once(np.asarray(values), values)
    except ValueError as error:
        raise DimensionError(f"{what} must all have the same length: {error}") from error
    except (TypeError, RuntimeError) as error:
        raise InvalidVectorError(
            f"{what} must be real numbers in an array; got a {type(values).__name__} that does "
            f"not convert to one: {error}"
        ) from error
    if array.dtype.kind not in "fiu" and (array.size or array.ndim == 2):
        objects = " of Python objects, such as None or an integer beyond 64 bits"
        raise InvalidVectorError(
            f"{what} must be real numbers; got dtype {array.dtype}"
            + (objects if array.dtype.kind == "O" else "")
        )
    return array


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
