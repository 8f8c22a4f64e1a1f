"""An index that FAISS built, and which of its entries are which records.

For cosine, FAISS is given unit vectors and takes inner products; for euclidean it gives squares.
"""

from __future__ import annotations

import contextlib
import math
import os
from typing import Any

import faiss as _faiss
import numpy as np
from numpy.typing import NDArray

from vecbridge import BackendError, InvalidArgumentError, Metric
from vecbridge.local import Snapshot

# Its annotations are those of C++ and not of its Python wrappers.
faiss: Any = _faiss

_TRAINED_ON = 1 << 17
_PER_CELL = 39
_GROWN = 4
_DEAD = 4
_LARGEST = 2.0**60
_SMALLEST = 2.0**-40
_BLOCK_BYTES = 8 << 20
_SEED = 0x5EED
_CODES_AT_MOST = 256
_LARGEST_DIMENSION = 32_768


def _after_fork() -> None:
    # GNU OpenMP would wait for ever for the threads that it had in the parent. One needs no others.
    faiss.omp_set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Built:
    """Entries are only ever added; those whose records are gone lead nowhere.

    Args:
        metric: of the index.
        index: FAISS's own.
        held: ``(m,)`` fingerprints of the vectors of its entries.
        first: how many entries there were when it was trained.
        memory: what it was read into and uses where it lies; nothing may be added to it there.

    Attributes:
        generation: the state of the records that it has caught up with.
    """

    def __init__(
        self,
        metric: Metric,
        index: Any,
        held: NDArray[np.uint64],
        first: int,
        *,
        memory: NDArray[np.uint8] | None = None,
    ) -> None:
        self._metric: Metric = metric
        self.index = index
        self.held = held
        self.first = first
        self._rows = np.full(len(held), -1, dtype=np.intp)
        self._memory = memory
        self.generation = -1
        self._known = 0

    @property
    def dead(self) -> int:
        """How many entries lead nowhere."""
        return len(self.held) - self._known

    def follow(self, snapshot: Snapshot) -> bool:
        """Catch up with the records; false where building again is the better way."""
        if self.generation == snapshot.generation:
            return True
        added = np.arange(self._known, len(snapshot))
        if self.generation < snapshot.appended_since:
            prints = fingerprints(snapshot.vectors)
            self._rows = matched(self.held, prints)
            present = np.zeros(len(snapshot), dtype=np.bool_)
            present[self._rows[self._rows >= 0]] = True
            added = np.flatnonzero(~present)
        total, alive = len(self.held) + len(added), len(snapshot)
        if total > alive + alive // _DEAD or total > _GROWN * self.first:
            return False
        self._add(snapshot, added)
        self.generation, self._known = snapshot.generation, alive
        return True

    def search(
        self, queries: NDArray[np.float32], count: int
    ) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Return FAISS's values and the records' rows, ``-1`` for none: ``(q, count)`` each."""
        values, labels = self.index.search(queries, min(count, len(self.held)))
        rows = np.where(labels >= 0, self._rows[labels], -1)
        return values, rows

    def _add(self, snapshot: Snapshot, rows: NDArray[np.intp]) -> None:
        if not len(rows):
            return
        vectors = snapshot.vectors[rows]
        if self._memory is not None:
            # FAISS ends the process that adds to an index whose memory is not its own.
            self.index = faiss.deserialize_index(faiss.serialize_index(self.index))
            self._memory = None
        self.index.add(_prepared(self._metric, vectors, snapshot.norms[rows]))
        self.held = np.concatenate([self.held, fingerprints(vectors)])
        self._rows = np.concatenate([self._rows, rows])


def build(metric: Metric, recipe: str, snapshot: Snapshot) -> Built:
    """Train an index and add every record.

    Raises:
        BackendError: FAISS cannot train it on these records.
    """
    count, dimension = snapshot.vectors.shape
    index = factory(metric, recipe, dimension, count)
    if not index.is_trained:
        sample = np.arange(count)
        if count > _TRAINED_ON:
            sample = np.sort(np.random.default_rng(0).choice(count, _TRAINED_ON, replace=False))
        try:
            index.train(_prepared(metric, snapshot.vectors[sample], snapshot.norms[sample]))
        except RuntimeError as error:
            raise BackendError(
                f"FAISS cannot train index={recipe!r} on {count} records; give a smaller one, "
                f"'hnsw' or 'flat'",
                backend="faiss",
                operation="search",
            ) from error
    built = Built(metric, index, np.empty(0, dtype=np.uint64), count)
    built.follow(snapshot)
    return built


def factory(metric: Metric, recipe: str, dimension: int, count: int) -> Any:
    """Return an empty index.

    Raises:
        InvalidArgumentError: FAISS does not take the recipe.
    """
    cells = max(1, min(int(4 * math.sqrt(count)), count // _PER_CELL))
    known = {"hnsw": "HNSW32", "ivf": f"IVF{cells},Flat"}
    kind = faiss.METRIC_L2 if metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
    try:
        return faiss.index_factory(dimension, known.get(recipe.lower(), recipe), kind)
    except RuntimeError as error:
        raise InvalidArgumentError(
            f"index={recipe!r} makes no FAISS index of {dimension} dimensions; give 'flat', "
            f"'hnsw', 'ivf' or a string of FAISS's index_factory"
        ) from error


def largest_dimension(recipe: str) -> int:
    """Return the largest dimension that FAISS makes an index of: codes divide it by their number.

    A recipe that FAISS takes for no dimension is refused when an index is made.
    """
    for dimension in range(_LARGEST_DIMENSION, _LARGEST_DIMENSION - _CODES_AT_MOST, -1):
        with contextlib.suppress(InvalidArgumentError):
            factory("euclidean", recipe, dimension, 1)
            return dimension
    return _LARGEST_DIMENSION


def least_records(metric: Metric, recipe: str, dimension: int) -> int:
    """Return from how many records on an index of that recipe is worth building and can be trained.

    Raises:
        InvalidArgumentError: FAISS does not take the recipe.
    """
    index = factory(metric, recipe, dimension, 1)
    if index.is_trained or recipe.lower() == "ivf":
        return 2000
    cells = faiss.try_extract_index_ivf(index)
    return max(10_000, _PER_CELL * cells.nlist if cells is not None else 0)


def _prepared(
    metric: Metric, vectors: NDArray[np.float32], norms: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return vectors for FAISS: for cosine over their norms, each component rounded once.

    Zero vectors stay zero.
    """
    if metric != "cosine":
        return vectors
    units = np.empty(vectors.shape, dtype=np.float32)
    factors = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0.0)
    rows = max(1, _BLOCK_BYTES // (8 * vectors.shape[1]))
    for start in range(0, len(vectors), rows):
        part = slice(start, start + rows)
        units[part] = vectors[part] * factors[part, np.newaxis]
    return units


def usable(metric: Metric, query_norms: NDArray[np.float64], largest: float) -> NDArray[np.bool_]:
    """Tell for each query whether float32 neither overflows nor loses everything."""
    if metric == "cosine":
        return (query_norms > _SMALLEST) & (query_norms < _LARGEST)
    scale = query_norms * largest
    if metric == "euclidean":
        scale = (query_norms + largest) ** 2
    return (query_norms < _LARGEST) & (largest < _LARGEST) & (scale > _SMALLEST**2)


def distances_of(
    metric: Metric, values: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return FAISS's values as distances.

    Args:
        metric: of the index.
        values: squares or inner products.
        scale: for cosine, what the inner products are of the cosines.
    """
    if metric == "euclidean":
        return np.sqrt(np.maximum(values, 0.0))
    return 0.0 - values if metric == "dotproduct" else 1.0 - values / scale


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
