"""The effort that an approximate index needs for its recall, measured where answers are known.

Some of the queries are those that are being asked; the others are made: records moved by the
distance of their nearest neighbour. One pass over the records finds the true neighbours of all.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from heapq import nsmallest
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge import InvalidArgumentError, Metric
from vecbridge.locks import reentrant_lock
from vecbridge.ranking import SPARE, meets_recall, queries_beside, shares_found
from vecbridge_milvus._collection import Collection
from vecbridge_milvus._index_types import IndexSettings
from vecbridge_milvus._reader import Reader
from vecbridge_milvus._schema import MAX_LIMIT
from vecbridge_milvus._wire import to_ids, to_stored, to_vectors

_ASKED = 16
_FEWEST_ASKED = 8
_MADE = 64
_NEAR = 8
_MOST_BYTES = 16 << 30
"""Vectors that are read for a sample; beyond that, a user has to name the effort."""

_SMALLEST_BUCKET = 16
_SHALLOWEST = 256
_DEEPEST = 2048
_MOST_FETCHED = 16
_CHECK_S = 10.0
_SETTLED_S = 120.0
_GROWN = 1.5
_STALLED = 0.01
_LOOKED_AT = 4096
_DEEP = 4
_APART = 4.0
_POOR = 3

_log = logging.getLogger("vecbridge.milvus")


class Probe(NamedTuple):
    """Queries, as they are sent, and the ids of their true neighbours, nearest first."""

    queries: NDArray[np.float32]
    truth: list[list[str]]


class RecallSample(NamedTuple):
    """Queries with known answers, by which an effort is chosen.

    Attributes:
        probes: queries that were asked, on their own where they are enough to say something, and
            two lots of made ones. Made queries lie where records do, and find more than others.
        depth: how many neighbours of each are known.
        records: how many there were.
    """

    probes: list[Probe]
    depth: int
    records: int


class SearchEffort(NamedTuple):
    """The effort of a search.

    Attributes:
        value: of the index's search parameter.
        fetched: how many times the candidates to fetch; what codes lose is found among more.
        met: whether that meets the recall that was asked for.
    """

    value: int
    fetched: int
    met: bool

    def limit(self, k: int) -> int:
        """Return how many hits to ask for."""
        return min((k + SPARE) * self.fetched, MAX_LIMIT)


class RecallTuner:
    """Finds the least effort that meets a recall, and keeps to it while the collection does."""

    def __init__(self, collection: Collection, settings: IndexSettings) -> None:
        self._collection = collection
        self._kind = collection.layout.index
        self._recall = settings.recall
        self._given = settings.effort_for(self._kind)
        self._lock = reentrant_lock()
        self._sample: RecallSample | None = None
        self._efforts: dict[int, SearchEffort] = {}
        self._progress = (0, 0)
        self._tuned = 0.0
        self._checked = 0.0

    def effort(self, reader: Reader, queries: NDArray[np.float32], k: int) -> SearchEffort:
        """Return the effort of a search for ``k``; the first for a recall reads every record."""
        limit = k + SPARE
        if self._kind.exhaustive:
            return SearchEffort(0, 1, met=True)
        if self._given is not None:
            return SearchEffort(self._given, 1, met=True)
        if self._recall is None:
            return SearchEffort(self._kind.usual(limit), 2 if self._kind.lossy else 1, met=True)
        bucket = max(_SMALLEST_BUCKET, 1 << (k - 1).bit_length())
        with self._lock:
            self._refresh(reader)
            shallow = min(bucket, _DEEPEST)
            effort = self._efforts.get(shallow)
            if effort is None:
                effort = self._find(reader, queries, shallow, self._recall)
                # What is measured on no record says nothing of those to come.
                if self._sample is not None and self._sample.records:
                    self._efforts[shallow] = effort
                else:
                    self._sample = None
        # Deeper searches are not measured: effort grows with k as it does below.
        return effort._replace(value=effort.value * (bucket // shallow))

    def within(self, effort: SearchEffort, k: int, matching: int, records: int) -> SearchEffort:
        """Return the effort of a search for ``k`` among ``matching`` of ``records`` alone.

        An index walks past the records that do not match: of what it looks at, their share is lost,
        and more than that where what matches lies together, far from a query. So the effort grows
        as the share shrinks, and few records are looked at one by one. So are all where a graph is
        so poor that it takes much effort without a filter: some records it may not reach at all.
        """
        if matching >= records:
            return effort
        poor = self._kind.family == "graph" and effort.value > _POOR * self._kind.least(k + SPARE)
        if poor or matching <= max(_LOOKED_AT, _DEEP * k):
            return effort._replace(met=False)
        more = _APART * records / matching
        value = min(math.ceil(more * effort.value), self._kind.most())
        fetched = effort.fetched
        if self._kind.search_param is None:
            fetched = min(math.ceil(more * fetched), _most_fetched(k))
        return effort._replace(value=max(value, effort.value), fetched=fetched)

    @property
    def names_recall(self) -> bool:
        """Return whether a recall has to be met, and is not one that an effort leaves to chance."""
        return self._recall is not None and self._given is None and not self._kind.exhaustive

    def _find(
        self, reader: Reader, queries: NDArray[np.float32], k: int, recall: float
    ) -> SearchEffort:
        """Double the effort until each kind of query finds enough."""
        sample = self._sample
        if sample is None or sample.depth < min(k, sample.records):
            self._progress = self._collection.progress()
            sample = _drawn(self._collection, reader, queries, max(k, _SHALLOWEST))
            self._sample, self._tuned = sample, time.monotonic()
            self._checked = self._tuned
        effort = SearchEffort(self._kind.least(k + SPARE), 1, met=True)
        share = 0.0
        while True:
            before, share = share, 1.0
            for probe in sample.probes:
                shares = self._shares(reader, probe, k, effort)
                share = min(share, _mean(shares))
                if not meets_recall(shares, recall):
                    break
            else:
                return effort
            harder = self._harder(effort, k, stalled=share - before < _STALLED)
            if harder is None:
                break
            effort = harder
        met = share >= recall
        if not met:
            _log.warning(
                "index %r: %s finds %.3f of the nearest %d with all its effort, and recall=%s was "
                "asked for; such searches look at every record instead",
                self._collection.layout.info.name,
                self._kind.name,
                share,
                k,
                recall,
            )
        return effort._replace(met=met)

    def _harder(self, effort: SearchEffort, k: int, *, stalled: bool) -> SearchEffort | None:
        """Return twice the effort, of the kind that still helps; ``None`` where there is none."""
        value, fetched = effort.value, effort.fetched
        more = min(2 * fetched, _most_fetched(k))
        turns = self._kind.search_param is not None and value < self._kind.most()
        # What codes have lost is found among more records, not by a better search.
        lost = self._kind.search_param is None or (self._kind.lossy and (stalled or not turns))
        if lost and more > fetched:
            return effort._replace(fetched=more)
        return effort._replace(value=min(2 * value, self._kind.most())) if turns else None

    def _refresh(self, reader: Reader) -> None:
        """Measure again where the server may have put an index in the place of a scan.

        Records are searched one by one until their segment is indexed and handed over, which can
        take a while; what was measured before that says little.
        """
        now = time.monotonic()
        if self._sample is None or now - self._checked < _CHECK_S:
            return
        self._checked = now
        progress = self._collection.progress()
        if progress == self._progress and now - self._tuned > _SETTLED_S:
            return
        grown = progress[0] > _GROWN * max(self._progress[0], self._sample.records)
        self._progress = progress
        if grown or not self._still_meets(reader, self._sample):
            self._sample = None
            self._efforts = {}

    def _still_meets(self, reader: Reader, sample: RecallSample) -> bool:
        return all(
            _mean(self._shares(reader, sample.probes[-1], k, effort)) >= (self._recall or 0.0)
            for k, effort in self._efforts.items()
            if effort.met
        )

    def _shares(
        self, reader: Reader, probe: Probe, k: int, effort: SearchEffort
    ) -> NDArray[np.float64]:
        """Return the share of each query's true neighbours that is among the candidates."""
        limit = effort.limit(k)
        parameters = self._kind.parameters(limit, effort.value)
        found = reader.search(probe.queries, limit, "", vectors=False, parameters=parameters)
        return shares_found((hits.ids for hits in found), probe.truth, k)


