"""Steps on scores, without waking torch's threads where those would do harm.

They take longer to wake than a step on few scores takes. And they spin for a while, on the cores
that the next product by numpy's library would have, which then takes up to twice as long: beside
such products, steps on many scores are left to numpy too.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor, from_numpy, topk

_FEW = 1 << 20


def subtract(scores: Tensor, terms: Tensor, *, quiet: bool = False) -> None:
    """``scores -= terms``, in place.

    Args:
        scores: ``(q, b)``.
        terms: ``(b,)``.
        quiet: whether torch's threads are to be left asleep; on a CPU alone.
    """
    if _by_numpy(scores, quiet=quiet):
        np.subtract(scores.numpy(), terms.numpy(), out=scores.numpy())
    else:
        scores.sub_(terms)


def multiply(scores: Tensor, factors: Tensor, *, quiet: bool = False) -> None:
    """``scores *= factors``, in place, likewise."""
    if _by_numpy(scores, quiet=quiet):
        np.multiply(scores.numpy(), factors.numpy(), out=scores.numpy())
    else:
        scores.mul_(factors)


def group_maxima(scores: Tensor, *, quiet: bool = False) -> Tensor:
    """``(q, g)`` maxima over the middle axis of ``(q, m, g)``."""
    if _by_numpy(scores, quiet=quiet):
        return from_numpy(np.maximum.reduce(scores.numpy(), axis=1))
    return scores.amax(dim=1)


def top(scores: Tensor, count: int, *, quiet: bool = False) -> tuple[Tensor, Tensor]:
    """The ``count`` largest of each row and their columns, ``(q, count)`` in no order."""
    if not quiet:
        found, at = topk(scores, count, dim=1, sorted=False)
        return found, at
    table = scores.numpy()
    kept = table.shape[1] - count
    columns = np.argpartition(table, kept, axis=1)[:, kept:] if kept else np.argsort(table, axis=1)
    return from_numpy(np.take_along_axis(table, columns, axis=1)), from_numpy(columns)


def gathered(scores: Tensor, columns: Tensor, *, quiet: bool = False) -> Tensor:
    """``(q, m)`` scores at columns of each row."""
    if not quiet:
        return scores.gather(1, columns)
    return from_numpy(np.take_along_axis(scores.numpy(), columns.numpy(), axis=1))


def _by_numpy(scores: Tensor, *, quiet: bool) -> bool:
    return quiet or (scores.device.type == "cpu" and scores.numel() <= _FEW)
