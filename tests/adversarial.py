"""Data on which float32 engines go wrong: ties, near ties, offsets, extreme norms, zeros."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

DIMENSIONS = (1, 3, 64, 513)

KINDS = (
    "gaussian",
    "integers",
    "duplicates",
    "one_ulp_apart",
    "offset_1000",
    "huge_norms",
    "tiny_norms",
    "mixed_norms",
    "zero_vectors",
)


@dataclass(frozen=True)
class Data:
    """Records and queries of one kind."""

    ids: list[str]
    vectors: Any
    queries: Any


def make(kind: str, dimension: int, *, count: int = 60, queries: int = 3, seed: int = 0) -> Data:
    """Records and queries of a kind; the last query is one of the records."""
    rng = np.random.default_rng([seed, dimension, KINDS.index(kind)])
    vectors = _vectors(kind, rng, count, dimension).astype(np.float32)
    asked = _vectors(kind, rng, queries, dimension).astype(np.float32)
    asked[-1] = vectors[count // 2]
    if kind == "one_ulp_apart":
        asked[0] = vectors[0]
    # Ids in an order that has nothing to do with insertion, so that ties show who sorts them.
    ids = [f"id-{number:04d}" for number in rng.permutation(count)]
    return Data(ids, vectors, asked)


def _vectors(kind: str, rng: np.random.Generator, count: int, dimension: int) -> Any:
    normal = rng.standard_normal((count, dimension))
    if kind == "integers":
        return rng.integers(-2, 3, (count, dimension))
    if kind == "duplicates":
        return normal[rng.integers(0, max(count // 10, 1), count)]
    if kind == "one_ulp_apart":
        return _neighbouring_floats(normal[0], rng, count)
    if kind == "offset_1000":
        return normal + 1000.0
    if kind == "huge_norms":
        return normal * 1e18
    if kind == "tiny_norms":
        return normal * 1e-22
    if kind == "mixed_norms":
        return normal * 10.0 ** rng.integers(-15, 16, (count, 1))
    if kind == "zero_vectors":
        return normal * (rng.random((count, 1)) > 0.3)
    return normal


def _neighbouring_floats(base: Any, rng: np.random.Generator, count: int) -> Any:
    """Copies of one vector in which single coordinates are moved by one unit in the last place."""
    vectors = np.tile(base.astype(np.float32), (count, 1))
    columns = rng.integers(0, vectors.shape[1], count)
    rows = np.arange(count)
    towards = np.where(rng.random(count) < 0.5, np.inf, -np.inf).astype(np.float32)
    vectors[rows, columns] = np.nextafter(vectors[rows, columns], towards)
    vectors[rng.random(count) < 0.2] = base.astype(np.float32)
    return vectors
