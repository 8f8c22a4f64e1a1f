"""Pairs of records within a distance of each other, by a sketch where one tells most apart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._metric import Metric
from vecbridge.ranking._blocked import PairBudgets, PairWork, Progress, least_keys
from vecbridge.ranking._bounds import float64_bounds
from vecbridge.ranking._float32 import Frame
from vecbridge.ranking._kernel import norms, pair_distances, quietly
from vecbridge.ranking._pair_keys import PairKeys

_SAMPLE_ROWS = 1024
_ITERATIONS = 3


class PairSet:
    """Vectors, and the keys of their pairs, made when they are asked for.

    Attributes:
        work: how much was done so far.
    """

    def __init__(self, metric: Metric, vectors: NDArray[np.float32], budgets: PairBudgets) -> None:
        self.metric: Metric = metric
        self.budgets = budgets
        self.work = PairWork()
        self.vectors = vectors
        self.norms = norms(vectors)
        self._frame: Frame | None = None
        self._whole: PairKeys | None = None
        self._basis: NDArray[np.float64] | None = None
        self._sketch: PairKeys | None = None
        self._sketched = 0
        self._share = 1.0
        self._lower_bounds: tuple[int, NDArray[np.float64]] | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    def keys(self) -> PairKeys:
        """Return keys by all dimensions."""
        if self._whole is None:
            self._whole = self._keys_by(None)
        return self._whole

    def sketch_for(self, limit: float) -> PairKeys | None:
        """Return keys that tell most pairs from those within a distance at less cost, if any do."""
        choices = self.budgets.sketch_directions
        if len(self) < self.budgets.sketched_from or self.vectors.shape[1] < 4 * choices[0]:
            return None
        if self._basis is None:
            self._basis = _directions(self._sample(), choices[-1])
        for directions in choices:
            if 4 * directions > self.vectors.shape[1]:
                break
            if self._tells(self._basis[:, :directions], limit):
                if self._sketch is None or self._sketched != directions:
                    self._sketch = self._keys_by(self._basis[:, :directions])
                    self._sketched = directions
                return self._sketch
        return None

    @quietly
    def lower_bounds_for(
        self, limit: float, progress: Progress | None = None
    ) -> NDArray[np.float64] | None:
        """Return how near to each record another can be, at least, if that tells most apart.

        Args:
            limit: the distance.
            progress: called with how much is done, of what is done once.

        Returns:
            ``(n,)`` lower bounds; ``None`` where many are likely to be below the distance.
        """
        sketch = self.sketch_for(limit)
        if sketch is None or self._share * len(self) > self.budgets.crowded:
            return None
        if self._lower_bounds is None or self._lower_bounds[0] < self._sketched:
            self.work.surveys += 1
            least = least_keys(sketch, len(self), self.budgets, progress).astype(np.float64)
            self._lower_bounds = self._sketched, sketch.lower_bounds(least - sketch.errors)
        return self._lower_bounds[1]

    def exact(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the distance of each row to the column beside it."""
        out = np.empty(len(rows))
        step = self.budgets.exact_pairs
        for at in range(0, len(rows), step):
            part = slice(at, at + step)
            left, right = rows[part], columns[part]
            out[part] = pair_distances(
                self.metric,
                self.vectors[left],
                self.vectors[right],
                self.norms[left],
                self.norms[right],
            )
        return out

    def _keys_by(self, basis: NDArray[np.float64] | None) -> PairKeys:
        return PairKeys(self._framed(), self.vectors, self.norms, basis)

    def _framed(self) -> Frame:
        if self._frame is None:
            self._frame = Frame(self.metric, self.vectors, self.norms)
        return self._frame

    def _sample(self) -> NDArray[np.float64]:
        """Return some records in the frame of all."""
        chosen = self._chosen()
        return self._framed().records(self.vectors[chosen], self.norms[chosen])

    def _chosen(self) -> NDArray[np.intp]:
        return np.linspace(0, len(self) - 1, _SAMPLE_ROWS).astype(np.intp)

    def _tells(self, basis: NDArray[np.float64], limit: float) -> bool:
        chosen = self._chosen()
        vectors, norms = self.vectors[chosen], self.norms[chosen]
        sample = PairKeys(Frame(self.metric, vectors, norms), vectors, norms, basis)
        table = sample.keys(slice(None), sample.columns(slice(None)))
        # Every record is near itself.
        maybe = np.count_nonzero(table <= sample.key_of(limit)) - _SAMPLE_ROWS
        self._share = maybe / table.size
        return bool(self._share < self.budgets.sketch_share)


class Near:
    """Tells pairs within a distance from the others."""

    def __init__(self, records: PairSet, limit: float) -> None:
        self._records = records
        self._limit = limit
        sketch = records.sketch_for(limit)
        self._levels = [] if sketch is None else [_Level(sketch, limit)]

    def mask(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Tell for each of some records whether it is within the distance of each of others."""
        for level in self._levels_to_try():
            near, doubtful = level.decide(rows, columns)
            if level.is_sketch:
                self._records.work.sketched_pairs += near.size
            else:
                self._records.work.float32_pairs += near.size
            if len(doubtful) <= self._records.budgets.doubtful_share * near.size:
                break
        else:
            near, doubtful = self._by_float64(rows, columns)
        owners, others = np.divmod(doubtful, max(len(columns), 1))
        near.ravel()[doubtful] = self._records.exact(rows[owners], columns[others]) <= self._limit
        return near

    def _levels_to_try(self) -> Iterator[_Level]:
        yield from self._levels
        if not self._levels or self._levels[-1].is_sketch:
            self._levels.append(_Level(self._records.keys(), self._limit))
            yield self._levels[-1]

    def _by_float64(
        self, rows: NDArray[np.intp], columns: NDArray[np.intp]
    ) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        """Return which pairs are near for sure, and the flat positions of those that may be."""
        records = self._records
        records.work.float64_rows += len(rows)
        lower, upper = float64_bounds(
            records.metric, records.vectors[rows], records.vectors, records.norms, columns
        )
        near = upper <= self._limit
        return near, np.flatnonzero((lower <= self._limit) & ~near)


class _Level:
    """One kind of keys, and the keys of a distance."""

    @quietly
    def __init__(self, keys: PairKeys, limit: float) -> None:
        self._keys = keys
        self.is_sketch = keys.is_sketch
        key, up = keys.key_of(limit), np.float32(np.inf)
        # One float32 step more, since the bounds themselves are rounded.
        self._maybe = np.nextafter((key + keys.errors).astype(np.float32), up)
        sure = np.full(len(keys.errors), -np.inf) if keys.is_sketch else key - keys.errors
        self._sure = np.nextafter(sure.astype(np.float32), -up)

    def decide(
        self, rows: NDArray[np.intp], columns: NDArray[np.intp]
    ) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        """Return which pairs are near for sure, and the flat positions of those that may be."""
        table = self._keys.keys(rows, self._keys.columns(columns))
        maybe = table <= self._maybe[rows, np.newaxis]
        if self.is_sketch:
            return np.zeros(table.shape, dtype=np.bool_), np.flatnonzero(maybe)
        near = table <= self._sure[rows, np.newaxis]
        return near, np.flatnonzero(maybe & ~near)


@quietly
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
        firm = squares > squares[-1] * 2.0**-40
        columns = columns @ (mixtures[:, firm] / np.sqrt(squares[firm]))
    return columns
