"""The nearest records: candidates from the engine, distances from the definition, a certificate.

Why it is sound. Let ``D`` be the exact distance of the k-th best candidate, and ``b`` the engine's
lower bound: no record outside the candidates is nearer than ``b``. If ``D < b``, no outside record
can belong to the top k, ties included, so the candidates' own ranking *is* the ranking. Otherwise
the engine is asked for more, and in the end every record is looked at.

Of a filter that the engine evaluates in part, ``_pushdown`` says what it is given.

Within a list of ids the list itself has a price: a store has to parse what it is sent, and a store
of this process has to look up each id. Three plans give the same answer:

- few ids: their vectors are fetched and ranked here; there is no search at all.
- many of all: the search goes without the list, for more than is wanted, and what is not listed is
  dropped. The lower bound holds for every record left out, so it holds for the listed ones. A list
  of nearly all ids costs hardly more than the search itself.
- some: the list goes along, in parts that the store takes, and the answers are merged.

The share of all records that a list holds need not be known: the first search shows it, by how many
hits it keeps. Only a store of this process, which counts quickly, is asked before.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import compress
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import _validate as validate
from vecbridge._client._checked import CheckedEngine
from vecbridge._client._pushdown import accepted, candidates_in, is_pushed, pushed
from vecbridge._client._scan import TopK, scan_rank
from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._metric import Metric
from vecbridge._contract._ranking import Ranking
from vecbridge._contract._scope import Scope
from vecbridge._errors import UnsupportedError
from vecbridge.ranking import distances, rank

_GROUP_BYTES = 2 << 20

_FETCHED_IDS_PER_QUERY = 128
"""Listed ids that cost less to fetch than to search for, where a list has to be sent."""

_SPARE_HITS = 24
_MARGIN = 1.5

# On Milvus 2.3, in units of parsing one id: a hit with its vector costs 4, and a list that is too
# long for one part has to be parsed by several searches.
_HIT_COST = 4

_RECORDS_PER_LISTED_ID = 8
"""Where a list has fewer of all records than this, it is looked up without a count of the rest."""

T = TypeVar("T")
Queries = NDArray[np.float32]
Improvable = tuple[Hits, bool]
"""An answer, and whether more candidates could improve it."""


def search(
    index: CheckedEngine, queries: Queries, k: int | None, scope: Scope, ranking: Ranking
) -> list[Hits]:
    """Return the nearest records in scope, as sure as ``ranking`` says, by the cheapest plan.

    Args:
        index: the engine.
        queries: ``(q, d)`` float32, at least one.
        k: how many hits per query; all of them where ``None``.
        scope: which records are candidates; an id may be listed twice.
        ranking: how sure the answer has to be.

    Raises:
        UnsupportedError: ``"no-scan"``, and the engine cannot evaluate the filter.
    """
    whole = is_pushed(index, scope)
    if ranking == "no-scan" and not whole:
        raise UnsupportedError(
            f"ranking='no-scan' is not possible with this filter: index {index.info.name!r} does "
            f"not evaluate all of its operators, so every record may have to be read; leave it out",
            capability="filters",
        )
    if k is None or (ranking == "certified" and not index.capabilities.exact):
        return scan_rank(index, queries, k, scope.distinct())
    if ranking == "native" and whole and not _is_too_long(index, scope):
        return _native(index, queries, k, scope.distinct())
    if is_sent(index, scope) or (ranking != "native" and _is_most(index, scope, len(queries))):
        return _within_list(index, queries, k, scope, ranking)
    return _exact(index, queries, k, scope.distinct(), ranking)


def is_certified(keys: NDArray[np.float64], k: int, bound: float) -> bool:
    """Return whether the ``k`` best candidates are the beginning of the exact ranking.

    Args:
        keys: distances of the best candidates, ascending; for the farthest, minus the distances.
        k: how many were asked for.
        bound: lower bound of the key of every other record in scope; ``inf`` where there is none.
    """
    return bound == math.inf or (len(keys) == k and bool(keys[-1] < bound))


def deepen(
    waiting: Iterable[int],
    depth: int,
    ask: Callable[[list[int], int], Sequence[T]],
    prove: Callable[[list[int], Sequence[T]], Iterable[Improvable]],
    *,
    affordable: Callable[[int, int], bool],
    deeper: Callable[[int], int] = lambda depth: 8 * depth + 64,
) -> tuple[dict[int, Hits], list[int]]:
    """Ask, certify, and ask for more of what more could improve.

    Args:
        waiting: positions of the queries.
        depth: how many candidates to ask for at first.
        ask: returns what the engine has for the queries at some positions, at a depth.
        prove: returns the answer of each, and whether more candidates could improve it.
        affordable: returns whether to ask at a depth for so many queries.
        deeper: returns the next depth.

    Returns:
        The last answer of each query that was asked, and the positions of those that more could
        improve still.
    """
    answers: dict[int, Hits] = {}
    left = list(waiting)
    while left and affordable(depth, len(left)):
        proven = list(prove(left, ask(left, depth)))
        answers.update((at, hits) for at, (hits, _) in zip(left, proven, strict=True))
        left = [at for at, (_, improvable) in zip(left, proven, strict=True) if improvable]
        depth = deeper(depth)
    return answers, left


def deepen_candidates(
    index: CheckedEngine,
    queries: Queries,
    waiting: Iterable[int],
    k: int,
    ask: Callable[[Queries, int], list[Candidates]],
    *,
    short: bool,
    farthest: bool = False,
) -> tuple[dict[int, Hits], list[int]]:
    """Ask an engine for candidates, rank them, and ask for more, as :func:`deepen` says.

    Args:
        index: the engine.
        queries: ``(q, d)`` float32.
        waiting: positions of those that are asked.
        k: how many hits per query.
        ask: returns the candidates of queries, at a depth.
        short: whether there may be fewer candidates than were asked for, and more all the same.
        farthest: rank the farthest first.
    """
    metric = index.info.metric

    def prove(positions: list[int], found: Sequence[Candidates]) -> Iterable[Improvable]:
        ranked = rank_all(metric, queries[positions], found, k, farthest=farthest)
        for hits, candidates in zip(ranked, found, strict=True):
            promised = candidates.lower_bound > -math.inf
            yield hits, not hits.exact and (promised or (short and len(hits) < k))

    return deepen(
        waiting,
        k,
        lambda positions, depth: ask(queries[positions], depth),
        prove,
        affordable=affordable_for(index),
    )


def affordable_for(index: CheckedEngine) -> Callable[[int, int], bool]:
    """Return whether the store gives, and memory holds, so many candidates of so many queries."""
    ceiling = index.capabilities.max_k or sys.maxsize
    size = 4 * index.info.dimension

    def affordable(k: int, count: int) -> bool:
        return k <= ceiling and k * count * size <= index.budgets.candidate_bytes

    return affordable


def query_blocks(index: CheckedEngine, count: int, k: int) -> list[range]:
    """Return ranges of queries whose candidates fit the budget of bytes."""
    budget = index.budgets.candidate_bytes
    rows = max(1, budget // (2 * max(k, 16) * index.info.dimension * 4))
    return [range(start, min(start + rows, count)) for start in range(0, count, rows)]


def rank_all(
    metric: Metric,
    queries: Queries,
    found: Sequence[Candidates],
    k: int,
    *,
    farthest: bool = False,
) -> list[Hits]:
    """Rank the candidates of several queries, and certify what their bounds prove."""
    ranked: list[Hits] = []
    for start, stop in _groups(found):
        group = found[start:stop]
        sizes = [len(candidates.ids) for candidates in group]
        blocks = [candidates.vectors for candidates in group]
        vectors = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
        table = distances(metric, queries[start:stop], vectors, sizes)
        ends = np.cumsum(sizes).tolist()
        for candidates, size, end in zip(group, sizes, ends, strict=True):
            ranked.append(_ranked(candidates, table[end - size : end], k, farthest=farthest))
    return ranked


def _groups(found: Sequence[Candidates]) -> list[tuple[int, int]]:
    """Return ranges of answers, each so few that a copy of their vectors costs little."""
    if len(found) == 1:
        return [(0, 1)]
    bytes_until = np.cumsum([candidates.vectors.nbytes for candidates in found])
    starts = np.flatnonzero(np.diff(bytes_until // _GROUP_BYTES, prepend=-1)).tolist()
    return list(zip(starts, [*starts[1:], len(found)], strict=True))


def _ranked(candidates: Candidates, table: NDArray[np.float64], k: int, *, farthest: bool) -> Hits:
    keys = -table if farthest else table
    order = rank(candidates.ids, keys, k)
    hits = Hits(candidates.ids, table).take(order)
    return replace(hits, exact=is_certified(keys[order], k, candidates.lower_bound))


def _native(index: CheckedEngine, queries: Queries, k: int, scope: Scope) -> list[Hits]:
    """Rank by the engine's distances, by (distance, id); scan beyond its ceiling of ``k``."""
    ceiling = index.capabilities.max_k
    if ceiling is not None and k > ceiling:
        return scan_rank(index, queries, k, scope)
    found = index.search(queries, k, scope)
    return [replace(hits.take(rank(hits.ids, hits.distances)), exact=False) for hits in found]


