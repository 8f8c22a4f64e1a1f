"""Exact distances between all records of a set: neighbours, radii and what is apart.

The pairs within a distance are joined, where they are not too many. Elsewhere float32 keys decide
nearly every pair; exact distances are computed of the few that remain. Where those are not few, as
of vectors that differ by less than float32 holds, float64 bounds decide first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._metric import Metric
from vecbridge.ranking._blocked import Kept, PairBudgets, PairWork, Progress, nearest_others
from vecbridge.ranking._bounds import float64_bounds
from vecbridge.ranking._join import near_pairs
from vecbridge.ranking._kernel import distance_matrix, distances
from vecbridge.ranking._near_pairs import Nearest, NearPairs, Others
from vecbridge.ranking._pair_keys import PairKeys
from vecbridge.ranking._pair_set import Near, PairSet
from vecbridge.ranking._threads import workers
from vecbridge.ranking._topk import rank

SPARE = 6
_DEFAULT = PairBudgets()


class Pairs:
    """The pairs of some records.

    Memory beside what is answered: a copy of the vectors at most, about 128 MiB, and 32 MiB per
    core, of eight at most. The pairs of the last radius are kept: they take an eighth of the memory
    of the vectors at most, or 32 MiB; twice that while they are put in order.

    Args:
        metric: of the index.
        ids: the records' ids.
        vectors: ``(n, d)`` float32, one per id.
        budgets: how the work is cut up.

    Example:
        >>> import numpy as np
        >>> pairs = Pairs("euclidean", ["a", "b", "c"], np.float32([[0], [1], [3]]))
        >>> [columns.tolist() for columns, _ in pairs.neighbors(1)]
        [[1], [0], [1]]
        >>> pairs.apart(1.5)
        [0, 2]
    """

    def __init__(
        self,
        metric: Metric,
        ids: Sequence[str],
        vectors: NDArray[np.float32],
        *,
        budgets: PairBudgets = _DEFAULT,
    ) -> None:
        self.ids = list(ids)
        self._metric: Metric = metric
        self._budgets = budgets
        self._records = PairSet(metric, vectors, budgets)
        self._nearest: NDArray[np.float64] | None = None
        self._found: NearPairs | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def work(self) -> PairWork:
        """How much work was done so far, by what decided it."""
        return self._records.work

    def neighbors(
        self, k: int | None, *, farthest: bool = False, progress: Progress | None = None
    ) -> Iterator[Others]:
        """Yield for each record its ``k`` nearest (or farthest) others, by (distance, id).

        Args:
            k: how many; all of them where ``None``.
            farthest: the farthest instead, farthest first.
            progress: called with how much is done.
        """
        most = len(self) - 1
        count = most if k is None else min(k, most)
        if count < 1:
            yield from ((np.empty(0, dtype=np.intp), np.empty(0)) for _ in self.ids)
            return
        if count + SPARE > min(self._budgets.kept, most):
            yield from self._by_float64(np.arange(len(self)), count, progress, farthest=farthest)
            return
        kept, keys = self._kept(count + SPARE, progress, farthest=farthest)
        floors = keys.lower_bounds(kept.keys.max(axis=1).astype(np.float64) - keys.errors)
        if count + SPARE == most:
            floors[:] = np.inf
        sign = -1.0 if farthest else 1.0
        strips = [rows for _, rows in self._strips()]
        with workers() as pool:
            sorted_strips = pool.map(
                lambda rows: self._sorted(rows, kept, floors, count, sign), strips
            )
            for rows, found in zip(strips, sorted_strips, strict=True):
                yield from self._ranked(rows, found, count, farthest=farthest)

    def nearest(self, progress: Progress | None = None) -> NDArray[np.float64]:
        """Return the distance of each record to its nearest other, computed once: ``(n,)``."""
        if self._nearest is None:
            found = self.neighbors(1, progress=progress)
            self._nearest = np.array([distances[0] for _, distances in found])
        return self._nearest

    def farthest_from_first(self) -> float:
        """Return the distance of the first record to its farthest other."""
        vectors = self._records.vectors
        return float(distances(self._metric, vectors[0], vectors[1:]).max())

    def within(self, limit: float, progress: Progress | None = None) -> Iterator[Others]:
        """Yield for each record the others within a distance, by position."""
        found = self._near_pairs(limit, progress)
        if isinstance(found, NearPairs):
            yield from found.others()
            return
        # Others within the distance of one that has some have some themselves.
        following = 0
        for rows, first, second in self._masked(limit, found, found):
            order = np.argsort(first, kind="stable")
            order = order[first[order] != second[order]]
            owners, others = first[order], second[order]
            exact = self._records.exact(owners, others)
            last = int(rows[-1]) + 1
            ends = np.searchsorted(owners, np.arange(following, last + 1))
            for one, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
                yield others[one:end], exact[one:end]
            following = last
            _tell(progress, following, len(self))
        for _ in range(following, len(self)):
            yield np.empty(0, dtype=np.intp), np.empty(0)

    def apart(
        self, limit: float, most: int | None = None, progress: Progress | None = None
    ) -> list[int]:
        """Return the positions of the records farther than ``limit`` from every earlier one.

        Args:
            limit: the distance.
            most: stop as soon as there are more than this many.
            progress: called with how much is done.
        """
        found = self._near_pairs(limit, progress)
        if isinstance(found, NearPairs):
            _tell(progress, len(self), len(self))
            return [int(row) for row in found.apart()]
        if self._nearest is not None:
            found = np.flatnonzero(self._nearest <= limit)
        near = Near(self._records, limit)
        alone = np.delete(np.arange(len(self)), found)
        kept: list[int] = []
        for start in range(0, len(found), self._budgets.strip_rows):
            free = found[start : start + self._budgets.strip_rows]
            for first in range(0, len(kept), self._budgets.block_rows):
                columns = np.array(kept[first : first + self._budgets.block_rows])
                free = free[~near.mask(free, columns).any(axis=1)]
                if not len(free):
                    break
            kept.extend(_apart(free, near.mask(free, free)))
            if most is not None and len(alone) + len(kept) > most:
                break
            _tell(progress, min(start + self._budgets.strip_rows, len(found)), len(found))
        _tell(progress, len(self), len(self))
        return sorted([*alone.tolist(), *kept])

    def nearest_among(self, kept: Sequence[int], limit: float) -> Nearest:
        """Return for each record that is not kept the nearest that is, and how far it is.

        Args:
            kept: positions; ties go to the earlier one.
            limit: only records within this distance of one are listed.
        """
        found = self._near_pairs(limit, None)
        if isinstance(found, NearPairs):
            return found.nearest_among(kept)
        chosen = np.intersect1d(np.array(kept, dtype=np.intp), found)
        best = [Nearest.of(found[:0], found[:0], np.empty(0))]
        for _, owners, others in self._masked(limit, np.setdiff1d(found, chosen), chosen):
            best.append(Nearest.of(owners, others, self._records.exact(owners, others)))
        return Nearest(*(np.concatenate(column) for column in zip(*best, strict=True)))

    def _near_pairs(self, limit: float, progress: Progress | None) -> NearPairs | NDArray[np.intp]:
        """Return the pairs within a distance, or the records that may be in one, ascending."""
        if len(self) < max(2, self._budgets.joined_from):
            return np.arange(len(self))
        if self._found is None or self._found.limit < limit:
            found = near_pairs(self._records, limit, progress)
            if not isinstance(found, NearPairs):
                return found
            self._found = found
        return self._found.within(limit)

    def _masked(
        self, limit: float, rows: NDArray[np.intp], columns: NDArray[np.intp]
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]]:
        """Yield some of the rows, and the pairs of them with columns within a distance."""
        near = Near(self._records, limit)
        for start in range(0, len(rows), self._budgets.strip_rows):
            strip = rows[start : start + self._budgets.strip_rows]
            found = [np.empty((2, 0), dtype=np.intp)]
            for first in range(0, len(columns), self._budgets.block_rows):
                block = columns[first : first + self._budgets.block_rows]
                owners, others = np.nonzero(near.mask(strip, block))
                found.append(np.stack([strip[owners], block[others]]))
            owners, others = np.concatenate(found, axis=1)
            yield strip, owners, others

    def _strips(self) -> Iterator[tuple[int, NDArray[np.intp]]]:
        for start in range(0, len(self), self._budgets.strip_rows):
            yield start, np.arange(start, min(start + self._budgets.strip_rows, len(self)))

    def _kept(
        self, count: int, progress: Progress | None, *, farthest: bool
    ) -> tuple[Kept, PairKeys]:
        """Return for each record the others with the smallest of those keys."""
        near = self._records.keys()
        keys = near.reversed() if farthest else near
        return nearest_others(keys, len(self), count, self._budgets, progress), keys

    def _sorted(
        self,
        rows: NDArray[np.intp],
        kept: Kept,
        floors: NDArray[np.float64],
        count: int,
        sign: float,
    ) -> _Sorted:
        """Rank what was kept by exact distance times a sign, and say what that proves."""
        columns, size = kept.columns[rows].astype(np.intp), kept.columns.shape[1]
        flat = sign * self._records.exact(np.repeat(rows, size), columns.ravel())
        table = flat.reshape(len(rows), size)
        order = np.argsort(table, axis=1, kind="stable")
        columns = np.take_along_axis(columns, order, axis=1)
        table = np.take_along_axis(table, order, axis=1)
        decided = table[:, count - 1] < floors[rows]
        tied = (table[:, 1:] == table[:, :-1]).any(axis=1)
        return _Sorted(columns, table, decided, tied)

    def _ranked(
        self, rows: NDArray[np.intp], found: _Sorted, count: int, *, farthest: bool
    ) -> Iterator[Others]:
        """Yield the exact ranking of what was kept, and float64's where that proves too little."""
        columns, keys, decided, tied = found
        table = -keys if farthest else keys
        left = rows[~decided]
        settled = self._by_float64(left, count, None, farthest=farthest)
        again = dict(zip(left.tolist(), settled, strict=True))
        for at, row in enumerate(rows.tolist()):
            if not decided[at]:
                yield again[row]
            elif tied[at]:
                best = rank([self.ids[other] for other in columns[at]], keys[at], count)
                yield columns[at, best], table[at, best]
            else:
                yield columns[at, :count], table[at, :count]

    def _by_float64(
        self, rows: NDArray[np.intp], count: int, progress: Progress | None, *, farthest: bool
    ) -> Iterator[Others]:
        step = max(1, self._budgets.float64_bytes // (24 * len(self)))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            for row, (columns, exact) in zip(
                part.tolist(), self._hopeful(part, count, farthest=farthest), strict=True
            ):
                others, found = columns[columns != row], exact[columns != row]
                names = [self.ids[at] for at in others]
                order = rank(names, -found if farthest else found, count)
                yield others[order], found[order]
            _tell(progress, start + len(part), len(rows))

    def _hopeful(self, rows: NDArray[np.intp], count: int, *, farthest: bool) -> Iterator[Others]:
        """Yield columns that may be among the best of each record, and exact distances."""
        records = self._records
        records.work.float64_rows += len(rows)
        queries = records.vectors[rows]
        if count >= len(self) - 1:
            for exact in distance_matrix(self._metric, queries, records.vectors):
                yield np.arange(len(self)), exact
            return
        lower, upper = float64_bounds(self._metric, queries, records.vectors, records.norms)
        if farthest:
            lower, upper = -upper, -lower
        upper[np.arange(len(rows)), rows] = np.inf
        worst = np.partition(upper, count - 1, axis=1)[:, count - 1]
        owners, columns = np.nonzero(lower <= worst[:, np.newaxis])
        exact = records.exact(rows[owners], columns)
        ends = np.searchsorted(owners, np.arange(len(rows) + 1))
        for one, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
            yield columns[one:end], exact[one:end]


class _Sorted(NamedTuple):
    """Some records, ranked: ``(n, count)`` columns and signed distances, and flags."""

    columns: NDArray[np.intp]
    keys: NDArray[np.float64]
    decided: NDArray[np.bool_]
    tied: NDArray[np.bool_]


def _apart(rows: NDArray[np.intp], near: NDArray[np.bool_]) -> list[int]:
    """Return those of records in order that are not near an earlier one that is returned."""
    earlier = np.tril(near, -1)
    doubtful: NDArray[np.bool_] = np.asarray(earlier.any(axis=1))
    taken: NDArray[np.bool_] = np.logical_not(doubtful)
    for at in np.flatnonzero(doubtful).tolist():
        taken[at] = not (earlier[at] & taken).any()
    return [int(row) for row in rows[taken]]


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)
