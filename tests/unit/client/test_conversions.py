"""What callers have becomes float32 by one rounding to nearest even, or is refused.

Every dtype and every container, against exact rational numbers.
"""

from __future__ import annotations

import array
import math
import os
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import vecbridge
from vecbridge import Index, InvalidVectorError, VecbridgeError

CASES = int(os.environ.get("VECBRIDGE_CONVERSIONS", "50"))
"""Rows of numbers that every dtype and container is tried with."""

DIMENSION = 4
LARGEST = Fraction(float(np.finfo(np.float32).max))

INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
FLOATS = ["float16", "float32", "float64", "longdouble"]


@pytest.fixture(scope="module")
def index() -> Iterator[Index]:
    with vecbridge.get_backend("sklearn") as store:
        yield store.create_index("conversions", dimension=DIMENSION, metric="euclidean")


def exactly(value: Any) -> Fraction:
    """The number that a scalar stands for."""
    if isinstance(value, (int, np.integer)):
        return Fraction(int(value))
    return Fraction(*value.as_integer_ratio())


def nearest(value: Fraction) -> float | None:
    """The float32 nearest to a fraction, ties to even; ``None`` where that is infinite."""
    if not value:
        return 0.0
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if size < Fraction(2) ** exponent:
        exponent -= 1
    unit = Fraction(2) ** (max(exponent, -126) - 23)
    # Python rounds a fraction to the nearest integer, ties to even.
    rounded = round(value / unit) * unit
    return None if abs(rounded) > LARGEST else float(rounded)


def integers(low: int, high: int, rng: np.random.Generator) -> list[int]:
    """Integers about the places where float32 and float64 begin to round, and ties of both."""
    found = []
    for _ in range(DIMENSION):
        bits = int(rng.integers(1, 65))
        head = int(rng.integers(1 << 23, 1 << 24)) << max(bits - 24, 0)
        tie = 1 << max(bits - 25, 0)
        number = head + int(rng.choice([0, tie])) + int(rng.integers(-2, 3))
        number *= int(rng.choice([-1, 1]))
        found.append(min(max(number, low), high))
    return found


def floats(rng: np.random.Generator) -> list[float]:
    """Floats on, and next to, the ties of float32; subnormal ones too."""
    found = []
    for _ in range(DIMENSION):
        exponent = int(rng.integers(-160, 128))
        number = math.ldexp(int(rng.integers(1 << 24, 1 << 25)), exponent - 25)
        for _ in range(int(rng.integers(0, 3))):
            number = math.nextafter(number, math.inf * float(rng.choice([-1, 1])))
        found.append(number * float(rng.choice([-1, 1])))
    return found


def scalars(kind: str, rng: np.random.Generator) -> list[Any]:
    if kind in INTEGERS:
        limits = np.iinfo(kind)
        return [np.dtype(kind).type(each) for each in integers(limits.min, limits.max, rng)]
    with np.errstate(all="ignore"):
        drawn = [np.dtype(kind).type(each) for each in floats(rng)]
        if kind == "longdouble":
            # On a tie of float64, but for a bit that float64 has no room for.
            drawn = [each + each * np.longdouble(2) ** -60 for each in drawn]
    return [each if np.isfinite(each) else type(each)(1) for each in drawn]


class Interface:
    """An object that is an array by numpy's interface."""

    def __init__(self, held: Any) -> None:
        self.__array_interface__ = held.__array_interface__
        self._held = held


class Method:
    """An object that becomes an array by its method."""

    def __init__(self, held: Any) -> None:
        self._held = held

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self._held, dtype=dtype)


def read_only(table: Any) -> Any:
    table.setflags(write=False)
    return table


CONTAINERS: dict[str, Callable[[Any], Any]] = {
    "array": lambda table: table,
    "list of scalars": lambda table: [list(row) for row in table],
    "tuple of tuples": lambda table: tuple(map(tuple, table)),
    "Python numbers": lambda table: table.tolist(),
    "list of arrays": list,
    "big endian": lambda table: table.astype(table.dtype.newbyteorder(">")),
    "Fortran order": np.asfortranarray,
    "strided": lambda table: np.repeat(table, 2, axis=1)[:, ::2],
    "backwards": lambda table: table[:, ::-1].copy()[:, ::-1],
    "read-only": read_only,
    "no stride": lambda table: np.broadcast_to(table[0], (3, DIMENSION)),
    "interface": Interface,
    "method": Method,
    "list of methods": lambda table: list(map(Method, table)),
    "no mask": np.ma.array,
}


