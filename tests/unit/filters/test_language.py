"""Filters as text: what it means, how it is written, and what is said of text that is no filter."""

from __future__ import annotations

import copy
import math
import operator
import pickle
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.filters.making import Label, Level
from tests.meta.source import ROOT
from vecbridge import Filter, FilterSyntaxError, InvalidArgumentError, field
from vecbridge.filters import (
    And,
    Comparison,
    Contains,
    ContainsAny,
    IsMissing,
    Not,
    OneOf,
    Or,
    StartsWith,
    format,  # noqa: A004
    parse,
)

LABEL, SCORE, OK = field("label"), field("score"), field("ok")
CAT = LABEL == "cat"
HIGH = SCORE > 0.5
NEW_YEAR = datetime(2026, 1, 1, tzinfo=timezone.utc)
COMPARISON: Any = Comparison
"""As callers without a type checker make them."""


PAGE = ROOT / "docs" / "reference" / "filter-language.md"


def chain(join: Callable[[Any, Any], Filter], parts: Sequence[Filter]) -> Filter:
    return reduce(join, parts)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('label == "cat" and score > 0.5', CAT & HIGH),
        ("label == 'cat'", CAT),
        ("label != 'it\\'s' or label == \"\\\"\"", (LABEL != "it's") | (LABEL == '"')),
        (r'label == "\u00e9\x41\U0001f600\ud83d\ude00\n\t\\\/"', LABEL == "éA😀😀\n\t\\/"),
        ("score == -3 or score == +3", (SCORE == -3) | (SCORE == 3)),
        ("score == 1e-3 or score == .5", (SCORE == 0.001) | (SCORE == 0.5)),
        ("score == -1.5E+3", SCORE == -1500.0),
        ("score == 123456789012345678901234567890", SCORE == 123456789012345678901234567890),
        ("ok == true or ok != FALSE", (OK == True) | (OK != False)),  # noqa: E712
        ("label in ['a', 'b']", LABEL.is_in(["a", "b"])),
        ("label in [] or label in ['a',]", LABEL.is_in([]) | LABEL.is_in(["a"])),
        ("label not in ['a']", ~LABEL.is_in(["a"])),
        ("not label in ['a']", ~LABEL.is_in(["a"])),
        ("0 < score <= 0.5", (SCORE > 0) & (SCORE <= 0.5)),
        ("1 >= score", SCORE <= 1),
        ("'cat' == label", CAT),
        ("not label == 'cat' and score > 0.5", ~CAT & HIGH),
        ("not (label == 'cat' and score > 0.5)", ~(CAT & HIGH)),
        ("not not ok == true", ~~(OK == True)),  # noqa: E712
        ("ok == true or label == 'cat' and score > 0.5", (OK == True) | (CAT & HIGH)),  # noqa: E712
        ("label == 'cat' and (score > 0.5 and ok == true)", CAT & (HIGH & (OK == True))),  # noqa: E712
        ("(label == 'cat') & ~(score > 0.5)", CAT & ~HIGH),
        ("label=='cat'&&!(score>0.5)||label=='cat'", (CAT & ~HIGH) | CAT),
        ("LABEL == 'cat' AND NOT score IN [1]", (field("LABEL") == "cat") & ~SCORE.is_in([1])),
        ("`my field` == 1 or `in` == 2 or `a\\`b` == 3",
         (field("my field") == 1) | (field("in") == 2) | (field("a`b") == 3)),
        ("größe > 1 and 日本 == 2 and _x1 == 3",
         (field("größe") > 1) & (field("日本") == 2) & (field("_x1") == 3)),
        ("\n label\t==\n'cat'  ", CAT),
        ("between == 1 and contains == 2", (field("between") == 1) & (field("contains") == 2)),
        ("score between 0 and 1 and label == 'cat'", SCORE.between(0, 1) & CAT),
        ("score not between 0 and 1", ~SCORE.between(0, 1)),
        ("label is missing or label is not missing", LABEL.is_missing() | ~LABEL.is_missing()),
        ("label starts with 'c' and label contains 'a'",
         LABEL.starts_with("c") & LABEL.contains("a")),
        ("tags contains any ['a', 'b']", field("tags").contains_any(["a", "b"])),
        ("tags contains all ['a', 'b']", field("tags").contains_all(["a", "b"])),
        ("tags not contains 'a'", ~field("tags").contains("a")),
        ("at >= timestamp('2026-01-01T02:00:00+02:00')", field("at") >= NEW_YEAR),
        ('timestamp("2026-01-01T00:00:00Z") < at', field("at") > NEW_YEAR),
    ],
)  # fmt: skip
def test_a_text_means_what_a_program_would_write(text: str, where: Filter) -> None:
    assert parse(text) == where
    assert leaves(parse(text)) == leaves(where)


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (CAT & HIGH, 'label == "cat" and score > 0.5'),
        (CAT | (HIGH & CAT), 'label == "cat" or score > 0.5 and label == "cat"'),
        ((CAT | HIGH) & CAT, '(label == "cat" or score > 0.5) and label == "cat"'),
        (CAT & (HIGH & CAT), 'label == "cat" and (score > 0.5 and label == "cat")'),
        (~(CAT & HIGH), 'not (label == "cat" and score > 0.5)'),
        (~CAT, 'not label == "cat"'),
        (~LABEL.is_in(["a", "b"]), 'label not in ["a", "b"]'),
        (~~LABEL.is_in([]), "not label not in []"),
        (field("True") == True, "`True` == true"),  # noqa: E712
        (field("a b`") == 1, r"`a b\`` == 1"),
        (field("") == 1.0, "`` == 1.0"),
        (LABEL == "\u202e\n\"'\\é", r'label == "\u202e\n\"' + r"'\\é" + '"'),
        (np.float32(0.1) == SCORE, "score == 0.10000000149011612"),
        (SCORE == Level.LOW, "score == 1"),
        (LABEL == Label.CAT, 'label == "cat"'),
        (SCORE == 1e300, "score == 1e+300"),
        (~LABEL.is_missing(), "label is not missing"),
        (LABEL.starts_with("c"), 'label starts with "c"'),
        (~LABEL.contains("c"), 'not label contains "c"'),
        (LABEL.contains_any(["c"]), 'label contains any ["c"]'),
        (field("at") > NEW_YEAR, 'at > timestamp("2026-01-01T00:00:00+00:00")'),
    ],
)
def test_a_filter_is_shown_as_a_text_that_means_it(where: Filter, text: str) -> None:
    assert str(where) == text
    assert format(where) == text
    assert repr(where) == f"parse({text!r})"
    assert parse(text) == where


