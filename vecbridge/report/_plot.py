"""Pictures in a page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from vecbridge.report._distribution import Distribution

_WIDTH, _HEIGHT = 440, 150
_LEFT, _FLOOR, _TOP = 6, 126, 16


def histogram(numbers: Distribution, caption: str, note: str = "") -> str:
    """Return a histogram with its median, as an HTML figure.

    Args:
        numbers: what it shows.
        caption: what the numbers are.
        note: what they mean; below the picture.
    """
    described = f"{caption}: {short(numbers.quantiles[0])} to {short(numbers.quantiles[-1])}"
    return (
        f"<figure><strong>{escape(caption)}</strong>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(described)}">'
        + "".join(_bars(numbers))
        + "".join(_marks(numbers))
        + f"</svg><figcaption>{escape(_quantiles(numbers))}"
        + (f"<br>{escape(note)}" if note else "")
        + "</figcaption></figure>"
    )


def short(number: float) -> str:
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
        said = f"{count:,} from {short(numbers.edges[at])} to {short(numbers.edges[at + 1])}"
        yield (
            f'<rect x="{left:.1f}" y="{_FLOOR - tall:.1f}" width="{wide:.1f}" '
            f'height="{tall:.1f}"><title>{said}</title></rect>'
        )


def _marks(numbers: Distribution) -> Iterator[str]:
    end = _WIDTH - _LEFT
    least = max(numbers.edges[0], numbers.quantiles[0])
    most = min(numbers.edges[-1], numbers.quantiles[-1])
    yield f'<line class="axis" x1="{_LEFT}" x2="{end}" y1="{_FLOOR}" y2="{_FLOOR}"/>'
    yield f'<text x="{_LEFT}" y="{_HEIGHT - 8}">{short(least)}</text>'
    yield (f'<text x="{end}" y="{_HEIGHT - 8}" text-anchor="end">{short(most)}</text>')
    middle = _across(numbers, numbers.median)
    anchor = "end" if middle > _WIDTH / 2 else "start"
    beside = middle + (-4 if anchor == "end" else 4)
    yield f'<line class="middle" x1="{middle:.1f}" x2="{middle:.1f}" y1="2" y2="{_FLOOR}"/>'
    said = f"median {short(numbers.median)}"
    yield f'<text x="{beside:.1f}" y="11" text-anchor="{anchor}">{said}</text>'


def _across(numbers: Distribution, value: float) -> float:
    least, most = numbers.edges[0], numbers.edges[-1]
    return _LEFT + (_WIDTH - 2 * _LEFT) * (value - least) / (most - least)


def _quantiles(numbers: Distribution) -> str:
    least, low, lower, _, upper, high, most = map(short, numbers.quantiles)
    middle = f"5 % {low}, 25 % {lower}, 75 % {upper}, 95 % {high}; mean {short(numbers.mean)}"
    return f"{least} to {most}; {middle}"
