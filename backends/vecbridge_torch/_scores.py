"""Scores of narrow products, the proof of what they are worth, and what they decide.

A *score* orders records like their distances, the other way round: dot products in the frame, less
half the squared norm of the record for euclidean.

Let ``t`` be a record and ``s`` a query in the frame (:class:`vecbridge.ranking.Frame`), both as
good as exact (float64), and ``w`` and ``p`` what the narrow type makes of them. By Cauchy and
Schwarz

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

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vecbridge.ranking import FLOAT32_ROUNDOFF, FramedQueries, sum_errors
from vecbridge_torch._resident import SLIGHTLY, Resident

_ACCUMULATION = 2.0**-22
_TINY_FLOAT16 = 2.0**-24
# Beyond the margin of error, so that float64 rounding in the bound cannot undo the decision.
_MARGIN = 1.0 + 2.0**-10
NARROW_SPARE = 64
"""Records to look at beyond ``k``: Gaussian ones of 512 dimensions want 30 of bfloat16 for 10."""

_WIDER = 8
_SMALL_ROW = 2048


class Offer(NamedTuple):
    """Candidates of one query.

    Attributes:
        rows: of the records that are offered.
        lower_bound: no record outside is nearer.
    """

    rows: NDArray[np.intp]
    lower_bound: float


def offers(
    resident: Resident,
    queries: NDArray[np.float32],
    k: int,
    counts: tuple[int, int],
    outside: NDArray[np.bool_] | None,
    rows: int,
) -> list[Offer | None]:
    """Return candidates for the queries that the scores decide, ``None`` for the others.

    Args:
        resident: the records.
        queries: ``(q, d)`` float32.
        k: how many answers there must be.
        counts: how many records to look at first, and at most where those do not decide.
        outside: ``(rows,)``: rows that are out of scope; ``None`` for none.
        rows: how many of the rows of ``resident`` are records.
    """
    first, most = counts
    scores = NarrowScores(resident, queries, rows, outside)
    found = _decided(scores, best(scores.blocks(), first), k)
    wider = min(most, _WIDER * first)
    undecided = [at for at in np.flatnonzero(scores.usable).tolist() if found[at] is None]
    if undecided and wider > first:
        scores = NarrowScores(resident, queries[undecided], rows, outside)
        again = _decided(scores, best(scores.blocks(), wider), k)
        for at, offer in zip(undecided, again, strict=True):
            found[at] = offer
    return found


def _decided(scores: NarrowScores, found: Best, k: int) -> list[Offer | None]:
    errors = scores.errors(found.scores)
    kth = k - 1
    # The k-th best is truly no lower than this, and what cannot truly reach it is out.
    least = found.scores[:, kth] - _MARGIN * errors[:, kth]
    hopeful = found.scores + errors >= least[:, np.newaxis]
    hopeful[~scores.usable] = True
    counts = np.count_nonzero(hopeful, axis=1)
    decided = counts < found.scores.shape[1]
    first_out = np.minimum(counts, found.scores.shape[1] - 1)[:, np.newaxis]
    outside = np.take_along_axis(found.scores + errors, first_out, axis=1)[:, 0]
    bounds = scores.lower_bounds(outside)
    return [
        Offer(found.columns[at, : counts[at]], float(bounds[at])) if decided[at] else None
        for at in range(len(bounds))
    ]


class NarrowScores:
    """Queries against the first rows of a :class:`Resident`.

    Args:
        resident: the records.
        queries: ``(q, d)`` float32.
        count: how many of its rows.
        outside: ``(count,)``: rows that are out of scope; ``None`` for none.

    Attributes:
        usable: ``(q,)``: whether the errors of a query are bounded at all.
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
        self._framed: FramedQueries = resident.frame.queries(queries)
        arithmetic = resident.arithmetic
        narrow = arithmetic.rounded(torch.from_numpy(self._framed.values))
        self._bound(narrow.to(torch.float64).numpy())
        if not self.usable.all():
            narrow[torch.from_numpy(~self.usable)] = 0
        self._queries = narrow.to(arithmetic.device)

    def blocks(self) -> Iterator[tuple[int, Tensor]]:
        """Yield the first column and ``(q, b)`` scores of each block; ``-inf`` is out of scope."""
        arithmetic = self._resident.arithmetic
        for start, vectors, halves in self._resident.blocks(len(self._queries), self._count):
            scores = arithmetic.narrow_products(self._queries, vectors)
            if halves is not None:
                scores.sub_(halves)
            if self._outside is not None:
                stop = start + scores.shape[1]
                scores.masked_fill_(arithmetic.put(self._outside[start:stop]), float("-inf"))
            yield start, scores

    def errors(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far the true scores may lie from these computed ones, ``(q, m)``."""
        return np.asarray(self._error[:, np.newaxis] + self._relative * np.abs(scores))

    def lower_bounds(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the least distance of records whose true score is no larger, per query."""
        return self._resident.frame.lower_bounds(scores, self._framed, self._resident.largest)

    def _bound(self, held: NDArray[np.float64]) -> None:
        """Set ``usable`` and the errors; see the module's docstring."""
        resident, framed = self._resident, self._framed
        dimension = held.shape[1]
        longest = resident.largest + resident.rounding
        with np.errstate(over="ignore", invalid="ignore"):
            lengths = np.sqrt(np.sum(held * held, axis=1))
            rounding = np.sqrt(np.sum((framed.values - held) ** 2, axis=1))
            reach = lengths * longest
            error = rounding * resident.largest + lengths * resident.rounding
            error += sum_errors(dimension + 6, reach, lengths + longest, roundoff=_ACCUMULATION)
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
        self._error = np.where(self.usable, error * SLIGHTLY, 0.0)


class Best(NamedTuple):
    """The best of each query, best first: ``(q, count)`` each.

    Attributes:
        scores: as computed.
        columns: whose they are.
    """

    scores: NDArray[np.float64]
    columns: NDArray[np.intp]


def best(blocks: Iterator[tuple[int, Tensor]], count: int) -> Best:
    """Return the ``count`` largest scores of each query, kept on the device until the last block.

    Args:
        blocks: the first column of a block, and its ``(q, b)`` scores.
        count: at most as many as there are columns in all.
    """
    scores: Tensor | None = None
    columns: Tensor | None = None
    for start, block in blocks:
        found, at = _largest(block, min(count, block.shape[1]))
        at = at + start
        if scores is not None and columns is not None:
            found, at = torch.cat([scores, found], dim=1), torch.cat([columns, at], dim=1)
            found, order = _top(found, min(count, found.shape[1]))
            at = at.gather(1, order)
        scores, columns = found, at
    if scores is None or columns is None:
        return Best(np.empty((0, 0)), np.empty((0, 0), dtype=np.intp))
    scores, order = scores.sort(dim=1, descending=True)
    wide = scores.cpu().numpy().astype(np.float64)
    return Best(wide, columns.gather(1, order).cpu().numpy())


def _largest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the largest values of each row and their columns, in no particular order.

    The row is folded into groups whose maxima are one vectorised pass; the ``count`` largest
    values lie in the ``count`` groups with the largest maxima, so only those are looked into.
    """
    rows, columns = scores.shape
    members = math.isqrt(columns // count)
    if columns <= _SMALL_ROW or members < 4:
        return _top(scores, count)
    groups = columns // members
    grouped = scores[:, : groups * members].reshape(rows, members, groups)
    _, chosen = _top(grouped.amax(dim=1), count)
    steps = groups * torch.arange(members, device=scores.device)
    inside = (chosen[:, None, :] + steps[:, None]).flatten(1)
    tail = torch.arange(groups * members, columns, device=scores.device).expand(rows, -1)
    pool = torch.cat([inside, tail], dim=1)
    found, at = _top(scores.gather(1, pool), count)
    return found, pool.gather(1, at)


def _top(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    found, at = torch.topk(scores, count, dim=1, sorted=False)
    return found, at
