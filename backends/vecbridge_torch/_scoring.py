"""What a way of scoring must say so that a ranking can be proven with it.

A *score* orders records like their distances, the other way round: a larger one is nearer. It is
computed with errors, and whoever computes it bounds them.
"""

# Methods of a protocol have no body, and so return nothing:
# pyright: reportReturnType=false

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Scoring(Protocol):
    """Some queries against the records of a search."""

    @property
    def usable(self) -> NDArray[np.bool_]:
        """``(q,)``: whether the errors of a query are bounded at all."""

    @property
    def quiet(self) -> bool:
        """Whether torch's threads are to be left asleep, for others multiply."""

    def blocks(self) -> Iterator[tuple[int, Tensor]]:
        """First column and ``(q, b)`` float32 scores of each block; ``-inf`` is out of scope."""

    def errors(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far the true score of a record may lie from the computed one.

        Args:
            scores: ``(q, m)`` computed. What is a score and its error apart grows with the score,
                so a bound for one is a bound for all beyond it.
        """

    def floors(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """For each query, the least distance of records whose *true* score is no larger."""


ROUNDINGS = 2.0**-40
"""What float64 arithmetic on top of the bounds, and the contract's own rounding, may add."""
