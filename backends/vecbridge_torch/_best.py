"""The best scores of records that come in blocks; a larger score is nearer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_SMALL_ROW = 2048


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
