"""The rows of a snapshot that a search may return, and answers made of them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._metric import Metric
from vecbridge.local._snapshot import Snapshot
from vecbridge.ranking import float64_bounds, pick_by_bounds, smallest_columns


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

    def everything(self) -> Candidates:
        """Every record in scope, with nothing left to prove."""
        return self.offer(np.arange(len(self)), math.inf)

    def offer(self, columns: NDArray[np.intp], floor: float) -> Candidates:
        """Records as candidates; the floor matters only where some are left out."""
        chosen = self._rows_at(columns)
        whole = len(chosen) == len(self)
        return Candidates(
            self.snapshot.names(chosen),
            self.snapshot.vectors[chosen],
            math.inf if whole else floor,
        )

    def hits(self, columns: NDArray[np.intp], distances: NDArray[np.float64]) -> Hits:
        """Records as an engine's own answer, sorted by distance."""
        order = np.argsort(distances, kind="stable")
        return Hits(self.snapshot.names(self._rows_at(columns[order])), distances[order])

    def float64_offer(
        self, metric: Metric, query: NDArray[np.float32], k: int, most: int
    ) -> Candidates:
        """What float64 decides, for queries that float32 leaves open.

        Args:
            metric: of the index.
            query: ``(d,)`` float32.
            k: how many answers there must be.
            most: the most candidates that may be offered to settle a near tie.
        """
        snapshot = self.snapshot
        lower, upper = float64_bounds(
            metric, query[np.newaxis], snapshot.vectors, snapshot.norms, self.rows
        )
        pick = pick_by_bounds(lower[0], upper[0], k, most)
        return self.offer(pick.columns, pick.least)

    def float64_hits(self, metric: Metric, query: NDArray[np.float32], k: int) -> Hits:
        """The ranking of float64 products, for values that float32 cannot hold."""
        snapshot = self.snapshot
        lower, upper = float64_bounds(
            metric, query[np.newaxis], snapshot.vectors, snapshot.norms, self.rows
        )
        middle = 0.5 * (lower + upper)
        best = smallest_columns(middle, min(k, len(self)))[0]
        return self.hits(best, middle[0, best])

    def _rows_at(self, columns: NDArray[np.intp]) -> NDArray[np.intp]:
        return columns if self.rows is None else self.rows[columns]
