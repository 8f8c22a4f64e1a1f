"""Cells of points: near points together, so that few cells have to be compared with each other.

No proof rests on where a cell ends. Bad cells cost time.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge.ranking._pair_keys import PairKeys
from vecbridge.ranking._threads import workers

_LLOYD_ITERATIONS = 5
_SAMPLED_PER_CELL = 32
_ROWS_AT_ONCE = 1024


def cells_for(records: int) -> int:
    """Return how many cells some records are worth."""
    return max(1, math.isqrt(records) // 4)


class Cells(NamedTuple):
    """Points in the order of their cells.

    Attributes:
        keys: of the points in this order.
        order: the record that each is.
        starts: where each cell starts, and the end.
        centres: ``(cells, w)``.
        largest: the largest norm in the frame of each cell.
    """

    keys: PairKeys
    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    centres: NDArray[np.float32]
    largest: NDArray[np.float64]

    @classmethod
    def of(cls, keys: PairKeys, count: int) -> Cells:
        """Put points into about so many cells, by the nearest of some centres, in place."""
        centres = _centres(keys.points, count)
        homes = _homes(keys.points, centres)
        order = np.argsort(homes, kind="stable")
        used, starts = np.unique(homes[order], return_index=True)
        keys.reorder(order)
        largest = np.maximum.reduceat(keys.lengths, starts)
        return cls(keys, order, np.append(starts, len(order)), centres[used], largest)


def share_looked_at(keys: PairKeys, limit: float, count: int) -> float:
    """Return what share of the pairs of a sample cells leave to be multiplied."""
    points = keys.points
    centres = _centres(points, min(count, len(points) // 8 + 1))
    homes = _homes(points, centres)
    squares = np.einsum("ij,ij->i", centres, centres)
    scores = points @ centres.T - 0.5 * squares
    between = np.sqrt(np.maximum(squares[:, np.newaxis] + squares - 2 * centres @ centres.T, 1e-30))
    # How far each point is from the plane between its centre and each other.
    depths = (scores[np.arange(len(points)), homes][:, np.newaxis] - scores) / between[homes]
    apart = depths[:, homes] + depths[:, homes].T
    reach = keys.reach_of(limit, keys.largest, keys.largest) + keys.slack
    return max(float(np.mean(apart <= reach)), 1e-6)


def _centres(points: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return about so many centres of points: k-means of a sample. No proof rests on them."""
    sample = points[np.linspace(0, len(points) - 1, count * _SAMPLED_PER_CELL).astype(np.intp)]
    centres = sample[::_SAMPLED_PER_CELL].copy()
    for _ in range(_LLOYD_ITERATIONS):
        homes = _homes(sample, centres)
        for cell in np.unique(homes).tolist():
            centres[cell] = sample[homes == cell].mean(axis=0)
    return np.asarray(centres)


def _homes(points: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return the nearest centre of each point."""
    homes = np.empty(len(points), dtype=np.intp)
    halves = 0.5 * np.einsum("ij,ij->i", centres, centres)

    def fill(start: int) -> None:
        part = slice(start, start + _ROWS_AT_ONCE)
        homes[part] = (points[part] @ centres.T - halves).argmax(axis=1)

    with workers() as pool:
        for _ in pool.map(fill, range(0, len(points), _ROWS_AT_ONCE)):
            pass
    return homes
