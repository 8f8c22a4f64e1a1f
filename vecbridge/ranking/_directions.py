"""The directions by which pairs are told apart at the least cost, as two samples tell.

No proof rests on samples. A bad choice costs time.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge.ranking._cells import cells_for, share_looked_at
from vecbridge.ranking._float32 import Frame
from vecbridge.ranking._pair_keys import PairKeys
from vecbridge.ranking._pair_set import PairSet

_SAMPLE_ROWS = 2048
_SAMPLED_OF = 16
_ITERATIONS = 3
# Measured: nanoseconds of one multiplication, of a look at its sum, and of an exact distance.
_PRODUCT, _LOOK, _EXACT = 0.017, 0.15, 1500.0


def keys_worth_it(records: PairSet, limit: float, most: int) -> PairKeys | None:
    """Return the keys by which a join costs least, as a sample tells.

    Returns:
        ``None`` where so many pairs are within the distance that a join is no use.
    """
    # The directions of a sample tell more of itself than of other records.
    learnt, tried = _sample(records, 0), _sample(records, 1)
    basis, looked = None, 1.0
    directions = [n for n in records.budgets.directions if 2 * n <= records.vectors.shape[1]]
    if directions:
        basis = _directions(learnt.frame.records(learnt.vectors, learnt.norms), directions[-1])
        keys = tried.keys(basis[:, : directions[0]])
        looked = share_looked_at(keys, limit, cells_for(len(records)))
    best, least, fewest = None, math.inf, 1.0
    for count in [*directions, records.vectors.shape[1]]:
        products = looked * (_PRODUCT * count + _LOOK)
        if products >= least:
            break
        chosen = basis[:, :count] if basis is not None and count in directions else None
        keys = tried.keys(chosen)
        table = keys.keys(slice(None), keys.columns(slice(None)))
        # Most records are near themselves.
        near = np.count_nonzero(table <= keys.most_of(limit)[:, np.newaxis]) - len(table)
        share = max(near, 0) / table.size
        fewest = min(fewest, share)
        if products + share * _EXACT < least:
            best, least = chosen, products + share * _EXACT
    if fewest * len(records) * (len(records) - 1) / 2 > 16 * most:
        return None
    return PairKeys(records.frame(), records.vectors, records.norms, best)


class _Sample(NamedTuple):
    """Some records, in a frame of their own."""

    frame: Frame
    vectors: NDArray[np.float32]
    norms: NDArray[np.float64]

    def keys(self, basis: NDArray[np.float64] | None) -> PairKeys:
        """Return keys of the records."""
        return PairKeys(self.frame, self.vectors, self.norms, basis)


def _sample(records: PairSet, number: int) -> _Sample:
    """Return one of two samples, which have no record in common where there are enough."""
    size = min(_SAMPLE_ROWS, max(len(records) // _SAMPLED_OF, 64))
    order = np.random.default_rng(0).permutation(len(records))
    rows = np.sort(np.roll(order, -size * number)[:size])
    vectors, norms = records.vectors[rows], records.norms[rows]
    return _Sample(Frame(records.metric, vectors, norms), vectors, norms)


def _directions(sample: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """Return ``(d, m)`` orthonormal directions with the most length in a sample, ``m <= most``.

    By subspace iteration: a few small products, and no decomposition of the sample.
    """
    found = np.random.default_rng(0).standard_normal((sample.shape[1], most))
    for _ in range(_ITERATIONS):
        found = _orthonormal(sample.T @ (sample @ found))
    kept = sample @ found
    _, mixtures = np.linalg.eigh(kept.T @ kept)
    return np.ascontiguousarray((found @ mixtures)[:, ::-1])


def _orthonormal(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return columns of the same span; made twice, since once leaves what squaring has lost."""
    for _ in range(2):
        squares, mixtures = np.linalg.eigh(columns.T @ columns)
        firm = squares > squares.max(initial=0.0) * 2.0**-40
        columns = columns @ (mixtures[:, firm] / np.sqrt(squares[firm]))
    return columns
