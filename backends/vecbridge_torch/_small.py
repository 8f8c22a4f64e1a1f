"""Steps on few scores, without waking torch's threads.

Those take longer to wake than such a step takes, and then spin for a while on the cores that the
next product by numpy's library would have: a search of one query took twice as long.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor, from_numpy

_FEW = 1 << 20


def subtract(scores: Tensor, terms: Tensor) -> None:
    """``scores -= terms``, in place."""
    if _few(scores):
        np.subtract(scores.numpy(), terms.numpy(), out=scores.numpy())
    else:
        scores.sub_(terms)


def multiply(scores: Tensor, factors: Tensor) -> None:
    """``scores *= factors``, in place."""
    if _few(scores):
        np.multiply(scores.numpy(), factors.numpy(), out=scores.numpy())
    else:
        scores.mul_(factors)


def group_maxima(scores: Tensor) -> Tensor:
    """``(q, g)`` maxima over the middle axis of ``(q, m, g)``."""
    if _few(scores):
        return from_numpy(np.maximum.reduce(scores.numpy(), axis=1))
    return scores.amax(dim=1)


def _few(scores: Tensor) -> bool:
    return scores.device.type == "cpu" and scores.numel() <= _FEW
