"""What a settled filter looks like, and what is refused: for authors of backends."""

from __future__ import annotations

import copy
import math
import operator
import pickle
import random
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import reduce
from typing import Any

import numpy as np
import pytest

import vecbridge.filters
from tests.filters.making import FIELDS, conditions, to_filter
from vecbridge import Filter, InvalidArgumentError, field
from vecbridge.filters import And, Comparison, Not, OneOf, Or, matches, settle

NAN = math.nan
TYPES = {"string": str, "integer": int, "float": float, "boolean": bool}
LONG = "x" * 65535


def chain(join: Callable[[Any, Any], Filter], count: int) -> Filter:
    parts: list[Filter] = [
        (field("i") > number) & (field("f") < number) if join is operator.or_ else
        (field("i") > number) | (field("f") < number)
        for number in range(count)
    ]  # fmt: skip
    return reduce(join, parts)


@pytest.mark.parametrize(
    ("where", "settled"),
    [
        (field("t") == "x", field("t") == "x"),
        (field("t") >= "", True),
        (field("t") < "", False),
        (field("t") == "a\0", False),
        (field("t") != "a\0", True),
        (field("t") <= "ab\0c", field("t") <= "ab"),
        (field("t") > "ab\0c", field("t") > "ab"),
        (field("t") < LONG + "x", field("t") <= LONG),
        (field("t") < LONG[1:] + "é", field("t") <= LONG[1:] + "\x7f"),
        (field("t") > LONG[3:] + "😀", field("t") > LONG[3:] + "\uffff"),
        (field("i") < 5.5, field("i") <= 5),
        (field("i") > -5.5, field("i") > -6),
        (field("i") == 5.0, field("i") == 5),
        (field("i") == 5.5, False),
        (field("i") < 2**63, True),
        (field("i") <= -(2**63), field("i") <= -(2**63)),
        (field("i") < -(2**63), False),
        (field("i") < math.inf, True),
        (field("i") != NAN, True),
        (field("f") == 2**53 + 1, False),
        (field("f") < 2**53 + 1, field("f") <= 2.0**53),
        (field("f") > 2**53 + 1, field("f") > 2.0**53),
        (field("f") == 3, field("f") == 3.0),
        (field("f") < 10**400, True),
        (field("f") > sys.float_info.max, False),
        (field("f") >= math.inf, False),
        (field("f") < NAN, False),
        (field("b") != True, field("b") == False),  # noqa: E712
        (field("b") <= True, True),
        (field("b").is_in([True, False, True]), True),
        (field("t").is_in([]), False),
        (field("t").is_in(["a", "a", "b\0"]), field("t") == "a"),
        (field("i").is_in([1, 1.0, 2.5, 3]), OneOf("i", (1, 3))),
        (~~(field("i") == 1), field("i") == 1),
        (~(field("i") < 2.5) & (field("t") < ""), False),
        ((field("i") == 1) & (field("f") < math.inf), field("i") == 1),
        ((field("i") == 1) | (field("f") < math.inf), True),
        ((field("i") == 1) | (field("i") == 2) | field("i").is_in([2, 3]), OneOf("i", (1, 2, 3))),
        ((field("i") != 1) & (field("i") != 2), ~OneOf("i", (1, 2))),
        ((field("b") == True) | (field("b") == False), True),  # noqa: E712
    ],
)  # fmt: skip
def test_what_needs_no_store_is_decided(where: Filter, settled: Filter | bool) -> None:
    found = settle(where, FIELDS)

    assert found == settled or sorted(map(repr, leaves(found))) == sorted(
        map(repr, leaves(settled))
    )


def leaves(where: Any) -> list[Any]:
    match where:
        case And(left, right) | Or(left, right):
            return leaves(left) + leaves(right)
        case Not(operand):
            return leaves(operand)
    return [where]


def test_minus_zero_becomes_zero() -> None:
    for where in (field("f") == -0.0, field("f") > -0.0, field("f") >= -5e-324 / 2):
        (found,) = leaves(settle(where, FIELDS))
        assert str(found.value) == "0.0"


def height(where: Filter) -> int:
    match where:
        case And(left, right) | Or(left, right):
            return 1 + max(height(left), height(right))
        case Not(operand):
            return 1 + height(operand)
    return 0


def test_a_settled_filter_is_what_it_says() -> None:
    settled = []
    for condition in conditions(1500, seed=5):
        with suppress(InvalidArgumentError):
            settled.append(settle(to_filter(condition), FIELDS))
    found = [where for where in settled if not isinstance(where, bool)]
    assert len(found) > 700
    for where in found:
        assert height(where) <= 20
        for leaf in leaves(where):
            kind = FIELDS[leaf.name]
            values: Any = leaf.values if isinstance(leaf, OneOf) else (leaf.value,)
            assert {type(value) for value in values} == {TYPES[kind]}
            assert kind != "boolean" or (isinstance(leaf, Comparison) and leaf.operator == "==")
            assert not isinstance(leaf, OneOf) or len(set(values)) == len(values) > 1
            if kind == "string":
                assert all("\0" not in text and len(text.encode()) <= 65535 for text in values)
            elif kind != "boolean":
                assert all(-(2**63) <= value < 2**63 or kind == "float" for value in values)
                assert all(math.isfinite(value) and str(value) != "-0.0" for value in values)
    # To settle it again changes nothing but the order of what was joined.
    for where in found[:300]:
        again = settle(where, FIELDS)
        assert sorted(map(repr, leaves(again))) == sorted(map(repr, leaves(where)))


