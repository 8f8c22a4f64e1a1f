"""Which records to keep so that all are apart, for any metric.

FiftyOne looks for the distance from 0 upwards, which a negated dot product is not. Here it is
looked for between what the records' own distances allow.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from vecbridge.ranking import Pairs

logger = logging.getLogger(__name__)

_STEPS = 64


def apart(pairs: Pairs, limit: float, ids: Sequence[str]) -> list[str]:
    """The ids that are kept, in order, so that no two are within a distance of each other."""
    return [ids[position] for position in pairs.apart(limit)]


def most_apart(
    pairs: Pairs, wanted: int, ids: Sequence[str], first: float | None = None
) -> tuple[list[str], float]:
    """As many ids as wanted, as far apart as that allows.

    Where records tie, as copies do, no distance may leave exactly as many: it is then the largest
    that leaves more.

    Args:
        pairs: the pairs of the records.
        wanted: how many to keep: at least 1, and fewer than there are.
        ids: of the records.
        first: the distance to try first.

    Returns:
        The ids that are kept, and the distance than which they are farther apart.
    """
    # Whoever is dropped has a neighbour within the limit, so this limit drops too few for sure;
    # and what reaches from the first record to every other one keeps that one alone.
    near = np.partition(pairs.nearest(), len(ids) - wanted - 1)[len(ids) - wanted - 1]
    low, high = float(np.nextafter(near, -np.inf)), pairs.farthest_from_first()
    limit = high if first is None or not low < first < high else first
    for _ in range(_STEPS):
        kept = pairs.apart(limit, most=wanted)
        logger.info("threshold: %f, kept: %d, target: %d", limit, len(kept), wanted)
        if len(kept) == wanted:
            return [ids[position] for position in kept], limit
        low, high = (limit, high) if len(kept) > wanted else (low, limit)
        limit = low + 0.5 * (high - low)
        if not low < limit < high:
            break
    return apart(pairs, low, ids), low
