"""The farthest records: the nearest of the opposite query, or those that float32 cannot rule out.

Where a metric looks at the angle, what is far from ``q`` is near ``-q``, so the engine's own search
finds it. With ``c`` the cosine, the distances are ``1 - c`` and ``1 + c``; with ``s`` the dot
product, ``-s`` and ``s``. A record that the engine puts at or beyond ``floor`` from ``-q`` is
therefore at most ``2 - floor``, or ``-floor``, away from ``q``. The Euclidean distance has no such
mirror, and the search of an approximate engine proves nothing: there an engine of the local store
multiplies every record by the query once. What is left is scanned, in float32 where the distance is
Euclidean, and the exact distance is computed of the few that its rounding leaves in question.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._metric import Metric
from vecbridge._contract._protocols import VectorIndex
from vecbridge._front._answers import CheckedEngine
from vecbridge._front._exact import affordable, query_blocks
from vecbridge._front._scan import Scope, candidates_in, scan_rank
from vecbridge.ranking import distances, gamma, rank
from vecbridge.ranking._order import taken

_GROWTH = 8
# Two roundings of numbers up to 2.
_SLACK = 2.0**-48
_FLOAT32_TINY = 2.0**-126
_MOST_SCANNED_AT_ONCE = 8
_CACHED_BYTES = 1 << 20

Best = tuple[list[str], NDArray[np.float64]]
"""Ids and distances, farthest first."""

Ask = Callable[[NDArray[np.float32], int], list[Candidates]]
"""Candidates of queries, with a floor under minus the distance of the others."""


def farthest_search(
    index: CheckedEngine, queries: NDArray[np.float32], k: int, scope: Scope, *, mirror: bool = True
) -> list[Hits]:
    """Ranks the farthest records by (exact distance, id), farthest first.

    Args:
        index: the engine.
        queries: ``(q, d)`` float32.
        k: how many hits a query.
        scope: which records are candidates.
        mirror: whether the engine may be searched; not where a list would have to be sent to it.
    """
    answers: list[Hits] = []
    for start, stop in query_blocks(len(queries), k, index.info.dimension):
        block = queries[start:stop]
        found: list[Hits | None] = [None] * len(block)
        for ask in _ways(index, scope) if mirror else []:
            _prove(index, ask, block, k, found)
        left = [position for position, hits in enumerate(found) if hits is None]
        scanned = iter(_scanned(index, block[left], k, scope))
        answers += [next(scanned) if hits is None else hits for hits in found]
    return answers


def _ways(index: CheckedEngine, scope: Scope) -> list[Ask]:
    """What may prove an answer, the cheapest first."""
    metric = index.info.metric

    def mirrored(queries: NDArray[np.float32], k: int) -> list[Candidates]:
        near = index.candidates(
            -queries, k, within=scope.within, where=scope.where, consistency=scope.consistency
        )
        shift = 0.0 if metric == "dotproduct" else 2.0 + _SLACK
        return [Candidates(each.ids, each.vectors, each.floor - shift) for each in near]

    def far(queries: NDArray[np.float32], k: int) -> list[Candidates]:
        return index.far_candidates(
            queries, k, within=scope.within, where=scope.where, consistency=scope.consistency
        )

    ways: list[Ask] = [] if metric == "euclidean" else [mirrored]
    return [*ways, far] if index.looks_far else ways


def _prove(
    index: VectorIndex,
    ask: Ask,
    queries: NDArray[np.float32],
    k: int,
    answers: list[Hits | None],
) -> None:
    """Fills in the answers that candidates prove."""
    undecided, asked = [at for at, hits in enumerate(answers) if hits is None], k
    while undecided and affordable(index, asked, len(undecided)):
        found = ask(queries[undecided], asked)
        still = []
        for position, candidates in zip(undecided, found, strict=True):
            answers[position] = _proven(index.info.metric, queries[position], candidates, k)
            if answers[position] is None and candidates.floor > -math.inf:
                still.append(position)
        undecided, asked = still, asked * _GROWTH + 64


def _proven(
    metric: Metric, query: NDArray[np.float32], candidates: Candidates, k: int
) -> Hits | None:
    table = distances(metric, query, candidates.vectors)
    order = rank(candidates.ids, -table, k)
    ranked = table[order]
    everything = candidates.floor == math.inf
    if not everything and not (len(order) == k and ranked[-1] > -candidates.floor):
        return None
    return Hits(taken(candidates.ids, order), ranked, exact=True)


def _scanned(index: VectorIndex, queries: NDArray[np.float32], k: int, scope: Scope) -> list[Hits]:
    if not len(queries):
        return []
    if index.info.metric != "euclidean" or len(queries) > _MOST_SCANNED_AT_ONCE:
        return scan_rank(index, queries, k, scope, farthest=True)
    best: list[Best] = [([], np.empty(0)) for _ in queries]
    for records in candidates_in(index, scope):
        for position, query in enumerate(queries):
            best[position] = _merged(best[position], query, records.ids, records.vectors, k)
    return [Hits(tuple(ids), found, exact=True) for ids, found in best]


def _merged(
    best: Best,
    query: NDArray[np.float32],
    ids: tuple[str, ...],
    vectors: NDArray[np.float32],
    k: int,
) -> Best:
    """The best so far and of these records."""
    lower, upper = _bounds(query, vectors)
    known, found = best
    least = float(found[-1]) if len(found) == k else -math.inf
    if k < len(lower):
        least = max(least, float(np.partition(lower, len(lower) - k)[len(lower) - k]))
    hopeful = np.flatnonzero(upper >= least)
    names = [*known, *(ids[at] for at in hopeful.tolist())]
    table = np.concatenate([found, distances("euclidean", query, vectors[hopeful])])
    order = rank(names, -table, k)
    return [names[at] for at in order.tolist()], table[order]


def _bounds(
    query: NDArray[np.float32], vectors: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Between what the exact distances lie, of sums of squared differences in float32."""
    squared = np.empty(len(vectors))
    rows = max(1, _CACHED_BYTES // (4 * vectors.shape[1]))
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(vectors), rows):
            apart = vectors[start : start + rows] - query
            squared[start : start + rows] = np.einsum("ij,ij->i", apart, apart)
    relative = gamma(vectors.shape[1] + 8)
    tiny = vectors.shape[1] * _FLOAT32_TINY
    squared[~np.isfinite(squared)] = math.inf
    upper = np.sqrt(squared * (1.0 + 2.0 * relative) + tiny)
    # What overflows is far, but nobody knows how far.
    finite = np.where(np.isinf(squared), 0.0, squared)
    return np.sqrt(np.maximum(finite * (1.0 - relative) - tiny, 0.0)), upper
