"""Records kept on the device in its precision, and the proof of what their scores are worth.

Let ``t`` be a record and ``s`` a query in the frame (:mod:`vecbridge_torch._frame`), both as good
as exact (float64), and ``w`` and ``p`` what the narrow type makes of them. By Cauchy and Schwarz

    |s.t - p.w|  <=  |s - p| |t| + |p| |t - w|

The four norms are *measured*, when a record is put on the device and when a query comes: the
bound is that of this very data, less than half the worst case for ordinary vectors, and nothing
for those that the type holds exactly. To it come

* the accumulation of ``p.w`` in float32: ``gamma(d + 8) |p| |w|``, with a roundoff of ``2**-22``
  instead of ``2**-24``, since matrix units truncate where other arithmetic rounds; products of
  two narrow numbers are exact in float32;
* what is lost where they flush subnormals to zero, at most ``2**-126`` an operation;
* the rounding of the sum where a CPU gives it out in the narrow type, relative to the sum itself;
* for euclidean, with scores ``p.w - |t|**2 / 2``, the rounding of the square and the difference.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vecbridge import Metric
from vecbridge.local import Snapshot
from vecbridge.ranking import FLOAT32_ROUNDOFF, gamma
from vecbridge_torch._device import Arithmetic
from vecbridge_torch._frame import Frame, Framed
from vecbridge_torch._small import subtract
from vecbridge_torch._streamed import block_width

_BLOCK_BYTES = 16 << 20
_ACCUMULATION = 2.0**-22
_TINY = 2.0**-126
_TINY_FLOAT16 = 2.0**-24
# What is computed in float64 is itself a little off.
_SLIGHTLY = 1.0 + 2.0**-30


class Resident:
    """The records of one index on the device: only ever added to.

    Args:
        arithmetic: of the device.
        metric: of the index.
        snapshot: its records; not kept.
    """

    def __init__(self, arithmetic: Arithmetic, metric: Metric, snapshot: Snapshot) -> None:
        self.arithmetic = arithmetic
        self.metric = metric
        self.frame = Frame(metric, snapshot)
        self.largest = 0.0
        self.rounding = 0.0
        self.rows = 0
        self._chunks: list[_Chunk] = []
        self.append(snapshot)

    def append(self, snapshot: Snapshot) -> None:
        """Takes in the records beyond those that are here."""
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
            values = self.frame.records(snapshot.vectors[part], snapshot.norms[part])
            self._measure(values, chunk.put(values))
            self.rows = stop

    def blocks(self, queries: int, count: int) -> Iterator[tuple[int, Tensor, Tensor | None]]:
        """First row, vectors and half squared norms of each block of the first ``count`` rows."""
        first = 0
        for chunk in list(self._chunks):
            width = block_width(self.arithmetic, queries)
            stop = min(chunk.used, count - first)
            for start in range(0, stop, width):
                end = min(start + width, stop)
                halves = None if chunk.halves is None else chunk.halves[start:end]
                yield first + start, chunk.vectors[start:end], halves
            first += chunk.used

    def _measure(self, values: Tensor, held: Tensor) -> None:
        lengths = torch.linalg.vector_norm(values, dim=1)
        errors = torch.linalg.vector_norm(values.sub_(held), dim=1)
        self.largest = max(self.largest, float(lengths.max()) * _SLIGHTLY)
        self.rounding = max(self.rounding, float(errors.max()) * _SLIGHTLY)


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
        """Adds ``(n, d)`` float64 rows, and gives what became of them, in float64."""
        narrow = self._arithmetic.rounded(values)
        rows = slice(self.used, self.used + len(values))
        self.vectors[rows] = narrow.to(self.vectors.device)
        if self.halves is not None:
            squares = torch.linalg.vector_norm(values, dim=1).square_().mul_(0.5)
            self.halves[rows] = squares.to(torch.float32).to(self.halves.device)
        self.used += len(values)
        return narrow.to(torch.float64)


class ResidentScoring:
    """Queries against the first rows of a :class:`Resident`.

    Args:
        resident: the records.
        queries: ``(q, d)`` float32.
        count: how many of its rows.
        outside: ``(count,)``: rows that are out of scope; ``None`` for none.
    """

    def __init__(
        self,
        resident: Resident,
        queries: NDArray[np.float32],
        count: int,
        outside: NDArray[np.bool_] | None,
    ) -> None:
        self._resident = resident
        self._count = count
        self._outside = outside
        self._framed: Framed = resident.frame.queries(queries)
        arithmetic = resident.arithmetic
        narrow = arithmetic.rounded(torch.from_numpy(self._framed.values))
        self._bound(narrow.to(torch.float64).numpy())
        if not self.usable.all():
            narrow[torch.from_numpy(~self.usable)] = 0
        self._queries = narrow.to(arithmetic.device)

    @property
    def quiet(self) -> bool:
        """Narrow numbers are multiplied by torch itself."""
        return False

    def blocks(self) -> Iterator[tuple[int, Tensor]]:
        """Dot products in the frame, less half the squared norm for euclidean."""
        arithmetic = self._resident.arithmetic
        for start, vectors, halves in self._resident.blocks(len(self._queries), self._count):
            scores = arithmetic.reduced_products(self._queries, vectors)
            if halves is not None:
                subtract(scores, halves)
            if self._outside is not None:
                stop = start + scores.shape[1]
                scores.masked_fill_(arithmetic.put(self._outside[start:stop]), float("-inf"))
            yield start, scores

    def errors(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """One bound for every record, and the rounding of the score that is given."""
        return np.asarray(self._error[:, np.newaxis] + self._relative * np.abs(scores))

    def floors(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distances from scores in the frame."""
        return self._resident.frame.floors(scores, self._framed, self._resident.largest)

    def _bound(self, held: NDArray[np.float64]) -> None:
        """Sets ``usable`` and the errors; see the module's docstring."""
        resident, framed = self._resident, self._framed
        dimension = held.shape[1]
        longest = resident.largest + resident.rounding
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.sqrt(np.sum(held * held, axis=1))
            rounding = np.sqrt(np.sum((framed.values - held) ** 2, axis=1))
            reach = lengths * longest
            error = rounding * resident.largest + lengths * resident.rounding
            error += gamma(dimension + 8, _ACCUMULATION) * reach
            error += dimension * _TINY * (1.0 + lengths + longest)
            if resident.metric == "euclidean":
                error += 4.0 * FLOAT32_ROUNDOFF * (reach + longest**2)
        self._relative = 0.0
        roundoff = resident.arithmetic.output_roundoff
        if roundoff > 0.0:
            if resident.arithmetic.dtype == torch.float16:
                error += _TINY_FLOAT16
            if resident.metric == "euclidean":
                # The product that is rounded may be larger than the score made of it.
                error += roundoff * (reach + error)
            else:
                self._relative = roundoff / (1.0 - roundoff)
        most = torch.finfo(resident.arithmetic.dtype).max / 4
        self.usable = np.isfinite(error) & (reach < min(most, 2.0**120)) & (longest**2 < 2.0**120)
        self._error = np.where(self.usable, error * _SLIGHTLY, 0.0)
