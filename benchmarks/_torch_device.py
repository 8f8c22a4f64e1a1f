"""The torch backend on one device, against what that device can do at most."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import torch
from _measure import Row, Work, seconds

from vecbridge import Index, get_backend

K = 10
READING_LIMIT, PRODUCT_LIMIT = 1.5, 2.0
QUERIES = 1000
_READ_BYTES = 1 << 30
_SIDE = 8192
_GENERATED = 1 << 26
_PROVEN = 3


def rows(device: str, count: int, dimension: int) -> list[Row]:
    """One query against one reading of the records, and many against their bare product.

    Raises:
        vecbridge.ConfigurationError: there is no such device.
    """
    on_cpu = device == "cpu"
    with get_backend("torch", device=device, metric="cosine") as store:
        index = store.create_index("bench", dimension=dimension)
        vectors = _normal(device, count + QUERIES, dimension)
        vectors, queries = vectors[:count], vectors[count:]
        index.upsert([f"record-{number}" for number in range(count)], vectors)
        index.search(queries, K)
        single = _median(lambda: index.search(queries[:1], K), 5 if on_cpu else 31)
        batch = _median(lambda: index.search(queries, K), 3 if on_cpu else 9)
        proven = _proven(index, queries)
    # Records are held in 16 bits: half of what float32 takes, and the stricter measure.
    reading = 2 * count * dimension / _bandwidth(device)
    product = 2 * QUERIES * count * dimension / _throughput(device)
    title = f"{device}, {count} x {dimension}"
    many = f"{title}: {QUERIES} queries"
    return [
        _row(f"{title}: one query", single, reading, "reading 16 bits once", READING_LIMIT),
        _row(many, batch, product, "bfloat16 product", PRODUCT_LIMIT),
        Row(f"{many}, proven exact", proven, 1.0, "all of them", ""),
    ]


def _row(work: str, ours: float, theirs: float, peer: str, limit: float) -> Row:
    return Row(work, 1e3 * ours, 1e3 * theirs, peer, limit=limit)


def _normal(device: str, count: int, dimension: int) -> Any:
    """Gaussian vectors on the host, made on the device."""
    torch.manual_seed(0)
    made = np.empty((count, dimension), dtype=np.float32)
    step = max(1, _GENERATED // dimension)
    for start in range(0, count, step):
        part = made[start : start + step]
        part[:] = torch.randn(part.shape, device=device).cpu().numpy()
    return made


def _proven(index: Index, queries: Any) -> float:
    """Return the share of certified answers; some are compared with a full ranking."""
    answers = index.search(queries, K)
    for query, hits in zip(queries[:_PROVEN], answers, strict=False):
        everything = index.search(query, None)[0]
        if everything.ids[:K] != hits.ids:
            raise AssertionError("a certified answer is not the exact ranking")
    return float(np.mean([hits.exact for hits in answers]))


def _bandwidth(device: str) -> float:
    """Bytes a second at which the device reads its own memory."""
    held = torch.ones(_READ_BYTES // 4, device=device)
    return _READ_BYTES / _median(lambda: held.sum().item(), 15)


def _throughput(device: str) -> float:
    """Operations a second of large bfloat16 products."""
    side = 1024 if device == "cpu" else _SIDE
    held = torch.ones((side, side), dtype=torch.bfloat16, device=device)

    def multiply() -> float:
        product = held
        for _ in range(8):
            product = torch.mm(held, held)
        return float(product[0, 0].item())

    return 8 * 2 * side**3 / _median(multiply, 9)


def _median(work: Work, runs: int) -> float:
    work()
    return statistics.median(seconds(work) for _ in range(runs))
