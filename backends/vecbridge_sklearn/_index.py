"""``SklearnIndex``: exact search over the records of the local store."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates, Hits
from vecbridge.local import LocalIndex, Scoped, Snapshot
from vecbridge.ranking import Float32Keys, norms, pick_by_keys, smallest_columns
from vecbridge_sklearn._products import products

_KEY_BYTES = 32 << 20
_CANDIDATE_BYTES = 32 << 20
_SPARSE = 4


class SklearnIndex(LocalIndex):
    """Float32 products rank what they can decide, float64 products what they cannot."""

    _tier: tuple[int, Float32Keys] | None = None

    def _search(self, queries: NDArray[np.float32], k: int, scoped: Scoped) -> list[Hits]:
        """The ranking of float32 products, or of float64 ones where float32 would overflow."""
        blocks = _blocks(queries, _width(scoped))
        return [hits for block in blocks for hits in self._ranked(block, k, scoped)]

    def _candidates(self, queries: NDArray[np.float32], k: int, scoped: Scoped) -> list[Candidates]:
        if len(scoped) <= k:
            return [scoped.everything() for _ in queries]
        most = _CANDIDATE_BYTES // (4 * self.info.dimension * max(len(queries), 1))
        blocks = _blocks(queries, _width(scoped))
        return [found for block in blocks for found in self._offers(block, k, most, scoped)]

    def _offers(
        self, queries: NDArray[np.float32], k: int, most: int, scoped: Scoped
    ) -> list[Candidates]:
        query_norms = norms(queries)
        found: dict[int, Candidates] = {}
        tier, keys, usable = self._keys(queries, query_norms, scoped)
        if len(usable):
            errors = np.array([tier.error(norm) for norm in query_norms[usable].tolist()])
            picks = pick_by_keys(keys, errors, k, most)
            for at, pick, error in zip(usable.tolist(), picks, errors.tolist(), strict=True):
                if pick.decided:
                    floor = tier.floor(pick.least, error, float(query_norms[at]))
                    found[at] = scoped.offer(scoped.rows_at(pick.columns), floor)
        del keys
        for at, query in enumerate(queries):
            if at not in found:
                found[at] = scoped.offer(*scoped.float64_rows(self.info.metric, query, k, most))
        return [found[at] for at in range(len(queries))]

    def _ranked(self, queries: NDArray[np.float32], k: int, scoped: Scoped) -> list[Hits]:
        count = min(k, len(scoped))
        if not count:
            return [Hits((), np.empty(0)) for _ in queries]
        query_norms = norms(queries)
        tier, keys, usable = self._keys(queries, query_norms, scoped)
        found: dict[int, Hits] = {}
        if len(usable):
            columns = smallest_columns(keys, count)
            chosen = np.take_along_axis(keys, columns, axis=1)
            for at, best, key in zip(usable.tolist(), columns, chosen, strict=True):
                native = tier.native(key, float(query_norms[at]))
                found[at] = scoped.hits(scoped.rows_at(best), native)
        for at, query in enumerate(queries):
            if at not in found:
                found[at] = scoped.float64_hits(self.info.metric, query, count)
        return [found[at] for at in range(len(queries))]

    def _keys(
        self, queries: NDArray[np.float32], query_norms: NDArray[np.float64], scoped: Scoped
    ) -> tuple[Float32Keys, NDArray[np.float32], NDArray[np.intp]]:
        """The float32 tier, its keys, and the positions of the queries that they are for."""
        snapshot, rows = scoped.snapshot, scoped.rows
        if _is_gathered(scoped):
            tier = Float32Keys(self.info.metric, self.info.dimension, snapshot.norms[rows])
            vectors = snapshot.vectors[rows]
        else:
            tier, vectors = self._tier_of(snapshot), snapshot.vectors
        usable = np.flatnonzero([tier.usable(norm) for norm in query_norms.tolist()])
        if not len(usable):
            return tier, np.empty((0, len(scoped)), dtype=np.float32), usable
        chosen = queries if len(usable) == len(queries) else queries[usable]
        keys = tier.keys(products(chosen, vectors))
        if rows is not None and not _is_gathered(scoped):
            keys = keys[:, rows]
        return tier, keys, usable

    def _tier_of(self, snapshot: Snapshot) -> Float32Keys:
        """The tier of all records, made once for a state of them."""
        cached = self._tier
        if cached is None or cached[0] != snapshot.generation:
            tier = Float32Keys(self.info.metric, self.info.dimension, snapshot.norms)
            cached = self._tier = snapshot.generation, tier
        return cached[1]


def _is_gathered(scoped: Scoped) -> bool:
    """Whether the records in scope are so few that a copy of their vectors is searched."""
    return scoped.rows is not None and len(scoped) * _SPARSE < len(scoped.snapshot)


def _width(scoped: Scoped) -> int:
    """How many keys a query takes: those of all records, and then copies of those in scope."""
    if scoped.rows is None or _is_gathered(scoped):
        return len(scoped)
    return len(scoped.snapshot) + len(scoped)


def _blocks(queries: NDArray[np.float32], width: int) -> Iterator[NDArray[np.float32]]:
    """Queries whose keys fit the budget, in blocks of equal size."""
    most = max(1, _KEY_BYTES // (4 * max(width, 1)))
    blocks = max(1, -(-len(queries) // most))
    size = -(-len(queries) // blocks)
    for start in range(0, len(queries), max(size, 1)):
        yield queries[start : start + size]
