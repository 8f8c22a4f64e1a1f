"""Which records to offer as candidates, and what is proven of the rest."""

from __future__ import annotations

from collections.abc import Callable
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
        rows: of the records that are offered, in what was searched.
        floor: no record outside is nearer.
    """

    rows: NDArray[np.intp]
    lower_bound: float


def settle(
    scoring_of: Callable[[NDArray[np.float32]], Scoring],
    queries: NDArray[np.float32],
    k: int,
    count: int,
    most: int,
) -> list[Offer | None]:
    """Offers for the queries that the scores decide, ``None`` for the others.

    Args:
        scoring_of: scores queries against more records than ``count``.
        queries: ``(q, d)`` float32.
        k: how many answers there must be.
        count: how many records to look at first.
        most: how many to look at where those do not decide.
    """
    scoring = scoring_of(queries)
    offers = _decided(scoring, best(scoring.blocks(), count, quiet=scoring.quiet), k)
    wider = min(most, _WIDER * count)
    undecided = [at for at in np.flatnonzero(scoring.usable).tolist() if offers[at] is None]
    if undecided and wider > count:
        scoring = scoring_of(queries[undecided])
        again = _decided(scoring, best(scoring.blocks(), wider, quiet=scoring.quiet), k)
        for at, offer in zip(undecided, again, strict=True):
            offers[at] = offer
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
