"""Exact ranking: candidates from the engine, distances from the definition, a proof of membership.

Why it is sound. Let ``D`` be the exact distance of the k-th best candidate, and ``f`` the engine's
floor: no record outside the candidates is nearer than ``f``. If ``D < f``, no outside record can
belong inside the top k, ties included, so the candidates' own ranking *is* the ranking. Otherwise
the engine is asked for more, and in the end every record is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._metric import Metric
from vecbridge._contract._protocols import VectorIndex
from vecbridge._contract._ranking import Ranking
from vecbridge._front._scan import Scope, scan_rank
from vecbridge.ranking import distances, rank
from vecbridge.ranking._order import taken

_CANDIDATE_BYTES = 32 << 20
_GROUP_BYTES = 2 << 20
_GROWTH = 8


def exact_search(
    index: VectorIndex,
    queries: NDArray[np.float32],
    k: int,
    scope: Scope,
    ranking: Ranking = "exact",
) -> list[Hits]:
    """Rank by (exact distance, id), certified where the engine scans exactly.

    Args:
        index: the engine.
        queries: ``(q, d)`` float32.
        k: how many hits a query.
        scope: which records are candidates.
        ranking: ``"certified"`` looks at every record also where the engine promises nothing;
            ``"no-scan"`` leaves an answer that float32 cannot certify at ``exact=False``.

    Returns:
        One answer a query, in order.
    """
    answers: list[Hits | None] = [None] * len(queries)
    for start, stop in query_blocks(len(queries), k, index.info.dimension):
        undecided = _ask(index, queries, range(start, stop), k, scope, answers)
        if ranking == "certified":
            undecided = [
                position
                for position in range(start, stop)
                if (known := answers[position]) is None or not known.exact
            ]
        elif ranking == "no-scan":
            undecided = [position for position in undecided if answers[position] is None]
        if undecided:
            scanned = scan_rank(index, queries[undecided], k, scope)
            for position, hits in zip(undecided, scanned, strict=True):
                answers[position] = hits
    return [hits for hits in answers if hits is not None]


def _ask(
    index: VectorIndex,
    queries: NDArray[np.float32],
    block: Sequence[int],
    k: int,
    scope: Scope,
    answers: list[Hits | None],
) -> list[int]:
    """Asks the engine, for more and more, and returns the queries that only a scan can answer."""
    undecided = list(block)
    asked = k
    while undecided and affordable(index, asked, len(undecided)):
        found = index.candidates(
            queries[undecided],
            asked,
            within=scope.within,
            where=scope.where,
            consistency=scope.consistency,
        )
        ranked = rank_all(index.info.metric, queries[undecided], found, k)
        still = []
        for position, candidates, hits in zip(undecided, found, ranked, strict=True):
            answers[position] = hits
            if not hits.exact and candidates.floor > -math.inf:
                still.append(position)
        undecided, asked = still, asked * _GROWTH + 64
    return undecided


def affordable(index: VectorIndex, k: int, count: int) -> bool:
    """Whether the store gives, and memory holds, ``k`` candidates of each of ``count`` queries."""
    ceiling = index.capabilities.max_k
    if ceiling is not None and k > ceiling:
        return False
    return k * count * index.info.dimension * 4 <= _CANDIDATE_BYTES


def query_blocks(count: int, k: int, dimension: int) -> list[tuple[int, int]]:
    """Ranges of queries whose candidates fit the budget of bytes."""
    rows = max(1, _CANDIDATE_BYTES // (2 * max(k, 16) * dimension * 4))
    return [(start, min(start + rows, count)) for start in range(0, count, rows)]


def rank_all(
    metric: Metric, queries: NDArray[np.float32], found: Sequence[Candidates], k: int
) -> list[Hits]:
    """Ranks the candidates of several queries."""
    ranked: list[Hits] = []
    for start, stop in _groups(found):
        ranked += _rank_group(metric, queries[start:stop], found[start:stop], k)
    return ranked


def _groups(found: Sequence[Candidates]) -> list[tuple[int, int]]:
    """Ranges of answers that are so few together that a copy of their vectors costs little."""
    if len(found) == 1:
        return [(0, 1)]
    bytes_until = np.cumsum([candidates.vectors.nbytes for candidates in found])
    starts = np.flatnonzero(np.diff(bytes_until // _GROUP_BYTES, prepend=-1)).tolist()
    return list(zip(starts, [*starts[1:], len(found)], strict=True))


def _rank_group(
    metric: Metric, queries: NDArray[np.float32], found: Sequence[Candidates], k: int
) -> list[Hits]:
    """Ranks the candidates of several queries, their distances computed in one go."""
    sizes = [len(candidates.ids) for candidates in found]
    blocks = [candidates.vectors for candidates in found]
    vectors = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    table = distances(metric, queries, vectors, sizes)
    ends = np.cumsum(sizes)
    return [
        _rank_one(candidates, table[end - size : end], k)
        for candidates, size, end in zip(found, sizes, ends.tolist(), strict=True)
    ]


def _rank_one(candidates: Candidates, table: NDArray[np.float64], k: int) -> Hits:
    order = rank(candidates.ids, table, k)
    ranked = table[order]
    everything = candidates.floor == math.inf
    certified = everything or (len(order) == k and bool(ranked[-1] < candidates.floor))
    return Hits(taken(candidates.ids, order), ranked, exact=certified)
