"""The effort that an approximate index needs for its recall, measured where answers are known.

Some of the queries are those that are being asked; the others are made: records moved by the
distance of their nearest neighbour.
"""

from __future__ import annotations

import logging
import time
from itertools import pairwise
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._metric import Metric
from vecbridge._contract._scope import Scope
from vecbridge.locks import reentrant_lock
from vecbridge.ranking import distances, ids_at, meets_recall, queries_beside, rank, shares_found
from vecbridge.remote._collection import ApproximateCollection, Columns
from vecbridge.remote._search import ExactRanker

ClientT = TypeVar("ClientT")

_SPARE = 4
_SMALLEST_BUCKET, _DEEPEST = 16, 2048
_SHALLOWEST = 256
"""Neighbours to learn of each query at least, where one pass over the records finds all."""

_CHECK_S = 10.0
_GROWN = 1.5
_STALLED = 0.01
_NEAR = 8
_LOOKED_AT, _DEEP, _APART = 4096, 4, 4.0
_PAGE_BYTES = 16 << 20
_EVERYTHING = Scope()


class Effort(NamedTuple):
    """The effort of a search.

    Attributes:
        value: one of the collection's efforts.
        met: whether the recall is met with it.
    """

    value: Any
    met: bool = True


class _Sample(NamedTuple):
    """How many queries to take: of those that are asked, at least and at most, and to make."""

    fewest_asked: int
    asked: int
    made: int


# A pass over the records finds the neighbours of any number of queries; a search, those of one.
_BY_PASS, _BY_SEARCH = _Sample(8, 16, 64), _Sample(4, 8, 24)


class Probe(NamedTuple):
    """Queries, and the ids of their true neighbours, nearest first."""

    queries: NDArray[np.float32]
    truth: list[tuple[str, ...]]