def converted(index: Index, given: Any) -> list[list[float]] | None:
    """What is stored of rows; ``None`` where they are refused."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            index.upsert([f"{at}" for at in range(len(given))], given)
    except VecbridgeError:
        return None
    found: list[list[float]] = index.fetch([f"{at}" for at in range(len(given))]).vectors.tolist()
    return found


def agrees(found: list[list[float]] | None, rows: list[list[Fraction]]) -> bool:
    expected = [[nearest(each) for each in row] for row in rows]
    if any(each is None for row in expected for each in row):
        return found is None
    return found == expected


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("kind", INTEGERS + FLOATS)
def test_every_dtype_in_every_container(index: Index, kind: str, container: str) -> None:
    if container == "interface" and kind == "longdouble":
        pytest.skip("numpy's interface has no name for it")
    rng = np.random.default_rng(1)
    for _ in range(CASES // 10):
        table = np.array([scalars(kind, rng) for _ in range(3)], dtype=kind)
        given: Any = CONTAINERS[container](table)
        rows = given if container == "no stride" else table
        true = [[exactly(each) for each in row] for row in rows]
        if container in {"interface", "method"}:
            given = np.asarray(given) if not hasattr(given, "__len__") else given
        if container == "Python numbers" and kind == "longdouble":
            true = [[exactly(each) for each in row] for row in table]
        assert agrees(converted(index, given), true), given


@pytest.mark.parametrize("others", ["int", "float", *INTEGERS, *FLOATS])
def test_integers_among_other_numbers_are_rounded_once(index: Index, others: str) -> None:
    rng = np.random.default_rng(2)
    for number in range(CASES):
        # Beyond 63 bits numpy keeps Python integers among negative ones as floats.
        high = 2**64 - 1 if number % 2 else 2**63 - 1
        whole: list[Any] = integers(-(2**63), high, rng)
        if number % 5 == 0:
            whole = [np.int64(min(each, 2**63 - 1)) for each in whole]
        if others == "int":
            rest: list[Any] = integers(-(2**63), high, rng)
        elif others == "float":
            rest = floats(rng)
        else:
            rest = scalars(others, rng)
        mixed = [rng.permutation(2).tolist() for _ in whole]
        row = [(one, other)[at] for one, other, (at, _) in zip(whole, rest, mixed, strict=True)]
        second = [(one, other)[at] for one, other, (_, at) in zip(whole, rest, mixed, strict=True)]
        true = [[exactly(each) for each in each_row] for each_row in (row, second)]
        assert agrees(converted(index, [row, second]), true), (row, second)
        assert agrees(converted(index, (tuple(row), second)), true), (row, second)


@pytest.mark.parametrize("other", ["float32", "float64", "int8", "uint64"])
def test_rows_of_different_dtypes_are_rounded_once(index: Index, other: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(CASES):
        rows = [np.array(scalars("int64", rng)), np.array(scalars(other, rng))]
        true = [[exactly(each) for each in row] for row in rows]
        assert agrees(converted(index, rows), true), rows
        assert agrees(converted(index, [list(rows[0]), rows[1].tolist()]), true), rows


def test_a_long_list_is_converted_like_a_short_one(index: Index) -> None:
    rng = np.random.default_rng(5)
    rows: list[Any] = [[0.5, 1, 2, 3]] * 40_000
    hard: list[Any] = [integers(-(2**63), 2**63 - 1, rng) for _ in range(50)]
    hard += [[*floats(rng)[:2], *integers(-(2**63), 2**63 - 1, rng)[:2]] for _ in range(50)]
    hard = [row for row in hard if all(nearest(exactly(each)) is not None for each in row)]
    places = rng.choice(len(rows), len(hard), replace=False)
    for place, row in zip(places, hard, strict=True):
        rows[place] = row
    found = converted(index, rows)
    assert found is not None
    for place, row in zip(places, hard, strict=True):
        assert agrees([found[place]], [[exactly(each) for each in row]])
    assert converted(index, tuple(rows)) == found
    for place, wrong, said in (
        (39_999, [1, 2, 3, None], "row 39999"),
        (35_000, [1, 2, 3, math.nan], "row 35000 has NaN"),
        (36_000, [1, 2, 3], "row 36000 has 3 numbers"),
    ):
        broken = [*rows]
        broken[place] = wrong
        with pytest.raises(vecbridge.InvalidInputError, match=said):
            index.upsert([f"{at}" for at in range(len(rows))], broken)


def test_a_query_is_rounded_as_a_record_is(index: Index) -> None:
    # In float64 this is a tie, which float32 would round the other way.
    hard = [2**60 + 2**36 + 1, 0.5, 0, 0]
    stored = np.array([[nearest(Fraction(each)) for each in hard]], dtype=np.float32)
    index.upsert(["hard"], stored)
    assert index.search(hard, 1)[0].distances.tolist() == [0.0]
    assert index.search([hard], 1)[0].distances.tolist() == [0.0]


@pytest.mark.parametrize(
    "kind", ["float16", "bfloat16", "float32", "float64", "int8", "uint8", "int32", "int64"]
)
@pytest.mark.parametrize("container", ["tensor", "list", "transposed", "with gradient"])
def test_tensors(index: Index, kind: str, container: str) -> None:
    torch: Any = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    dtype = getattr(torch, kind)
    for _ in range(CASES // 10):
        whole = [
            integers(-(2**63), 2**63 - 1, rng) if kind == "int64" else [3, 0, 101, 7]
            for _ in range(3)
        ]
        if dtype.is_floating_point:
            held = torch.tensor([floats(rng) for _ in range(3)], dtype=torch.float64).to(dtype)
            held = torch.where(torch.isfinite(held), held, torch.ones_like(held))
        else:
            held = torch.tensor(whole, dtype=dtype)
        true = [[exactly(each) for each in row] for row in held.tolist()]
        given: Any = held
        if container == "list":
            given = list(held)
        elif container == "transposed":
            given = held.T.contiguous().T
        elif container == "with gradient" and dtype.is_floating_point:
            given = held.requires_grad_()
        assert agrees(converted(index, given), true), given


HELD: Any = np.ma.array([[1.0, 2.0, 3.0, 4.0]], mask=[[False, True, False, False]])


@pytest.mark.parametrize(
    "given",
    [
        [[True, False, True, True]],
        np.ones((1, DIMENSION), dtype=bool),
        [[Fraction(1, 3), 1, 1, 1]],
        [[Decimal("1.5"), 1, 1, 1]],
        np.ones((1, DIMENSION), dtype=object),
        [[2**64, 1, 1, 1]],
        [[10**400, 1.0, 1, 1]],
        [[None, 1, 1, 1]],
        [["1", "2", "3", "4"]],
        [[1j, 1, 1, 1]],
        np.ones((1, DIMENSION), dtype="M8[s]"),
        np.ones((1, DIMENSION), dtype="m8[s]"),
        np.zeros((1, DIMENSION), dtype="i4,i4"),
        [[1e39, 1, 1, 1]],
        [[math.nan, 1, 1, 1]],
        [[-math.inf, 1, 1, 1]],
        HELD,
        list(HELD),
        tuple(HELD),
    ],
    ids=repr,
)
def test_what_is_no_real_number_of_float32_is_refused(index: Index, given: Any) -> None:
    with pytest.raises(InvalidVectorError):
        index.upsert(["a"], given)
    with pytest.raises(InvalidVectorError):
        index.search(given, 1)


def test_an_array_of_the_standard_library(index: Index) -> None:
    hard = 2**60 + 2**36 + 1
    rows: list[Any] = [array.array("q", [hard] * DIMENSION), array.array("d", [0.5] * DIMENSION)]
    assert agrees(converted(index, rows), [[Fraction(hard)] * DIMENSION, [Fraction(1, 2)] * 4])
    assert agrees(converted(index, [memoryview(rows[1])]), [[Fraction(1, 2)] * DIMENSION])
