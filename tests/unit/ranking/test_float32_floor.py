"""The lower bound behind an engine in float32: true of every finite vector, and tight on most.

Engines are simulated: every order of summation, every form of score, with and without subnormal
numbers. The truth is a rational number, rounded down.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from vecbridge import METRICS, Metric
from vecbridge.ranking import distances, float32_floor, norms

STEP = int(os.environ.get("VECBRIDGE_EXPONENT_STEP", "4"))
"""1 tries every exponent of a query with every exponent of a record."""

CROWDS = int(os.environ.get("VECBRIDGE_CROWDS", "300"))
"""How many sets of records, whose norms have nothing to do with each other's, are tried."""

Floats = NDArray[np.float32]


class Form(NamedTuple):
    """How an engine scores, and what its caller makes of that."""

    metric: Metric
    one_minus: bool
    score: Callable[[Arithmetic, Floats, Floats], Floats]
    distance: Callable[[Any], Any]


class Arithmetic:
    """Float32 as an engine has it.

    Args:
        order: how it sums.
        flush: whether it takes subnormal numbers for zero.
    """

    def __init__(self, order: str, *, flush: bool) -> None:
        self.order, self.flushes = order, flush

    def flush(self, values: Any) -> Floats:
        rounded = np.asarray(values, dtype=np.float32)
        if not self.flushes:
            return rounded
        small = np.abs(rounded) < np.float32(2.0**-126)
        flushed: Floats = np.where(small, np.float32(0.0), rounded).astype(np.float32)
        return flushed

    def dot(self, left: Floats, right: Floats) -> Floats:
        left, right = np.broadcast_arrays(self.flush(left), self.flush(right))
        if self.order == "wide":
            return self.flush((left.astype(np.float64) * right).sum(axis=1))
        if self.order == "fused":
            total = np.zeros(len(left), dtype=np.float32)
            for at in range(left.shape[1]):
                exact = left[:, at].astype(np.float64) * right[:, at]
                total = self.flush(exact + total)
            return total
        return self._sum(self.flush(left * right))

    def _sum(self, terms: Floats) -> Floats:
        columns: list[Floats] = list(terms.T)
        if self.order == "lanes":
            lanes = [self._fold(columns[lane::4]) for lane in range(min(4, len(columns)))]
            return self._fold(lanes)
        if self.order == "halves":
            while len(columns) > 1:
                half = (len(columns) + 1) // 2
                pairs = zip(columns[:half], [*columns[half:], None], strict=False)
                columns = [a if b is None else self.flush(a + b) for a, b in pairs]
            return columns[0]
        return self._fold(columns[::-1] if self.order == "backwards" else columns)

    def _fold(self, columns: list[Floats]) -> Floats:
        total = columns[0]
        for column in columns[1:]:
            total = self.flush(total + column)
        return total


def squared(by: Arithmetic, query: Floats, vectors: Floats) -> Floats:
    apart = by.flush(by.flush(query) - by.flush(vectors))
    return by.dot(apart, apart)


def over_roots(by: Arithmetic, query: Floats, vectors: Floats) -> Floats:
    lengths = [np.sqrt(by.dot(each, each)) for each in (query[np.newaxis], vectors)]
    return by.flush(by.dot(query, vectors) / by.flush(lengths[0] * lengths[1]))


def over_one_root(by: Arithmetic, query: Floats, vectors: Floats) -> Floats:
    squares = by.flush(by.dot(query[np.newaxis], query[np.newaxis]) * by.dot(vectors, vectors))
    return by.flush(by.dot(query, vectors) / np.sqrt(squares))


def normalised(by: Arithmetic, query: Floats, vectors: Floats) -> Floats:
    one, other = (
        by.flush(each / np.sqrt(by.dot(each, each))[:, np.newaxis])
        for each in (query[np.newaxis], vectors)
    )
    return by.dot(one, other)


def by_reciprocal(by: Arithmetic, query: Floats, vectors: Floats) -> Floats:
    one, other = (
        by.flush(each * by.flush(np.float32(1) / np.sqrt(by.dot(each, each)))[:, np.newaxis])
        for each in (query[np.newaxis], vectors)
    )
    return by.dot(one, other)


def less(score: Callable[[Arithmetic, Floats, Floats], Floats]) -> Any:
    return lambda by, query, vectors: np.float32(1) - score(by, query, vectors)


