"""Which records are far from a query, by one float32 product, whatever engine finds the near."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._hits import Candidates
from vecbridge._contract._metric import Metric
from vecbridge.local._scoped import Scoped
from vecbridge.ranking import Float32Keys, norms, pick_by_keys

_KEY_BYTES = 32 << 20
_PART_BYTES = 16 << 20
_CANDIDATE_BYTES = 32 << 20
_NONE = np.empty(0, dtype=np.intp)


def far_candidates(
    metric: Metric, queries: NDArray[np.float32], k: int, scoped: Scoped
) -> list[Candidates]:
    """At least ``k`` records a query that are likely the farthest.

    Args:
        metric: of the index.
        queries: ``(q, d)`` float32.
        k: how many answers there must be.
        scoped: the records.

    Returns:
        Candidates whose floor lies under *minus* the distance of every other record; ``-inf``, and
        no records, where float32 cannot tell.
    """
    if len(scoped) <= k:
        return [scoped.everything() for _ in queries]
    rows, snapshot = scoped.rows, scoped.snapshot
    tier = Float32Keys(
        metric, queries.shape[1], snapshot.norms if rows is None else snapshot.norms[rows]
    )
    size = max(1, _KEY_BYTES // (4 * len(scoped)))
    most = _CANDIDATE_BYTES // (4 * queries.shape[1] * max(len(queries), 1))
    return [
        candidates
        for start in range(0, len(queries), size)
        for candidates in _offers(tier, queries[start : start + size], k, most, scoped)
    ]


def _offers(
    tier: Float32Keys, queries: NDArray[np.float32], k: int, most: int, scoped: Scoped
) -> list[Candidates]:
    query_norms = norms(queries).tolist()
    found = {
        at: scoped.offer(_NONE, -math.inf)
        for at, norm in enumerate(query_norms)
        if not tier.usable(norm)
    }
    usable = [at for at in range(len(queries)) if at not in found]
    if usable:
        keys = tier.keys(_products(queries[usable], scoped))
        errors = np.array([tier.error(query_norms[at]) for at in usable])
        picks = pick_by_keys(np.negative(keys, out=keys), errors, k, most)
        for at, pick, error in zip(usable, picks, errors.tolist(), strict=True):
            ceiling = tier.ceiling(-pick.least, error, query_norms[at])
            found[at] = (
                scoped.offer(scoped.rows_at(pick.columns), -ceiling)
                if pick.decided
                else scoped.offer(_NONE, -math.inf)
            )
    return [found[at] for at in range(len(queries))]


def _products(queries: NDArray[np.float32], scoped: Scoped) -> NDArray[np.float32]:
    """``(q, n)`` products with the records in scope, of which few are copied at once."""
    vectors, rows = scoped.snapshot.vectors, scoped.rows
    if rows is None:
        return np.asarray(np.matmul(queries, vectors.T))
    found = np.empty((len(queries), len(rows)), dtype=np.float32)
    size = max(1, _PART_BYTES // (4 * queries.shape[1]))
    for start in range(0, len(rows), size):
        part = vectors[rows[start : start + size]]
        np.matmul(queries, part.T, out=found[:, start : start + size])
    return found
