"""Near duplicates of vectors of one kind, in a process of its own.

Run by ``bench_duplicates.py`` as ``_near_duplicates.py KIND COUNT DIMENSION RADIUS``. Prints JSON:
seconds, peak megabytes beyond what was held before, megabytes of the vectors, what share of all
products was made, records kept; and the seconds of the product of all pairs, told from
that of some.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from _duplicates import measured
from _measure import seconds

from vecbridge.ranking import Pairs

_CENTRES = 1000
_BURST = 30
_BLOCK = 1 << 14
_TIMED = 8192


def vectors_of(kind: str, count: int, dimension: int) -> Any:
    """Return unit vectors: ``clusters``, ``bursts`` of near copies, or ``isotropic`` ones.

    The spectrum of clusters falls like that of embeddings, and one record in fifty is a near copy
    of another. A burst is a walk of thirty steps, as of a camera.
    """
    rng = np.random.default_rng(0)
    vectors = np.empty((count, dimension), dtype=np.float32)
    widths = np.float32(1.0 / np.sqrt(np.arange(dimension) + 2.0))
    widths /= np.linalg.norm(widths)
    centres = widths * (rng.standard_normal((_CENTRES, dimension), dtype=np.float32) + 0.4)
    for start in range(0, count, _BLOCK):
        part = vectors[start : start + _BLOCK]
        rng.standard_normal(out=part, dtype=np.float32)
        if kind == "isotropic":
            continue
        part *= 0.7 * widths
        if kind == "bursts":
            for first in range(0, len(part), _BURST):
                burst = part[first : first + _BURST]
                burst[1:] *= rng.uniform(0.01, 0.03)
                burst[0] += centres[rng.integers(_CENTRES)]
                np.cumsum(burst, axis=0, out=burst)
        else:
            part += centres[rng.integers(0, _CENTRES, len(part))]
    if kind == "clusters":
        copies = rng.choice(count, count // 50, replace=False)
        noise = rng.standard_normal((len(copies), dimension), dtype=np.float32)
        noise *= widths * np.float32(rng.uniform(0.0, 0.15, (len(copies), 1)))
        vectors[copies] = vectors[rng.integers(0, count, len(copies))] + noise
    for start in range(0, count, _BLOCK):
        part = vectors[start : start + _BLOCK]
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return vectors


def main(kind: str, count: int, dimension: int, radius: float) -> dict[str, Any]:
    """Find the duplicates of some vectors."""
    vectors = vectors_of(kind, count, dimension)
    rows = vectors[:_TIMED]
    whole = min(seconds(lambda: rows @ rows.T) for _ in range(3))
    pairs = Pairs("cosine", [f"{row:08}" for row in range(count)], vectors)
    kept: list[int] = []

    def work() -> None:
        kept.extend(pairs.apart(radius))
        pairs.nearest_among(kept, radius)

    took, peak = measured(work)
    every = 0.5 * count * count
    made = pairs.work.joined_products + pairs.work.float32_pairs * dimension
    return {
        "seconds": took,
        "peak": peak,
        "vectors": vectors.nbytes / 2**20,
        "share": made / (every * dimension),
        "kept": len(kept),
        "product": 0.5 * whole * (count / len(rows)) ** 2,
    }


if __name__ == "__main__":
    kind, count, dimension, radius = sys.argv[1:]
    print(json.dumps(main(kind, int(count), int(dimension), float(radius))))
