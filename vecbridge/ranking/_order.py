"""The total order of the contract: by distance, then by id."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

_SORTED_WHOLE = 256
_FEW = 2


def rank(
    ids: Sequence[str], distances: NDArray[np.float64], k: int | None = None
) -> NDArray[np.intp]:
    """Positions of the ``k`` best in order of (distance, id).

    Args:
        ids: the records' ids, compared by code point.
        distances: ``(n,)`` float64 without NaN.
        k: how many; all of them where ``None``.

    Returns:
        ``(min(k, n),)`` positions into ``ids``.

    Example:
        >>> rank(["b", "a", "c"], np.array([1.0, 1.0, 0.5]), 2).tolist()
        [2, 1]
    """
    positions = np.arange(len(ids))
    if k is not None and k < len(ids) > _SORTED_WHOLE:
        # Everything that ties with the k-th stays in until ids have decided.
        cut = np.partition(distances, k - 1)[k - 1]
        positions = np.flatnonzero(distances <= cut)
    # Ties are ordered by id below, so that here they may come in any order.
    order = positions[np.argsort(distances[positions])]
    ranked = distances[order]
    starts = np.flatnonzero(ranked[1:] == ranked[:-1])
    if len(starts):
        _order_ties(order, ranked, ids, int(starts[0]), int(starts[-1]) + 2)
    return order if k is None else order[:k]


def taken(ids: Sequence[str], positions: NDArray[np.intp]) -> tuple[str, ...]:
    """The ids at positions, in half of the time that indexing one after the other takes."""
    if len(positions) < _FEW:
        return tuple(map(ids.__getitem__, positions.tolist()))
    found: tuple[str, ...] = itemgetter(*positions.tolist())(ids)
    return found


def _order_ties(
    order: NDArray[np.intp],
    ranked: NDArray[np.float64],
    ids: Sequence[str],
    start: int,
    stop: int,
) -> None:
    """Sorts ``order[start:stop]``, the stretch that holds every tie, by (distance, id)."""
    stretch = zip(ranked[start:stop].tolist(), order[start:stop].tolist(), strict=True)
    ordered = sorted(stretch, key=lambda pair: (pair[0], ids[pair[1]]))
    order[start:stop] = [position for _, position in ordered]
