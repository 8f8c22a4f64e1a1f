"""Times, lists of strings and missing values, in records and in filters; or their refusal."""

from __future__ import annotations

import operator
import random
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from vecbridge import (
    FieldType,
    Filter,
    InvalidArgumentError,
    UnsupportedError,
    field,
)
from vecbridge.fields import FIELD_TYPES, base_of, is_optional
from vecbridge_conformance import Harness, clause, requires, vacuous
from vecbridge_conformance.checks import unchanged

UTC = timezone.utc
_NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
ODD = "a'b\"\\%_*"
VALUES: dict[str, list[Any]] = {
    "string": [
        "",
        "a",
        "ab",
        "abc",
        "b",
        "A",
        "\u00e9",
        "e\u0301",
        "\uffff",
        "\U0001f9ed",
        ODD,
        "aab",
    ],
    "integer": [0, 1, -1, 2, 3, 2**53 + 1, 2**63 - 1, -(2**63)],
    "float": [0.0, 0.5, -0.5, 1.0, 1e300, 5e-324, 0.1],
    "boolean": [True, False],
    "timestamp": [
        _NOON,
        _NOON + timedelta(microseconds=1),
        _NOON.astimezone(timezone(timedelta(hours=-11, minutes=-30))) - timedelta(days=1),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        # Its seconds, as a float, are less than a microsecond too few.
        datetime(1970, 7, 21, 14, 9, 16, 146413, tzinfo=UTC),
    ],
    "strings": [
        [],
        [""],
        ["a"],
        ["a", "b"],
        ["b", "a", "b"],
        ["ab"],
        ["a,b"],
        ["\u00e9", "a'b\"\\%"],
        ["c"] * 40,
    ],
}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
Meaning = Callable[[dict[str, Any]], bool]
"""What a filter says of the fields of one record: the definition, without a store."""


def _declared(harness: Harness) -> dict[str, FieldType]:
    """Return a field of each type that the store has, optional ones among them."""
    known = harness.capabilities.field_types
    return {f"f_{kind.rstrip('?')}{'_o' * kind.endswith('?')}": kind for kind in sorted(known)}


def random_rows(fields: dict[str, FieldType], count: int, seed: int) -> list[dict[str, Any]]:
    """Return rows of fields: each of the values once, then drawn ones and missing ones."""
    draw = random.Random(seed)  # noqa: S311

    def value(kind: FieldType, row: int) -> Any:
        values = VALUES[base_of(kind)]
        if row < len(values):
            return values[row]
        return None if is_optional(kind) and draw.random() < 0.3 else draw.choice(values)

    return [{name: value(kind, row) for name, kind in fields.items()} for row in range(count)]


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


@requires("fields")
@clause("REC-11", "REC-12", "REC-13", "READ-3", "CAP-9")
def test_values_of_every_type_come_back(harness: Harness) -> None:
    """Look for lost microseconds, lists that are sets, and missing values that became values."""
    fields = _declared(harness)
    index = harness.index(dimension=1, metric="euclidean", fields=fields)
    rows = random_rows(fields, 60, seed=1)
    ids = [f"r{number:02}" for number in range(len(rows))]
    index.upsert(ids, [[number] for number in range(len(rows))], _columns(rows))
    found = index.fetch(ids)
    again = harness.store.open_index(index.info.name)
    assert dict(again.info.fields) == fields
    for records in (found, again.fetch(ids)):
        for name, column in _columns(rows).items():
            assert list(records.fields[name]) == column, name
            for value in records.fields[name]:
                if isinstance(value, datetime):
                    assert value.utcoffset() == timedelta(0)
    for name, kind in fields.items():
        if is_optional(kind):
            index.update_fields(ids[:1], {name: [None]})
            assert index.fetch(ids[:1]).fields[name] == [None]


