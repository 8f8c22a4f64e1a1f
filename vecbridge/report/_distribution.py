"""How numbers are spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BINS = 40


@dataclass(frozen=True)
class Distribution:
    """How numbers are spread.

    Attributes:
        count: how many numbers there are.
        mean: their mean.
        quantiles: the least, the 5 %, 25 %, 50 %, 75 % and 95 % points, and the greatest.
        edges: the edges of the bins, one more than there are bins, ascending.
        counts: how many numbers lie in each bin; the first and the last hold what is farther out.
    """

    count: int
    mean: float
    quantiles: tuple[float, ...]
    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def median(self) -> float:
        """The 50 % point."""
        return self.quantiles[3]

    @classmethod
    def of(cls, numbers: ArrayLike) -> Distribution:
        """Return the distribution of some numbers, at least one.

        Args:
            numbers: ``(n,)``.

        Example:
            >>> Distribution.of([1.0, 2.0, 6.0]).quantiles[-1]
            6.0
        """
        values = np.asarray(numbers, dtype=np.float64)
        edges = _bins(values)
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), bins=edges)
        points = np.quantile(values, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])
        return cls(
            len(values),
            float(values.mean()),
            tuple(points.tolist()),
            tuple(edges),
            tuple(counts.tolist()),
        )


def _bins(values: NDArray[np.float64]) -> list[float]:
    """Return edges that are apart, also where the numbers are equal or nearly so."""
    least, most = _shown(values)
    if most - least <= 1e-9 * max(abs(least), abs(most)):
        margin = max(abs(least), 1.0) * 1e-3
        return [least - margin, most + margin]
    if (values == np.round(values)).all():
        # Bins of several whole numbers hold equally many of them, or the picture would lie.
        width = int((most - least) // _BINS) + 1
        bins = int((most - least) // width) + 1
        return [least - 0.5 + width * step for step in range(bins + 1)]
    edges: list[float] = np.linspace(least, most, _BINS + 1).tolist()
    return edges


def _shown(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the range to show: a few numbers far out would leave no room for the others."""
    low, high = np.quantile(values, [0.01, 0.99], method="nearest").tolist()
    room = high - low
    least, most = float(values.min()), float(values.max())
    return (max(least, low - room), min(most, high + room)) if room else (least, most)
