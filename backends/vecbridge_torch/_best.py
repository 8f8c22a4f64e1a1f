"""The best scores of records that come in blocks; a larger score is nearer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vecbridge_torch._small import gathered, group_maxima, top

_SMALL_ROW = 2048


class Best(NamedTuple):
    """The best of each query, best first: ``(q, count)`` each.

    Attributes:
        scores: as computed.
        columns: whose they are.
    """

    scores: NDArray[np.float64]
    columns: NDArray[np.intp]


def best(blocks: Iterator[tuple[int, Tensor]], count: int, *, quiet: bool = False) -> Best:
    """The ``count`` largest scores of each query, on the device until all blocks are through.

    Args:
        blocks: the first column of a block, and its ``(q, b)`` scores.
        count: at most as many as there are columns in all.
        quiet: whether torch's threads are to be left asleep.
    """
    scores: Tensor | None = None
    columns: Tensor | None = None
    for start, block in blocks:
        found, at = _largest(block, min(count, block.shape[1]), quiet=quiet)
        at = at + start
        if scores is not None and columns is not None:
            found, at = torch.cat([scores, found], dim=1), torch.cat([columns, at], dim=1)
            found, order = top(found, min(count, found.shape[1]), quiet=quiet)
            at = gathered(at, order, quiet=quiet)
        scores, columns = found, at
    if scores is None or columns is None:
        return Best(np.empty((0, 0)), np.empty((0, 0), dtype=np.intp))
    scores, order = scores.sort(dim=1, descending=True)
    wide = scores.cpu().numpy().astype(np.float64)
    return Best(wide, columns.gather(1, order).cpu().numpy())


def _largest(scores: Tensor, count: int, *, quiet: bool) -> tuple[Tensor, Tensor]:
    """The largest values of each row and their columns, in no particular order.

    The row is folded into groups whose maxima are one vectorised pass; the ``count`` largest
    values lie in the ``count`` groups with the largest maxima, so only those are looked into.
    """
    rows, columns = scores.shape
    members = math.isqrt(columns // count)
    if columns <= _SMALL_ROW or members < 4:
        return top(scores, count, quiet=quiet)
    groups = columns // members
    grouped = scores[:, : groups * members].reshape(rows, members, groups)
    _, chosen = top(group_maxima(grouped, quiet=quiet), count, quiet=quiet)
    steps = groups * torch.arange(members, device=scores.device)
    inside = (chosen[:, None, :] + steps[:, None]).flatten(1)
    tail = torch.arange(groups * members, columns, device=scores.device).expand(rows, -1)
    pool = torch.cat([inside, tail], dim=1)
    found, at = top(gathered(scores, pool, quiet=quiet), count, quiet=quiet)
    return found, gathered(pool, at, quiet=quiet)
