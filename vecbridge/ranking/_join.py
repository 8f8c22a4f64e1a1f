"""All pairs of records within a distance of each other, without a product for each pair.

A pair is left out for one of two reasons, each with a proof; the definition decides the rest.

1. *A projection.* Records are points ``z`` of few float32 coordinates, no farther apart than the
   records are, but for ``slack`` (:class:`PairKeys` has the proof). For any direction ``e`` of
   length 1, ``|z.e - z'.e| <= |z - z'|``, by Cauchy and Schwarz. So a pair whose projections differ
   by more than ``reach + slack`` is not within the distance, where no pair within it is farther
   apart in the frame than ``reach``. The directions are those between the centres of two cells of
   points: the proof asks nothing of the cells, which are there for directions that tell most.
2. *A key.* The float32 product of two points, less its error, is a lower bound of their distance.

Points of a cell are sorted by their projection, and each tile of rows is multiplied with the
columns that its projections reach, and no others.

Memory: two copies of the points, 36 bytes per record, 32 bytes per pair that is found, of as many
as the budget allows, and 32 MiB per thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge.locks import reentrant_lock
from vecbridge.ranking._blocked import PairBudgets, Progress
from vecbridge.ranking._bounds import dot_error
from vecbridge.ranking._cells import Cells, cells_for
from vecbridge.ranking._directions import keys_worth_it
from vecbridge.ranking._kernel import quietly
from vecbridge.ranking._near_pairs import NearPairs, Part
from vecbridge.ranking._pair_set import PairSet
from vecbridge.ranking._threads import single_products, workers

_WAITING_PAIRS = 1 << 15
_BYTES_PER_PAIR = 32


@quietly
def near_pairs(
    records: PairSet, limit: float, progress: Progress | None = None
) -> NearPairs | NDArray[np.intp]:
    """Return all pairs of records within a distance, by the definition.

    Where there are more than the budget allows, the positions of all records that may be in one
    are returned instead, ascending.

    Args:
        records: of which.
        limit: the distance.
        progress: called with how many cells are done.
    """
    most = max(records.budgets.pairs_bytes, records.vectors.nbytes // 4) // _BYTES_PER_PAIR
    with single_products():
        keys = keys_worth_it(records, limit, most)
    if keys is None:
        return np.arange(len(records))
    records.work.joins += 1
    found = _Found(records, limit, most)
    cells = Cells.of(keys, cells_for(len(records)))
    count = len(cells.starts) - 1
    join = _Join(cells, found, limit, records.budgets)
    with workers() as pool:
        for done, looked in enumerate(pool.map(join.cell, range(count - 1, -1, -1)), 1):
            records.work.joined_pairs += looked
            records.work.joined_products += looked * cells.keys.width
            if progress is not None:
                progress(done, count)
    return found.result()


class _Found:
    """Pairs that several threads find, and the records that have one.

    Beyond the budget no pair is kept: which records may have one is all that is known then.
    """

    def __init__(self, records: PairSet, limit: float, most: int) -> None:
        self._records, self._limit, self._most = records, limit, most
        self._lock = reentrant_lock()
        self._parts: list[Part] = []
        self._count = 0
        self._marks = np.zeros(len(records), dtype=np.bool_)

    @property
    def too_many(self) -> bool:
        """Whether there are more pairs than are kept."""
        return self._count > self._most

    @property
    def is_hopeless(self) -> bool:
        """Whether, moreover, most records have one: then it is no use to know which."""
        return self.too_many and bool(2 * np.count_nonzero(self._marks) > len(self._marks))

    def add(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> None:
        """Take pairs that may be within the distance, each for the first time."""
        if not self.too_many:
            exact = self._records.exact(rows, columns)
            near = exact <= self._limit
            rows, columns, exact = rows[near], columns[near], exact[near]
            first, second = np.minimum(rows, columns), np.maximum(rows, columns)
            with self._lock:
                self._records.work.checked_pairs += len(near)
                self._parts.append((first * len(self._marks) + second, exact))
                self._count += len(rows)
                if self._count > self._most:
                    self._parts.clear()
        self._marks[rows] = True
        self._marks[columns] = True

    def result(self) -> NearPairs | NDArray[np.intp]:
        """Return the pairs; or the records that may be in one, where there are too many."""
        if self.is_hopeless:
            return np.arange(len(self._marks))
        if self.too_many:
            return np.flatnonzero(self._marks)
        return NearPairs.of(len(self._marks), self._limit, self._parts)


class _Join:
    """Cells, two of which are looked at together at a time."""

    def __init__(self, cells: Cells, found: _Found, limit: float, budgets: PairBudgets) -> None:
        self._cells, self._found, self._limit = cells, found, limit
        self._points, self._most = cells.keys.points, cells.keys.most_of(limit)
        self._tile = budgets.tile_rows, budgets.tile_columns
        # What rounding may add to the difference of two projections on a direction of length 1:
        # both sums, the direction's own length, and the difference.
        largest = cells.keys.largest * (1.0 + 2.0**-20)
        self._rounding = 2.0 * dot_error(cells.keys.width, largest, 1.0 + 2.0**-20)
        self._rounding += 2.0**-20 * largest

    @quietly
    def cell(self, cell: int) -> int:
        """Look at the pairs of a cell with itself and with those before it; return how many."""
        looked, waiting = 0, _Waiting(self._found, self._cells.order)
        out = np.empty(self._tile, dtype=np.float32)
        for other in range(cell + 1):
            if self._found.is_hopeless:
                break
            for tile in self._tiles(cell, other):
                table = self._cells.keys.keys(tile.rows, tile.right, out)
                looked += table.size
                maybe = table <= self._most[tile.rows, np.newaxis]
                if np.count_nonzero(maybe):
                    rows, columns = np.nonzero(maybe)
                    new = columns > rows + tile.seen
                    waiting.add(tile.rows[rows[new]], tile.columns[columns[new]])
        waiting.flush()
        return looked

    def _tiles(self, cell: int, other: int) -> Iterator[_Tile]:
        """Yield what of two cells has projections that are near enough."""
        direction = self._direction(cell, other)
        width = self._width(cell, other)
        mine = its = self._projected(cell, direction)
        if cell != other:
            its = self._projected(other, direction)
        rows, left = _ascending(mine, float(its.min()) - width, float(its.max()) + width)
        if not len(rows):
            return
        # The places of a cell with itself are counted in one order.
        columns, right = rows, left
        if cell != other:
            columns, right = _ascending(its, float(left[0]) - width, float(left[-1]) + width)
        rows, columns = rows + self._cells.starts[cell], columns + self._cells.starts[other]
        multiplied = self._cells.keys.columns(columns)
        most_rows, most_columns = self._tile
        for start in range(0, len(rows), most_rows):
            stop = min(start + most_rows, len(rows))
            begin = int(np.searchsorted(right, left[start] - np.float32(width), "left"))
            end = int(np.searchsorted(right, left[stop - 1] + np.float32(width), "right"))
            if cell == other:
                # The pairs before were looked at from the other side.
                begin = max(begin, start)
            for at in range(begin, end, most_columns):
                part = slice(at, min(at + most_columns, end))
                seen = start - at if cell == other else -most_rows
                yield _Tile(rows[start:stop], columns[part], multiplied[part], seen)

    def _direction(self, cell: int, other: int) -> NDArray[np.float32]:
        """Return a direction of length 1 in which the points of two cells are far apart."""
        between = self._cells.centres[cell].astype(np.float64) - self._cells.centres[other]
        length = float(np.linalg.norm(between))
        if length > 0.0:
            return np.asarray(between / length, dtype=np.float32)
        axis: NDArray[np.float32] = np.zeros(len(between), dtype=np.float32)
        axis[self._of(cell).var(axis=0).argmax()] = 1.0
        return axis

    def _width(self, cell: int, other: int) -> float:
        """Return by how much the projections of a pair within the distance differ at most."""
        keys, largest = self._cells.keys, self._cells.largest
        reach = keys.reach_of(self._limit, float(largest[cell]), float(largest[other]))
        return (reach + keys.slack) * (1.0 + 2.0**-20) + self._rounding

    def _projected(self, cell: int, direction: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self._of(cell) @ direction)

    def _of(self, cell: int) -> NDArray[np.float32]:
        return self._points[self._cells.starts[cell] : self._cells.starts[cell + 1]]


class _Tile(NamedTuple):
    """Rows that are multiplied with columns, by their places in the order of the cells.

    Attributes:
        rows: places.
        columns: places.
        right: what of the columns is multiplied.
        seen: row ``i`` and column ``j`` were looked at before where ``j <= i + seen``.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    right: NDArray[np.float32]
    seen: int


class _Waiting:
    """Pairs of places that wait until enough of them are worth a look."""

    def __init__(self, found: _Found, order: NDArray[np.intp]) -> None:
        self._found, self._order = found, order
        self._rows: list[NDArray[np.intp]] = []
        self._columns: list[NDArray[np.intp]] = []
        self._count = 0

    def add(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> None:
        """Take pairs."""
        self._rows.append(rows)
        self._columns.append(columns)
        self._count += len(rows)
        if self._count > _WAITING_PAIRS:
            self.flush()

    def flush(self) -> None:
        """Look at all that wait."""
        if self._count:
            rows, columns = np.concatenate(self._rows), np.concatenate(self._columns)
            self._found.add(self._order[rows], self._order[columns])
            self._rows, self._columns, self._count = [], [], 0


def _ascending(
    values: NDArray[np.float32], low: float, high: float
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return where values between two bounds are, and the values, in ascending order."""
    inside = np.flatnonzero((values >= np.float32(low)) & (values <= np.float32(high)))
    chosen = values[inside]
    order = np.argsort(chosen)
    return inside[order], chosen[order]
