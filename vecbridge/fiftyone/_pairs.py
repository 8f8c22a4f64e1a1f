"""Distances between all records of a view: neighbours, radii and what is apart.

Float64 products bound every distance closely (:func:`vecbridge.ranking.float64_bounds`), which
decides nearly every pair; the exact distance is computed for the few that remain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._metric import Metric
from vecbridge.ranking import Bounds, distance_matrix, distances, float64_bounds, norms, rank

_CACHE_BYTES = 256 << 20
_BLOCK_BYTES = 64 << 20
_MOST_ROWS = 256
_EXACT_PAIRS = 4096
_LONG_WORK = 10_000
"""From how many records on progress is shown."""


class Pairs:
    """The pairs of some records.

    Bounds of all distances are computed once and kept where they fit 256 MiB (up to about 5 700
    records); beyond, they are computed again in blocks whenever they are needed.

    Args:
        metric: of the index.
        ids: the records' ids.
        vectors: ``(n, d)`` float32, one an id.
    """

    def __init__(self, metric: Metric, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        self.ids = list(ids)
        self._metric: Metric = metric
        self._vectors = vectors
        self._norms = norms(vectors)
        self._kept: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        self._nearest: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def neighbors(self, k: int | None, *, reverse: bool = False) -> tuple[list[Any], list[Any]]:
        """For each record, positions of its ``k`` nearest (or farthest) others, and distances."""
        found: list[Any] = []
        dists: list[Any] = []
        most = len(self) - 1
        count = most if k is None else min(k, most)
        for start, stop in self._blocks("neighbours"):
            hopeful = self._hopeful(start, stop, count, reverse)
            for position, (columns, exact) in enumerate(hopeful, start):
                others, keys = columns[columns != position], exact[columns != position]
                names = [self.ids[at] for at in others]
                order = rank(names, -keys if reverse else keys, count)
                found.append(others[order])
                dists.append(keys[order])
        return found, dists

    def nearest(self) -> NDArray[np.float64]:
        """The distance of each record to its nearest other, computed once: ``(n,)``."""
        if self._nearest is None:
            self._nearest = np.array([row[0] for row in self.neighbors(1)[1]])
        return self._nearest

    def farthest_from_first(self) -> float:
        """The distance of the first record to its farthest other."""
        return float(distances(self._metric, self._vectors[0], self._vectors[1:]).max())

    def within(self, limit: float, *, return_dists: bool) -> tuple[list[Any], list[Any]]:
        """For each record, positions of the others within a distance, and their distances."""
        found: list[Any] = []
        dists: list[Any] = []
        everything = np.arange(len(self))
        for start, stop in self._blocks("radius"):
            near = self._near(start, stop, everything, limit)
            near[np.arange(stop - start), np.arange(start, stop)] = False
            for row, mask in enumerate(near, start):
                columns = np.flatnonzero(mask)
                found.append(columns)
                if return_dists:
                    near_by = self._vectors[columns]
                    dists.append(distances(self._metric, self._vectors[row], near_by))
        return found, dists

    def apart(self, limit: float, most: int | None = None) -> list[int]:
        """Positions of the records that are farther than ``limit`` from every earlier one here.

        Args:
            limit: the distance.
            most: stop as soon as there are more than this many.
        """
        kept: list[int] = []
        for start, stop in self._blocks("duplicates"):
            columns = np.array([*kept, *range(start, stop)])
            near = self._near(start, stop, columns, limit)
            covered = near[:, : len(kept)].any(axis=1)
            inside = near[:, len(kept) :]
            fresh: list[int] = []
            for row in np.flatnonzero(~covered).tolist():
                if not inside[row, fresh].any():
                    fresh.append(row)
            kept.extend(start + row for row in fresh)
            if most is not None and len(kept) > most:
                break
        return kept

    def _hopeful(
        self, start: int, stop: int, count: int, reverse: bool
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
        """For each record of a block, columns that may be among its best, exact distances."""
        if count >= len(self) - 1:
            table = distance_matrix(self._metric, self._vectors[start:stop], self._vectors)
            yield from ((np.arange(len(self)), row) for row in table)
            return
        lower, upper = self._bounds(start, stop)
        if reverse:
            lower, upper = -upper, -lower
        else:
            upper = upper.copy()
        upper[np.arange(stop - start), np.arange(start, stop)] = np.inf
        worst = np.partition(upper, count - 1, axis=1)[:, count - 1]
        rows, columns = np.nonzero(lower <= worst[:, np.newaxis])
        exact = self._exact(rows + start, columns)
        ends = np.searchsorted(rows, np.arange(stop - start), side="right")
        for first, last in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
            yield columns[first:last], exact[first:last]

    def _near(
        self, start: int, stop: int, columns: NDArray[np.intp], limit: float
    ) -> NDArray[np.bool_]:
        """Whether records of a block are within a distance of others: ``(rows, columns)``."""
        lower, upper = self._bounds(start, stop, columns)
        near = upper <= limit
        rows, places = np.nonzero((lower <= limit) & ~near)
        near[rows, places] = self._exact(rows + start, columns[places]) <= limit
        return np.asarray(near)

    def _exact(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
        out = np.empty(len(rows))
        for at in range(0, len(rows), _EXACT_PAIRS):
            part = slice(at, at + _EXACT_PAIRS)
            left, right = self._vectors[rows[part]], self._vectors[columns[part]]
            out[part] = distances(self._metric, left, right)
        return out

    def _bounds(
        self, start: int, stop: int, columns: NDArray[np.intp] | None = None
    ) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        if 8 * len(self) ** 2 > _CACHE_BYTES:
            return self._computed(start, stop, columns)
        if self._kept is None:
            self._kept = self._all_bounds()
        lower, upper = (part[start:stop] for part in self._kept)
        if columns is None or len(columns) == len(self):
            return lower, upper
        return lower[:, columns], upper[:, columns]

    def _all_bounds(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Every bound in float32, rounded outwards, so that it is one still."""
        shape = len(self), len(self)
        lower, upper = np.empty(shape, np.float32), np.empty(shape, np.float32)
        with np.errstate(over="ignore"):
            for start, stop in self._ranges():
                part = self._computed(start, stop, None)
                lower[start:stop], upper[start:stop] = part
        np.nextafter(lower, np.float32(-np.inf), out=lower)
        np.nextafter(upper, np.float32(np.inf), out=upper)
        return lower, upper

    def _computed(self, start: int, stop: int, columns: NDArray[np.intp] | None) -> Bounds:
        queries = self._vectors[start:stop]
        return float64_bounds(self._metric, queries, self._vectors, self._norms, columns)

    def _ranges(self) -> Iterator[tuple[int, int]]:
        rows = max(1, min(_MOST_ROWS, _BLOCK_BYTES // (24 * max(1, len(self)))))
        for start in range(0, len(self), rows):
            yield start, min(start + rows, len(self))

    def _blocks(self, what: str) -> Iterator[tuple[int, int]]:
        """Ranges of records, with progress where it takes long."""
        import fiftyone.core.utils as fou

        long = len(self) >= _LONG_WORK
        with fou.ProgressBar(total=len(self), progress=long, iters_str=what) as bar:
            for start, stop in self._ranges():
                yield start, stop
                bar.update(stop - start)