def _drawn(
    collection: Collection, reader: Reader, asked: NDArray[np.float32], depth: int
) -> RecallSample:
    """Take some queries as they are sent, make others, and find ``depth`` true neighbours of each.

    Raises:
        InvalidArgumentError: there is too much to look at.
    """
    layout = collection.layout
    size = 4 * layout.stored_dimension * reader.count("")
    if size > _MOST_BYTES:
        raise InvalidArgumentError(
            f"to meet a recall, index {layout.info.name!r} would have to be read once, and it "
            f"holds {size >> 30} GiB of vectors; name the effort instead: "
            f"search_params={{{layout.index.search_param or 'level'!r}: ...}}"
        )
    keys, count = _keys(reader, layout.key)
    made = _moved(collection, reader, keys)
    queries = np.concatenate([asked[:_ASKED], made])
    truth = _neighbours(collection, reader, queries, depth)
    middle = len(queries) - len(made) // 2
    first = len(asked[:_ASKED]) if len(asked) >= _FEWEST_ASKED else 0
    ends = sorted({0, first, middle, len(queries)})
    probes = [Probe(queries[start:stop], truth[start:stop]) for start, stop in pairwise(ends)]
    return RecallSample(probes, depth, count)


def _keys(reader: Reader, key: str) -> tuple[list[str], int]:
    """Return some keys, each as likely as any other, and how many there are."""
    generator = np.random.default_rng(0)
    drawn: list[tuple[float, str]] = []
    count = 0
    for page in reader.pages([key], MAX_LIMIT):
        lots = zip(generator.random(len(page)).tolist(), (row[key] for row in page), strict=True)
        drawn = nsmallest(_MADE, [*drawn, *lots])
        count += len(page)
    return [name for _, name in drawn], count


