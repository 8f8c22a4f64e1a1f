"""Which records to offer as candidates, and what is proven of the rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge_torch._best import Best, best
from vecbridge_torch._scoring import Scoring

# Beyond the margin of error, so that float64 rounding in the floor cannot undo the decision.
_MARGIN = 1.0 + 2.0**-10
_WIDER = 8


class Offer(NamedTuple):
    """Candidates of one query.

    Attributes:
        columns: of the records that are offered.
        floor: no record outside is nearer.
    """

    columns: NDArray[np.intp]
    floor: float


def settle(scoring: Scoring, k: int, count: int, most: int) -> list[Offer | None]:
    """Offers for the queries that the scores decide, ``None`` for the others.

    Args:
        scoring: queries and records; more records than ``count``.
        k: how many answers there must be.
        count: how many to look at first.
        most: how many to look at where those do not decide.
    """
    offers = _decided(scoring, best(scoring.blocks(), count), k)
    wider = min(most, _WIDER * count)
    if wider > count and any(
        offer is None and usable
        for offer, usable in zip(offers, scoring.usable.tolist(), strict=True)
    ):
        again = _decided(scoring, best(scoring.blocks(), wider), k)
        offers = [first or second for first, second in zip(offers, again, strict=True)]
    return offers


def _decided(scoring: Scoring, found: Best, k: int) -> list[Offer | None]:
    errors = scoring.errors(found.scores)
    kth = k - 1
    # The k-th best is truly no lower than this, and who cannot truly reach it is out.
    least = found.scores[:, kth] - _MARGIN * errors[:, kth]
    hopeful = found.scores + errors >= least[:, np.newaxis]
    hopeful[~scoring.usable] = True
    counts = np.count_nonzero(hopeful, axis=1)
    decided = counts < found.scores.shape[1]
    first_out = np.minimum(counts, found.scores.shape[1] - 1)[:, np.newaxis]
    outside = np.take_along_axis(found.scores + errors, first_out, axis=1)[:, 0]
    floors = scoring.floors(outside)
    return [
        Offer(found.columns[at, : counts[at]], float(floors[at])) if decided[at] else None
        for at in range(len(floors))
    ]
