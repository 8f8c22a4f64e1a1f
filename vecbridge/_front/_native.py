"""The engine's own ranking, with nothing but its order put right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._hits import Hits
from vecbridge._contract._protocols import VectorIndex
from vecbridge._front._scan import Scope, scan_rank
from vecbridge.ranking import rank


def native_search(
    index: VectorIndex, queries: NDArray[np.float32], k: int, scope: Scope
) -> list[Hits]:
    """The engine's distances, sorted by (distance, id); a scan beyond its ceiling of ``k``."""
    ceiling = index.capabilities.max_k
    if ceiling is not None and k > ceiling:
        return scan_rank(index, queries, k, scope)
    found = index.search(
        queries, k, within=scope.within, where=scope.where, consistency=scope.consistency
    )
    return [_sorted(hits) for hits in found]


def _sorted(hits: Hits) -> Hits:
    order = rank(hits.ids, hits.distances)
    ids = tuple(map(hits.ids.__getitem__, order.tolist()))
    return Hits(ids, hits.distances[order], exact=False)
