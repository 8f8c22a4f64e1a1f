"""Records with values of every type that stores get wrong, and random filters on them."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np

from tests.filters.making import REAL, TEXTS, WHOLE
from vecbridge import FieldType, Filter, Index, field
from vecbridge.fields import BASE_TYPES, FIELD_TYPES, base_of, is_optional
from vecbridge.filters import matches, settle

COUNT = 160
IDS = [f"{number:04}" for number in range(COUNT)]
FIELDS: dict[str, FieldType] = {
    f"f_{kind.rstrip('?')}{'_o' * kind.endswith('?')}": kind for kind in FIELD_TYPES
}

_NOON = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)
_STEP = timedelta(microseconds=1)
_TIMES = [
    *(_NOON, _NOON + _STEP, _NOON - _STEP, _NOON.astimezone(timezone(timedelta(hours=5)))),
    *(datetime(1, 1, 1, tzinfo=timezone.utc), datetime.max.replace(tzinfo=timezone.utc)),
    *(datetime(1970, 1, 1, tzinfo=timezone.utc), datetime(1969, 12, 31, tzinfo=timezone.utc)),
]
_SHORT = [text for text in TEXTS if len(text) < 400] + [
    "a%b",
    "a_b",
    "\\%",
    "_",
    "\\_",
    "[]",
    "null",
]
_LONG = max(TEXTS, key=lambda text: len(text.encode()))
_LISTS: list[list[str]] = [
    *([], [""], ["", ""], ["a"], ["a", "b"], ["b", "a", "b"], ["ab"], ["a,b"], ["a", ""], ["%"]),
    *([text] for text in _SHORT),
    [str(number) for number in range(4096)],
    [_LONG, "a"],
]
POOLS: dict[str, list[Any]] = {
    "string": [*TEXTS, *_SHORT],
    "integer": WHOLE,
    "float": REAL,
    "boolean": [False, True],
    "timestamp": _TIMES,
    "strings": _LISTS,
}
_BEYOND: dict[str, list[Any]] = {
    "string": ["\0", "cat\0x", "zzz", "x" * 65536, "ca"],
    "integer": [2**63, -(2**63) - 1, 2.5, math.inf, -math.inf, math.nan, 10**25],
    "float": [2**53 + 1, math.inf, -math.inf, math.nan, 10**400, sys.float_info.max],
    "boolean": [np.True_],
    "timestamp": [_NOON + 2 * _STEP, datetime(1999, 1, 1, tzinfo=timezone.utc)],
    "strings": ["\0", "zzz", "4095", "4096", "x" * 65536],
}


def columns() -> dict[str, list[Any]]:
    """The fields of the records: every value once, and missing ones among the optional."""
    draw = random.Random(5)
    made = {}
    for name, kind in FIELDS.items():
        pool = POOLS[base_of(kind)]
        column = [pool[number % len(pool)] for number in range(COUNT)]
        draw.shuffle(column)
        if is_optional(kind):
            column = [None if draw.random() < 0.25 else value for value in column]
        made[name] = column
    return made


def fill(index: Index) -> None:
    """Writes the records into an index of two dimensions."""
    index.upsert(IDS, [[number, 1.0] for number in range(COUNT)], columns())


def wanted(index: Index, where: Filter) -> tuple[str, ...]:
    """The ids of the records that a filter means, nearest to the origin first."""
    settled = settle(where, index.info.fields, index.info.limits)
    if isinstance(settled, bool):
        return tuple(IDS) if settled else ()
    kept = {name: [_kept(value) for value in column] for name, column in columns().items()}
    accepted = matches(settled, kept, COUNT)
    return tuple(name for name, accepts in zip(IDS, accepted, strict=True) if accepts)


def random_filter(draw: random.Random, depth: int = 3) -> Filter:
    """A tree of conditions on fields of every type."""
    shape = draw.random()
    if depth == 0 or shape < 0.3:
        return condition(draw, draw.choice([*FIELDS]))
    if shape < 0.45:
        return ~random_filter(draw, depth - 1)
    left, right = random_filter(draw, depth - 1), random_filter(draw, depth - 1)
    return left & right if shape < 0.75 else left | right


def condition(draw: random.Random, name: str) -> Filter:
    """One condition on a field."""
    one, base = field(name), base_of(FIELDS[name])
    if draw.random() < 0.1:
        return one.is_missing()
    if base == "strings":
        return _of_list(draw, name)
    if base == "string" and draw.random() < 0.3:
        text = _operand(draw, base)[: draw.choice([1, 2, 3, 65536])]
        return one.starts_with(text) if draw.random() < 0.5 else one.contains(text)
    words = ["==", "!="] if base == "boolean" else ["==", "!=", "<", "<=", ">", ">=", "between"]
    word = draw.choice([*words, "in"])
    value = _operand(draw, base)
    if word == "in":
        return one.is_in([_operand(draw, base) for _ in range(draw.choice([0, 1, 2, 7]))])
    if word == "between":
        return one.between(value, _operand(draw, base))
    compared: dict[str, Filter] = {
        "==": one == value,
        "!=": one != value,
    }
    if base != "boolean":
        compared |= {"<": one < value, "<=": one <= value, ">": one > value, ">=": one >= value}
    return compared[word]


def differences(index: Index, filters: Sequence[Filter]) -> list[str]:
    """What an index does not answer as the filters mean, by its engine and past it."""
    wrong = []
    for where in filters:
        expected = wanted(index, where)
        for k in (COUNT, None):
            found = index.search([0, 0], k, where=where)[0].ids
            if found != expected:
                wrong.append(f"k={k}: {_apart(found, expected)}: {where!s:.300}")
        if (count := index.count(where=where)) != len(expected):
            wrong.append(f"count: {count} for {len(expected)}: {where!s:.300}")
    return wrong


def _of_list(draw: random.Random, name: str) -> Filter:
    values = [_operand(draw, "strings") for _ in range(draw.choice([0, 1, 2, 5]))]
    found: list[Filter] = [
        field(name).contains(_operand(draw, "strings")),
        field(name).contains_any(values),
        field(name).contains_all(values),
    ]
    return draw.choice(found)


def _operand(draw: random.Random, base: str) -> Any:
    if draw.random() < 0.15:
        return draw.choice(_BEYOND[base])
    if base != "strings":
        return draw.choice(POOLS[base])
    return draw.choice(draw.choice([each for each in _LISTS if each]))


def _kept(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value - datetime(1970, 1, 1, tzinfo=timezone.utc)) // _STEP
    return value


def _apart(found: Sequence[str], expected: Sequence[str]) -> str:
    more, less = sorted({*found} - {*expected}), sorted({*expected} - {*found})
    return f"too many {more[:5]}, too few {less[:5]}, {len(found)} for {len(expected)}"


assert {base_of(kind) for kind in FIELDS.values()} == {*BASE_TYPES}
