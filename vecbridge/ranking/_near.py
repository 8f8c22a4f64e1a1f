"""Which pairs of records are within a distance of each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._metric import Metric
from vecbridge.ranking._double import float64_bounds
from vecbridge.ranking._everyone import Progress, least_keys
from vecbridge.ranking._kernel import norms, pair_distances
from vecbridge.ranking._quiet import quietly
from vecbridge.ranking._scores import Frame, PairKeys

_DIRECTIONS = (16, 32, 64, 128)
_SKETCHED_FROM = 4096
_SAMPLE = 1024
# Looking at a pair costs as much as the products of some hundred pairs.
_FEW = 1000
# From how many others a record within the distance, as a sketch tells it, most records have one.
_CROWDED = 0.5
_DOUBTFUL = 64
_EXACT_PAIRS = 1 << 14


class Records:
    """Vectors, and the keys of their pairs, made when they are asked for.

    Args:
        metric: of the index.
        vectors: ``(n, d)`` float32.
    """

    def __init__(self, metric: Metric, vectors: NDArray[np.float32]) -> None:
        self.metric: Metric = metric
        self.vectors = vectors
        self.norms = norms(vectors)
        self._frame: Frame | None = None
        self._whole: PairKeys | None = None
        self._basis: NDArray[np.float64] | None = None
        self._sketch: PairKeys | None = None
        self._sketched = 0
        self._share = 1.0
        self._floors: tuple[int, NDArray[np.float64]] | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    def keys(self) -> PairKeys:
        """Keys by all dimensions."""
        if self._whole is None:
            self._whole = PairKeys(self._framed())
        return self._whole

    def sketch_for(self, limit: float) -> PairKeys | None:
        """Keys that tell most pairs from those within a distance at less cost, if any do."""
        if len(self) < _SKETCHED_FROM or self.vectors.shape[1] < 4 * _DIRECTIONS[0]:
            return None
        if self._basis is None:
            self._basis = self._framed().directions(_DIRECTIONS[-1])
        for directions in _DIRECTIONS:
            if 4 * directions > self.vectors.shape[1]:
                break
            if self._tells(self._basis[:, :directions], limit):
                if self._sketch is None or self._sketched != directions:
                    self._sketch = PairKeys(self._framed(), self._basis[:, :directions])
                    self._sketched = directions
                return self._sketch
        return None

    @quietly
    def floors_for(
        self, limit: float, progress: Progress | None = None
    ) -> NDArray[np.float64] | None:
        """How near to each record another can be, at least, if that tells most from a distance.

        Args:
            limit: the distance.
            progress: told how much is done, of what is done once.

        Returns:
            ``(n,)`` lower bounds; ``None`` where many are likely to be below the distance.
        """
        sketch = self.sketch_for(limit)
        if sketch is None or self._share * len(self) > _CROWDED:
            return None
        if self._floors is None or self._floors[0] < self._sketched:
            least = least_keys(sketch, len(self), progress).astype(np.float64)
            self._floors = self._sketched, sketch.floors(least - sketch.errors)
        return self._floors[1]

    def exact(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
        """The distance of each row to the column beside it."""
        out = np.empty(len(rows))
        for at in range(0, len(rows), _EXACT_PAIRS):
            part = slice(at, at + _EXACT_PAIRS)
            left, right = rows[part], columns[part]
            out[part] = pair_distances(
                self.metric,
                self.vectors[left],
                self.vectors[right],
                self.norms[left],
                self.norms[right],
            )
        return out

    def _framed(self) -> Frame:
        if self._frame is None:
            self._frame = Frame(self.metric, self.vectors, self.norms)
        return self._frame

    def _tells(self, basis: NDArray[np.float64], limit: float) -> bool:
        chosen = np.linspace(0, len(self) - 1, _SAMPLE).astype(np.intp)
        frame = Frame(self.metric, self.vectors[chosen], self.norms[chosen])
        sample = PairKeys(frame, basis)
        table = sample.keys(slice(None), sample.columns(slice(None)))
        # Every record is near itself.
        maybe = np.count_nonzero(table <= sample.key_of(limit)) - _SAMPLE
        self._share = maybe / table.size
        return bool(maybe * _FEW < table.size)


class Near:
    """Tells pairs within a distance from the others.

    Args:
        records: whose pairs.
        limit: the distance.
    """

    def __init__(self, records: Records, limit: float) -> None:
        self._records = records
        self._limit = limit
        sketch = records.sketch_for(limit)
        self._levels = [] if sketch is None else [_Level(sketch, limit)]

    def mask(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether each of some records is within the distance of each of others."""
        for level in self._tried():
            near, doubtful = level.told(rows, columns)
            if len(doubtful) * _DOUBTFUL <= near.size:
                break
        else:
            near, doubtful = self._by_float64(rows, columns)
        owners, others = np.divmod(doubtful, max(len(columns), 1))
        near.ravel()[doubtful] = self._records.exact(rows[owners], columns[others]) <= self._limit
        return near

    def _tried(self) -> Iterator[_Level]:
        yield from self._levels
        if not self._levels or self._levels[-1].is_sketch:
            self._levels.append(_Level(self._records.keys(), self._limit))
            yield self._levels[-1]

    def _by_float64(
        self, rows: NDArray[np.intp], columns: NDArray[np.intp]
    ) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        """Which pairs are near for sure, and which may be: flat positions."""
        records = self._records
        lower, upper = float64_bounds(
            records.metric, records.vectors[rows], records.vectors, records.norms, columns
        )
        near = upper <= self._limit
        return near, np.flatnonzero((lower <= self._limit) & ~near)


class _Level:
    """What some keys say of a distance."""

    @quietly
    def __init__(self, keys: PairKeys, limit: float) -> None:
        self._keys = keys
        self.is_sketch = keys.is_sketch
        key, up = keys.key_of(limit), np.float32(np.inf)
        # One float32 step more, since the bounds themselves are rounded.
        self._maybe = np.nextafter((key + keys.errors).astype(np.float32), up)
        sure = np.full(len(keys.errors), -np.inf) if keys.is_sketch else key - keys.errors
        self._sure = np.nextafter(sure.astype(np.float32), -up)

    def told(
        self, rows: NDArray[np.intp], columns: NDArray[np.intp]
    ) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        """Which pairs are near for sure, and which may be: flat positions."""
        table = self._keys.keys(rows, self._keys.columns(columns))
        maybe = table <= self._maybe[rows, np.newaxis]
        if self.is_sketch:
            return np.zeros(table.shape, dtype=np.bool_), np.flatnonzero(maybe)
        near = table <= self._sure[rows, np.newaxis]
        return near, np.flatnonzero(maybe & ~near)
