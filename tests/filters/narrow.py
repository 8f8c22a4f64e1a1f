"""Fields that hold less than their types, and random filters at and beyond what they hold.

The rows that a filter accepts are found by Python's own comparisons, which are exact.
"""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from vecbridge import FieldLimits, field
from vecbridge.filters import Filter

FIELDS: dict[str, Any] = {
    "f32": "float", "i8": "integer", "i16": "integer", "i32": "integer", "short": "string"
}  # fmt: skip
LIMITS = {
    "f32": FieldLimits(single_precision=True),
    "i8": FieldLimits(smallest=-(2**7), largest=2**7 - 1),
    "i16": FieldLimits(smallest=-(2**15), largest=2**15 - 1),
    "i32": FieldLimits(smallest=-(2**31), largest=2**31 - 1),
    "short": FieldLimits(max_bytes=5),
}
COUNT = 120
IDS = [f"r{number:03}" for number in range(COUNT)]
Rows = frozenset[int]

_BITS = {"i8": 8, "i16": 16, "i32": 32}
_LARGEST = float(np.finfo(np.float32).max)
_REAL = [
    *(0.0, 0.1, 0.2, 0.3, 0.7, -0.1, 1 / 3, 0.5, 1.0, -1.5, 1e-10, 1e10, 16777216.0, 1e38),
    *(2.0**-149, -(2.0**-149), 2.0**-126, 3e-40, _LARGEST, -_LARGEST, 2.0**31, 2.0**63),
]
_WHOLE = {
    name: [0, 1, -1, 2, 7, 100, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1, -(2 ** (bits - 1)) + 1]
    for name, bits in _BITS.items()
}
_TEXTS = ["", "a", "ab", "abcde", "b", "é", "日", "日é", "\U0001f600", "zzzzz"]
_BEYOND_REAL = [
    *(1e300, -1e300, 1e-300, -1e-300, 2.0**-150, math.inf, -math.inf, math.nan, 2**24 + 1),
    *(10**400, -(10**400), 3.5e38, 2**128, 2**128 - 2**103, 2**63 + 1, 0, 1),
]
_BEYOND_WHOLE = [
    *(127, 128, 200, 255, 256, 383, -129, -200, 32768, 40000, 65536, -32769, 2**31, 2**32 + 7),
    *(-(2**31) - 1, 2**33, 2**63, -(2**63) - 1, 0.5, 127.5, -128.5, 1e300, math.inf, math.nan),
]
_BEYOND_TEXTS = ["abcdef", "abcd", "日本", "zzzzzz", "a\0", "\U0010ffff" * 9, "é" * 3]
_WORDS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def columns() -> dict[str, list[Any]]:
    """What the fields hold, one value per id."""
    rng = random.Random(11)
    pools: dict[str, list[Any]] = {
        "f32": [float(np.float32(value)) for value in _REAL],
        **_WHOLE,
        "short": _TEXTS,
    }
    made = {name: [pool[at % len(pool)] for at in range(COUNT)] for name, pool in pools.items()}
    for column in made.values():
        rng.shuffle(column)
    return made


def filters(count: int, seed: int) -> list[tuple[Filter, Rows]]:
    """Random filters, and the rows that each accepts."""
    rng = random.Random(seed)
    values = columns()
    return [_tree(rng, values, rng.choice([0, 0, 1, 2, 3])) for _ in range(count)]


def _tree(rng: random.Random, values: dict[str, list[Any]], depth: int) -> tuple[Filter, Rows]:
    if depth == 0:
        return _leaf(rng, values)
    left, accepted = _tree(rng, values, depth - 1)
    if rng.random() < 0.3:
        return ~left, frozenset(range(COUNT)) - accepted
    right, others = _tree(rng, values, depth - 1)
    if rng.random() < 0.5:
        return left & right, accepted & others
    return left | right, accepted | others


def _leaf(rng: random.Random, values: dict[str, list[Any]]) -> tuple[Filter, Rows]:
    name = rng.choice(["f32", "f32", "f32", *values])
    if rng.random() < 0.2:
        several = [_operand(rng, name) for _ in range(rng.choice([0, 1, 2, 5]))]
        # Not ``in``, to which an object is equal to itself, NaN too.
        met = [any(value == one for one in several) for value in values[name]]
        return field(name).is_in(several), frozenset(np.flatnonzero(met).tolist())
    word, operand = rng.choice([*_WORDS]), _operand(rng, name)
    met = [bool(_WORDS[word](value, operand)) for value in values[name]]
    where: Filter = _WORDS[word](field(name), operand)
    return where, frozenset(np.flatnonzero(met).tolist())


def _operand(rng: random.Random, name: str) -> Any:
    if name == "short":
        return rng.choice([*_TEXTS, *_BEYOND_TEXTS])
    if name != "f32":
        return rng.choice([*_WHOLE[name], *_BEYOND_WHOLE])
    if rng.random() < 0.3:
        return rng.choice(_BEYOND_REAL)
    value = rng.choice(_REAL)
    stored = float(np.float32(value))
    # What is next to it in 64 bits, and between two of 32.
    near = math.nextafter(stored, rng.choice([-math.inf, math.inf]))
    return rng.choice([value, stored, near, stored * (1 + 2.0**-25), stored + 0.1])