ONE = np.float64(1.0)
FORMS = {
    "squared": Form("euclidean", False, squared, np.sqrt),
    "root": Form("euclidean", False, lambda *given: np.sqrt(squared(*given)), lambda raw: raw),
    "product": Form("dotproduct", False, Arithmetic.dot, lambda raw: -raw),
    "1 - product": Form("dotproduct", True, less(Arithmetic.dot), lambda raw: raw - ONE),
    "similarity": Form("cosine", False, over_roots, lambda raw: ONE - raw),
    "1 - similarity": Form("cosine", False, less(over_roots), lambda raw: raw),
    "over one root": Form("cosine", False, over_one_root, lambda raw: ONE - raw),
    "normalised": Form("cosine", False, normalised, lambda raw: ONE - raw),
    "1 - normalised": Form("cosine", False, less(normalised), lambda raw: raw),
    "by reciprocal": Form("cosine", False, by_reciprocal, lambda raw: ONE - raw),
}
ENGINES = [
    Arithmetic(order, flush=flush)
    for order in ("forwards", "backwards", "halves", "lanes", "fused", "wide")
    for flush in (False, True)
]


def downwards(value: Fraction) -> float:
    """The greatest float that is no greater."""
    near = float(value)
    return near if Fraction(near) <= value else math.nextafter(near, -math.inf)


def root(value: Fraction, *, up: bool) -> Fraction:
    """The root of a fraction, to 200 bits, rounded up or down."""
    bits = 1 << 400
    whole = value.numerator * bits * bits // value.denominator
    return Fraction(math.isqrt(whole) + up * 2, bits)


def least(metric: Metric, query: Floats, vector: Floats) -> float:
    """The true distance, and the contract's own rounding of it; the smaller one, rounded down."""
    one, other = ([Fraction(float(value)) for value in each] for each in (query, vector))
    if metric == "euclidean":
        squares = sum(((a - b) ** 2 for a, b in zip(one, other, strict=True)), Fraction())
        true = downwards(root(squares, up=False))
    else:
        inner = sum((a * b for a, b in zip(one, other, strict=True)), Fraction())
        size = sum((a * a for a in one), Fraction()) * sum((b * b for b in other), Fraction())
        if metric == "dotproduct":
            true = downwards(-inner)
        elif not size:
            true = 1.0
        else:
            cosine = root(inner * inner / size, up=inner > 0)
            true = downwards(1 - cosine if inner > 0 else 1 + cosine)
    defined = float(distances(metric, query, vector[np.newaxis])[0])
    return min(true, defined)


def scored(form: Form, by: Arithmetic, query: Floats, vectors: Floats) -> NDArray[np.float64]:
    """The distances that an engine's caller sees; NaN and infinity where something overflowed."""
    with np.errstate(all="ignore"):
        return np.asarray(form.distance(form.score(by, query, vectors).astype(np.float64)))


