"""Float32 products on a CPU, by the faster of the two libraries that are there anyway."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

_RUNS = 4
_QUERIES, _RECORDS, _DIMENSION = 64, 8192, 256


def cpu_products(queries: Tensor, vectors: Tensor) -> Tensor:
    """``(q, n)`` dot products of float32 tensors on the CPU.

    torch's and numpy's libraries differ by a factor of two on some processors, either way; both
    sum in float32, so the bounds hold for both.
    """
    chosen = _by_numpy if _numpy_is_faster(single=len(queries) == 1) else _by_torch
    return chosen(queries, vectors)


@cache
def _numpy_is_faster(*, single: bool) -> bool:
    """Measured once in a process, in a few milliseconds."""
    queries = torch.ones((1 if single else _QUERIES, _DIMENSION))
    vectors = torch.ones((_RECORDS, _DIMENSION))

    def best(products: Callable[[Tensor, Tensor], Tensor]) -> float:
        times = []
        for _ in range(_RUNS):
            start = time.perf_counter()
            products(queries, vectors)
            times.append(time.perf_counter() - start)
        return min(times)

    return best(_by_numpy) < best(_by_torch)


def _by_numpy(queries: Tensor, vectors: Tensor) -> Tensor:
    return torch.from_numpy(np.matmul(queries.numpy(), vectors.numpy().T))


def _by_torch(queries: Tensor, vectors: Tensor) -> Tensor:
    return torch.mm(queries, vectors.T)
