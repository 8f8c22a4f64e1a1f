"""Filters of which an engine evaluates a part: what it is given, and the answer is the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

import vecbridge
from tests.filters.logic import kept, three_valued
from vecbridge import Capabilities, FieldType, Filter, Index, Records, Scope, VectorIndex, field
from vecbridge.fields import FIELD_TYPES
from vecbridge.filters import FILTER_OPERATORS, FilterOperator, parse
from vecbridge_conformance.suite.test_semantics_field_types import random_filter, random_rows

EVERY: dict[str, FieldType] = {kind.replace("?", "_o"): kind for kind in FIELD_TYPES}
ROWS = random_rows(EVERY, 80, seed=3)
IDS = [f"r{number:02}" for number in range(80)]
VECTORS = np.random.default_rng(1).integers(-3, 4, (80, 2)).astype(np.float32)
QUERIES = VECTORS[:2] + np.float32(0.5)


class Partial:
    """An engine that declares less than another one, and lists what it was given."""

    def __init__(self, engine: VectorIndex, **declared: Any) -> None:
        self._engine = engine
        self._declared = declared
        self.given: list[tuple[str, Filter | None]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    @property
    def capabilities(self) -> Capabilities:
        return replace(self._engine.capabilities, **self._declared)

    def count(self, scope: Scope) -> int:
        self.given.append(("count", scope.where))
        return self._engine.count(scope)

    def scan(self, batch_size: int, scope: Scope, *args: Any, **options: Any) -> Iterator[Records]:
        self.given.append(("scan", scope.where))
        return self._engine.scan(batch_size, scope, *args, **options)

    def candidates(self, queries: Any, k: int, scope: Scope) -> Any:
        self.given.append(("candidates", scope.where))
        return self._engine.candidates(queries, k, scope)


def filled(**fields: FieldType) -> Index:
    store = vecbridge.get_backend("sklearn")
    index = store.create_index("t", dimension=2, metric="euclidean", fields=fields)
    columns = {
        name: [row[kind.replace("?", "_o")] for row in ROWS] for name, kind in fields.items()
    }
    index.upsert(IDS, VECTORS, columns)
    return index


def partial(index: Index, **declared: Any) -> tuple[Index, Partial]:
    engine = Partial(index.engine, **declared)
    return Index(cast("VectorIndex", engine)), engine


EQUALITY: frozenset[FilterOperator] = frozenset({"==", "&", "|", "~"})


@pytest.mark.parametrize(
    ("where", "given"),
    [
        ('n == 1 and s contains "a"', "n == 1"),
        ('n == 1 and (s contains "a" and b == true)', "b == true and n == 1"),
        ('n == 1 or s contains "a"', None),
        ('n == 1 or (b == true and s contains "a")', "n == 1 or b == true"),
        ('not (n == 1 or s contains "a")', "not n == 1"),
        ('not (n == 1 and s contains "a")', None),
        ('not (b == true or not (n == 1 and s contains "a"))', "not (b == true or not n == 1)"),
        ('s contains "a"', None),
        ("n > 1", None),
        ('n == 1 and t contains "a"', "n == 1"),
    ],
)
def test_an_engine_is_given_what_the_whole_filter_implies(where: str, given: str | None) -> None:
    whole = filled(n="integer", s="string", b="boolean", t="strings")
    index, engine = partial(
        whole,
        filters=EQUALITY | {"contains"},
        filters_except=frozenset({("string", "contains"), ("strings", "contains")}),
    )
    expected = whole.count(where=parse(where))
    assert index.count(where=parse(where)) == expected
    assert engine.given == [("scan", None if given is None else parse(given))]


def test_what_it_evaluates_on_one_type_and_not_on_another() -> None:
    whole = filled(s="string", t="strings", o="strings?")
    index, engine = partial(whole, filters_except=frozenset({("strings", "contains")}))
    for name, call in (("s", "count"), ("t", "scan"), ("o", "count")):
        where = field(name).contains("a")
        engine.given.clear()
        assert index.count(where=where) == whole.count(where=where)
        assert engine.given == [(call, where if call == "count" else None)]


def test_an_engine_that_joins_nothing_is_given_one_side() -> None:
    whole = filled(n="integer", b="boolean")
    index, engine = partial(whole, filters=frozenset({"=="}))
    assert index.count(where=parse("n == 1 and b == true")) >= 0
    assert index.count(where=parse("n == 1 or b == true")) > 0
    assert engine.given == [("scan", parse("n == 1")), ("scan", None)]


def test_no_part_leaves_a_match_out_by_logic_of_two_or_of_three_values() -> None:
    index = filled(**EVERY)
    draw = random.Random(5)
    rows = [{name: kept(value) for name, value in row.items()} for row in ROWS]
    parts = 0
    for _ in range(1500):
        declared = frozenset(each for each in FILTER_OPERATORS if draw.random() < 0.7)
        excepted = frozenset(
            (kind, each) for kind in FIELD_TYPES for each in declared if draw.random() < 0.1
        )
        limited, engine = partial(index, filters=declared, filters_except=excepted)
        where, meaning = random_filter(draw, EVERY, depth=4)
        expected = [meaning(row) for row in ROWS]
        assert limited.count(where=where) == sum(expected), repr(where)
        given = engine.given[0][1] if engine.given else None
        if given is not None:
            parts += engine.given[0][0] == "scan"
            for matched, row in zip(expected, rows, strict=True):
                assert not matched or three_valued(given, row) is True, f"{given!r} of {where!r}"
    assert parts > 100


def test_answers_are_those_of_an_engine_that_evaluates_everything() -> None:
    whole = filled(**EVERY)
    draw = random.Random(6)
    for _ in range(150):
        index, _ = partial(
            whole,
            filters=frozenset(each for each in FILTER_OPERATORS if draw.random() < 0.6),
            farthest=draw.random() < 0.5,
            partitions=draw.random() < 0.5,
            max_within=draw.choice([None, 5, 1000]),
        )
        where, meaning = random_filter(draw, EVERY, depth=3)
        within, k = draw.choice([None, IDS[::2], IDS[:3]]), draw.choice([1, 3, 10, 100])
        found = index.search(QUERIES, k, where=where, within=within)
        assert found == whole.search(QUERIES, k, where=where, within=within), repr(where)
        assert all(hits.exact for hits in found)
        assert index.farthest(QUERIES, k, where=where, within=within) == whole.farthest(
            QUERIES, k, where=where, within=within
        )
        assert index.range_search(QUERIES, 2.0, where=where) == whole.range_search(
            QUERIES, 2.0, where=where
        )
        assert dict(index.neighbors(2, where=where)) == dict(whole.neighbors(2, where=where))
        ordered = [name for page in index.scan(7, where=where, start="r2") for name in page.ids]
        expected = [name for name, row in zip(IDS, ROWS, strict=True) if meaning(row)]
        assert ordered == [name for name in expected if name >= "r2"]


def test_a_search_reads_no_more_than_it_needs() -> None:
    index, engine = partial(filled(n="integer", s="string"), filters=EQUALITY)
    hits = index.search(QUERIES, 3, where=field("s").contains("a"))
    assert all(each.exact and len(each) == 3 for each in hits)
    assert {call for call, _ in engine.given} == {"candidates"}


def test_an_approximate_engine_is_asked_for_more_until_there_are_enough() -> None:
    class Approximate(Partial):
        def candidates(self, queries: Any, k: int, scope: Scope) -> Any:
            found = super().candidates(queries, k, scope)
            return [replace(each, lower_bound=-np.inf) for each in found]

    whole = filled(n="integer", s="string")
    engine = Approximate(whole.engine, filters=EQUALITY, exact=False)
    index = Index(cast("VectorIndex", engine))
    where = field("s").contains("a")
    assert index.count(where=where) > 10
    for k in (1, 10, 80):
        found, expected = (
            index.search(QUERIES, k, where=where),
            whole.search(QUERIES, k, where=where),
        )
        assert [len(hits) for hits in found] == [len(hits) for hits in expected]
        assert found == expected


def test_a_candidate_that_is_gone_before_it_is_read_decides_nothing() -> None:
    class Fleeting(Partial):
        def candidates(self, queries: Any, k: int, scope: Scope) -> Any:
            found = super().candidates(queries, k, scope)
            self._engine.delete(found[0].ids[:1])
            return found

    engine = Fleeting(filled(n="integer", s="string").engine, filters=EQUALITY)
    index = Index(cast("VectorIndex", engine))
    where = field("s").contains("a")
    (hits,) = index.search(QUERIES[0], 3, where=where)
    assert hits.exact
    assert hits == index.search(QUERIES[0], None, where=where)[0].take([0, 1, 2])
    assert "scan" in {call for call, _ in engine.given}