def _moved(collection: Collection, reader: Reader, keys: Sequence[str]) -> NDArray[np.float32]:
    layout = collection.layout
    if not keys:
        return np.empty((0, layout.stored_dimension), np.float32)
    rows = reader.query(layout.expressions.keys(keys), [layout.key, layout.vector])
    vectors = to_stored(layout, to_vectors(layout, rows))
    usual = layout.index.parameters(_NEAR, layout.index.usual(_NEAR))
    near = reader.search(vectors, _NEAR, "", vectors=True, parameters=usual)
    return queries_beside(vectors, [to_stored(layout, hits.vectors) for hits in near])


def _neighbours(
    collection: Collection, reader: Reader, queries: NDArray[np.float32], depth: int
) -> list[list[str]]:
    layout = collection.layout
    best = np.empty((len(queries), 0))
    names = np.empty((len(queries), 0), dtype=object)
    for page in reader.pages([layout.key, layout.vector], layout.page_rows):
        vectors = to_stored(layout, to_vectors(layout, page))
        keys = np.array(to_ids(layout, page), dtype=object)
        table = np.concatenate([best, _distances(layout.info.metric, queries, vectors)], axis=1)
        listed = np.concatenate([names, np.broadcast_to(keys, (len(queries), len(keys)))], axis=1)
        order = np.argsort(table, axis=1, kind="stable")[:, :depth]
        best = np.take_along_axis(table, order, axis=1)
        names = np.take_along_axis(listed, order, axis=1)
    return [list(row) for row in names]


def _distances(
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


def _most_fetched(k: int) -> int:
    return min(_MOST_FETCHED, max(1, MAX_LIMIT // (k + SPARE)))


def _mean(shares: NDArray[np.float64]) -> float:
    return float(shares.mean()) if len(shares) else 1.0
