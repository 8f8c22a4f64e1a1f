"""``TorchIndex``: exact search over the records of the local store."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from vecbridge import Candidates, Capabilities, Hits
from vecbridge.local import LocalIndex, LocalTable, Scoped
from vecbridge.ranking import SPARE, distances
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

    def close(self) -> None:
        """Lets go of the records, in memory and on the device. May be called twice."""
        self._cache.clear()
        super().close()

    def _search(self, queries: NDArray[np.float32], k: int, scoped: Scoped) -> list[Hits]:
        """The candidates by their own distances."""
        return [
            self._ranked(query, k, scoped, offer)
            for block in _blocks(queries)
            for query, offer in zip(block, self._offers(block, k, scoped), strict=True)
        ]

    def _candidates(self, queries: NDArray[np.float32], k: int, scoped: Scoped) -> list[Candidates]:
        return [
            scoped.offer(rows, floor)
            for block in _blocks(queries)
            for rows, floor in self._offers(block, k, scoped)
        ]

    def _ranked(self, query: NDArray[np.float32], k: int, scoped: Scoped, offer: Offer) -> Hits:
        rows = offer.rows
        exact = np.empty(len(rows))
        step = max(1, _CANDIDATE_BYTES // (4 * self.info.dimension))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            vectors = scoped.snapshot.vectors[rows[part]]
            exact[part] = distances(self.info.metric, query, vectors)
        order = np.argsort(exact, kind="stable")[:k]
        return scoped.hits(rows[order], exact[order])

    def _offers(self, queries: NDArray[np.float32], k: int, scoped: Scoped) -> list[Offer]:
        """Rows of the snapshot to offer for each query."""
        count = len(scoped)
        if count <= k + SPARE:
            everything = scoped.rows_at(np.arange(count))
            return [Offer(everything, math.inf) for _ in queries]
        most = min(count - 1, _CANDIDATE_BYTES // (4 * self.info.dimension * len(queries)))
        found: dict[int, Offer] = {}
        with torch.inference_mode():
            for tier in self._cache.tiers(scoped, len(queries), k):
                waiting = [at for at in range(len(queries)) if at not in found]
                if not waiting:
                    break
                part = queries if len(waiting) == len(queries) else queries[waiting]
                first = min(k + tier.spare, count - 1)
                offers = settle(tier.scoring, part, k, first, most)
                for at, offer in zip(waiting, offers, strict=True):
                    if offer is not None:
                        rows = offer.rows if tier.rows is None else tier.rows[offer.rows]
                        found[at] = Offer(rows, offer.lower_bound)
        for at, query in enumerate(queries):
            if at not in found:
                found[at] = Offer(*scoped.float64_rows(self.info.metric, query, k, most))
        return [found[at] for at in range(len(queries))]


def _blocks(queries: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(queries), _QUERIES):
        yield queries[start : start + _QUERIES]
