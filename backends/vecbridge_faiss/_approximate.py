"""Search by an index that FAISS built, with as much effort as its recall needs."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates, Hits, IndexInfo, Metric
from vecbridge.local import ExactSearch, SearchScope, Snapshot
from vecbridge.locks import ForkSafeLock
from vecbridge.ranking import SPARE, norms
from vecbridge_faiss._built import Built, build, distances_of, least_records, usable
from vecbridge_faiss._cache import Cache
from vecbridge_faiss._effort import SearchEffort, SearchParam, tuned
from vecbridge_faiss._settings import FaissSettings

_SMALLEST_BUCKET = 16


class Found(NamedTuple):
    """Rows of one query, nearest first, and FAISS's values of them."""

    rows: NDArray[np.intp]
    values: NDArray[np.float64]


class _Ready(NamedTuple):
    """An index that can be searched.

    Attributes:
        built: the index.
        param: its effort.
        efforts: how many records it was measured for, and what it took, by the number of answers.
    """

    built: Built
    param: SearchParam
    efforts: dict[int, tuple[int, SearchEffort | None]]


class Approximate:
    """One thread at a time. What an index cannot answer, the exact search does.

    Raises:
        InvalidArgumentError: FAISS cannot make such an index.
    """

    def __init__(
        self, info: IndexInfo, settings: FaissSettings, exact: ExactSearch, cache: Cache
    ) -> None:
        self._metric: Metric = info.metric
        self._settings = settings
        self._exact = exact
        self._cache = cache
        self._least = least_records(info.metric, settings.index, info.dimension)
        self._lock = ForkSafeLock()
        self._ready: _Ready | None = None
        self._saved = 0
        self.builds = 0

    @property
    def entries(self) -> int:
        """How many entries the index has that answers; 0 where there is none yet."""
        return 0 if self._ready is None else len(self._ready.built.held)

    def candidates(
        self, queries: NDArray[np.float32], k: int, scope: SearchScope
    ) -> list[Candidates]:
        """Return at least ``k`` records per query, and no promise about the others."""
        found = self._find(queries, k, scope)
        rest = iter(self._exact.candidates(queries[_left(found)], k, scope))
        return [
            next(rest) if one is None else scope.candidates_for(one.rows, -math.inf)
            for one in found
        ]

    def search(self, queries: NDArray[np.float32], k: int, scope: SearchScope) -> list[Hits]:
        """Return FAISS's own ranking."""
        found = self._find(queries, k, scope)
        lengths = norms(queries)
        rest = iter(self._exact.search(queries[_left(found)], k, scope))
        return [
            next(rest)
            if one is None
            else scope.hits(one.rows[:k], distances_of(self._metric, one.values[:k], lengths[at]))
            for at, one in enumerate(found)
        ]

    def serves(self, k: int, scope: SearchScope) -> bool:
        """Tell whether an index is the better way: not for some records, few, or most of them."""
        count = len(scope)
        return scope.rows is None and count >= self._least and 4 * (k + SPARE) <= count

    def _find(self, queries: NDArray[np.float32], k: int, scope: SearchScope) -> list[Found | None]:
        """Return what was found of each query; ``None`` where the exact search must answer."""
        snapshot = scope.snapshot
        none: list[Found | None] = [None] * len(queries)
        fits = usable(self._metric, norms(queries), float(snapshot.norms.max(initial=0.0)))
        if not fits.all():
            return none
        answer = self._lock.run(lambda: self._ask(queries, k, snapshot), nested=lambda: None)
        if answer is None:
            return none
        found: list[Found | None] = []
        for one_values, one_rows in zip(*answer, strict=True):
            alive = one_rows >= 0
            enough = int(alive.sum()) >= k
            found.append(
                Found(one_rows[alive], one_values[alive].astype(np.float64)) if enough else None
            )
        return found

    def _ask(
        self, queries: NDArray[np.float32], k: int, snapshot: Snapshot
    ) -> tuple[NDArray[np.float32], NDArray[np.intp]] | None:
        """Return FAISS's values and rows; ``None`` where it cannot answer. Call under the lock."""
        if self._ready is not None and snapshot.generation < self._ready.built.generation:
            # Another thread has seen later writes, and there is no way back.
            return None
        ready = self._follow(snapshot)
        effort = self._effort(ready, queries, k, snapshot)
        return None if effort is None else effort.search(ready.built, queries, k)

    def _follow(self, snapshot: Snapshot) -> _Ready:
        ready = self._ready
        if ready is not None and ready.built.generation == snapshot.generation:
            return ready
        # Until it is whole: an interrupt, or a fork by another thread, leaves it half changed.
        self._ready = None
        built = self._cache.load() if ready is None else ready.built
        if ready is None:
            self._saved = 0 if built is None else len(built.held)
        if built is None or not built.follow(snapshot):
            built = build(self._metric, self._settings.index, snapshot)
            self.builds += 1
            self._saved = 0
        if ready is None or built is not ready.built or not ready.param.is_of(built.index):
            ready = _Ready(built, SearchParam(built.index), {})
        self._ready = ready
        if len(built.held) > self._saved * 5 // 4:
            self._cache.save(built)
            self._saved = len(built.held)
        return ready

    def _effort(
        self, ready: _Ready, queries: NDArray[np.float32], k: int, snapshot: Snapshot
    ) -> SearchEffort | None:
        recall = self._settings.tuned_recall
        if recall is None:
            fixed = self._settings.ef or self._settings.nprobe
            return None if fixed is None else SearchEffort(ready.param, fixed, 1)
        bucket = max(_SMALLEST_BUCKET, 1 << (k - 1).bit_length())
        measured, effort = ready.efforts.get(bucket, (0, None))
        if len(snapshot) > 2 * measured:
            lossy = self._settings.index.lower() not in ("hnsw", "ivf")
            effort = tuned(
                self._exact,
                self._metric,
                ready.built,
                ready.param,
                queries,
                bucket,
                snapshot,
                recall,
                lossy=lossy,
            )
            ready.efforts[bucket] = len(snapshot), effort
        return effort


def _left(found: list[Found | None]) -> list[int]:
    """Return the places of the queries that are left to the exact search."""
    return [at for at, one in enumerate(found) if one is None]
