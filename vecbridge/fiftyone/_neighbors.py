"""Queries: what FiftyOne asks for, asked of a vecbridge index, in FiftyOne's formats."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import fiftyone.core.utils as fou
import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._hits import Hits
from vecbridge._contract._ranking import parse_aggregation
from vecbridge._contract._records import Records
from vecbridge._errors import InvalidArgumentError
from vecbridge.fiftyone._by_record import SortsByRecord
from vecbridge.fiftyone._ids import first_ids_of
from vecbridge.fiftyone._records import ids_within
from vecbridge.fiftyone._sifting import SMALL_VIEW, sifted
from vecbridge.local import LocalIndex, Snapshot
from vecbridge.ranking import Pairs

_ROUNDS = 3
_LONG_WORK = 10_000
"""From how many records on progress is shown."""


@dataclass(frozen=True)
class Query:
    """Queries, of which one of the two is given.

    Attributes:
        names: ids of records.
        vectors: ``(q, d)``.
        single: the caller gave one id or one vector, not a list.
    """

    names: Sequence[str] = ()
    vectors: NDArray[Any] | None = None
    single: bool = False


class Neighbors:
    """Answers the queries of one similarity index, within the view that the caller's thread uses.

    What a query needs travels with the call. What is kept between calls is true of the records
    alone, and of the moment at which it was read.

    Args:
        owner: the :class:`~vecbridge.fiftyone._index.BackendSimilarityIndex`.
    """

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self._moment = object()
        self._kept: _Kept | None = None
        self._by_record = SortsByRecord()

    def forget(self) -> None:
        """Says that the records have changed."""
        self._moment = object()
        self._kept = None
        self._by_record.forget()

    def nearest(
        self,
        query: Any,
        k: int | None,
        reverse: bool,
        aggregation: str | None,
        return_dists: bool,
    ) -> Any:
        """What ``_kneighbors`` returns."""
        if query is None:
            return self._neighbors_of_all(k, reverse, return_dists)
        parsed = _parsed(query)
        if aggregation is None and not parsed.single:
            search = self._owner.index.farthest if reverse else self._owner.index.search
            vectors = self._vectors_of(parsed)
            found = self._living(
                lambda count, ids: search(vectors, count, within=ids), k, self._scope().ids()
            )
            return self._formatted(found, False, return_dists)
        wanted = parse_aggregation("mean" if aggregation is None else aggregation)
        scope = self._scope()
        best = None if scope.large else self._at_sight(parsed, k, scope.ids(), reverse)
        if best is None:
            queries = self._vectors_of(parsed)

            def ask(count: int | None, within: Sequence[str] | None = None) -> Hits:
                hits: Hits = self._owner.index.search_aggregated(
                    queries, count, aggregation=wanted, farthest=reverse, within=within
                )
                return hits

            best = sifted(scope.view, k, ask) if scope.large else None
            if best is None:
                (best,) = self._living(lambda count, ids: [ask(count, ids)], k, scope.ids())
        return self._formatted([best], True, return_dists)

    def within_radius(self, query: Any, thresh: float | None, return_dists: bool) -> Any:
        """What ``_radius_neighbors`` returns; everything is within no threshold."""
        limit = np.inf if thresh is None else thresh
        if query is None:
            return self._radius_of_all(limit, return_dists)
        parsed = _parsed(query)
        vectors = self._vectors_of(parsed)
        found = self._living(
            lambda count, ids: self._owner.index.search(vectors, count, within=ids),
            None,
            self._scope().ids(),
        )
        cut = []
        for hits in found:
            count = int(np.searchsorted(hits.distances, limit, side="right"))
            cut.append(Hits(hits.ids[:count], hits.distances[:count], exact=hits.exact))
        return self._formatted(cut, parsed.single, return_dists)

    def _living(
        self,
        ask: Callable[[int | None, Sequence[str] | None], Sequence[Hits]],
        k: int | None,
        within: Sequence[str] | None,
    ) -> list[Hits]:
        """The best records that the dataset still has: those of deleted samples take no place.

        Args:
            ask: ranks so many of some ids, or of everything.
            k: how many.
            within: the ids that are candidates, all of which the dataset has; ``None`` for all.
        """
        if within is not None:
            return list(ask(k, within))
        wanted = k
        for _ in range(_ROUNDS):
            found = ask(wanted, None)
            gone = self._owner.gone([name for hits in found for name in hits.ids])
            if not gone:
                return [_without(hits, gone, k) for hits in found] if wanted != k else list(found)
            kept = [_without(hits, gone, k) for hits in found]
            if wanted is None or all(
                len(some) == k or len(hits) < wanted for some, hits in zip(kept, found, strict=True)
            ):
                return kept
            wanted = 4 * wanted + 64
        return list(ask(k, self._owner._living_table().ids))

    def _at_sight(
        self, query: Query, k: int | None, within: Sequence[str] | None, reverse: bool
    ) -> Hits | None:
        """The answer to one record's query, where that takes no search."""
        # All aggregations of one query are the same.
        if len(query.names) != 1:
            return None
        hits = self._by_record.nearest(
            self._owner.index, query.names[0], k, within=within, farthest=reverse
        )
        return None if hits is None or (within is None and self._owner.gone(hits.ids)) else hits

    def _vectors_of(self, query: Query) -> NDArray[Any]:
        return self._stored(query.names) if query.vectors is None else query.vectors

    def _stored(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of records anywhere in the index, as often as each is named."""
        records: Records = self._owner.index.fetch(ids)
        if records.missing:
            kind = "samples" if self._owner.config.patches_field is None else "labels"
            raise InvalidArgumentError(
                f"{len(records.missing)} of {len(ids)} query ids are no {kind} of this index, "
                f"such as {records.missing[0]!r}"
            )
        if records.ids == tuple(ids):
            return records.vectors
        rows = {name: row for row, name in enumerate(records.ids)}
        return np.asarray(records.vectors[[rows[name] for name in ids]])

    def _scope(self) -> _Scope:
        """What the caller's thread restricts the index to."""
        owner = self._owner
        # FiftyOne compares two views to tell whether there is one, so it is asked once.
        view = owner.view if owner.has_view else None
        return _Scope(view, owner.config.patches_field)

    def _current_ids(self) -> list[str]:
        owner = self._owner
        patches = owner.config.patches_field
        ids = owner.current_sample_ids if patches is None else owner.current_label_ids
        return [str(name) for name in ids]

    def pairs(self, ids: Sequence[str] | None = None) -> Pairs:
        """The pairs of some records, kept: finding duplicates asks many times.

        Args:
            ids: of the records; by default those of the current view.
        """
        names = self._current_ids() if ids is None else [str(name) for name in ids]
        moment, kept = self._moment, self._kept
        if kept is not None and kept.moment is moment and kept.pairs.ids == names:
            return kept.pairs
        # Two tables are not held at once.
        kept = self._kept = None
        metric = self._owner.index.info.metric
        vectors, frozen = self._matrix_of(names)
        made = Pairs(metric, names, vectors)
        self._kept = _Kept(moment, made, frozen)
        return made

    def _matrix_of(self, ids: Sequence[str]) -> tuple[NDArray[np.float32], Snapshot | None]:
        """Vectors of records: no copy of those that a local store holds in this order."""
        engine = self._owner.index.engine
        if isinstance(engine, LocalIndex):
            snapshot = engine.snapshot()
            rows = snapshot.rows_of(ids)
            if len(rows) == len(ids) and bool((np.diff(rows) == 1).all()):
                start = int(rows[0]) if len(rows) else 0
                return snapshot.vectors[start : start + len(rows)], snapshot
        return self._stored(ids), None

    def _neighbors_of_all(self, k: int | None, reverse: bool, return_dists: bool) -> Any:
        """For each record of the view, positions of its nearest others in the view."""
        pairs = self.pairs()
        with _shown(len(pairs), "neighbours") as progress:
            found = list(pairs.neighbors(k, farthest=reverse, progress=progress))
        return _positions(found, return_dists)

    def _radius_of_all(self, limit: float, return_dists: bool) -> Any:
        pairs = self.pairs()
        with _shown(len(pairs), "radius") as progress:
            found = list(pairs.within(limit, progress))
        return _positions(found, return_dists)

    def _formatted(self, found: Sequence[Hits], single: bool, return_dists: bool) -> Any:
        patches = self._owner.config.patches_field is not None
        ids = [list(hits.ids) for hits in found]
        flat = [name for names in ids for name in names]
        owners = dict(zip(flat, self._owner._sample_ids_of(flat), strict=True))
        samples = [[owners[name] for name in names] for names in ids]
        dists = [hits.distances.tolist() for hits in found]
        answer = (samples, ids if patches else None, dists if return_dists else None)
        parts = [part and part[0] if single else part for part in answer]
        return tuple(parts if return_dists else parts[:2])


class _Scope:
    """The candidates of one call.

    Args:
        view: what the index is restricted to; ``None`` for everything.
        patches_field: the field of the labels, where patches are indexed.
    """

    def __init__(self, view: Any, patches_field: str | None) -> None:
        self.view = view
        self._patches_field = patches_field
        self._ids: list[str] | None = None
        self.large = False
        """Whether the ids of the view take long to read."""
        if view is not None and patches_field is None and not view._is_patches:
            some = first_ids_of(view, SMALL_VIEW + 1)
            self.large = len(some) > SMALL_VIEW
            self._ids = None if self.large else some

    def ids(self) -> list[str] | None:
        """Ids of the view's records, as it is now; ``None`` where there is no restriction."""
        if self._ids is None and self.view is not None:
            self._ids = ids_within(self.view, self._patches_field)[1].tolist()
        return self._ids


@dataclass(frozen=True)
class _Kept:
    """Pairs, and of when; the snapshot keeps the vectors that they refer to."""

    moment: object
    pairs: Pairs
    snapshot: Snapshot | None


def _without(hits: Hits, gone: Collection[str], k: int | None) -> Hits:
    """The first ``k`` hits that are not gone."""
    rows = [row for row, name in enumerate(hits.ids) if name not in gone][:k]
    ids = tuple(hits.ids[row] for row in rows)
    return Hits(ids, hits.distances[np.array(rows, dtype=np.intp)], exact=hits.exact)


def _parsed(query: Any) -> Query:
    if isinstance(query, str):
        return Query([query], single=True)
    array = query if hasattr(query, "ndim") else list(query)
    first = array[0] if len(array) else None
    if isinstance(first, str):
        return Query([str(name) for name in array])
    vectors = np.asarray(array)
    return Query((), np.atleast_2d(vectors), single=vectors.ndim == 1)


def _positions(found: Sequence[tuple[Any, Any]], return_dists: bool) -> Any:
    inds = [columns for columns, _ in found]
    return (inds, [dists for _, dists in found]) if return_dists else inds


@contextmanager
def _shown(records: int, what: str) -> Iterator[Callable[[int, int], None]]:
    """Progress in FiftyOne's way, where it takes long."""
    with fou.ProgressBar(total=records, progress=records >= _LONG_WORK, iters_str=what) as bar:

        def progress(done: int, total: int) -> None:
            bar.set_iteration(records * done // total)

        yield progress
