"""The best k of a stream of records, in bounded memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._hits import Hits
from vecbridge.ranking import rank


class TopK:
    """Keeps the ``k`` best of what it is shown, in order of (distance, id).

    Args:
        k: how many to keep; everything where ``None``.
        farthest: keep the largest distances instead, largest first, ties still by id.
    """

    def __init__(self, k: int | None, *, farthest: bool = False) -> None:
        self._k = k
        self._sign = -1.0 if farthest else 1.0
        self._ids: list[str] = []
        self._distances: NDArray[np.float64] = np.empty(0)
        self._pending: list[tuple[Sequence[str], NDArray[np.float64]]] = []
        self._pending_count = 0

    def add(self, ids: Sequence[str], distances: NDArray[np.float64]) -> None:
        """Shows more records: ids and their ``(n,)`` distances."""
        keys = distances * self._sign
        if self._k is not None and len(self._ids) == self._k:
            hopeful: list[int] = np.flatnonzero(keys <= self._distances[-1]).tolist()
            ids = [ids[position] for position in hopeful]
            keys = keys[hopeful]
        if ids:
            self._pending.append((ids, keys))
            self._pending_count += len(ids)
        # Cutting costs a sort of what is kept, so it waits until there is as much new as kept.
        if self._k is not None and self._pending_count >= self._k:
            self._cut()

    def hits(self) -> Hits:
        """The best so far, as an exact answer."""
        self._cut()
        return Hits(tuple(self._ids), self._distances * self._sign + 0.0, exact=True)

    def _cut(self) -> None:
        ids = list(self._ids)
        for more, _ in self._pending:
            ids.extend(more)
        keys = np.concatenate([self._distances, *(keys for _, keys in self._pending)])
        order = rank(ids, keys, self._k)
        self._ids = [ids[position] for position in order.tolist()]
        self._distances = keys[order]
        self._pending, self._pending_count = [], 0