class RecallTuner(Generic[ClientT]):
    """Finds the least effort that meets a recall, and keeps to it until the collection has grown.

    A backend whose efforts are no list of numbers overrides :meth:`least`, :meth:`ample`,
    :meth:`harder` and :meth:`raised`.

    Args:
        collection: an approximate one.
        recall: the share of the true neighbours to find.
        exact: searches the collection exactly.
        given: an effort to keep to instead.

    Attributes:
        probes: queries with known answers; those that were asked on their own, where they are
            enough to say something, and two lots of made ones.
        efforts: what was found, by the number of neighbours.
        records: how many there were.
    """

    def __init__(
        self,
        collection: ApproximateCollection[ClientT],
        recall: float,
        *,
        exact: ExactRanker[ClientT],
        given: Any = None,
    ) -> None:
        self.probes: list[Probe] = []
        self.efforts: dict[int, Effort] = {}
        self.records = 0
        self.recall = recall
        self._collection = collection
        self._exact = exact
        self._given = given
        self._lock = reentrant_lock()
        self._log = logging.getLogger("vecbridge.remote")
        self._depth = 0
        self._checked = 0.0

    def effort(
        self, client: ClientT, /, queries: NDArray[np.float32], k: int, scope: Scope
    ) -> Effort:
        """Return the effort of a search for ``k`` in a scope; the first one reads every record."""
        tuned = Effort(self._given) if self._given is not None else self._tuned(client, queries, k)
        if scope.where is None and scope.within is None:
            return tuned
        return self._within(client, tuned, k, scope)

    def ample(self, k: int) -> Any:
        """Return an effort that finds most of ``k`` neighbours, whatever it costs."""
        return self._collection.efforts[-1]

    def least(self, k: int) -> Any:
        """Return the least effort worth trying, for ``k`` neighbours."""
        return self._collection.efforts[0]

    def harder(self, value: Any, k: int, *, stalled: bool) -> Any | None:
        """Return the next effort worth trying; ``None`` where there is none.

        Args:
            value: the effort that was not enough.
            k: how many neighbours are looked for.
            stalled: it found no more than the effort before it.
        """
        return self.raised(value, k, 1.0)

    def raised(self, value: Any, k: int, times: float) -> Any | None:
        """Return more than ``times`` an effort, or that much; ``None`` where there is none.

        Args:
            value: the effort.
            k: how many neighbours are looked for.
            times: how much harder the search is; 1 for the next effort.
        """
        more = [each for each in self._collection.efforts if each > value]
        if times == 1.0:
            return more[0] if more else None
        return next((each for each in more if each >= times * value), None)

    def outgrown(self, client: ClientT, /) -> bool:
        """Return whether what was measured says nothing of the collection any more."""
        records = self._collection.count(client, _EVERYTHING)
        return not self.records / _GROWN < records < self.records * _GROWN

    def shares(self, client: ClientT, /, probe: Probe, k: int, value: Any) -> NDArray[np.float64]:
        """Return the share of each query's true neighbours that an effort finds."""
        found = self._collection.nearest(client, probe.queries, k + _SPARE, _EVERYTHING, value)
        unsafe = self._exact.unsafe(client, _EVERYTHING, k).ids
        return shares_found(([*unsafe, *hits.ids] for hits in found), probe.truth, k)

    def _tuned(self, client: ClientT, queries: NDArray[np.float32], k: int) -> Effort:
        bucket = max(_SMALLEST_BUCKET, 1 << (k - 1).bit_length())
        shallow = min(bucket, _DEEPEST)
        with self._lock:
            self._refresh(client)
            effort = self.efforts.get(shallow)
            if effort is None:
                effort = self._measured(client, queries, shallow)
                # What is measured on no record says nothing of those to come.
                if self.records:
                    self.efforts[shallow] = effort
        if bucket > shallow and effort.met:
            # Deeper searches are not measured: effort grows with k as it does below.
            more = self.raised(effort.value, shallow, bucket / shallow)
            return effort._replace(met=False) if more is None else Effort(more)
        return effort

    def _within(self, client: ClientT, effort: Effort, k: int, scope: Scope) -> Effort:
        """Return the effort of a search among what is in scope alone.

        An index walks past the records that do not match: of what it looks at, their share is lost,
        and more than that where what matches lies together, far from a query. So the effort grows
        as the share shrinks, and few records are looked at one by one.
        """
        if scope.where is None and scope.within is not None:
            matching = len(scope.within)
        else:
            matching = self._collection.count(client, scope)
        few = matching <= max(_LOOKED_AT, _DEEP * k)
        if few and self._collection.exhaustive:
            return effort._replace(met=False)
        records = self._collection.count(client, _EVERYTHING)
        if matching >= records:
            return effort
        more = None if few else self.raised(effort.value, k, _APART * records / matching)
        return effort._replace(met=False) if more is None else effort._replace(value=more)

    def _refresh(self, client: ClientT) -> None:
        now = time.monotonic()
        if self.efforts and now - self._checked < _CHECK_S:
            return
        self._checked = now
        if not self.efforts or self.outgrown(client):
            self.records = self._collection.count(client, _EVERYTHING)
            self._collection.prepare(client, self.records)
            self.probes, self.efforts = [], {}

    def _measured(self, client: ClientT, queries: NDArray[np.float32], k: int) -> Effort:
        """Return the least effort with which each kind of query finds enough."""
        if not self.probes or self._depth < min(k, self.records):
            self._draw(client, queries, k)
        value, share = self.least(k), 0.0
        while True:
            before, share = share, 1.0
            for probe in self.probes:
                shares = self.shares(client, probe, k, value)
                share = min(share, float(shares.mean()) if len(shares) else 1.0)
                if not meets_recall(shares, self.recall):
                    break
            else:
                return Effort(value)
            more = self.harder(value, k, stalled=share - before < _STALLED)
            if more is None:
                break
            value = more
        if share < self.recall:
            self._log.warning(
                "index %r finds %.3f of the nearest %d with all its effort, and recall=%s was "
                "asked for; such searches look at every record instead",
                self._collection.info.name,
                share,
                k,
                self.recall,
            )
        return Effort(value, share >= self.recall)

    def _draw(self, client: ClientT, asked: NDArray[np.float32], k: int) -> None:
        """Take some queries, make others, and find the true neighbours of each."""
        by_search = self._collection.exhaustive
        sample = _BY_SEARCH if by_search else _BY_PASS
        self._depth = k if by_search else max(k, _SHALLOWEST)
        vectors = self._collection.sample(client, sample.made)
        near = self._collection.nearest(client, vectors, _NEAR, _EVERYTHING, self.ample(_NEAR))
        made = queries_beside(vectors, [hits.vectors for hits in near])
        queries = np.concatenate([asked[: sample.asked], made])
        find = self._searched if by_search else self._read
        truth = find(client, queries)
        # On their own where they are enough to say something: made ones lie where records do.
        middle = len(queries) - len(made) // 2
        first = len(asked[: sample.asked]) if len(asked) >= sample.fewest_asked else 0
        ends = sorted({0, first, middle, len(queries)})
        self.probes = [
            Probe(queries[start:stop], truth[start:stop]) for start, stop in pairwise(ends)
        ]

    def _searched(self, client: ClientT, queries: NDArray[np.float32]) -> list[tuple[str, ...]]:
        """Return the true neighbours of each query, by exact searches."""
        metric, answers = self._collection.info.metric, []
        found = self._exact.candidates(client, queries, self._depth, _EVERYTHING)
        for query, hits in zip(queries, found, strict=True):
            order = rank(hits.ids, distances(metric, query, hits.vectors), self._depth)
            answers.append(ids_at(hits.ids, order))
        return answers

    def _read(self, client: ClientT, queries: NDArray[np.float32]) -> list[tuple[str, ...]]:
        """Return the true neighbours of each query, by one pass over the records."""
        metric, columns, after = self._collection.info.metric, Columns(vectors=True), None
        rows = max(1, _PAGE_BYTES // (4 * queries.shape[1]))
        best, names = np.empty((len(queries), 0)), np.empty((len(queries), 0), dtype=object)
        while True:
            page = self._collection.page(client, _EVERYTHING, None, rows, after, columns)
            keys = np.array(page.records.ids, dtype=object)
            table = np.concatenate([best, _keys(metric, queries, page.records.vectors)], axis=1)
            listed = np.broadcast_to(keys, (len(queries), len(keys)))
            listed = np.concatenate([names, listed], axis=1)
            order = np.argsort(table, axis=1, kind="stable")[:, : self._depth]
            best = np.take_along_axis(table, order, axis=1)
            names = np.take_along_axis(listed, order, axis=1)
            after = page.after
            if after is None:
                return [tuple(row) for row in names]


def _keys(
    metric: Metric, queries: NDArray[np.float32], vectors: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return numbers in the order of the distances; float64 is enough to count neighbours."""
    wide = vectors.astype(np.float64)
    products: NDArray[np.float64] = queries.astype(np.float64) @ wide.T
    if metric == "dotproduct":
        return -products
    squares = np.einsum("nd,nd->n", wide, wide)
    if metric == "euclidean":
        return np.asarray(squares - 2.0 * products)
    return np.asarray(-products / np.sqrt(np.maximum(squares, np.finfo(np.float64).tiny)))
