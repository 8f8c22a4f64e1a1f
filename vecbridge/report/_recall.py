"""Measure how many of the true nearest records an index's ordinary answers hold."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vecbridge._client import Index
from vecbridge._contract._hits import Hits
from vecbridge.report._distribution import Distribution
from vecbridge.transfer import Progress

_AT_ONCE = 20


@dataclass(frozen=True)
class Recall:
    """Ordinary answers beside certified ones, for queries that are records of the index.

    Attributes:
        k: hits of each answer.
        queries: how many were asked.
        share: of the true nearest records, how many the ordinary answers hold.
        complete: ordinary answers that lack none of them.
        certified: ordinary answers that came with a proof, so that nothing had to be compared.
        seconds: of one query, as they came in calls of 20; this process's wall time.
    """

    k: int
    queries: int
    share: Distribution
    complete: int
    certified: int
    seconds: Distribution


def recall(index: Index, queries: NDArray[np.float32], k: int, progress: Progress) -> Recall:
    """Ask an index twice, for ordinary and for certified answers; ``(q, d)`` queries, not none."""
    shares: list[float] = []
    spent: list[float] = []
    certified = 0
    for at in range(0, len(queries), _AT_ONCE):
        some = queries[at : at + _AT_ONCE]
        started = time.perf_counter()
        found = index.search(some, k)
        spent.append((time.perf_counter() - started) / len(some))
        certified += sum(hits.exact for hits in found)
        if all(hits.exact for hits in found):
            shares += [1.0] * len(some)
        else:
            truth = index.search(some, k, ranking="certified")
            shares += [_share(hits, true) for hits, true in zip(found, truth, strict=True)]
        progress("asking", at + len(some), len(queries))
    return Recall(
        k=k,
        queries=len(queries),
        share=Distribution.of(shares),
        complete=shares.count(1.0),
        certified=certified,
        seconds=Distribution.of(spent),
    )


def _share(found: Hits, truth: Hits) -> float:
    return len(set(found.ids) & set(truth.ids)) / max(1, len(truth))
