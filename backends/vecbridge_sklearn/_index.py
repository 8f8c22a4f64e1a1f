"""``SklearnIndex``: exact search over the records of the local store."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates, Consistency, Filter, Hits
from vecbridge.local import LocalIndex, Snapshot
from vecbridge.ranking import (
    Bounds,
    Float32Keys,
    Pick,
    float64_bounds,
    norms,
    pick_by_bounds,
    pick_by_keys,
    smallest_columns,
)
from vecbridge_sklearn._products import products

_KEY_BYTES = 32 << 20
_CANDIDATE_BYTES = 32 << 20
_SPARSE = 4


class SklearnIndex(LocalIndex):
    """Float32 products rank what they can decide, float64 products what they cannot."""

    _tier: tuple[int, Float32Keys] | None = None

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        within: Sequence[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Hits]:
        """The ranking of float32 products, or of float64 ones where float32 would overflow."""
        snapshot, rows = self._candidates_in(within, where)
        return [
            hits
            for block in _blocks(queries, _count(snapshot, rows))
            for hits in self._search(block, k, snapshot, rows)
        ]

    def candidates(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        within: Sequence[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Candidates]:
        """The likely best records, with a proven floor under the distance of the others."""
        snapshot, rows = self._candidates_in(within, where)
        most = _CANDIDATE_BYTES // (4 * self.info.dimension * max(len(queries), 1))
        found: list[Candidates] = []
        for block in _blocks(queries, _count(snapshot, rows)):
            found += self._candidates(block, k, most, snapshot, rows)
        return found

    def _candidates(
        self,
        queries: NDArray[np.float32],
        k: int,
        most: int,
        snapshot: Snapshot,
        rows: NDArray[np.intp] | None,
    ) -> list[Candidates]:
        count = _count(snapshot, rows)
        if count <= k:
            everything = Pick(np.arange(count), math.inf, True)
            return [_offer(snapshot, rows, everything, math.inf) for _ in queries]
        query_norms = norms(queries)
        found: dict[int, Candidates] = {}
        tier, keys, usable = self._keys(queries, query_norms, snapshot, rows)
        if len(usable):
            errors = np.array([tier.error(norm) for norm in query_norms[usable].tolist()])
            picks = pick_by_keys(keys, errors, k, most)
            for at, pick, error in zip(usable.tolist(), picks, errors.tolist(), strict=True):
                if pick.decided:
                    floor = tier.floor(pick.least, error, float(query_norms[at]))
                    found[at] = _offer(snapshot, rows, pick, floor)
        del keys
        for at in range(len(queries)):
            if at not in found:
                lower, upper = self._bounds(queries[at : at + 1], snapshot, rows)
                pick = pick_by_bounds(lower[0], upper[0], k, most)
                found[at] = _offer(snapshot, rows, pick, pick.least)
        return [found[at] for at in range(len(queries))]

    def _search(
        self,
        queries: NDArray[np.float32],
        k: int,
        snapshot: Snapshot,
        rows: NDArray[np.intp] | None,
    ) -> list[Hits]:
        count = min(k, _count(snapshot, rows))
        if not count:
            return [Hits((), np.empty(0)) for _ in queries]
        query_norms = norms(queries)
        tier, keys, usable = self._keys(queries, query_norms, snapshot, rows)
        found: dict[int, Hits] = {}
        if len(usable):
            columns = smallest_columns(keys, count)
            chosen = np.take_along_axis(keys, columns, axis=1)
            for at, best, key in zip(usable.tolist(), columns, chosen, strict=True):
                found[at] = _hits(snapshot, rows, best, tier.native(key, float(query_norms[at])))
        for at in range(len(queries)):
            if at not in found:
                lower, upper = self._bounds(queries[at : at + 1], snapshot, rows)
                middle = 0.5 * (lower + upper)
                best = smallest_columns(middle, count)[0]
                found[at] = _hits(snapshot, rows, best, middle[0, best])
        return [found[at] for at in range(len(queries))]

    def _keys(
        self,
        queries: NDArray[np.float32],
        query_norms: NDArray[np.float64],
        snapshot: Snapshot,
        rows: NDArray[np.intp] | None,
    ) -> tuple[Float32Keys, NDArray[np.float32], NDArray[np.intp]]:
        """The float32 tier, its keys, and the positions of the queries that they are for."""
        count = _count(snapshot, rows)
        gathered = rows is not None and count * _SPARSE < len(snapshot)
        if gathered:
            tier = Float32Keys(self.info.metric, self.info.dimension, snapshot.norms[rows])
            vectors = snapshot.vectors[rows]
        else:
            tier, vectors = self._tier_of(snapshot), snapshot.vectors
        usable = np.flatnonzero([tier.usable(norm) for norm in query_norms.tolist()])
        if not len(usable):
            return tier, np.empty((0, count), dtype=np.float32), usable
        chosen = queries if len(usable) == len(queries) else queries[usable]
        keys = tier.keys(products(chosen, vectors))
        if rows is not None and not gathered:
            keys = keys[:, rows]
        return tier, keys, usable

    def _bounds(
        self, queries: NDArray[np.float32], snapshot: Snapshot, rows: NDArray[np.intp] | None
    ) -> Bounds:
        return float64_bounds(
            self.info.metric,
            queries,
            snapshot.vectors,
            snapshot.norms,
            rows,
            products=products,
        )

    def _tier_of(self, snapshot: Snapshot) -> Float32Keys:
        """The tier of all records, made once for a state of them."""
        cached = self._tier
        if cached is None or cached[0] != snapshot.generation:
            tier = Float32Keys(self.info.metric, self.info.dimension, snapshot.norms)
            cached = self._tier = snapshot.generation, tier
        return cached[1]


def _count(snapshot: Snapshot, rows: NDArray[np.intp] | None) -> int:
    return len(snapshot) if rows is None else len(rows)


def _blocks(queries: NDArray[np.float32], count: int) -> Iterator[NDArray[np.float32]]:
    """Queries whose keys fit the budget, in blocks of equal size."""
    most = max(1, _KEY_BYTES // (4 * max(count, 1)))
    blocks = max(1, -(-len(queries) // most))
    size = -(-len(queries) // blocks)
    for start in range(0, len(queries), max(size, 1)):
        yield queries[start : start + size]


def _rows_at(rows: NDArray[np.intp] | None, columns: NDArray[np.intp]) -> NDArray[np.intp]:
    return columns if rows is None else rows[columns]


def _offer(
    snapshot: Snapshot, rows: NDArray[np.intp] | None, pick: Pick, floor: float
) -> Candidates:
    chosen = _rows_at(rows, pick.columns)
    whole = len(chosen) == _count(snapshot, rows)
    return Candidates(
        snapshot.names(chosen), snapshot.vectors[chosen], math.inf if whole else floor
    )


def _hits(
    snapshot: Snapshot,
    rows: NDArray[np.intp] | None,
    columns: NDArray[np.intp],
    distances: NDArray[np.float64],
) -> Hits:
    order = np.argsort(distances, kind="stable")
    return Hits(snapshot.names(_rows_at(rows, columns[order])), distances[order])
