"""Exact ranking within a list of ids, where the list costs more than the search.

What a store is sent it has to parse; in a store of this process, each id has to be looked up. Three
plans answer the same:

- few ids: their vectors are fetched and ranked here; there is no search at all.
- many of all: the search goes without the list, for more than is wanted, and what is not listed is
  dropped. The engine's floor holds for every record left out, so it holds for the listed ones: the
  certificate is the usual one. Nearly all ids need hardly more than the search itself.
- some: the list goes along, in parts that the store takes, and the answers are merged.

How many of all a list is, nobody has to know: the first search tells, by how many it keeps. Only a
store of this process, which is quick to look ids up and to count, is asked before.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._protocols import VectorIndex
from vecbridge._contract._ranking import Ranking
from vecbridge._front import _validate as validate
from vecbridge._front._exact import affordable, exact_search, query_blocks, rank_all
from vecbridge._front._scan import Scope, scan_rank
from vecbridge.ranking import rank

_FEW = 128
"""Ids a query that cost less to fetch than to search for."""

_RANKED = 1 << 20
"""Numbers whose exact distances to one query take longer than a search of one among many."""

_SPARE = 24
_MARGIN = 1.5

# On Milvus 2.3, in units of parsing one id: a hit with its vector costs 4, and a list that is too
# long for one part has to be parsed by several searches.
_HIT_COST = 4

_LOOKUP = 8000
"""Multiplications of a search that take as long as to look up one id in this process."""

_LONG = 4096
_SHARE = 8


def is_sent(index: VectorIndex, scope: Scope) -> bool:
    """Whether there is a list of ids that a search would have to be sent."""
    return scope.within is not None and index.capabilities.max_within is not None


def is_too_long(index: VectorIndex, scope: Scope) -> bool:
    """Whether the list is more than the store takes in one native search."""
    most = index.capabilities.max_within
    return scope.within is not None and most is not None and len(scope.within) > most


def is_most(index: VectorIndex, scope: Scope, queries: int) -> bool:
    """Whether a list that is not sent is longer to look up than all the rest is to search."""
    listed = len(scope.within or ())
    if listed < _LONG or scope.where is not None or is_sent(index, scope):
        return False
    count = index.count(consistency=scope.consistency)
    more = (count - listed) * queries * index.info.dimension
    return count <= _SHARE * listed and more <= _LOOKUP * listed


def search_within(
    index: VectorIndex,
    queries: NDArray[np.float32],
    k: int,
    scope: Scope,
    ranking: Ranking = "exact",
) -> list[Hits]:
    """Rank the records of a list by (exact distance, id), as :func:`exact_search` does.

    Args:
        index: the engine.
        queries: ``(q, d)`` float32.
        k: how many hits a query.
        scope: which records are candidates; it has a list, which may hold an id twice.
        ranking: how sure the answers have to be.
    """
    names = scope.within or ()
    if is_sent(index, scope) and _is_few(index, len(names), len(queries)):
        return scan_rank(index, queries, k, scope.distinct())
    answers: list[Hits | None] = [None] * len(queries)
    # The first query finds out whether the others are worth it.
    rest = _sift(index, queries, range(1), k, scope, answers)
    useless = bool(rest)
    blocks = query_blocks(len(queries) - 1, 2 * k + _SPARE, index.info.dimension)
    for start, stop in blocks:
        block = range(start + 1, stop + 1)
        rest += block if useless else _sift(index, queries, block, k, scope, answers)
    if rest:
        listed = _in_parts(index, queries[rest], k, scope.distinct(), ranking)
        for position, hits in zip(rest, listed, strict=True):
            answers[position] = hits
    return [hits for hits in answers if hits is not None]


def _is_few(index: VectorIndex, listed: int, queries: int) -> bool:
    """Whether to fetch what is listed and to rank it here costs less than a search does."""
    if listed * index.info.dimension > _RANKED or not affordable(index, listed, 1):
        return False
    return listed <= _FEW * queries


def _sift(
    index: VectorIndex,
    queries: NDArray[np.float32],
    block: Sequence[int],
    k: int,
    scope: Scope,
    answers: list[Hits | None],
) -> list[int]:
    """Searches without the list and keeps what is on it; gives the queries left unanswered."""
    names = scope.within or ()
    most = index.capabilities.max_k or sys.maxsize
    undecided, asked = list(block), min(2 * k + _SPARE, most)
    while undecided and _worth_it(index, asked, len(undecided), len(names)):
        found = index.candidates(
            queries[undecided], asked, where=scope.where, consistency=scope.consistency
        )
        kept = _kept(found, names)
        ranked = rank_all(index.info.metric, queries[undecided], kept, k)
        still, share = [], 1.0
        for position, before, candidates, hits in zip(undecided, found, kept, ranked, strict=True):
            approximate = candidates.floor == -math.inf and len(hits) == k
            if hits.exact or approximate:
                answers[position] = hits
            else:
                still.append(position)
                share = min(share, len(candidates.ids) / max(1, len(before.ids)))
        undecided = still
        if asked == most or not share:
            break
        asked = min(max(2 * asked, math.ceil(_MARGIN * (k + _SPARE) / share)), most)
    return undecided


def _worth_it(index: VectorIndex, asked: int, count: int, listed: int) -> bool:
    """Whether so many hits cost less than the list does."""
    return _HIT_COST * asked <= listed and affordable(index, asked, count)


def _kept(found: Sequence[Candidates], names: Sequence[str]) -> list[Candidates]:
    """Of candidates, those on the list. The floor of what was left out stays what it was."""
    seen = {name for candidates in found for name in candidates.ids}
    allowed = validate.listed(seen, names)
    return [_those(candidates, allowed) for candidates in found]


def _those(candidates: Candidates, allowed: set[str]) -> Candidates:
    rows = [row for row, name in enumerate(candidates.ids) if name in allowed]
    ids = tuple(candidates.ids[row] for row in rows)
    return Candidates(ids, candidates.vectors[rows], candidates.floor)


def _in_parts(
    index: VectorIndex, queries: NDArray[np.float32], k: int, scope: Scope, ranking: Ranking
) -> list[Hits]:
    """Searches within parts of the list that the store takes; the best of all parts."""
    names = scope.within or ()
    size = index.capabilities.max_within or len(names)
    best: list[Hits] = []
    for start in range(0, len(names), size):
        part = replace(scope, within=names[start : start + size])
        found = exact_search(index, queries, k, part, ranking)
        best = [_merged(*pair, k) for pair in zip(best, found, strict=True)] if best else found
    return best


def _merged(first: Hits, second: Hits, k: int) -> Hits:
    ids = (*first.ids, *second.ids)
    table = np.concatenate([first.distances, second.distances])
    order = rank(ids, table, k)
    chosen = tuple(ids[row] for row in order.tolist())
    return Hits(chosen, table[order], exact=first.exact and second.exact)
