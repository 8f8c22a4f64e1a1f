"""The records that an index keeps on the device between searches, in its precision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from vecbridge import Metric
from vecbridge.local import Snapshot
from vecbridge.locks import ForkSafeLock
from vecbridge.ranking import Frame
from vecbridge_torch._device import Arithmetic

_BLOCK_BYTES = 16 << 20
SLIGHTLY = 1.0 + 2.0**-30
"""What is computed in float64 is itself a little off."""


class Held(NamedTuple):
    """The records that an index keeps on the device.

    Attributes:
        rows: how many records.
        chunks: in how many stretches of memory.
        put: how many records were put there so far, those that are gone included.
    """

    rows: int
    chunks: int
    put: int


class Cache:
    """Holds no snapshot, so that writing copies nothing.

    Args:
        arithmetic: of the device.
        metric: of the index.
        patience: how many queries a CPU answers before the records are put into a narrow type,
            which costs about as much.
    """

    def __init__(self, arithmetic: Arithmetic, metric: Metric, patience: int) -> None:
        self._arithmetic = arithmetic
        self._metric: Metric = metric
        self._lock = ForkSafeLock()
        self._held: Resident | None = None
        self._asked = 0
        self._patience = patience
        self._put = 0

    def resident(self, snapshot: Snapshot, queries: int) -> Resident | None:
        """Return the records on the device, brought up to the snapshot; ``None`` to do without."""
        if self._arithmetic.shares_memory and self._arithmetic.precision == "float32":
            return None
        return self._lock.run(lambda: self._caught_up(snapshot, queries), nested=lambda: None)

    @property
    def held(self) -> Held:
        """The records that are on the device now."""
        held = self._held
        return Held(0, 0, self._put) if held is None else Held(held.rows, held.chunks, self._put)

    def clear(self) -> None:
        """Let go of everything."""
        self._held = None

    def _caught_up(self, snapshot: Snapshot, queries: int) -> Resident | None:
        arithmetic, dimension = self._arithmetic, snapshot.vectors.shape[1]
        held = self._held
        if held is not None and not held.serves(snapshot):
            if snapshot.generation < held.generation:
                return None
            held, self._held, self._asked = None, None, 0
        if len(snapshot) * (dimension * arithmetic.dtype.itemsize + 4) > arithmetic.budget:
            self._held = None
            return None
        if held is None:
            self._asked += queries
            if arithmetic.shares_memory and self._asked < self._patience:
                return None
            held = Resident(arithmetic, self._metric, snapshot)
            self._put += held.rows
        elif held.generation < snapshot.generation:
            # Until it is whole: an interrupt, or a fork by another thread, leaves it half changed.
            self._held = None
            before = held.rows
            held.append(snapshot)
            self._put += held.rows - before
        self._held = held
        return held


class Resident:
    """The records of one index on the device: only ever added to.

    Attributes:
        generation: the state of the index that the records are of.
    """

    def __init__(self, arithmetic: Arithmetic, metric: Metric, snapshot: Snapshot) -> None:
        self.arithmetic = arithmetic
        self.metric = metric
        self.frame = Frame(metric, snapshot.vectors, snapshot.norms)
        self.largest = 0.0
        self.rounding = 0.0
        self.rows = 0
        self.generation = self._appended_since = 0
        self._chunks: list[_Chunk] = []
        self.append(snapshot)

    @property
    def chunks(self) -> int:
        """How many stretches of memory the records are in."""
        return len(self._chunks)

    def serves(self, snapshot: Snapshot) -> bool:
        """Tell whether the snapshot's rows are the first here, or can be with more added."""
        if snapshot.generation >= self.generation:
            return snapshot.appended_since <= self.generation
        return self._appended_since <= snapshot.generation

    def append(self, snapshot: Snapshot) -> None:
        """Take in the records of a later snapshot beyond those that are here."""
        count, dimension = snapshot.vectors.shape
        step = max(1, _BLOCK_BYTES // (8 * dimension))
        while self.rows < count:
            if not self._chunks or not self._chunks[-1].free:
                capacity = max(count - self.rows, self.rows // 4)
                squares = self.metric == "euclidean"
                self._chunks.append(_Chunk(self.arithmetic, capacity, dimension, squares=squares))
            chunk = self._chunks[-1]
            stop = min(self.rows + min(step, chunk.free), count)
            part = slice(self.rows, stop)
            framed = self.frame.records(snapshot.vectors[part], snapshot.norms[part])
            values = torch.from_numpy(framed)
            self._measure(values, chunk.put(values))
            self.rows = stop
        self.generation = snapshot.generation
        self._appended_since = snapshot.appended_since

    def blocks(self, queries: int, count: int) -> Iterator[tuple[int, Tensor, Tensor | None]]:
        """Yield first row, vectors and half squared norms of blocks of the first ``count`` rows."""
        first = 0
        for chunk in list(self._chunks):
            width = self.arithmetic.block_rows(queries)
            stop = min(chunk.used, count - first)
            for start in range(0, stop, width):
                end = min(start + width, stop)
                halves = None if chunk.halves is None else chunk.halves[start:end]
                yield first + start, chunk.vectors[start:end], halves
            first += chunk.used

    def _measure(self, values: Tensor, held: Tensor) -> None:
        lengths = torch.linalg.vector_norm(values, dim=1)
        errors = torch.linalg.vector_norm(values.sub_(held), dim=1)
        self.largest = max(self.largest, float(lengths.max()) * SLIGHTLY)
        self.rounding = max(self.rounding, float(errors.max()) * SLIGHTLY)


class _Chunk:
    """A stretch of rows; chunks grow with the index, so that nothing is ever moved."""

    def __init__(
        self, arithmetic: Arithmetic, capacity: int, dimension: int, *, squares: bool
    ) -> None:
        self._arithmetic = arithmetic
        device = arithmetic.device
        self.vectors = torch.empty((capacity, dimension), dtype=arithmetic.dtype, device=device)
        self.halves: Tensor | None = None
        if squares:
            self.halves = torch.empty(capacity, dtype=torch.float32, device=device)
        self.used = 0

    @property
    def free(self) -> int:
        """Rows that are not used yet."""
        return len(self.vectors) - self.used

    def put(self, values: Tensor) -> Tensor:
        """Add ``(n, d)`` float64 rows, and return what became of them, in float64."""
        narrow = self._arithmetic.rounded(values)
        rows = slice(self.used, self.used + len(values))
        self.vectors[rows] = narrow.to(self.vectors.device)
        if self.halves is not None:
            squares = torch.linalg.vector_norm(values, dim=1).square_().mul_(0.5)
            self.halves[rows] = squares.to(torch.float32).to(self.halves.device)
        self.used += len(values)
        return narrow.to(torch.float64)
