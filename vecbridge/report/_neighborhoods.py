"""Compare the records of a sample with each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._metric import Metric
from vecbridge.ranking import Pairs
from vecbridge.report._distribution import Distribution
from vecbridge.transfer import Progress

_LISTED = 12
_NEAR = 0.05
"""Near is what lies within this share of the usual distance of a nearest neighbour."""


@dataclass(frozen=True)
class Twins:
    """Two records that are nearer to each other than records of their index usually are.

    Attributes:
        first: an id.
        second: the id of its nearest other.
        distance: how far apart they are.
    """

    first: str
    second: str
    distance: float


@dataclass(frozen=True)
class Neighborhoods:
    """Distances among the records of a sample.

    Attributes:
        k: how many neighbours of each record were found.
        nearest: distances to the nearest other.
        kth: distances to the ``k``-th other.
        identical: records whose vector another one has, too, bit for bit.
        near: records whose nearest other is within 5 % of the median distance of a nearest one;
            ``None`` with dotproduct, where a small distance does not mean that two are alike.
        twins: the nearest pairs of them, each record in one pair at most.
        occurrences: of how many records each one is among the ``k`` nearest.
        skewness: of the occurrences; above about 2, few records crowd the answers (hubs).
        orphans: records that are near no other.
        hubs: the ids with the most occurrences, and these.
    """

    k: int
    nearest: Distribution
    kth: Distribution
    identical: int
    near: int | None
    twins: tuple[Twins, ...]
    occurrences: Distribution
    skewness: float
    orphans: int
    hubs: tuple[tuple[str, int], ...]


def neighborhoods(
    metric: Metric, ids: tuple[str, ...], vectors: NDArray[np.float32], k: int, progress: Progress
) -> Neighborhoods:
    """Compare every record with every other: at least two, of vectors ``(n, d)``."""
    pairs = Pairs(metric, ids, vectors)
    count = min(k, len(pairs) - 1)

    def tell(done: int, total: int) -> None:
        progress("comparing", len(pairs) * done // total, len(pairs))

    rows, tables = zip(*pairs.neighbors(count, progress=tell), strict=True)
    neighbors, table = np.stack(rows), np.stack(tables)
    occurrences = np.bincount(neighbors.ravel(), minlength=len(pairs))
    nearest = table[:, 0]
    close = None if metric == "dotproduct" else nearest <= _NEAR * np.median(nearest)
    return Neighborhoods(
        k=count,
        nearest=Distribution.of(nearest),
        kth=Distribution.of(table[:, -1]),
        identical=_identical(vectors),
        near=None if close is None else int(close.sum()),
        twins=() if close is None else _twins(ids, neighbors[:, 0], nearest, close),
        occurrences=Distribution.of(occurrences),
        skewness=_skewness(occurrences),
        orphans=int((occurrences == 0).sum()),
        hubs=tuple(
            (ids[at], int(occurrences[at]))
            for at in np.argsort(-occurrences, kind="stable")[:_LISTED].tolist()
        ),
    )


def _identical(vectors: NDArray[np.float32]) -> int:
    bits = np.ascontiguousarray(vectors).view(np.dtype((np.void, 4 * vectors.shape[1]))).ravel()
    _, counts = np.unique(bits, return_counts=True)
    return int(counts[counts > 1].sum())


def _twins(
    ids: tuple[str, ...],
    others: NDArray[np.intp],
    nearest: NDArray[np.float64],
    close: NDArray[np.bool_],
) -> tuple[Twins, ...]:
    """Return the nearest pairs, each record in one of them at most."""
    found: list[Twins] = []
    listed: set[int] = set()
    rows = np.flatnonzero(close)
    for row in rows[np.argsort(nearest[rows], kind="stable")].tolist():
        other = int(others[row])
        if len(found) < _LISTED and not listed & {row, other}:
            listed |= {row, other}
            found.append(Twins(ids[row], ids[other], float(nearest[row])))
    return tuple(found)


def _skewness(occurrences: NDArray[np.intp]) -> float:
    spread = float(occurrences.std())
    if not spread:
        return 0.0
    return float((((occurrences - occurrences.mean()) / spread) ** 3).mean())
