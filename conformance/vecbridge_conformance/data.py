"""Data on which stores go wrong: hostile ids, ties, near ties, offsets, extreme norms, zeros."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DIMENSIONS", "HOSTILE_IDS", "KINDS", "Data", "make"]

DIMENSIONS = (1, 3, 64, 513)
"""One; not a multiple of anything; a power of two; one more than a power of two."""

KINDS = (
    "gaussian",
    "small_integers",
    "duplicates",
    "one_ulp_apart",
    "offset_1000",
    "huge_norms",
    "tiny_norms",
    "mixed_norms",
    "zero_vectors",
    "short_norms",
    "queries_apart",
    "records_apart",
)
"""Kinds of data that :func:`make` knows.

Of the last three, the first shows errors that are absolute, such as that of ``1 - q.v``; the others
show those that depend on how the norms of queries and of records compare, or on one of them alone.
"""

_APART = (1e25, 1e-25, 1.0)
_SHORT = 1e-5

HOSTILE_IDS = (
    "plain",
    "PLAIN",
    " plain",
    "plain ",
    "0",
    "00",
    "-1",
    "None",
    "nan",
    "'",
    '"',
    "''",
    '""',
    "\\",
    "\\\\",
    "ends with a backslash\\",
    "a'b\"c\\d",
    "line\nbreak",
    "carriage\rreturn",
    "tab\tstop",
    "\u2028",
    "%",
    "_",
    "a,b",
    "a;b",
    "[1, 2]",
    "{}",
    "${HOME}",
    "%s",
    "' or '1'='1",
    '" or "1"=="1',
    '"] or id != ["',
    "'; DROP TABLE records; --",
    "/../../etc/passwd",
    "\u00e9",
    "e\u0301",
    "\u212b",
    "\u00c5",
    "\ufb01",
    "fi",
    "\u6d4b\u8bd5",
    "\u05e9\u05dc\u05d5\u05dd",
    "\U0001f9ed",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u0001",
    "\u001f",
    "\u007f",
    "\ufeff",
    "\uffff",
    "\U0010ffff",
    "x" * 255,
    "x" * 256,
    "x" * 511,
    "x" * 512,
    "\u00e9" * 256,
    "\U0001f9ed" * 128,
    "a\\",
    "a'",
    "a' or '1'='1",
    'a" or 1=1 --',
    "a%",
    "a_",
    "a*",
    "a ",
    " a",
    "a\n",
    "1e3",
    "null",
    "NaN",
    "true",
    "id in ['a']",
    "{0}",
    "../a",
)
"""Distinct ids that are valid, and that stores trim, fold, cut, escape wrongly or execute."""


@dataclass(frozen=True, eq=False)
class Data:
    """Records and queries of one kind.

    Attributes:
        ids: in an order that has nothing to do with theirs.
        vectors: ``(n, d)`` float32.
        queries: ``(q, d)`` float32; the last one is one of the records.
    """

    ids: list[str]
    vectors: NDArray[np.float32]
    queries: NDArray[np.float32]


def make(kind: str, dimension: int, *, count: int = 60, queries: int = 3, seed: int = 0) -> Data:
    """Return records and queries of a kind, the same every time.

    Example:
        >>> make("gaussian", 3, count=5).vectors.shape
        (5, 3)
    """
    rng = np.random.default_rng([seed, dimension, KINDS.index(kind)])
    drawn = _draw(kind, rng, count + queries, dimension).astype(np.float32)
    vectors, asked = drawn[:count].copy(), drawn[count:].copy()
    if kind in {"queries_apart", "records_apart"}:
        apart = asked if kind == "queries_apart" else vectors
        apart *= np.resize(np.array(_APART, dtype=np.float32), len(apart))[:, np.newaxis]
    asked[-1] = vectors[count // 2]
    ids = [f"id-{number:05d}" for number in rng.permutation(count)]
    return Data(ids, vectors, asked)


def _draw(kind: str, rng: np.random.Generator, count: int, dimension: int) -> NDArray[np.float64]:
    normal = rng.standard_normal((count, dimension))
    if kind == "small_integers":
        return rng.integers(-2, 3, (count, dimension)).astype(np.float64)
    if kind == "duplicates":
        # The queries come from the same few vectors, so distances of zero are among the ties.
        return normal[rng.integers(0, max(count // 10, 1), count)]
    if kind == "one_ulp_apart":
        return _neighbours(normal[0].astype(np.float32), rng, count)
    if kind == "offset_1000":
        return normal + 1000.0
    if kind == "mixed_norms":
        return normal * np.power(10.0, rng.integers(-15, 16, (count, 1)))
    if kind == "zero_vectors":
        return np.where(rng.random((count, 1)) > 0.3, normal, 0.0)
    return normal * {"huge_norms": 1e18, "tiny_norms": 1e-22, "short_norms": _SHORT}.get(kind, 1.0)


def _neighbours(
    base: NDArray[np.float32], rng: np.random.Generator, count: int
) -> NDArray[np.float64]:
    """Return copies of one vector, most with one coordinate moved by one unit in the last place."""
    vectors = np.tile(base, (count, 1))
    moved = np.flatnonzero(rng.random(count) < 0.8)
    columns = rng.integers(0, len(base), len(moved))
    towards = np.where(rng.random(len(moved)) < 0.5, np.inf, -np.inf).astype(np.float32)
    vectors[moved, columns] = np.nextafter(vectors[moved, columns], towards)
    return vectors.astype(np.float64)
