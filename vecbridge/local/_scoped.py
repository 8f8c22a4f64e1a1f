"""The rows of a snapshot that a search may return, and answers made of them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._metric import Metric
from vecbridge.local._snapshot import Snapshot
from vecbridge.ranking import Bounds, float64_bounds, pick_by_bounds, smallest_columns


class Scoped:
    """Some rows of a snapshot, or all of them. Its *columns* count the rows in scope.

    Args:
        snapshot: the records.
        rows: which of them; all where ``None``.
    """

    def __init__(self, snapshot: Snapshot, rows: NDArray[np.intp] | None) -> None:
        self.snapshot = snapshot
        self.rows = rows

    def __len__(self) -> int:
        return len(self.snapshot) if self.rows is None else len(self.rows)

    def rows_at(self, columns: NDArray[np.intp]) -> NDArray[np.intp]:
        """Rows of the snapshot that columns stand for."""
        return columns if self.rows is None else self.rows[columns]

    def everything(self) -> Candidates:
        """Every record in scope, with nothing left to prove."""
        return self.offer(self.rows_at(np.arange(len(self))), math.inf)

    def offer(self, rows: NDArray[np.intp], floor: float) -> Candidates:
        """Records as candidates; the floor matters only where some are left out.

        Args:
            rows: distinct rows of the snapshot, all in scope.
            floor: no other record in scope is nearer.
        """
        whole = len(rows) == len(self)
        names, vectors = self.snapshot.names(rows), self.snapshot.vectors[rows]
        return Candidates(names, vectors, math.inf if whole else floor)

    def hits(self, rows: NDArray[np.intp], distances: NDArray[np.float64]) -> Hits:
        """Records as an engine's own answer, sorted by distance."""
        order = np.argsort(distances, kind="stable")
        return Hits(self.snapshot.names(rows[order]), distances[order])

    def float64_rows(
        self, metric: Metric, query: NDArray[np.float32], k: int, most: int
    ) -> tuple[NDArray[np.intp], float]:
        """What float64 decides, for queries that float32 leaves open: rows and floor of an offer.

        Args:
            metric: of the index.
            query: ``(d,)`` float32.
            k: how many answers there must be.
            most: the most candidates that may be offered to settle a near tie.
        """
        lower, upper = self._bounds(metric, query)
        pick = pick_by_bounds(lower[0], upper[0], k, most)
        return self.rows_at(pick.columns), pick.least

    def float64_hits(self, metric: Metric, query: NDArray[np.float32], k: int) -> Hits:
        """The ranking of float64 products, for values that float32 cannot hold."""
        lower, upper = self._bounds(metric, query)
        middle = 0.5 * (lower + upper)
        best = smallest_columns(middle, min(k, len(self)))[0]
        return self.hits(self.rows_at(best), middle[0, best])

    def _bounds(self, metric: Metric, query: NDArray[np.float32]) -> Bounds:
        snapshot = self.snapshot
        return float64_bounds(
            metric, query[np.newaxis], snapshot.vectors, snapshot.norms, self.rows
        )