NAMES = st.text(max_size=6) | st.sampled_from(["label", "in", "NOT", "a b", "`", "\\", "true"])
VALUES = (
    st.datetimes(timezones=st.just(timezone.utc)).map(lambda time: time.replace(fold=0))
    | st.text()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.sampled_from(["", "\\", '"', "'", "\0", "\x7f\u202e", "a\\", "\U0010ffff", 10**400])
)
LEAVES = st.builds(
    Comparison, NAMES, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), VALUES
) | st.one_of(
    st.builds(OneOf, NAMES, st.lists(VALUES, max_size=4).map(tuple)),
    st.builds(IsMissing, NAMES),
    st.builds(StartsWith, NAMES, st.text()),
    st.builds(Contains, NAMES, st.text()),
    st.builds(ContainsAny, NAMES, st.lists(st.text(), max_size=4).map(tuple)),
)
FILTERS = st.recursive(
    LEAVES,
    lambda parts: (
        st.builds(operator.and_, parts, parts)
        | st.builds(operator.or_, parts, parts)
        | st.builds(Not, parts)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(FILTERS)
def test_what_is_written_is_read_as_the_same_filter(where: Filter) -> None:
    found = parse(format(where))

    assert found == where
    assert leaves(found) == leaves(where)


FRAGMENTS = [
    *("label", "score", " ", "==", "!=", "<", ">=", "=", "<>", "and", "or", "not", "in", "&", "|"),
    *("~", "!", "(", ")", "[", "]", ",", "1", "-0.5", "1e9", "1e999", "1_0", '"cat"', "'a'", '"'),
    *(
        "`a b`",
        "true",
        "null",
        "between",
        "field(",
        "\\",
        "\\u",
        "\n",
        "\ud800",
        "日",
        ".",
        "#",
        "0",
    ),
]
TEXTS = st.text() | st.lists(st.sampled_from(FRAGMENTS), max_size=25).map("".join)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_any_text_is_a_filter_or_refused_at_a_place(text: str) -> None:
    where, place = None, (text, 0)
    try:
        where = parse(text)
    except FilterSyntaxError as error:
        place = (error.text, error.position)
    assert place[0] == text
    assert 0 <= place[1] <= len(text)
    assert where is None or parse(format(where)) == where


@pytest.mark.parametrize(
    ("text", "caret", "said"),
    [
        ("", None, "expected a condition, .* found the end"),
        ("label", 5, "expected a comparison .* found the end"),
        ("label == cat", 9, "expected a value.*\n.*\n.*\n.*a string is written in quotes"),
        ("label == 'cat' score > 1", 15, "expected and, or, or the end"),
        ("(label == 'cat' score > 1)", 16, "expected and, or, or \\)"),
        ("(score > 1 < 2)", 11, "a chain is written 0 < score <= 1"),
        ("label == 'cat' and", 18, "expected a condition"),
        ("label in ['a' 'b']", 14, "expected a comma or ]"),
        ("label in ['a'", 13, "expected a comma or ]; found the end"),
        ("label == 'cat", 9, "this ' is never closed"),
        ("(label == 'cat'", 0, "this parenthesis is never closed"),
        ("label == 'cat')", 14, "this \\) closes no parenthesis"),
        ("label == '\\d'", 10, "no escape.*\n.*\n.*\n.*write"),
        ("label == '\ud800'", 9, "lone surrogate"),
        ("score == 1_000", 9, "1_000 is no number"),
        ("score == 007", 9, "007 is no number"),
        ("score == 1e999", 9, "beyond every float"),
        (f"score == {'9' * 5000}", 9, "5000 digits"),
        ("score == inf", 9, "numbers of a filter are finite"),
        (
            "score == date('2026-01-01T00:00:00Z')",
            9,
            "no date\\(\\.\\.\\.\\) in a filter",
        ),
        ("score + 1 > 2", 6, "no arithmetic"),
        ("score -1 > 2", 6, "no arithmetic"),
        ("score > 1 < 2", 10, "a chain is written 0 < score <= 1"),
        ("label = 'cat'", 6, "equality is written =="),
        ("label === 'cat'", 6, "equality is written =="),
        ("label <> 'cat'", 6, "inequality is written !="),
        ("label == 'it''s'", 13, "a quote in a string is written"),
        ("'label' = 'cat'", 8, "equality is written =="),
        ("'label' == 'cat'", 11, "backticks"),
        ("label in ('a', 'b')", 9, "a list is written in brackets"),
        ("label == ['a']", 9, "for several values, use in"),
        ("label is null", 9, "missing, as in label is missing"),
        ("label == None", 9, "label is missing"),
        ("label like 'c%'", 6, "label contains"),
        ("score between 1 or 2", 16, "expected and, as in score between"),
        ("label starts 'x'", 13, "expected with, as in"),
        ("tags contains any 'x'", 18, "expected a list"),
        ("t > timestamp('2026-01-01')", 14, "needs a time zone"),
        ("t > timestamp('soon')", 14, "expected a time"),
        ("t > timestamp('2026-13-01T00:00:00Z')", 14, "expected a time"),
        ("t > timestamp('0000-01-01T00:00:00Z')", 14, "in the years 1 to 9999 in UTC"),
        ("t > timestamp('-0044-03-15T12:00:00Z')", 14, "in the years 1 to 9999 in UTC"),
        ("t > timestamp('10000-01-01T00:00:00Z')", 14, "in the years 1 to 9999 in UTC"),
        ("t > timestamp('0001-01-01T00:00:00+05:00')", 14, "in the years 1 to 9999 in UTC"),
        ("t > timestamp(7)", 14, "expected a time"),
        ("label == 'a' or 'b'", 19, "each condition names its field"),
        ("ok and score > 1", 3, "a boolean field is compared, too"),
        ("field('label') == 'cat'", 0, "a field is its name alone"),
        ("label == \u201ccat\u201d", 9, "quotes are \" or '"),
        ("a.b == 1", 1, "backticks"),
        ("label == 'x' and\n  score = 1", 25, "found =\n      score = 1\n {12}\\^\n"),
        ("日本 = 1", 3, "\n    日本 = 1\n {9}\\^\n"),
        ("(" * 10_000 + "ok == true" + ")" * 10_000, 9_999, "at most 9999 parentheses"),
    ],
)
def test_what_is_no_filter_is_refused_with_the_place_and_a_hint(
    text: str, caret: int | None, said: str
) -> None:
    with pytest.raises(FilterSyntaxError, match=said) as refused:
        parse(text)

    assert refused.value.position == (caret or 0)
    assert ("^" in str(refused.value)) == (caret is not None)
    assert isinstance(refused.value, ValueError)
    assert max(map(len, str(refused.value).splitlines())) < 120


def test_the_error_survives_a_pickle_and_a_copy() -> None:
    with pytest.raises(FilterSyntaxError) as refused:
        parse("label = 'cat'")
    for other in (pickle.loads(pickle.dumps(refused.value)), copy.copy(refused.value)):
        assert (str(other), other.text, other.position) == (
            *(str(refused.value), "label = 'cat'"),
            6,
        )


@pytest.mark.parametrize(
    "where",
    [
        *(Comparison("score", "<", value) for value in (math.inf, -math.inf, math.nan, 10**5000)),
        *(COMPARISON("score", "==", value) for value in (np.longdouble("0.1"), None, "\ud800")),
        *(COMPARISON("score", "~", 1), COMPARISON(3, "==", 1), COMPARISON("score", "==", [1])),
        And(CAT, COMPARISON("label", "==", b"")),
        *(chain(lambda rest, part: part & rest, [CAT] * 10_002), "label == 1", None),
    ],
    ids=lambda where: str(where)[:30],
)
def test_what_no_text_means_is_shown_and_not_written(where: Any) -> None:
    assert str(where)
    with pytest.raises(InvalidArgumentError, match="no text expresses this filter"):
        format(where)


def test_the_examples_of_the_reference_are_filters() -> None:
    page = PAGE.read_text(encoding="utf-8")
    code, examples = re.findall(r"```(?:python|filter)\n(.*?)```", page, re.DOTALL)

    exec(code, {})
    assert all(str(parse(line)) for line in examples.splitlines())


def test_text_alone_is_parsed() -> None:
    with pytest.raises(InvalidArgumentError, match="from a string; got bytes"):
        parse(b"ok == true")  # type: ignore[arg-type]


@pytest.mark.parametrize("join", [operator.and_, operator.or_])
def test_a_chain_of_thousands_is_written_and_read_whatever_order_it_was_built_in(join: Any) -> None:
    parts: list[Filter] = [field("i") > number for number in range(10_000)]
    for where in (chain(join, parts), chain(lambda rest, part: join(part, rest), parts)):
        assert parse(format(where)) == where


def test_negations_may_be_as_deep_as_they_like() -> None:
    where: Filter = CAT
    for _ in range(20_000):
        where = ~where

    assert parse(format(where)) == where


def leaves(where: Any) -> list[tuple[str, ...]]:
    """Conditions with the types of their values, which equality does not tell apart."""
    found, waiting = [], [where]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (And, Or, Not)):
            waiting.extend(node.operands())
        else:
            held = [getattr(node, name, ()) for name in ("value", "values", "prefix")]
            found.append((node.name, *map(repr, held)))
    return found