@requires("fields")
@clause("REC-11", "REC-12", "REC-13", "ERR-3")
def test_values_that_a_field_does_not_hold_are_refused(harness: Harness) -> None:
    """Look for a time that is taken for one of some zone, and for None that is taken at all."""
    fields = _declared(harness)
    index = harness.index(dimension=1, metric="euclidean", fields=fields)
    (row,) = random_rows(fields, 1, seed=2)
    index.upsert(["a"], [[1]], _columns([row]))
    wrong: dict[str, list[Any]] = {
        "timestamp": [datetime(2026, 1, 1), "2026-01-01", 7, True],  # noqa: DTZ001
        "strings": ["a", [1], [None], ["a\0"], ["a"] * 4097, {"a"}, ["a" * 65536]],
        "string": [["a"]],
        "integer": [_NOON, [1]],
        "float": [_NOON, float("nan")],
        "boolean": [1],
    }
    with unchanged(index):
        for name, kind in fields.items():
            values = wrong[base_of(kind)] + [None] * (not is_optional(kind))
            for value in values:
                with pytest.raises(InvalidArgumentError):
                    index.upsert(["a"], [[2]], _columns([row | {name: value}]))


@clause("CAP-9", "CAP-2")
def test_types_that_are_not_declared_are_refused(harness: Harness) -> None:
    """Look for a field that becomes one of another type."""
    missing: list[FieldType] = [
        kind for kind in FIELD_TYPES if kind not in harness.capabilities.field_types
    ]
    if not missing:
        vacuous("every type of field is declared")
    before = harness.store.index_names()
    for kind in missing:
        wanted: dict[str, FieldType] = {"a": kind}
        with pytest.raises(UnsupportedError):
            harness.store.create_index("conformance_types", dimension=2, fields=wanted)
    assert harness.store.index_names() == before


@requires("fields")
@clause("SEARCH-17", "SEARCH-18", "SEARCH-13", "SEARCH-8", "SEARCH-15")
def test_random_filters_accept_what_they_mean(harness: Harness) -> None:
    """Look at missing values under ``~`` and ``!=``, where three-valued logic loses them."""
    fields = _declared(harness)
    index = harness.index(dimension=1, metric="euclidean", fields=fields)
    rows = random_rows(fields, 80, seed=3)
    ids = [f"r{number:02}" for number in range(len(rows))]
    index.upsert(ids, [[number] for number in range(len(rows))], _columns(rows))
    draw = random.Random(4)  # noqa: S311
    for number in range(200):
        where, meaning = random_filter(draw, fields, depth=3)
        expected = tuple(name for name, row in zip(ids, rows, strict=True) if meaning(row))
        assert index.search([0], 100, where=where)[0].ids == expected, f"{where!r}"
        if number % 20 == 0:
            assert index.search([0], None, where=where)[0].ids == expected, f"{where!r}"
            assert index.count(where=where) == len(expected), f"{where!r}"