def _exact(
    index: CheckedEngine, queries: Queries, k: int, scope: Scope, ranking: Ranking
) -> list[Hits]:
    """Rank by (exact distance, id), certified where the engine scans exactly.

    ``"certified"`` looks at every record also where the engine promises nothing; ``"no-scan"``
    leaves an answer that float32 cannot certify at ``exact=False``.
    """

    def ask(asked: Queries, depth: int) -> list[Candidates]:
        return candidates_in(index, scope, lambda given: index.candidates(asked, depth, given))

    answers: list[Hits] = []
    short = not is_pushed(index, scope)
    for block in query_blocks(index, len(queries), k):
        known, left = deepen_candidates(index, queries, block, k, ask, short=short)
        if ranking == "certified":
            left = [at for at in block if at not in known or not known[at].exact]
        elif ranking == "no-scan":
            left = [at for at in left if at not in known]
        if left:
            known.update(zip(left, scan_rank(index, queries[left], k, scope), strict=True))
        answers += [known[at] for at in block]
    return answers


def is_sent(index: CheckedEngine, scope: Scope) -> bool:
    """Return whether there is a list of ids that a search would have to be sent."""
    return scope.within is not None and index.capabilities.max_within is not None


def _is_too_long(index: CheckedEngine, scope: Scope) -> bool:
    """Return whether the list is more than the store takes in one native search."""
    most = index.capabilities.max_within
    return scope.within is not None and most is not None and len(scope.within) > most


