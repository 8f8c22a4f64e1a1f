"""Vectors, and what their pairs are told apart by: float32 keys, float64 bounds, the definition."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._metric import Metric
from vecbridge.ranking._blocked import PairBudgets, PairWork
from vecbridge.ranking._bounds import float64_bounds
from vecbridge.ranking._float32 import Frame
from vecbridge.ranking._kernel import norms, pair_distances
from vecbridge.ranking._pair_keys import PairKeys


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
        self._keys: PairKeys | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    def frame(self) -> Frame:
        """Return the frame of all vectors."""
        if self._frame is None:
            self._frame = Frame(self.metric, self.vectors, self.norms)
        return self._frame

    def keys(self) -> PairKeys:
        """Return keys by all dimensions."""
        if self._keys is None:
            self._keys = PairKeys(self.frame(), self.vectors, self.norms)
        return self._keys

    def exact(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the distance of each row to the column beside it."""
        out = np.empty(len(rows))
        step = max(1, self.budgets.exact_bytes // (8 * self.vectors.shape[1]))
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


class Near:
    """Tells pairs within a distance from the others, of any records with any others."""

    def __init__(self, records: PairSet, limit: float) -> None:
        self._records = records
        self._limit = limit
        keys = records.keys()
        self._keys, self._maybe = keys, keys.most_of(limit)
        self._sure = keys.least_of(limit)

    def mask(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Tell for each of some records whether it is within the distance of each of others."""
        work = self._records.work
        table = self._keys.keys(rows, self._keys.columns(columns))
        work.float32_pairs += table.size
        near = table <= self._sure[rows, np.newaxis]
        doubtful = np.flatnonzero((table <= self._maybe[rows, np.newaxis]) & ~near)
        if len(doubtful) > self._records.budgets.doubtful_share * near.size:
            near, doubtful = self._by_float64(rows, columns)
        owners, others = np.divmod(doubtful, max(len(columns), 1))
        near.ravel()[doubtful] = self._records.exact(rows[owners], columns[others]) <= self._limit
        return near

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