@requires("fields")
@clause("SEARCH-17")
def test_a_missing_value_meets_no_condition_and_every_opposite(harness: Harness) -> None:
    """Look at how the store takes a missing value: as a smallest, an empty or an unknown one."""
    known = _declared(harness)
    optional: dict[str, FieldType] = {}
    optional.update((name, kind) for name, kind in known.items() if is_optional(kind))
    if not optional:
        vacuous("no field is optional")
    fields: dict[str, FieldType] = {"sure": "string", **optional}
    index = harness.index(dimension=1, metric="euclidean", fields=fields)
    columns = {name: [*VALUES[base_of(kind)][:2], None] for name, kind in optional.items()}
    ids = ("one", "two", "none")
    index.upsert(ids, [[1], [2], [3]], {"sure": ["a", "", "a"], **columns})

    def found(where: Filter) -> set[str]:
        return set(index.search([0], 9, where=where)[0].ids)

    for name, kind in optional.items():
        of, base = field(name), base_of(kind)
        one, two = VALUES[base][:2]
        conditions: list[tuple[Filter, set[str]]]
        if base == "strings":
            conditions = [(of.contains(""), {"two"}), (of.contains_any(["", "x"]), {"two"})]
            conditions += [(of.contains_all([]), {"one", "two"}), (of.contains_any([]), set())]
        else:
            conditions = [(of == one, {"one"}), (of != one, {"two"}), (of.is_in([two]), {"two"})]
            conditions += [(of.between(one, one), {"one"}), (of.is_in([]), set())]
            conditions += [
                (
                    compare(of, one),
                    {name for name, value in (("one", one), ("two", two)) if compare(value, one)},
                )
                for compare in (operator.lt, operator.le, operator.gt, operator.ge)
            ]
        if base == "string":
            conditions += [(of.starts_with(""), {"one", "two"}), (of.contains(""), {"one", "two"})]
        for where, expected in conditions:
            assert found(where) == expected, repr(where)
            assert found(~where) == set(ids) - expected, f"not {where!r}"
            both = where & (field("sure") == "")
            assert found(~both) == set(ids) - (expected & {"two"}), f"not {both!r}"
            either = where | (field("sure") == "")
            assert found(~either) == {"one", "none"} - expected, f"not {either!r}"
        assert found(of.is_missing()) == {"none"}, name
        assert found(~of.is_missing()) == {"one", "two"}, name
    assert found(field("sure").is_missing()) == set()


TEXTS = {
    "cat": "cat",
    "Cat": "Cat",
    "con": "concat",
    "pct": "c%t",
    "low": "c_t",
    "two": "c\u00e9\U0001f9ed",
    "dec": "ce\u0301",
    "nil": "",
}
TAGS = {
    "ab": ["a", "b"],
    "ba": ["b", "a", "b"],
    "a": ["a"],
    "long": ["ab"],
    "comma": ["a,b"],
    "case": ["A"],
    "void": [""],
    "nil": [],
}


@requires("fields")
@clause("SEARCH-18")
def test_a_text_is_looked_for_as_it_is(harness: Harness) -> None:
    """Look for patterns, for case and for forms of a character, and at where in a text it looks."""
    index = harness.index(dimension=1, metric="euclidean", fields={"text": "string"})
    index.upsert(list(TEXTS), [[row] for row in range(len(TEXTS))], {"text": [*TEXTS.values()]})
    text = field("text")
    for part in (
        "",
        "c",
        "C",
        "cat",
        "at",
        "on",
        "%",
        "_",
        "c%",
        "c_t",
        "t",
        "\u00e9",
        "e",
        "\u0301",
    ):
        for where, holds in (
            (text.contains(part), [name for name, each in TEXTS.items() if part in each]),
            (
                text.starts_with(part),
                [name for name, each in TEXTS.items() if each.startswith(part)],
            ),
        ):
            assert index.search([0], 99, where=where)[0].ids == tuple(holds), repr(where)
            rest = [name for name in TEXTS if name not in holds]
            assert index.search([0], 99, where=~where)[0].ids == tuple(rest), f"not {where!r}"


@requires("fields")
@clause("SEARCH-18")
def test_an_element_is_looked_for_whole(harness: Harness) -> None:
    """Look for lists that are searched as they are written, and at the operands of none."""
    if "strings" not in harness.capabilities.field_types:
        vacuous("no field holds lists of strings")
    index = harness.index(dimension=1, metric="euclidean", fields={"tags": "strings"})
    index.upsert(list(TAGS), [[row] for row in range(len(TAGS))], {"tags": [*TAGS.values()]})
    tags = field("tags")
    for few in ([], [""], ["a"], ["b"], ["a", "b"], ["ab"], ["A", "b"], ["a,b", "x"], ["x"]):
        some = [name for name, each in TAGS.items() if set(few) & set(each)]
        every = [name for name, each in TAGS.items() if set(few) <= set(each)]
        asked = [(tags.contains_any(few), some), (tags.contains_all(few), every)]
        asked += [(tags.contains(few[0]), some)] if len(few) == 1 else []
        for where, holds in asked:
            assert index.search([0], 99, where=where)[0].ids == tuple(holds), repr(where)
            rest = [name for name in TAGS if name not in holds]
            assert index.search([0], 99, where=~where)[0].ids == tuple(rest), f"not {where!r}"