def directions(dimension: int, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Vectors of a norm about 1, some parallel to the first, some of a single coordinate."""
    rows = rng.standard_normal((count, dimension)) / math.sqrt(dimension)
    rows[1::5] = rows[0] * rng.choice([-1.0, 1.0], (len(rows[1::5]), 1))
    rows[2::5, 1:] = 0.0
    rows[3::5] *= np.exp2(-rng.integers(0, 60, (len(rows[3::5]), dimension)))
    return rows


def scaled(rows: NDArray[np.float64], exponents: Any) -> Floats:
    with np.errstate(all="ignore"):
        clipped: Floats = np.clip(np.ldexp(rows, exponents), -3.4e38, 3.4e38).astype(np.float32)
    return clipped


EXPONENTS = np.arange(-149, 128, STEP)


@pytest.mark.slow
@pytest.mark.parametrize("dimension", [1, 2, 7])
def test_no_exponent_of_a_query_and_of_a_record_makes_it_false(dimension: int) -> None:
    rng = np.random.default_rng(dimension)
    rows = directions(dimension, len(EXPONENTS), rng)
    vectors = scaled(rows, EXPONENTS[:, np.newaxis])
    lengths = norms(vectors).tolist()
    wrong: list[str] = []
    for turn, exponent in enumerate(EXPONENTS.tolist()):
        query = scaled(rows[turn % len(rows)], exponent)
        length = float(norms(query[np.newaxis])[0])
        true = {metric: [least(metric, query, row) for row in vectors] for metric in METRICS}
        for number, (name, form) in enumerate(FORMS.items()):
            by = ENGINES[(turn + number) % len(ENGINES)]
            for at, far in enumerate(scored(form, by, query, vectors).tolist()):
                floor = float32_floor(
                    form.metric,
                    far,
                    dimension=dimension,
                    query_norm=length,
                    largest_norm=lengths[at],
                    smallest_norm=lengths[at],
                    one_minus=form.one_minus,
                )
                told = f"{name}, {query.tolist()}, {vectors[at].tolist()}: {floor}, seen at {far}"
                if not math.isfinite(floor) or not floor <= true[form.metric][at]:
                    wrong.append(f"{told}, truly {true[form.metric][at]}")
    assert not wrong, f"{len(wrong)} bounds are false, the first: {wrong[0]}"


def crowds(count: int) -> Iterator[tuple[Floats, Floats]]:
    """A query, and records whose norms have nothing to do with its own."""
    rng = np.random.default_rng(0)
    for number in range(count):
        dimension = int(rng.choice([1, 2, 3, 8, 33, 100]))
        rows = directions(dimension, 9, rng)
        spread = int(rng.choice([0, 3, 20, 80, 250]))
        exponents = rng.integers(-149, 128) + rng.integers(-spread, spread + 1, (8, 1))
        vectors = scaled(rows[:8], np.clip(exponents, -149, 127))
        if number % 3 == 0:
            vectors[rng.integers(8)] = 0.0
        query = scaled(rows[0 if number % 2 else 8], int(rng.integers(-149, 128)))
        yield query, vectors


@pytest.mark.slow
def test_no_record_that_is_ranked_later_or_lost_is_nearer() -> None:
    for number, (query, vectors) in enumerate(crowds(CROWDS)):
        length, lengths = float(norms(query[np.newaxis])[0]), norms(vectors)
        true = {
            metric: np.array([least(metric, query, row) for row in vectors]) for metric in METRICS
        }
        for form, by in product(FORMS.values(), ENGINES[number % 6 :: 6]):
            seen = scored(form, by, query, vectors)
            floors = float32_floor(
                form.metric,
                seen,
                dimension=len(query),
                query_norm=length,
                largest_norm=float(lengths.max()),
                smallest_norm=float(lengths.min()),
                one_minus=form.one_minus,
            )
            assert np.isfinite(floors).all()
            for far, floor in zip(seen, floors, strict=True):
                later = true[form.metric][~(seen < far)]
                assert not (later < floor).any(), (form, by.order, query, vectors, floor)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("apart", [0, -12, 12])
def test_it_is_tight_where_nothing_vanishes_or_overflows(metric: Metric, apart: int) -> None:
    rng = np.random.default_rng(3)
    for dimension, exponent in product((1, 3, 64, 768, 4096), (-16, 0, 16)):
        rows = rng.standard_normal((60, dimension))
        query = scaled(rows[0], exponent)
        vectors = scaled(rows[1:], exponent + apart)
        true = distances(metric, query, vectors)
        length, lengths = float(norms(query[np.newaxis])[0]), norms(vectors)
        floors = float32_floor(
            metric,
            true,
            dimension=dimension,
            query_norm=length,
            largest_norm=float(lengths.max()),
            smallest_norm=float(lengths.min()),
        )
        unit: dict[str, Any] = {
            "cosine": 2.0,
            "dotproduct": length * float(lengths.max()),
            "euclidean": true / 2,
        }
        assert (true - floors <= 2.0**-24 * (dimension + 12) * unit[metric] * 1.01).all()


@pytest.mark.parametrize("metric", METRICS)
def test_nonsense_gets_a_bound_that_is_finite_and_harmless(metric: Metric) -> None:
    wild = (0.0, 5e-324, 1e-300, 1.0, 1e300, math.inf, math.nan)
    with np.errstate(all="raise"):
        for far, one, least_norm, most in product((*wild, -math.inf, -1e300), wild, wild, wild):
            floor = float32_floor(
                metric,
                far,
                dimension=3,
                query_norm=one,
                smallest_norm=least_norm,
                largest_norm=most,
            )
            assert math.isfinite(floor)
            assert floor <= max(0.0, far) or not far < math.inf


def test_a_dot_product_that_is_taken_from_one_is_trusted_less() -> None:
    given: Any = {"dimension": 2, "query_norm": 1e-5, "largest_norm": 1e-5}
    assert float32_floor("dotproduct", 0.0, **given) > -1e-12
    assert float32_floor("dotproduct", 0.0, **given, one_minus=True) == pytest.approx(
        -1e-10, rel=1e-6
    )
    longer: Any = {"dimension": 2, "query_norm": 1.0, "largest_norm": 1.0}
    apart = float32_floor("dotproduct", 0.5, **longer) - float32_floor(
        "dotproduct", 0.5, **longer, one_minus=True
    )
    assert apart == pytest.approx(1.5 * 2.0**-24, rel=1e-3)


def test_without_the_shortest_norm_a_cosine_decides_nothing() -> None:
    given: Any = {"dimension": 2, "query_norm": 1.0, "largest_norm": 1.0}
    # A record of norm 1e-25 has no direction in float32: its square is 0.
    assert -1e-9 < float32_floor("cosine", 1.0, **given) <= 0.0
    assert float32_floor("cosine", 1.0, **given, smallest_norm=1e-25) <= 0.0
    assert float32_floor("cosine", 1.0, **given, smallest_norm=0.5) > 0.999
