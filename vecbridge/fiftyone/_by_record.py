"""Sorting by a record, at sight of the few records that can belong there.

In a small view, those are its records: they are fetched together with the one that is asked for. Of
a whole local index, they are listed for each record: a search reads every vector, and to list what
is near each of them takes as long as a number of searches. Who has asked so many sorts is taken to
go on asking, and the lists are made then. So sorts take about twice as long in all, at most, as if
it had been known before how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import Index
from vecbridge._client import _validate as validate
from vecbridge._contract._hits import Hits
from vecbridge._contract._metric import Metric
from vecbridge.local import LocalIndex, Snapshot
from vecbridge.ranking import Pairs, Shortlists, distances, rank
from vecbridge.ranking._order import taken

FEW = 128
"""Records that take no longer to fetch, and to compare exactly, than to search for the best."""

LISTED = 64
"""Records in a list."""

RECORDS_PER_SORT = 16
"""To list what is near so many records takes as long as one search."""

_SPARE = 4
_MOST_PRODUCTS = 1 << 38
"""A few seconds: what a sort may take at most that might have taken milliseconds."""

_MOST_RECORDS = 1 << 16
"""Of 768 bytes each."""


class SortsByRecord:
    """Answers sorts by a record, and counts them; starts afresh as soon as anybody writes."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Says that the records have changed."""
        self._known: _Known | None = None

    def nearest(
        self,
        index: Index,
        name: str,
        k: int | None,
        *,
        within: Sequence[str] | None,
        farthest: bool,
    ) -> Hits | None:
        """What a search by the record's vector gives, where that takes no search.

        Args:
            index: where the record is.
            name: its id.
            k: how many.
            within: only these ids are candidates.
            farthest: the farthest instead, farthest first.
        """
        limit = None if k is None else validate.positive(k, "k")
        wanted = _Wanted(index.info.metric, limit, farthest)
        if within is not None:
            return None if len(within) > FEW else wanted.fetched(index, name, within)
        engine = index.engine
        if limit is None or limit > LISTED - _SPARE or not isinstance(engine, LocalIndex):
            return None
        snapshot = engine.snapshot()
        rows = snapshot.rows_of([name])
        if not len(rows) or not engine.capabilities.exact:
            return None
        known = self._known
        if known is None or not known.holds(engine, snapshot):
            known = self._known = _Known(engine, snapshot)
        lists = known.listed(snapshot, farthest)
        return None if lists is None else wanted.listed(snapshot, int(rows[0]), lists)


class _Known:
    """What is known of an index as it is at one moment.

    Args:
        engine: of the index.
        snapshot: its records then.
    """

    def __init__(self, engine: LocalIndex, snapshot: Snapshot) -> None:
        self._engine, self._generation = engine, snapshot.generation
        self._asked = {False: 0, True: 0}
        self._lists: dict[bool, Shortlists | None] = {}

    def holds(self, engine: LocalIndex, snapshot: Snapshot) -> bool:
        """Whether nobody has written since."""
        return engine is self._engine and snapshot.generation == self._generation

    def listed(self, snapshot: Snapshot, farthest: bool) -> Shortlists | None:
        """The lists, if they are there or pay; counts this sort."""
        self._asked[farthest] += 1
        count, dimension = snapshot.vectors.shape
        if self._asked[farthest] * RECORDS_PER_SORT <= count or count <= LISTED:
            return None
        if count > _MOST_RECORDS or count * count * dimension > _MOST_PRODUCTS:
            return None
        if farthest not in self._lists:
            try:
                # Who asks in the meantime searches.
                self._lists[farthest] = None
                names = snapshot.names(np.arange(count))
                pairs = Pairs(self._engine.info.metric, names, snapshot.vectors)
                self._lists[farthest] = pairs.shortlists(LISTED, farthest=farthest)
            except BaseException:
                self._lists.pop(farthest, None)
                raise
        return self._lists[farthest]


class _Wanted:
    """What is asked for.

    Args:
        metric: of the index.
        k: how many.
        farthest: the farthest instead of the nearest.
    """

    def __init__(self, metric: Metric, k: int | None, farthest: bool) -> None:
        self._metric: Metric = metric
        self._k, self._farthest = k, farthest

    def fetched(self, index: Index, name: str, within: Sequence[str]) -> Hits | None:
        """The ranking of some records, fetched; ``None`` where there is no record of the name."""
        names, vectors = _few(index, list(dict.fromkeys([name, *within])))
        if not names or names[0] != name:
            return None
        start = 0 if name in within else 1
        return self._ranked(vectors[0], names[start:], vectors[start:], np.inf)

    def listed(self, snapshot: Snapshot, row: int, lists: Shortlists) -> Hits | None:
        """The ranking of a record itself and of those listed for it, if that is proven."""
        for count in ((self._k or 0) + _SPARE, LISTED):
            rows = np.append(lists.columns[row, :count], row).astype(np.intp)
            vectors, floor = snapshot.vectors, float(lists.floors[row, count - 1])
            hits = self._ranked(vectors[row], snapshot.names(rows), vectors[rows], floor)
            if hits is not None:
                return hits
        return None

    def _ranked(
        self,
        query: NDArray[np.float32],
        names: Sequence[str],
        vectors: NDArray[np.float32],
        floor: float,
    ) -> Hits | None:
        """The ranking of some records, if all others are beyond the floor and that proves it."""
        found = distances(self._metric, query, vectors)
        keys = -found if self._farthest else found
        order = rank(names, keys, self._k)
        if floor < np.inf and (len(order) != self._k or keys[order[-1]] >= floor):
            return None
        return Hits(taken(names, order), found[order], exact=True)


def _few(index: Index, ids: Sequence[str]) -> tuple[Sequence[str], NDArray[np.float32]]:
    """The ids, of some, that are there, and their vectors."""
    if isinstance(index.engine, LocalIndex):
        snapshot = index.engine.snapshot()
        rows = snapshot.rows_of(ids)
        return snapshot.names(rows), snapshot.vectors[rows]
    records = index.fetch(ids)
    return records.ids, records.vectors
