"""What a recall is measured with: queries beside records, and the share that each one finds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray


def queries_beside(
    vectors: NDArray[np.float32], neighbors: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Make queries of records, each moved by the distance of its nearest neighbour that differs.

    Records are poor queries themselves: an index finds a record by its own vector more easily than
    what lies between records.

    Args:
        vectors: ``(n, d)``, of records.
        neighbors: for each of them, the vectors of some records near it, ``(m, d)``.

    Returns:
        At most ``n`` queries, ``(q, d)``, without those that float32 cannot hold.
    """
    gaps = [_gap(vector, near) for vector, near in zip(vectors, neighbors, strict=True)]
    noise = np.random.default_rng(1).standard_normal(vectors.shape)
    lengths = np.linalg.norm(noise, axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        made = (vectors + noise * (np.array(gaps)[:, np.newaxis] / lengths)).astype(np.float32)
    return np.asarray(made[np.isfinite(made).all(axis=1)])


def shares_found(
    found: Iterable[Iterable[str]], truth: Iterable[Sequence[str]], k: int
) -> NDArray[np.float64]:
    """Return the share of the ``k`` true neighbours that each query found.

    Args:
        found: ids of what each query found.
        truth: ids of its true neighbours, nearest first; a query without any is left out.
        k: how many of them count.
    """
    pairs = zip(found, truth, strict=True)
    return np.array([len(set(ids) & {*true[:k]}) / len(true[:k]) for ids, true in pairs if true])


def meets_recall(shares: NDArray[np.float64], recall: float) -> bool:
    """Return whether other queries of the kind will find that much too.

    Half of what the target allows to be missed is kept in reserve, and two standard errors are:
    where queries differ much, as in a poor graph, the mean of a few says little.

    Args:
        shares: what each of some queries found.
        recall: the target, a share.
    """
    if not len(shares):
        return True
    error = float(shares.std()) / math.sqrt(len(shares))
    return float(shares.mean()) >= max(0.5 * (1.0 + recall), recall + 2.0 * error)


def _gap(vector: NDArray[np.float32], others: NDArray[np.float32]) -> float:
    """Return the distance of the nearest other vector that is not the same."""
    apart = np.linalg.norm(others.astype(np.float64) - vector, axis=1)
    apart = apart[apart > 0.0]
    return float(apart.min()) if len(apart) else 0.0
