from __future__ import annotations

import math
import re
from typing import Any

import pytest

from vecbridge import FieldType, InvalidArgumentError, field
from vecbridge.filters import Filter, settle
from vecbridge_milvus._expr import Expressions, both

FIELDS: dict[str, FieldType] = {"t": "string", "i": "integer", "f": "float", "b": "boolean"}
SERVER, LITE = Expressions("pk", lite=False), Expressions("pk", lite=True)


def compiled(where: Any) -> str:
    settled = settle(where, FIELDS)
    assert not isinstance(settled, bool)
    return SERVER.matching(settled)


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("plain", '"plain"'),
        ('a"b', '"a\\"b"'),
        ("a'b", '"a\'b"'),
        ("a\\", '"a\\\\"'),
        ("a\\nb", '"a\\\\nb"'),
        ("line\nfeed\rtab\t", '"line\\nfeed\\rtab\\t"'),
        ("\x01 é 日 \u2028", '"\x01 é 日 \u2028"'),
        ('"] or pk != ""', '"\\"] or pk != \\"\\""'),
    ],
)
def test_a_string_stays_inside_its_quotes(text: str, literal: str) -> None:
    assert SERVER.string(text) == LITE.string(text) == literal


def test_characters_of_more_than_16_bits_are_escaped_for_servers_alone() -> None:
    assert SERVER.string("日\U00020bb7😀") == '"日\\U00020BB7\\U0001F600"'
    assert LITE.string("日\U00020bb7😀") == '"日\U00020bb7😀"'


def test_nul_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="NUL"):
        SERVER.string("a\0b")


def test_ids_and_conjunctions() -> None:
    assert SERVER.keys(["a", 'b"']) == 'pk in ["a","b\\""]'
    assert SERVER.after("a") == 'pk > "a"'
    assert SERVER.until("a") == 'pk <= "a"'
    assert both("", "a or b", "") == "a or b"
    assert both("a or b", "", "c") == "(a or b) and (c)"
    assert both("", "") == ""


@pytest.mark.parametrize(
    ("where", "expression"),
    [
        (field("t") == "x", 't == "x"'),
        (field("i") <= 5, "i <= 5"),
        (field("i") < 5.5, "i <= 5"),
        (field("i") == 2**63 - 1, "i == 9223372036854775807"),
        (field("i") == -(2**63), "i < -9223372036854775807"),
        (field("i") <= -(2**63), "i < -9223372036854775807"),
        (field("i") != -(2**63), "i >= -9223372036854775807"),
        (field("i") > -(2**63), "i >= -9223372036854775807"),
        (field("f") == -(2**63), "f == -9.223372036854776e+18"),
        (field("f") > 1, "f > 1.0"),
        (field("f") == 1e-300, "f == 1e-300"),
        (field("f") == 2**53, "f == 9007199254740992.0"),
        (field("f") <= 2**53 + 1, "f <= 9007199254740992.0"),
        (field("b") == True, "b == true"),  # noqa: E712
        (field("b") != True, "b == false"),  # noqa: E712
        (field("t").is_in(["b", "a", "b"]), 't in ["b","a"]'),
        (field("i").is_in([2, 1, -(2**63)]),
         f"not ((not (i in [2,1])) and (not (i < {-(2**63) + 1})))"),
        (field("f").is_in([2, 0.5, math.inf]), "f in [2.0,0.5]"),
        (field("f").is_in([2, -0.0, 3]), "not ((not (f in [2.0,3.0])) and (not (f == 0.0)))"),
        (~(field("i") == 1), "not (i == 1)"),
        (~~(field("i") == 1), "i == 1"),
        ((field("i") == 1) & (field("f") < 2), "(i == 1) and (f < 2.0)"),
        ((field("i") == 1) | (field("f") < 2), "not ((not (i == 1)) and (not (f < 2.0)))"),
        (~((field("i") == 1) | (field("f") < 2)), "(not (i == 1)) and (not (f < 2.0))"),
        (~((field("i") == 1) & (field("f") < 2)), "not ((i == 1) and (f < 2.0))"),
    ],
)  # fmt: skip
def test_filters_become_expressions(where: Filter, expression: str) -> None:
    assert compiled(where) == expression


def test_a_chain_of_thousands_nests_as_deep_as_its_logarithm() -> None:
    where: Filter = field("i") > 0
    for number in range(4000):
        where = where | ((field("i") > number) & (field("f") < number))
    text = compiled(where)
    depth = deepest = 0
    for mark in re.findall(r"[()]", text):
        depth += 1 if mark == "(" else -1
        deepest = max(deepest, depth)
    assert deepest <= 20
    assert " or " not in text
