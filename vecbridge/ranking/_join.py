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

Memory: two copies of the points, 20 bytes per pair that is found, of as many as the budget allows,
and 32 MiB per thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge.locks import reentrant_lock
from vecbridge.ranking._blocked import Progress
from vecbridge.ranking._bounds import dot_error
from vecbridge.ranking._float32 import Frame
from vecbridge.ranking._kernel import quietly
from vecbridge.ranking._near_pairs import NearPairs, Part
from vecbridge.ranking._pair_keys import PairKeys
from vecbridge.ranking._pair_set import PairSet
from vecbridge.ranking._threads import single_products, workers

_TILE_ROWS = 256
_TILE_COLUMNS = 1024
_WAITING_PAIRS = 1 << 15
_SAMPLE_ROWS = 2048
_SAMPLED_OF = 16
_ITERATIONS = 3
_LLOYD_ITERATIONS = 5
_SAMPLED_PER_CELL = 32
_BYTES_PER_PAIR = 20
# Measured: nanoseconds of one multiplication, of a look at its sum, and of an exact distance.
_PRODUCT, _LOOK, _EXACT = 0.017, 0.15, 1500.0


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
    most = max(records.budgets.pairs_bytes, records.vectors.nbytes // 8) // _BYTES_PER_PAIR
    with single_products():
        keys = _keys_worth_it(records, limit, most)
    if keys is None:
        return np.arange(len(records))
    records.work.joins += 1
    found = _Found(records, limit, most)
    cells = _Cells.of(keys, _cells_for(len(records)))
    count = len(cells.starts) - 1
    join = _Join(cells, found, limit)
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
            first = np.minimum(rows, columns).astype(np.int32)
            second = np.maximum(rows, columns).astype(np.int32)
            with self._lock:
                self._records.work.checked_pairs += len(near)
                self._parts.append((first, second, exact))
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


class _Cells(NamedTuple):
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
    def of(cls, keys: PairKeys, count: int) -> _Cells:
        """Put points into about so many cells, by the nearest of some centres, in place."""
        centres = _centres(keys.points, count)
        homes = _homes(keys.points, centres)
        order = np.argsort(homes, kind="stable")
        used, starts = np.unique(homes[order], return_index=True)
        keys.reorder(order)
        largest = np.maximum.reduceat(keys.lengths, starts)
        return cls(keys, order, np.append(starts, len(order)), centres[used], largest)


class _Join:
    """Cells, two of which are looked at together at a time."""

    def __init__(self, cells: _Cells, found: _Found, limit: float) -> None:
        self._cells, self._found, self._limit = cells, found, limit
        self._points, self._most = cells.keys.points, cells.keys.most_of(limit)
        # What rounding may add to the difference of two projections on a direction of length 1:
        # both sums, the direction's own length, and the difference.
        largest = cells.keys.largest * (1.0 + 2.0**-20)
        self._rounding = 2.0 * dot_error(cells.keys.width, largest, 1.0 + 2.0**-20)
        self._rounding += 2.0**-20 * largest

    @quietly
    def cell(self, cell: int) -> int:
        """Look at the pairs of a cell with itself and with those before it; return how many."""
        looked, waiting = 0, _Waiting(self._found, self._cells.order)
        out = np.empty((_TILE_ROWS, _TILE_COLUMNS), dtype=np.float32)
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
        mine, its = self._projected(cell, direction), self._projected(other, direction)
        rows, left = _ascending(mine, float(its.min()) - width, float(its.max()) + width)
        if not len(rows):
            return
        columns, right = _ascending(its, float(left[0]) - width, float(left[-1]) + width)
        rows, columns = rows + self._cells.starts[cell], columns + self._cells.starts[other]
        multiplied = self._cells.keys.columns(columns)
        for start in range(0, len(rows), _TILE_ROWS):
            stop = min(start + _TILE_ROWS, len(rows))
            begin = int(np.searchsorted(right, left[start] - np.float32(width), "left"))
            end = int(np.searchsorted(right, left[stop - 1] + np.float32(width), "right"))
            if cell == other:
                # The pairs before were looked at from the other side.
                begin = max(begin, start)
            for at in range(begin, end, _TILE_COLUMNS):
                part = slice(at, min(at + _TILE_COLUMNS, end))
                seen = start - at if cell == other else -_TILE_ROWS
                yield _Tile(rows[start:stop], columns[part], multiplied[part], seen)

    def _direction(self, cell: int, other: int) -> NDArray[np.float32]:
        """Return a direction of length 1 in which the points of two cells are far apart."""
        between = self._cells.centres[cell].astype(np.float64) - self._cells.centres[other]
        length = float(np.linalg.norm(between))
        if length > 0.0:
            return (between / length).astype(np.float32)
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
        part = slice(start, start + _TILE_COLUMNS)
        homes[part] = (points[part] @ centres.T - halves).argmax(axis=1)

    with workers() as pool:
        for _ in pool.map(fill, range(0, len(points), _TILE_COLUMNS)):
            pass
    return homes


def _keys_worth_it(records: PairSet, limit: float, most: int) -> PairKeys | None:
    """Return the keys by which a join costs least, as a sample tells.

    Returns:
        ``None`` where so many pairs are within the distance that a join is no use.
    """
    # The directions of a sample tell more of itself than of other records.
    learnt, tried = _sample(records, 0), _sample(records, 1)
    basis, looked = None, 1.0
    directions = [n for n in records.budgets.directions if 2 * n <= records.vectors.shape[1]]
    if directions:
        basis = _directions(learnt.frame.records(learnt.vectors, learnt.norms), directions[-1])
        keys = tried.keys(basis[:, : directions[0]])
        looked = _looked_at(keys, limit, _cells_for(len(records)))
    best, least, fewest = None, math.inf, 1.0
    for count in [*directions, records.vectors.shape[1]]:
        products = looked * (_PRODUCT * count + _LOOK)
        if products >= least:
            break
        chosen = basis[:, :count] if basis is not None and count in directions else None
        keys = tried.keys(chosen)
        table = keys.keys(slice(None), keys.columns(slice(None)))
        # Most records are near themselves.
        near = np.count_nonzero(table <= keys.most_of(limit)[:, np.newaxis]) - len(table)
        share = max(near, 0) / table.size
        fewest = min(fewest, share)
        if products + share * _EXACT < least:
            best, least = chosen, products + share * _EXACT
    if fewest * len(records) * (len(records) - 1) / 2 > 16 * most:
        return None
    return PairKeys(records.frame(), records.vectors, records.norms, best)


class _Sample(NamedTuple):
    """Some records, in a frame of their own."""

    frame: Frame
    vectors: NDArray[np.float32]
    norms: NDArray[np.float64]

    def keys(self, basis: NDArray[np.float64] | None) -> PairKeys:
        """Return keys of the records."""
        return PairKeys(self.frame, self.vectors, self.norms, basis)


def _sample(records: PairSet, number: int) -> _Sample:
    """Return one of two samples, which have no record in common where there are enough."""
    size = min(_SAMPLE_ROWS, max(len(records) // _SAMPLED_OF, 64))
    order = np.random.default_rng(0).permutation(len(records))
    rows = np.sort(np.roll(order, -size * number)[:size])
    vectors, norms = records.vectors[rows], records.norms[rows]
    return _Sample(Frame(records.metric, vectors, norms), vectors, norms)


def _looked_at(keys: PairKeys, limit: float, count: int) -> float:
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


def _cells_for(records: int) -> int:
    return max(1, math.isqrt(records) // 4)


def _directions(sample: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """Return ``(d, m)`` orthonormal directions with the most length in a sample, ``m <= most``.

    By subspace iteration: a few small products, and no decomposition of the sample.
    """
    found = np.random.default_rng(0).standard_normal((sample.shape[1], most))
    for _ in range(_ITERATIONS):
        found = _orthonormal(sample.T @ (sample @ found))
    kept = sample @ found
    _, mixtures = np.linalg.eigh(kept.T @ kept)
    return np.ascontiguousarray((found @ mixtures)[:, ::-1])


def _orthonormal(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return columns of the same span; made twice, since once leaves what squaring has lost."""
    for _ in range(2):
        squares, mixtures = np.linalg.eigh(columns.T @ columns)
        firm = squares > squares.max(initial=0.0) * 2.0**-40
        columns = columns @ (mixtures[:, firm] / np.sqrt(squares[firm]))
    return columns
