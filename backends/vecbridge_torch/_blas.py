"""Float32 products on a CPU, by the faster of the two libraries that are there anyway."""

from __future__ import annotations

import math
import os
import time
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Products = Callable[[Tensor, Tensor], Tensor]
_RUNS = 3


class Race:
    """Does one thing in the fastest of several ways, which it learns while it works.

    Each way is tried a few times, and its best time counts. Threads that race here may try one a
    time more, which harms nobody.

    Args:
        ways: what there is to choose from, all of them right.
    """

    def __init__(self, *ways: Products) -> None:
        self._ways = ways
        self._tries = [0] * len(ways)
        # Seconds for each product of two numbers, since no two blocks need be of one size.
        self._best = [math.inf] * len(ways)

    def run(self, queries: Tensor, vectors: Tensor) -> Tensor:
        """``(q, n)`` products of ``(q, d)`` and ``(n, d)``."""
        number = min(range(len(self._ways)), key=lambda way: (self._tries[way], way))
        if self._tries[number] >= _RUNS:
            return self._ways[self._best.index(min(self._best))](queries, vectors)
        start = time.perf_counter()
        found = self._ways[number](queries, vectors)
        rate = (time.perf_counter() - start) / max(1, queries.numel() * len(vectors))
        self._best[number] = min(self._best[number], rate)
        self._tries[number] += 1
        return found


def cpu_products(queries: Tensor, vectors: Tensor) -> Tensor:
    """``(q, n)`` dot products of float32 tensors on the CPU.

    torch's and numpy's libraries differ by a factor of two on some processors, either way and not
    for every size alike; both sum in float32, so the bounds hold for both.
    """
    size = (queries.numel() * len(vectors)).bit_length() // 4
    return _RACES[size, len(queries) == 1].run(queries, vectors)


def _by_numpy(queries: Tensor, vectors: Tensor) -> Tensor:
    return torch.from_numpy(np.matmul(queries.numpy(), vectors.numpy().T))


def _by_torch(queries: Tensor, vectors: Tensor) -> Tensor:
    return torch.mm(queries, vectors.T)


# One for all work of about a size, and of one query or of several.
_RACES: defaultdict[tuple[int, bool], Race] = defaultdict(lambda: Race(_by_numpy, _by_torch))


def _after_fork() -> None:
    # GNU OpenMP would wait for ever for the threads that it had in the parent. One needs no others.
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
