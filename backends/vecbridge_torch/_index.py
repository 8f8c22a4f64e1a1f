"""``TorchIndex``: exact search over the records of the local store."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from vecbridge import Candidates, Capabilities, Consistency, Filter, Hits
from vecbridge.local import LocalIndex, LocalTable, Snapshot
from vecbridge.ranking import SPARE, distances, float64_bounds, pick_by_bounds
from vecbridge_torch._cache import Cache
from vecbridge_torch._device import Arithmetic
from vecbridge_torch._settle import Offer, settle

_CANDIDATE_BYTES = 32 << 20
_QUERIES = 1024


class TorchIndex(LocalIndex):
    """Narrow products rank what they can decide, float32 and then float64 what they cannot.

    Args:
        table: the records.
        capabilities: what the index can do.
        backend: name of the backend, for errors.
        arithmetic: of the device.
    """

    def __init__(
        self, table: LocalTable, capabilities: Capabilities, backend: str, arithmetic: Arithmetic
    ) -> None:
        super().__init__(table, capabilities, backend)
        self._cache = Cache(arithmetic, table.info.metric)

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        within: Sequence[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Hits]:
        """The candidates by their own distances."""
        snapshot, rows = self._candidates_in(within, where)
        return [
            self._ranked(query, k, snapshot, offer)
            for block in _blocks(queries)
            for query, offer in zip(block, self._offers(block, k, snapshot, rows), strict=True)
        ]

    def candidates(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        within: Sequence[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Candidates]:
        """The likely best records, with a proven floor under the distance of the others."""
        snapshot, rows = self._candidates_in(within, where)
        return [
            Candidates(snapshot.names(chosen), snapshot.vectors[chosen], floor)
            for block in _blocks(queries)
            for chosen, floor in self._offers(block, k, snapshot, rows)
        ]

    def close(self) -> None:
        """Lets go of the records, in memory and on the device. May be called twice."""
        self._cache.clear()
        super().close()

    def _ranked(self, query: NDArray[np.float32], k: int, snapshot: Snapshot, offer: Offer) -> Hits:
        rows = offer.columns
        exact = np.empty(len(rows))
        step = max(1, _CANDIDATE_BYTES // (4 * self.info.dimension))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            exact[part] = distances(self.info.metric, query, snapshot.vectors[rows[part]])
        order = np.argsort(exact, kind="stable")[:k]
        return Hits(snapshot.names(rows[order]), exact[order])

    def _offers(
        self,
        queries: NDArray[np.float32],
        k: int,
        snapshot: Snapshot,
        rows: NDArray[np.intp] | None,
    ) -> list[Offer]:
        """Rows of the snapshot to offer for each query."""
        count = len(snapshot) if rows is None else len(rows)
        if count <= k + SPARE:
            everything = np.arange(count) if rows is None else rows
            return [Offer(everything, math.inf) for _ in queries]
        most = min(count - 1, _CANDIDATE_BYTES // (4 * self.info.dimension * len(queries)))
        found: dict[int, Offer] = {}
        with torch.inference_mode():
            for tier in self._cache.tiers(snapshot, rows, len(queries), k):
                waiting = [at for at in range(len(queries)) if at not in found]
                if not waiting:
                    break
                part = queries if len(waiting) == len(queries) else queries[waiting]
                first = min(k + tier.spare, count - 1)
                offers = settle(tier.scoring, part, k, first, most)
                for at, offer in zip(waiting, offers, strict=True):
                    if offer is not None:
                        chosen = offer.columns if tier.rows is None else tier.rows[offer.columns]
                        found[at] = Offer(chosen, offer.floor)
        for at in range(len(queries)):
            if at not in found:
                found[at] = self._by_float64(queries[at : at + 1], k, most, snapshot, rows)
        return [found[at] for at in range(len(queries))]

    def _by_float64(
        self,
        query: NDArray[np.float32],
        k: int,
        most: int,
        snapshot: Snapshot,
        rows: NDArray[np.intp] | None,
    ) -> Offer:
        lower, upper = float64_bounds(
            self.info.metric, query, snapshot.vectors, snapshot.norms, rows
        )
        pick = pick_by_bounds(lower[0], upper[0], k, most)
        chosen = pick.columns if rows is None else rows[pick.columns]
        return Offer(chosen, math.inf if len(chosen) == lower.shape[1] else pick.least)


def _blocks(queries: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(queries), _QUERIES):
        yield queries[start : start + _QUERIES]