@requires("fields")
@clause("SEARCH-18", "SEARCH-12", "ERR-3")
def test_operators_of_another_type_are_refused(harness: Harness) -> None:
    """Look for an operator that matches nothing where it means nothing."""
    fields = _declared(harness)
    index = harness.index(dimension=1, metric="euclidean", fields=fields)
    for name, kind in fields.items():
        base, of = base_of(kind), field(name)
        wrong: list[Filter] = []
        if base != "string":
            wrong.append(of.starts_with("a"))
        if base not in ("string", "strings"):
            wrong.append(of.contains("a"))
        if base != "strings":
            wrong += [of.contains_any(["a"]), of.contains_all(["a"]) & of.contains_any(["a"])]
        if base == "strings":
            wrong += [of == "a", of != "a", of < "a", of.is_in(["a"]), of.contains(1)]  # type: ignore[arg-type]
        if base == "timestamp":
            naive = datetime(2026, 1, 1)  # noqa: DTZ001
            wrong += [of == "2026", of > 7, of < naive]
        for where in wrong:
            with pytest.raises(InvalidArgumentError):
                index.search([0], 1, where=where)


def random_filter(
    draw: random.Random, fields: dict[str, FieldType], depth: int
) -> tuple[Filter, Meaning]:
    kind = draw.random()
    if depth and kind < 0.5:
        (left, one), (right, other) = (random_filter(draw, fields, depth - 1) for _ in range(2))
        if kind < 0.25:
            return left & right, lambda row: one(row) and other(row)
        return left | right, lambda row: one(row) or other(row)
    if depth and kind < 0.7:
        inner, means = random_filter(draw, fields, depth - 1)
        return ~inner, lambda row: not means(row)
    name = draw.choice(list(fields))
    return _condition(draw, name, base_of(fields[name]))


def _condition(draw: random.Random, name: str, base: str) -> tuple[Filter, Meaning]:
    of = field(name)
    if draw.random() < 0.15:
        return of.is_missing(), lambda row: row[name] is None
    where, holds = _typed_condition(draw, of, base)
    return where, lambda row: row[name] is not None and holds(row[name])


def _typed_condition(
    draw: random.Random, of: Any, base: str
) -> tuple[Filter, Callable[[Any], bool]]:
    values = VALUES[base]
    if base == "strings":
        texts = draw.sample(
            ["", "a", "b", "ab", "c", "d", "\u00e9", "a'b\"\\%"], draw.randint(0, 3)
        )
        way = draw.choice(["one", "any", "all"])
        if way == "any":
            return of.contains_any(texts), lambda value: not set(texts).isdisjoint(value)
        if way == "all":
            return of.contains_all(texts), lambda value: set(texts) <= set(value)
        text = draw.choice(["", "a", "b", "ab", "z"])
        return of.contains(text), lambda value: text in value
    if base == "string" and draw.random() < 0.4:
        text = draw.choice(["", "a", "ab", "b", "e", "\u00e9", "\U0001f9ed", "%", "_", "\\", "z"])
        if draw.random() < 0.5:
            return of.starts_with(text), lambda value: value.startswith(text)
        return of.contains(text), lambda value: text in value
    if draw.random() < 0.2:
        some = draw.sample(values, draw.randint(0, min(3, len(values))))
        return of.is_in(some), lambda value: value in some
    one, other = draw.choice(values), draw.choice(values)
    if draw.random() < 0.2:
        return of.between(one, other), lambda value: one <= value <= other
    word = draw.choice(list(_COMPARE))
    return _COMPARE[word](of, one), lambda value: bool(_COMPARE[word](value, one))
