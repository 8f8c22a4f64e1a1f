"""``TorchBackend`` and ``TorchIndex``: exact search over the records of the local store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from vecbridge import Candidates, Capabilities, Hits
from vecbridge.local import ExactSearch, LocalBackend, LocalIndex, LocalTable, SearchScope
from vecbridge.ranking import SPARE, distances
from vecbridge_torch._device import Arithmetic, arithmetic_of
from vecbridge_torch._resident import Cache, Held
from vecbridge_torch._scores import NARROW_SPARE, Offer, offers
from vecbridge_torch._settings import TorchSettings


class TorchIndex(LocalIndex):
    """Narrow products on the device rank what they can decide, the exact search what they cannot.

    Args:
        table: the records.
        capabilities: what the index can do.
        backend: name of the backend, for errors.
        arithmetic: of the device.
        patience: how many queries a CPU answers before the records are put into a narrow type.
        block_queries: how many queries are scored at once.
    """

    def __init__(
        self,
        table: LocalTable,
        capabilities: Capabilities,
        backend: str,
        arithmetic: Arithmetic,
        *,
        patience: int,
        block_queries: int,
    ) -> None:
        info = table.info
        exact = ExactSearch(info.metric, info.dimension, products=arithmetic.products)
        super().__init__(table, capabilities, backend, exact=exact)
        self._cache = Cache(arithmetic, info.metric, patience)
        self._block_queries = block_queries

    @property
    def held(self) -> Held:
        """The records that are kept on the device now."""
        return self._cache.held

    def close(self) -> None:
        """Let go of the records, in memory and on the device. May be called twice."""
        self._cache.clear()
        super().close()

    def search_in(self, queries: NDArray[np.float32], k: int, scope: SearchScope) -> list[Hits]:
        """Return the candidates by their own distances, where narrow products decide."""
        found = list(self._offers(queries, k, scope))
        undecided = [at for at, offer in enumerate(found) if offer is None]
        rest = iter(self.exact.search(queries[undecided], k, scope))
        return [
            next(rest) if offer is None else self._ranked(query, k, scope, offer)
            for query, offer in zip(queries, found, strict=True)
        ]

    def candidates_in(
        self, queries: NDArray[np.float32], k: int, scope: SearchScope
    ) -> list[Candidates]:
        """Return what narrow products decide, and the exact search's candidates for the rest."""
        found = list(self._offers(queries, k, scope))
        undecided = [at for at, offer in enumerate(found) if offer is None]
        rest = iter(self.exact.candidates(queries[undecided], k, scope))
        return [
            next(rest) if offer is None else scope.candidates_for(offer.rows, offer.lower_bound)
            for offer in found
        ]

    def _ranked(self, query: NDArray[np.float32], k: int, scope: SearchScope, offer: Offer) -> Hits:
        exact = np.empty(len(offer.rows))
        step = max(1, self.exact.candidate_rows(1))
        for start in range(0, len(exact), step):
            part = slice(start, start + step)
            vectors = scope.snapshot.vectors[offer.rows[part]]
            exact[part] = distances(self.info.metric, query, vectors)
        order = np.argsort(exact, kind="stable")[:k]
        return scope.hits(offer.rows[order], exact[order])

    def _offers(
        self, queries: NDArray[np.float32], k: int, scope: SearchScope
    ) -> Iterator[Offer | None]:
        """Yield what narrow products decide; ``None`` for a query that they leave open."""
        snapshot, rows, count = scope.snapshot, scope.rows, len(scope)
        if scope.is_sparse or count <= k + SPARE:
            yield from (None for _ in queries)
            return
        spare = NARROW_SPARE + k // 2
        outside: NDArray[np.bool_] | None = None
        if rows is not None:
            outside = np.ones(len(snapshot), dtype=np.bool_)
            outside[rows] = False
        for start in range(0, len(queries), self._block_queries):
            block = queries[start : start + self._block_queries]
            most = min(count - 1, self.exact.candidate_rows(len(block)))
            resident = self._cache.resident(snapshot, len(block))
            if resident is None:
                yield from (None for _ in block)
                continue
            with torch.inference_mode():
                found = offers(
                    resident, block, k, (min(k + spare, count - 1), most), outside, len(snapshot)
                )
            yield from found


class TorchBackend(LocalBackend[TorchIndex]):
    """Exact search by torch, over records in a directory or in memory.

    Args:
        settings: where the records are kept, and what searches them.
        arithmetic: what searches them instead.
        patience: how many queries a CPU answers before the records are put into a narrow type,
            which costs about as much as they do.
        block_queries: how many queries are scored at once.

    Raises:
        ConfigurationError: the device is not there, or cannot do what is asked of it.
    """

    name: ClassVar[str] = "torch"
    settings_type: ClassVar[type[TorchSettings]] = TorchSettings

    def __init__(
        self,
        settings: TorchSettings,
        *,
        arithmetic: Arithmetic | None = None,
        patience: int = 16,
        block_queries: int = 1024,
    ) -> None:
        self._arithmetic = arithmetic or arithmetic_of(settings)
        self._patience, self._block_queries = patience, block_queries
        super().__init__(settings.path)

    def index_over(self, table: LocalTable) -> TorchIndex:
        return TorchIndex(
            table,
            self.capabilities,
            self.name,
            self._arithmetic,
            patience=self._patience,
            block_queries=self._block_queries,
        )