@pytest.mark.parametrize("join", [operator.and_, operator.or_])
def test_a_chain_of_thousands_is_settled_whatever_order_it_was_built_in(join: Any) -> None:
    built = chain(join, 4000)
    parts = list(reversed(leaves_of_chain(built)))
    for where in (built, reduce(join, parts), reduce(lambda rest, part: join(part, rest), parts)):
        settled = settle(where, FIELDS)
        assert not isinstance(settled, bool)
        assert height(settled) <= 14
        assert len(leaves(settled)) == 8000


def leaves_of_chain(where: Any) -> list[Filter]:
    kind, parts = type(where), []
    while type(where) is kind:
        parts.append(where.right)
        where = where.left
    return [where, *reversed(parts)][::-1]


def test_a_long_chain_can_be_shown_compared_hashed_copied_and_pickled() -> None:
    where = ~chain(operator.or_, 5000)
    for other in (pickle.loads(pickle.dumps(where)), copy.deepcopy(where)):
        assert other == where
        assert hash(other) == hash(where)
        assert repr(other) == repr(where)
    assert where != ~chain(operator.or_, 4999)
    assert where != chain(operator.or_, 5000)
    assert where != 3
    assert (field("i") == 1) & (field("i") == 2) != (field("i") == 1) | (field("i") == 2)


def test_what_is_too_large_is_refused_at_once() -> None:
    doubled: Filter = (field("i") > 1) & (field("f") > 2)
    for number in range(60):
        doubled = (doubled & doubled) | (field("i") == number)
    deep: Filter = field("i") > 1
    for number in range(100):
        deep = deep | (field("f") > number) if number % 2 else deep & (field("f") < number)
    for where, said in (
        (doubled, "parts"),
        (deep, "20 levels"),
        (chain(operator.or_, 5001), "10002 conditions"),
    ):
        with pytest.raises(InvalidArgumentError, match=said):
            settle(where, FIELDS)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (field("i") == "1", "field 'i' holds integer values .* got '1' \\(str\\)"),
        (field("t") == 10**5000, "too long to write"),
        (field("t") < "\ud800", "lone surrogate"),
        (field("b") == 1, "compared with booleans"),
        (field("i") == True, "compared with integers and floats"),  # noqa: E712
        (field("nowhere") == 1, "has the fields .* names 'nowhere'"),
        (OneOf("t", "cat"), "is_in takes several"),  # type: ignore[arg-type]
        (Comparison("i", "=", 1), "a filter is made of fields"),  # type: ignore[arg-type]
        (field("i"), "a filter is made of fields"),
        (Comparison("i", "==", field("f")), "field\\('f'\\)"),  # type: ignore[arg-type]
    ],
    ids=str,
)
def test_a_refusal_says_what_was_given_and_what_is_wanted(where: Any, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        settle(where, FIELDS)


@pytest.mark.parametrize("strange", [None, 1, b"a", ["a"]])
def test_what_is_no_string_is_not_looked_for_in_a_list_of_strings(strange: Any) -> None:
    tags = field("tags")
    for where in (tags.contains(strange), tags.contains_any(["a", strange])):
        with pytest.raises(InvalidArgumentError, match="'tags' holds lists of strings, and contai"):
            settle(where, {"tags": "strings"})


def test_too_many_elements_of_contains_all_are_no_list_of_values() -> None:
    where = field("tags").contains_all(map(str, range(10_001)))
    with pytest.raises(InvalidArgumentError, match="some of the elements at a time") as caught:
        settle(where, {"tags": "strings"})
    assert "is_in" not in str(caught.value)


def test_a_filter_that_holds_another_many_times_is_shown_cut() -> None:
    doubled: Filter = field("i") > 1
    for _ in range(60):
        doubled = doubled & doubled
    text = str(doubled)
    assert text.startswith("i > 1 and ")
    assert text.endswith("...")
    assert len(text) < 10_000_000
    with pytest.raises(InvalidArgumentError, match="no text expresses"):
        vecbridge.filters.format(doubled)


@pytest.mark.parametrize("values", ["cat", b"cat", 3, None, {"cat": 1}, np.array("cat")])
def test_one_value_is_not_several(values: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="is_in takes several values"):
        field("t").is_in(values)


def test_a_store_that_keeps_its_fields_in_memory_asks_which_match() -> None:
    where = settle((field("i") < 2.5) & (field("t") != "b"), FIELDS)
    assert not isinstance(where, bool)
    assert matches(where, {"i": [1, 2, 3], "t": ["a", "b", "c"]}, 3).tolist() == [
        True,
        False,
        False,
    ]


def test_a_hundred_thousand_values_are_looked_up() -> None:
    index = vecbridge.get_backend("sklearn").create_index("t", dimension=1, fields={"n": "integer"})
    numbers = random.Random(3).sample(range(10**6), 1000)
    index.upsert([f"{n}" for n in numbers], [[1.0]] * 1000, {"n": numbers})
    where = field("n").is_in(range(100_000))
    assert len(index.search([1], None, where=where)[0]) == sum(n < 100_000 for n in numbers)