def _is_most(index: CheckedEngine, scope: Scope, queries: int) -> bool:
    """Return whether a list is longer to look up in this process than the rest is to search."""
    listed, budgets = len(scope.within or ()), index.budgets
    if listed < budgets.long_list_ids or scope.where is not None:
        return False
    count = index.count(Scope(None, None, scope.consistency))
    more = (count - listed) * queries * index.info.dimension
    return count <= _RECORDS_PER_LISTED_ID * listed and more <= budgets.lookup_products * listed


def _within_list(
    index: CheckedEngine, queries: Queries, k: int, scope: Scope, ranking: Ranking
) -> list[Hits]:
    """Rank the records of a list by (exact distance, id), as :func:`_exact` does."""
    ids = scope.within or ()
    if is_sent(index, scope) and _is_few(index, len(ids), len(queries)):
        return scan_rank(index, queries, k, scope.distinct())
    # The first query finds out whether to leave out the list is worth it for the others.
    answers, left = _sift(index, queries, range(1), k, scope, ranking)
    useless = bool(left)
    for block in query_blocks(index, len(queries) - 1, 2 * k + _SPARE_HITS):
        others = range(block.start + 1, block.stop + 1)
        if useless:
            left += others
        else:
            found, undecided = _sift(index, queries, others, k, scope, ranking)
            answers.update(found)
            left += undecided
    if left:
        listed = _within_parts(index, queries[left], k, scope.distinct(), ranking)
        answers.update(zip(left, listed, strict=True))
    return [answers[at] for at in range(len(queries))]


