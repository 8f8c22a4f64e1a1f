"""Queries within a large view, without reading the view.

A view of half a dataset has as many ids as half the dataset, and FiftyOne's database takes longer
to tell them than a store to search. The ranking of everything holds the ranking of the view: its
best are asked for, and the database is asked which of those few are in the view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vecbridge._contract._hits import Hits
from vecbridge.fiftyone._ids import ids_of

SMALL_VIEW = 512
"""Ids that take no longer to read than to sift."""

_MOST_ASKED = 256
_MOST_RANKED = 8192
_ROUNDS = 3


def sifted(view: Any, k: int | None, ask: Callable[[int], Hits]) -> Hits | None:
    """The ``k`` best records of a view of samples.

    Args:
        view: the view.
        k: how many.
        ask: ranks so many of everything.

    Returns:
        The answer; ``None`` where the view has too small a share of the best, or where the ranking
        of everything is not a proven one.
    """
    if k is None or not 0 < k <= _MOST_ASKED:
        return None
    ranked = 4 * k + 64
    for _ in range(_ROUNDS):
        hits = ask(ranked)
        if not hits.exact:
            return None
        inside = set(ids_of(view.select(list(hits.ids))))
        rows = [row for row, name in enumerate(hits.ids) if name in inside][:k]
        if len(rows) == k or len(hits) < ranked:
            ids = tuple(hits.ids[row] for row in rows)
            return Hits(ids, hits.distances[np.array(rows, dtype=np.intp)], exact=True)
        ranked = 2 * ranked * k // max(1, len(rows)) + 64
        if ranked > _MOST_RANKED:
            return None
    return None
