"""Filters on fields that hold less than their types mean the same, and ask for what they hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.filters.narrow import COUNT, FIELDS, LIMITS, columns, filters
from vecbridge import Filter, field
from vecbridge.filters import Comparison, Not, OneOf, matches, settle

TENTH = float(np.float32(0.1))
BELOW = float(np.nextafter(np.float32(0.1), np.float32(0)))
NAN = math.nan
LARGEST = float(np.finfo(np.float32).max)


@pytest.mark.parametrize(
    ("where", "settled"),
    [
        (field("f32") == 0.1, False),
        (field("f32") != 0.1, True),
        (field("f32") == TENTH, field("f32") == TENTH),
        (field("f32") < 0.1, field("f32") <= BELOW),
        (field("f32") <= 0.1, field("f32") <= BELOW),
        (field("f32") > 0.1, field("f32") > BELOW),
        (field("f32") >= 0.1, field("f32") > BELOW),
        (field("f32").is_in([0.1, 0.5, TENTH]), OneOf("f32", (0.5, TENTH))),
        (field("f32") < 1e300, True),
        (field("f32") <= LARGEST, True),
        (field("f32") > LARGEST, False),
        (field("f32") > 1e-300, field("f32") > 0.0),
        (field("f32") <= 1e-300, field("f32") <= 0.0),
        (field("f32") == math.inf, False),
        (field("f32") < NAN, False),
        (field("f32") < 2**24 + 1, field("f32") <= 2.0**24),
        (field("i8") < 200, True),
        (field("i8") == 128, False),
        (field("i8") <= 127, True),
        (field("i8") > 126.5, field("i8") > 126),
        (field("i8").is_in([127, 383]), field("i8") == 127),
        (field("i16") != 2**16, True),
        (field("i32") >= -(2**31), True),
        (field("short") < "abcdef", field("short") < "abcdef"),
    ],
    ids=str,
)
def test_an_operand_is_a_value_of_its_field(where: Filter, settled: Filter | bool) -> None:
    assert settle(where, FIELDS, LIMITS) == settled


def leaves(where: Any) -> list[Any]:
    if isinstance(where, (Comparison, OneOf)):
        return [where]
    if isinstance(where, Not):
        return leaves(where.operand)
    return leaves(where.left) + leaves(where.right)


def test_random_filters_accept_what_they_mean_and_are_sent_as_the_field_has_them() -> None:
    values, sent = columns(), 0
    for where, accepted in filters(5000, seed=1):
        settled = settle(where, FIELDS, LIMITS)
        if isinstance(settled, bool):
            assert accepted == (frozenset(range(COUNT)) if settled else frozenset()), where
            continue
        found = np.flatnonzero(matches(settled, values, COUNT))
        assert frozenset(found.tolist()) == accepted, where
        for leaf in leaves(settled):
            operands: Any = leaf.values if isinstance(leaf, OneOf) else [leaf.value]
            for value in operands:
                sent += 1
                limits = LIMITS[leaf.name]
                if leaf.name == "f32":
                    assert float(np.float32(value)) == value
                elif leaf.name != "short":
                    assert limits.smallest <= value <= limits.largest
    assert sent > 5000
