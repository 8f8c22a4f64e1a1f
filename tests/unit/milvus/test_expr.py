from __future__ import annotations

import math
from typing import Any

import pytest

from vecbridge import FieldType, InvalidArgumentError, field
from vecbridge_milvus._expr import FilterCompiler, both, one_of, string_literal

FIELDS: dict[str, FieldType] = {"t": "string", "i": "integer", "f": "float", "b": "boolean"}
NAN = math.nan
ALWAYS, NEVER = 'pk != ""', 'pk == ""'


def compiled(where: Any) -> str:
    return FilterCompiler("pk", FIELDS).compile(where)


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("plain", '"plain"'),
        ('a"b', '"a\\"b"'),
        ("a'b", '"a\'b"'),
        ("a\\", '"a\\\\"'),
        ("a\\nb", '"a\\\\nb"'),
        ("line\nfeed\rtab\t", '"line\\nfeed\\rtab\\t"'),
        ("\x01 é 😀 \u2028", '"\x01 é 😀 \u2028"'),
        ('"] or pk != ""', '"\\"] or pk != \\"\\""'),
    ],
)
def test_a_string_stays_inside_its_quotes(text: str, literal: str) -> None:
    assert string_literal(text) == literal


def test_nul_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="NUL"):
        string_literal("a\0b")


def test_lists_and_conjunctions() -> None:
    assert one_of("pk", ["a", 'b"']) == 'pk in ["a","b\\""]'
    assert both("", "a or b", "") == "a or b"
    assert both("a or b", "", "c") == "(a or b) and (c)"
    assert both("", "") == ""


@pytest.mark.parametrize(
    ("where", "expression"),
    [
        (field("t") == "x", 't == "x"'),
        (field("t") == 1, NEVER),
        (field("t") != 1, ALWAYS),
        (field("i") == "x", NEVER),
        (field("i") <= 5, "i <= 5"),
        (field("i") < 5.0, "i < 5"),
        (field("i") < 5.5, "i <= 5"),
        (field("i") <= 5.5, "i <= 5"),
        (field("i") > 5.5, "i > 5"),
        (field("i") >= -5.5, "i > -6"),
        (field("i") == 5.5, NEVER),
        (field("i") != 5.5, ALWAYS),
        (field("i") < 2**70, ALWAYS),
        (field("i") >= 2**70, NEVER),
        (field("i") > -math.inf, ALWAYS),
        (field("i") < 10**400, ALWAYS),
        (field("i") == 2**63 - 1, "i == 9223372036854775807"),
        (field("i") == -(2**63), "i < -9223372036854775807"),
        (field("i") <= -(2**63), "i < -9223372036854775807"),
        (field("i") != -(2**63), "i >= -9223372036854775807"),
        (field("i") > -(2**63), "i >= -9223372036854775807"),
        (field("i") >= -(2**63), ALWAYS),
        (field("i") < -(2**63), NEVER),
        (field("f") < 10**400, ALWAYS),
        (field("f") < -(10**400), NEVER),
        (field("f") > 1, "f > 1.0"),
        (field("f") == 1e-300, "f == 1e-300"),
        (field("f") < math.inf, ALWAYS),
        (field("f") <= NAN, NEVER),
        (field("f") != NAN, ALWAYS),
        (field("b") == True, "b == true"),  # noqa: E712
        (field("b") != True, "b == false"),  # noqa: E712
        (field("b") >= 0, ALWAYS),
        (field("b") > 1, NEVER),
        (field("t").is_in(["b", "a", "b", 3]), 't in ["a","b"]'),
        (field("t").is_in([]), NEVER),
        (field("i").is_in([2, 2.0, 2.5, "x"]), "(i == 2)"),
        (field("i").is_in([2, -1, 2.0, 2.5]), "(i in [-1,2])"),
        (field("i").is_in([2, 1, -(2**63)]), f"(i < {-(2**63) + 1}) or (i in [1,2])"),
        (field("f").is_in([2, 0.5, math.inf]), "(f in [0.5,2.0])"),
        (field("b").is_in([True, False]), "(b == false) or (b == true)"),
        (~(field("i") == 1), "not (i == 1)"),
        ((field("i") == 1) & (field("f") < 2) | (field("b") == 1),
         "((i == 1) and (f < 2.0)) or (b == true)"),
    ],
)  # fmt: skip
def test_filters_become_expressions(where: Any, expression: str) -> None:
    assert compiled(where) == expression


@pytest.mark.parametrize("where", [field("t") < 1, field("i") > "x", field("b") >= "x"])
def test_values_without_an_order_are_refused(where: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="no order"):
        compiled(where)
