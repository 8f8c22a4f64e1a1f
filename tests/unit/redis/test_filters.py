"""Settled filters in the query language of Redis."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from vecbridge import FieldType, field
from vecbridge.filters import And, Comparison, Filter, settle
from vecbridge.remote import NORM
from vecbridge_redis._filters import Condition
from vecbridge_redis._records import tag

FIELDS: dict[str, FieldType] = {
    "size": "integer",
    "share": "float?",
    "label": "string",
    "ok": "boolean",
    "tags": "strings",
}
BIG = 2**53
SAME = r"@size\.number:[9007199254740992.0 9007199254740992.0]"


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (field("size") == 3, r"(@size\.number:[3.0 3.0])"),
        (field("size") < 3, r"@size\.number:[-inf (3.0]"),
        (
            field("size") < BIG + 1,
            r"(@size\.number:[-inf (9007199254740992.0]|(" + SAME + r" @size\.rest:[-inf (1]))",
        ),
        (
            field("size") == BIG + 1,
            "((" + SAME + r" @size\.rest:[1 1]))",
        ),
        (field("ok") == True, r"(@ok\.number:[1.0 1.0])"),  # noqa: E712
        (field("share").is_missing(), r"@\.none:{share}"),
        (field("label") == "a|b}", rf"@label\.tag:{{{tag('a|b}')}}}"),
        (field("tags").contains_any(["a", "b"]), rf"@tags\.tag:{{{tag('a')}|{tag('b')}}}"),
        (field("label") != "a", rf"(-@label\.tag:{{{tag('a')}}} -@\.none:{{label}})"),
        (
            (field("size") > 1) | ~(field("size") == 9),
            r"(@size\.number:[(1.0 inf]|(-(@size\.number:[9.0 9.0])))",
        ),
    ],
)
def test_a_filter_is_written(where: Filter, text: str) -> None:
    settled = settle(where, FIELDS)
    assert not isinstance(settled, bool)
    assert Condition(FIELDS).written(settled) == text


def test_lengths_are_compared_too() -> None:
    where = And(Comparison(NORM, ">=", 0.5), Comparison(NORM, "<=", 2.0**61))
    assert Condition({}).written(where) == (
        r"(@\.norm:[0.5 inf] @\.norm:[-inf 2.305843009213694e+18])"
    )


def test_what_stands_for_a_string_is_of_hexadecimal_digits_alone() -> None:
    """A TAG is split at commas, trimmed and folded; other ways to read one have no room here."""
    assert tag(" Cat, dog ") == blake2b(b" Cat, dog ", digest_size=20).hexdigest()
    assert tag("") != tag(" ")
