"""Recognising which entries of an index of FAISS are which records, by their vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK_BYTES = 8 << 20
_SEED = 0x5EED


def fingerprints(vectors: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return one number per vector: the same for the same bits, and otherwise almost surely not.

    A sum of the bits times fixed random odd factors, modulo ``2**64``. That two vectors collide
    costs an approximate index a neighbour, and an answer nothing: its distances come from the
    records.

    Args:
        vectors: ``(n, d)`` float32.

    Returns:
        ``(n,)`` uint64.
    """
    dimension = vectors.shape[1]
    generator = np.random.Generator(np.random.PCG64(_SEED))
    factors = generator.integers(0, 1 << 63, dimension, dtype=np.uint64) * np.uint64(2)
    factors += np.uint64(1)
    sums = np.empty(len(vectors), dtype=np.uint64)
    rows = max(1, _BLOCK_BYTES // (8 * dimension))
    for start in range(0, len(vectors), rows):
        bits = np.ascontiguousarray(vectors[start : start + rows]).view(np.uint32)
        sums[start : start + rows] = bits.astype(np.uint64) @ factors
    return sums


def matched(held: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Return for every fingerprint held the position of its like among those wanted, or -1.

    Likes are paired one to one: of two that are held and one that is wanted, one is left over.
    """
    rows = np.full(len(held), -1, dtype=np.intp)
    left, right = _numbered(held), _numbered(wanted)
    _, at, there = np.intersect1d(left, right, assume_unique=True, return_indices=True)
    rows[at] = there
    return rows


def _numbered(values: NDArray[np.uint64]) -> NDArray[np.void]:
    """Return values with the number of their occurrence, which makes them unique."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    fresh = np.ones(len(values), dtype=np.bool_)
    fresh[1:] = ranked[1:] != ranked[:-1]
    starts = np.maximum.accumulate(np.where(fresh, np.arange(len(values)), 0))
    numbered = np.empty(len(values), dtype=[("value", np.uint64), ("occurrence", np.int64)])
    numbered["value"] = values
    numbered["occurrence"][order] = np.arange(len(values)) - starts
    return numbered
