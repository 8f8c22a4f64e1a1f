from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest

from tests.servers.milvus_wire import Wire
from tests.unit.milvus.written import Written
from vecbridge import FieldType, Filter, InvalidArgumentError, Store, field

FIELDS: dict[str, FieldType] = {"t": "string", "i": "integer", "f": "float", "b": "boolean"}


@pytest.fixture
def server(wire: Wire, opened: Callable[..., Store]) -> Written:
    return Written(wire, opened(), FIELDS)


@pytest.fixture
def lite(wire: Wire, opened: Callable[..., Store], monkeypatch: pytest.MonkeyPatch) -> Written:
    monkeypatch.setattr(wire, "version", "milvus_lite-3.2.2")
    return Written(wire, opened(), FIELDS)


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
def test_a_string_stays_inside_its_quotes(
    server: Written, lite: Written, text: str, literal: str
) -> None:
    assert server.keys([text]) == lite.keys([text]) == f"pk in [{literal}]"


def test_characters_of_more_than_16_bits_are_escaped_for_servers_alone(
    server: Written, lite: Written
) -> None:
    assert server.keys(["日\U00020bb7😀"]) == 'pk in ["日\\U00020BB7\\U0001F600"]'
    assert lite.keys(["日\U00020bb7😀"]) == 'pk in ["日\U00020bb7😀"]'


def test_nul_is_refused(server: Written) -> None:
    with pytest.raises(InvalidArgumentError, match="NUL"):
        server.keys(["a\0b"])


def test_ids_and_conjunctions(server: Written) -> None:
    assert server.keys(["a", 'b"']) == 'pk in ["a","b\\""]'
    assert server.after("a") == 'pk > "a"'
    assert server.until("a") == '(pk > "") and (pk <= "a")'
    both = server.settled(field("i") == 1, within=["a"])
    assert both == '(pk in ["a"]) and (i == 1)'


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
def test_filters_become_expressions(server: Written, where: Filter, expression: str) -> None:
    assert server.filter(where) == expression


def test_a_chain_of_thousands_nests_as_deep_as_its_logarithm(server: Written) -> None:
    where: Filter = field("i") > 0
    for number in range(4000):
        where = where | ((field("i") > number) & (field("f") < number))
    text = server.filter(where)
    depth = deepest = 0
    for mark in re.findall(r"[()]", text):
        depth += 1 if mark == "(" else -1
        deepest = max(deepest, depth)
    assert deepest <= 20
    assert " or " not in text
