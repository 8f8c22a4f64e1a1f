"""Queries: the nearest records of a view, in FiftyOne's formats.

A query is answered in the first of these ways that applies:

* by one record, in a view of few: the view's records are fetched and ranked here;
* with one answer, in a large view: the whole index is ranked, and the database is asked which of
  the best are in the view (over-fetching). A view of half a dataset has as many ids as half the
  dataset, and reading them takes longer than a search;
* otherwise: a search among the ids of the view.

All give the same ranking. Records whose sample was deleted from the dataset are never in it.

A store orders records at an equal distance by their ids. To a user who looks for what is similar
to a sample, that sample is first, whatever the ids of its duplicates: see :meth:`_own_first`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge import Hits, Index, Metric
from vecbridge._contract._ranking import Aggregation, parse_aggregation
from vecbridge.fiftyone._records import StoredRecords
from vecbridge.fiftyone._views import ViewScope
from vecbridge.ranking import distances, rank

FETCHED_VIEW_AT_MOST_IDS = 128
"""Records that take no longer to fetch, and to rank exactly, than a search does."""

OVERFETCH_AT_MOST_HITS = 8192
_OVERFETCH_MOST_K = 256
_ROUNDS = 3


@dataclass(frozen=True)
class Query:
    """Ids of records, or vectors ``(q, d)``; ``single`` where the caller gave one, and no list."""

    ids: Sequence[str] = ()
    vectors: NDArray[Any] | None = None
    single: bool = False


class Queries:
    """Answer queries from the records of one similarity index.

    Nothing is kept between calls: what a query needs is passed along with it.
    """

    def __init__(self, records: StoredRecords) -> None:
        self._records = records

    def nearest(
        self,
        query: Any,
        k: int | None,
        scope: ViewScope,
        reverse: bool,
        aggregation: str | None,
        return_dists: bool,
    ) -> Any:
        """Return what FiftyOne's ``_kneighbors`` returns for a query.

        Args:
            query: an id, ids, a vector or vectors.
            k: how many records; ``None`` for all.
            scope: the records among which to look.
            reverse: the farthest, farthest first.
            aggregation: how several queries make one ranking; ``None`` for an answer to each.
            return_dists: whether to return distances too.
        """
        parsed, index = _parsed(query), self._records.index
        if aggregation is None and not parsed.single:
            search = index.farthest if reverse else index.search
            vectors = self._vectors_of(parsed)
            found = self._living(
                lambda count, ids: search(vectors, count, within=ids), k, scope.ids()
            )
            if parsed.ids and not reverse:
                found = self._own_first(
                    found,
                    [[name] for name in parsed.ids],
                    k,
                    scope,
                    lambda row, ids: index.search_aggregated(vectors[row], None, within=ids),
                )
            return self._formatted(found, False, return_dists)
        wanted = parse_aggregation("mean" if aggregation is None else aggregation)
        best = self._one_ranking(index, parsed, k, scope, wanted, reverse)
        return self._formatted([best], True, return_dists)

    def within_radius(
        self, query: Any, thresh: float | None, scope: ViewScope, *, return_dists: bool
    ) -> Any:
        """Return what FiftyOne's ``_radius_neighbors`` returns; arguments as of :meth:`nearest`.

        ``thresh`` is the largest distance, or ``None`` for all records.
        """
        parsed, index = _parsed(query), self._records.index
        vectors = self._vectors_of(parsed)
        found = self._living(
            lambda count, ids: index.search(vectors, count, within=ids), None, scope.ids()
        )
        limit = np.inf if thresh is None else thresh
        within = [np.flatnonzero(hits.distances <= limit) for hits in found]
        cut = [hits.take(rows) for hits, rows in zip(found, within, strict=True)]
        return self._formatted(cut, parsed.single, return_dists)

    def _one_ranking(
        self,
        index: Index,
        query: Query,
        k: int | None,
        scope: ViewScope,
        aggregation: Aggregation,
        reverse: bool,
    ) -> Hits:
        # All aggregations of one query are the same.
        if len(query.ids) == 1 and not scope.is_large:
            fetched = _fetched(index, query.ids[0], k, scope.ids(), farthest=reverse)
            if fetched is not None:
                return fetched
        queries = self._vectors_of(query)

        def ask(count: int | None, within: Sequence[str] | None = None) -> Hits:
            return index.search_aggregated(
                queries, count, aggregation=aggregation, farthest=reverse, within=within
            )

        best = _overfetched(scope, k, ask) if scope.is_large else None
        if best is None:
            (best,) = self._living(lambda count, ids: [ask(count, ids)], k, scope.ids())
        if query.ids and not reverse:
            (best,) = self._own_first(
                [best], [query.ids], k, scope, lambda _, ids: ask(None, within=ids)
            )
        return best

    def _own_first(
        self,
        found: Sequence[Hits],
        queries: Sequence[Sequence[str]],
        k: int | None,
        scope: ViewScope,
        ask: Callable[[int, list[str]], Hits],
    ) -> list[Hits]:
        """Return rankings in which the records that were asked for precede their equals.

        One of them may be no hit, where others at its distance have smaller ids and there are ``k``
        of those, or where an approximate index missed it. It is then asked for by itself.

        Args:
            found: a ranking for each query.
            queries: the ids that each of them is by.
            k: how many hits a ranking may have.
            scope: the records among which they were looked for.
            ask: returns the ranking of some records, by the query at a position.
        """
        metric = self._records.index.info.metric
        missing = [
            set(names).difference(hits.ids) for hits, names in zip(found, queries, strict=True)
        ]
        # A ranking of everything has all that there is.
        there = set() if k is None else self._in_scope(set().union(*missing), scope)
        ordered = []
        for row, (hits, names) in enumerate(zip(found, queries, strict=True)):
            absent = sorted(there.intersection(missing[row]))
            every = _joined(hits, ask(row, absent)) if absent else hits
            ordered.append(every.take(_own_first(every, names, metric)[:k]))
        return ordered

    def _in_scope(self, names: set[str], scope: ViewScope) -> set[str]:
        if not names:
            return names
        return names - self._records.gone(names) if scope.view is None else scope.among(names)

    def _living(
        self,
        ask: Callable[[int | None, Sequence[str] | None], Sequence[Hits]],
        k: int | None,
        within: Sequence[str] | None,
    ) -> list[Hits]:
        """Return the best records that the dataset still has, without those of deleted samples.

        ``within`` are candidates, all of which the dataset has, or ``None`` for every record.
        """
        if within is not None:
            return list(ask(k, within))
        wanted = k
        for _ in range(_ROUNDS):
            found = ask(wanted, None)
            gone = self._records.gone([name for hits in found for name in hits.ids])
            if not gone and wanted == k:
                return list(found)
            kept = [
                hits.take([row for row, name in enumerate(hits.ids) if name not in gone][:k])
                for hits in found
            ]
            if wanted is None or all(
                len(some) == k or len(hits) < wanted for some, hits in zip(kept, found, strict=True)
            ):
                return kept
            wanted = 4 * wanted + 64
        return list(ask(k, list(self._records.living_sample_ids())))

    def _vectors_of(self, query: Query) -> NDArray[Any]:
        if query.vectors is None:
            return self._records.vectors_of(query.ids)
        vectors: NDArray[Any] = self._records.centered(query.vectors)
        return vectors

    def _formatted(self, found: Sequence[Hits], single: bool, return_dists: bool) -> Any:
        ids = [list(hits.ids) for hits in found]
        flat = [name for names in ids for name in names]
        owners = dict(zip(flat, self._records.samples_of(flat), strict=True))
        samples = [[owners[name] for name in names] for names in ids]
        labels = None if self._records.patches_field is None else ids
        dists = [hits.distances.tolist() for hits in found] if return_dists else None
        parts = [part and part[0] if single else part for part in (samples, labels, dists)]
        return tuple(parts if return_dists else parts[:2])


def _fetched(
    index: Index, name: str, k: int | None, within: Sequence[str] | None, *, farthest: bool
) -> Hits | None:
    """Rank the records of a small view by their distance to a record, which is fetched with them.

    Returns:
        What a search by the record's vector would give; ``None`` where the view is not small, or
        where the search has to say what is wrong: the record does not exist, or ``k`` is unusable.
    """
    if within is None or len(within) > FETCHED_VIEW_AT_MOST_IDS:
        return None
    if k is not None and (type(k) is not int or k < 1):
        return None
    records = index.fetch(list(dict.fromkeys([name, *within])))
    if not records.ids or records.ids[0] != name:
        return None
    start = 0 if name in within else 1
    ids, vectors = records.ids[start:], records.vectors[start:]
    metric = index.info.metric
    found = distances(metric, records.vectors[0], vectors)
    order = rank(ids, -found if farthest else found)
    hits = Hits(tuple(ids[row] for row in order), found[order], exact=True)
    return hits.take(range(len(ids))[:k] if farthest else _own_first(hits, [name], metric)[:k])


def _own_first(hits: Hits, names: Sequence[str], metric: Metric) -> NDArray[np.intp]:
    """Return the positions of hits with those of the names before others at an equal distance.

    Nothing is nearer to a vector than itself by an angle or a length, so one name is first of all
    there: what comes before it does so by a rounding. A dot product has longer vectors before it.
    """
    wanted = set(names)
    others = np.fromiter((name not in wanted for name in hits.ids), np.bool_, len(hits))
    alone = len(wanted) == 1 and metric != "dotproduct"
    return np.lexsort((others,) if alone else (others, hits.distances))


def _joined(hits: Hits, more: Hits) -> Hits:
    return Hits((*hits.ids, *more.ids), np.concatenate([hits.distances, more.distances]))


def _overfetched(scope: ViewScope, k: int | None, ask: Callable[[int], Hits]) -> Hits | None:
    """Rank the whole index, with ``ask``, and keep what is in a view of samples.

    Returns:
        The ``k`` best of the view; ``None`` where the view has too small a share of the best, or
        where the ranking of the whole index is not proven.
    """
    if k is None or not 0 < k <= _OVERFETCH_MOST_K:
        return None
    ranked = 4 * k + 64
    for _ in range(_ROUNDS):
        hits = ask(ranked)
        if not hits.exact:
            return None
        inside = scope.among(hits.ids)
        rows = [row for row, name in enumerate(hits.ids) if name in inside][:k]
        if len(rows) == k or len(hits) < ranked:
            return hits.take(rows)
        ranked = 2 * ranked * k // max(1, len(rows)) + 64
        if ranked > OVERFETCH_AT_MOST_HITS:
            return None
    return None


def _parsed(query: Any) -> Query:
    if isinstance(query, str):
        return Query([query], single=True)
    array = query if hasattr(query, "ndim") else list(query)
    first = array[0] if len(array) else None
    if isinstance(first, str):
        return Query([str(name) for name in array])
    vectors = np.asarray(array)
    return Query((), np.atleast_2d(vectors), single=vectors.ndim == 1)
