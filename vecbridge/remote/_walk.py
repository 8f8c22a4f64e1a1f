"""Exact search by reading every record: for stores whose searches look at some of them alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._hits import Candidates
from vecbridge._contract._scope import Scope
from vecbridge.ranking import distances, rank
from vecbridge.remote._collection import Columns, SearchedCollection

_PAGE_BYTES = 16 << 20
_VECTORS = Columns(vectors=True)


def walked(
    collection: SearchedCollection[Any],
    client: Any,
    queries: NDArray[np.float32],
    count: int,
    scope: Scope,
) -> list[Candidates]:
    """Return the nearest records of each query, best first, and how far the others are at least.

    Args:
        collection: of which every record in scope is read, once for all queries.
        client: a live one.
        queries: ``(q, d)``.
        count: how many of each query.
        scope: which records.
    """
    metric, dimension = collection.info.metric, queries.shape[1]
    best = [Candidates((), np.empty((0, dimension), np.float32), math.inf) for _ in queries]
    rows = max(1, _PAGE_BYTES // (4 * dimension))
    after = None
    while len(queries):
        page = collection.page(client, scope, None, rows, after, _VECTORS)
        for place, query in enumerate(queries):
            ids = (*best[place].ids, *page.records.ids)
            vectors = np.concatenate([best[place].vectors, page.records.vectors])
            table = distances(metric, query, vectors)
            order = rank(ids, table, count)
            # What is left out is nowhere nearer than the last one that is kept.
            left_out = len(ids) > count or best[place].lower_bound < math.inf
            bound = float(table[order[-1]]) if left_out else math.inf
            best[place] = Candidates(ids, vectors, bound).take(order)
        after = page.after
        if after is None:
            break
    return best
