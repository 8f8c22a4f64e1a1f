"""An index that FAISS built, and which of its entries are which records."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge import BackendError, InvalidArgumentError, Metric
from vecbridge.local import Snapshot
from vecbridge_faiss._fingerprint import fingerprints, matched
from vecbridge_faiss._library import faiss
from vecbridge_faiss._metric import unit_vectors

_TRAINED_ON = 1 << 17
_PER_CELL = 39
_GROWN = 4
_DEAD = 4


class Built:
    """Entries are only ever added; those whose records are gone lead nowhere.

    Args:
        metric: of the index.
        index: FAISS's own.
        held: ``(m,)`` fingerprints of the vectors of its entries.
        first: how many entries there were when it was trained.
        memory: what it was read into and uses where it lies; nothing may be added to it there.
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
        self._generation = -1
        self._known = 0

    @property
    def generation(self) -> int:
        """The state of the records that it has caught up with."""
        return self._generation

    @property
    def dead(self) -> int:
        """How many entries lead nowhere."""
        return len(self.held) - self._known

    def follow(self, snapshot: Snapshot) -> bool:
        """Catch up with the records; false where building again is the better way."""
        if self._generation == snapshot.generation:
            return True
        added = np.arange(self._known, len(snapshot))
        if self._generation < snapshot.appended_since:
            prints = fingerprints(snapshot.vectors)
            self._rows = matched(self.held, prints)
            present = np.zeros(len(snapshot), dtype=np.bool_)
            present[self._rows[self._rows >= 0]] = True
            added = np.flatnonzero(~present)
        total, alive = len(self.held) + len(added), len(snapshot)
        if total > alive + alive // _DEAD or total > _GROWN * self.first:
            return False
        self._add(snapshot, added)
        self._generation, self._known = snapshot.generation, alive
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
    return unit_vectors(vectors, norms) if metric == "cosine" else vectors
