"""The farthest records: the nearest of the opposite query, or those that float32 cannot rule out.

Where a metric measures the angle, what is far from ``q`` is near ``-q``, so the engine's own search
finds it. With ``c`` the cosine, the distances are ``1 - c`` and ``1 + c``; with ``s`` the dot
product, ``-s`` and ``s``. A record that the engine puts at or beyond ``b`` from ``-q`` is therefore
at most ``2 - b``, or ``-b``, away from ``q``. The Euclidean distance has no such mirror, and the
search of an approximate engine certifies nothing: there an engine of the local store multiplies
every record by the query once. What is left is scanned, in float32 where the distance is Euclidean,
and the exact distance is computed of the few that its rounding leaves in question.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vecbridge._client._checked import CheckedEngine
from vecbridge._client._pushdown import candidates_in, is_pushed
from vecbridge._client._scan import TopK, records_in, scan_rank
from vecbridge._client._search import deepen_candidates, is_sent, query_blocks
from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._scope import Scope
from vecbridge.ranking import difference_bounds, distances

# Two roundings of numbers up to 2.
_SLACK = 2.0**-48
_MOST_QUERIES_IN_FLOAT32 = 8

Ask = Callable[[NDArray[np.float32], int], list[Candidates]]
"""Candidates of queries, with a lower bound under minus the distance of the others."""


def farthest_search(
    index: CheckedEngine, queries: NDArray[np.float32], k: int | None, scope: Scope
) -> list[Hits]:
    """Rank the ``k`` farthest records, or all, by (exact distance, id), farthest first.

    There is at least one query, and each id of the scope is listed once.
    """
    if k is None:
        return scan_rank(index, queries, k, scope, farthest=True)
    answers: list[Hits] = []
    short = not is_pushed(index, scope)
    for block in query_blocks(index, len(queries), k):
        certified: dict[int, Hits] = {}
        for ask in _ways(index, scope):
            left = [at for at in block if at not in certified]
            found, _ = deepen_candidates(index, queries, left, k, ask, short=short, farthest=True)
            certified.update((at, hits) for at, hits in found.items() if hits.exact)
        left = [at for at in block if at not in certified]
        certified.update(zip(left, _scanned(index, queries[left], k, scope), strict=True))
        answers += [certified[at] for at in block]
    return answers


def _ways(index: CheckedEngine, scope: Scope) -> list[Ask]:
    """Return what may certify an answer, the cheapest first; nothing that needs a list sent."""
    metric = index.info.metric

    def mirrored(queries: NDArray[np.float32], k: int) -> list[Candidates]:
        near = candidates_in(index, scope, lambda given: index.candidates(-queries, k, given))
        shift = 0.0 if metric == "dotproduct" else 2.0 + _SLACK
        return [Candidates(each.ids, each.vectors, each.lower_bound - shift) for each in near]

    def far(queries: NDArray[np.float32], k: int) -> list[Candidates]:
        return candidates_in(index, scope, lambda given: index.far_candidates(queries, k, given))

    if is_sent(index, scope):
        return []
    ways: list[Ask] = [] if metric == "euclidean" else [mirrored]
    return [*ways, far] if index.capabilities.farthest else ways


def _scanned(
    index: CheckedEngine, queries: NDArray[np.float32], k: int, scope: Scope
) -> list[Hits]:
    if not len(queries):
        return []
    if index.info.metric != "euclidean" or len(queries) > _MOST_QUERIES_IN_FLOAT32:
        return scan_rank(index, queries, k, scope, farthest=True)
    best = [TopK(k, farthest=True) for _ in queries]
    for records in records_in(index, scope):
        for query, top in zip(queries, best, strict=True):
            rows = _hopeful(query, records.vectors, k, top)
            table = distances("euclidean", query, records.vectors[rows])
            top.add([records.ids[row] for row in rows.tolist()], table)
    return [top.hits() for top in best]


def _hopeful(
    query: NDArray[np.float32], vectors: NDArray[np.float32], k: int, top: TopK
) -> NDArray[np.intp]:
    """Return the rows that may be among the ``k`` farthest of these and of what ``top`` has."""
    lower, upper = difference_bounds(query, vectors)
    least = top.last if top.full else -math.inf
    if k < len(lower):
        least = max(least, float(np.partition(lower, len(lower) - k)[len(lower) - k]))
    return np.flatnonzero(upper >= least)
