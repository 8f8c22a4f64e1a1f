"""The spread of numbers, in figures and as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BINS = 40
_WIDTH, _HEIGHT = 440, 150
_LEFT, _FLOOR, _TOP = 6, 126, 16


@dataclass(frozen=True)
class Distribution:
    """The spread of numbers.

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
        """Return the 50 % point."""
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


def histogram(numbers: Distribution, caption: str, note: str = "") -> str:
    """Return a histogram with its median, as an HTML figure.

    Args:
        numbers: what it shows.
        caption: what the numbers are.
        note: what they mean; below the picture.
    """
    described = f"{caption}: {_short(numbers.quantiles[0])} to {_short(numbers.quantiles[-1])}"
    return (
        f"<figure><strong>{escape(caption)}</strong>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(described)}">'
        + "".join(_bars(numbers))
        + "".join(_marks(numbers))
        + f"</svg><figcaption>{escape(_quantiles(numbers))}"
        + (f"<br>{escape(note)}" if note else "")
        + "</figcaption></figure>"
    )


def _short(number: float) -> str:
    """Return a number as a person reads it."""
    if number == int(number) and abs(number) < 1e6:
        return f"{int(number):,}"
    return f"{number:,.0f}" if 1000 <= abs(number) < 1e7 else f"{number:.4g}"


def _bars(numbers: Distribution) -> Iterator[str]:
    most = max(numbers.counts)
    for at, count in enumerate(numbers.counts):
        if not count:
            continue
        left, right = (_across(numbers, numbers.edges[edge]) for edge in (at, at + 1))
        tall = max(1.0, (_FLOOR - _TOP) * count / most)
        wide = max(1.0, right - left - 1)
        said = f"{count:,} from {_short(numbers.edges[at])} to {_short(numbers.edges[at + 1])}"
        yield (
            f'<rect x="{left:.1f}" y="{_FLOOR - tall:.1f}" width="{wide:.1f}" '
            f'height="{tall:.1f}"><title>{said}</title></rect>'
        )


def _marks(numbers: Distribution) -> Iterator[str]:
    end = _WIDTH - _LEFT
    least = max(numbers.edges[0], numbers.quantiles[0])
    most = min(numbers.edges[-1], numbers.quantiles[-1])
    yield f'<line class="axis" x1="{_LEFT}" x2="{end}" y1="{_FLOOR}" y2="{_FLOOR}"/>'
    yield f'<text x="{_LEFT}" y="{_HEIGHT - 8}">{_short(least)}</text>'
    yield (f'<text x="{end}" y="{_HEIGHT - 8}" text-anchor="end">{_short(most)}</text>')
    middle = _across(numbers, numbers.median)
    anchor = "end" if middle > _WIDTH / 2 else "start"
    beside = middle + (-4 if anchor == "end" else 4)
    yield f'<line class="middle" x1="{middle:.1f}" x2="{middle:.1f}" y1="2" y2="{_FLOOR}"/>'
    said = f"median {_short(numbers.median)}"
    yield f'<text x="{beside:.1f}" y="11" text-anchor="{anchor}">{said}</text>'


def _across(numbers: Distribution, value: float) -> float:
    least, most = numbers.edges[0], numbers.edges[-1]
    return _LEFT + (_WIDTH - 2 * _LEFT) * (value - least) / (most - least)


def _quantiles(numbers: Distribution) -> str:
    least, low, lower, _, upper, high, most = map(_short, numbers.quantiles)
    middle = f"5 % {low}, 25 % {lower}, 75 % {upper}, 95 % {high}; mean {_short(numbers.mean)}"
    return f"{least} to {most}; {middle}"