def _is_few(index: CheckedEngine, listed: int, queries: int) -> bool:
    """Return whether to fetch what is listed and to rank it here costs less than a search."""
    if listed * index.info.dimension > index.budgets.fetched_values:
        return False
    return affordable_for(index)(listed, 1) and listed <= _FETCHED_IDS_PER_QUERY * queries


def _sift(
    index: CheckedEngine,
    queries: Queries,
    block: Iterable[int],
    k: int,
    scope: Scope,
    ranking: Ranking,
) -> tuple[dict[int, Hits], list[int]]:
    """Search without the list and keep what is on it, while that costs less than the list."""
    ids, metric, given = scope.within or (), index.info.metric, pushed(index, scope)
    most = index.capabilities.max_k or sys.maxsize
    fits = affordable_for(index)
    # The share of the hits that is on the list, of the query that has the smallest.
    shares, share = [1.0], 1.0

    def ask(positions: list[int], depth: int) -> list[Candidates]:
        nonlocal shares
        found = index.candidates(queries[positions], depth, replace(given, within=None))
        some = _on_list(found, ids)
        some = some if given is scope else accepted(index, scope, some)
        pairs = zip(some, found, strict=True)
        shares = [len(kept.ids) / max(1, len(every.ids)) for kept, every in pairs]
        return some

    def prove(positions: list[int], found: Sequence[Candidates]) -> list[Improvable]:
        nonlocal share
        ranked = rank_all(metric, queries[positions], found, k)
        proven = [
            (hits, improvable(hits, candidates.lower_bound))
            for hits, candidates in zip(ranked, found, strict=True)
        ]
        share = min([1.0, *compress(shares, (more for _, more in proven))])
        return proven

    def improvable(hits: Hits, bound: float) -> bool:
        # Of an engine that promises nothing, a deeper search certifies no more.
        enough = bound == -math.inf and len(hits) == k and ranking != "certified"
        return not hits.exact and not enough

    def affordable(depth: int, count: int) -> bool:
        return depth > 0 and _HIT_COST * depth <= len(ids) and fits(depth, count)

    def deeper(depth: int) -> int:
        if depth == most or not share:
            return 0
        return min(max(2 * depth, math.ceil(_MARGIN * (k + _SPARE_HITS) / share)), most)

    first = min(2 * k + _SPARE_HITS, most)
    return deepen(block, first, ask, prove, affordable=affordable, deeper=deeper)


def _on_list(found: Sequence[Candidates], ids: Sequence[str]) -> list[Candidates]:
    """Return the candidates that are on a list; the lower bound holds for what else is listed."""
    seen = {each for candidates in found for each in candidates.ids}
    allowed = validate.listed(seen, ids)
    return [
        candidates.take([row for row, each in enumerate(candidates.ids) if each in allowed])
        for candidates in found
    ]


def _within_parts(
    index: CheckedEngine, queries: Queries, k: int, scope: Scope, ranking: Ranking
) -> list[Hits]:
    """Search within parts of the list that the store takes; return the best of all parts."""
    ids = scope.within or ()
    size = index.capabilities.max_within or len(ids)
    best, exact = [TopK(k) for _ in queries], [True] * len(queries)
    for start in range(0, len(ids), size):
        part = replace(scope, within=ids[start : start + size])
        for at, hits in enumerate(_exact(index, queries, k, part, ranking)):
            best[at].add(hits.ids, hits.distances)
            exact[at] = exact[at] and hits.exact
    return [top.hits(exact=sure) for top, sure in zip(best, exact, strict=True)]
