"""What a filter compares, and that it means the same however it is asked."""

from __future__ import annotations

import enum
import math
import operator
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from vecbridge import (
    Candidates,
    Capabilities,
    FieldType,
    Filter,
    Hits,
    IdRange,
    Index,
    InvalidArgumentError,
    Records,
    Scope,
    UnsupportedError,
    field,
)
from vecbridge.filters import FILTER_OPERATORS, And, Comparison
from vecbridge_conformance import Harness, clause, requires
from vecbridge_conformance.checks import unchanged
from vecbridge_conformance.faults import FaultyIndex

NAN = math.nan
FIELDS: dict[str, Any] = {"name": "string", "size": "integer", "share": "float", "ok": "boolean"}
IDS = "abcdefgh"
# Texts that read as numbers, a character that 16 bits take for the next, the longest text; ends of
# the types and what lies next to them; both zeros.
ROWS: dict[str, list[Any]] = {
    "name": ["1", "1.0", "cat", "cat ", "", "\U00020bb7", "\u0bb7", "x" * 65535],
    "size": [2**63 - 1, -(2**63), 2**53, 2**53 + 1, 0, 1, -1, 2],
    "share": [0.0, -0.0, 0.1, 0.1 + 2.0**-56, 2.0**53, 5e-324, sys.float_info.max, -1.5],
    "ok": [True, False, True, False, True, False, True, True],
}
text, whole, real, truth = map(field, FIELDS)


class _Label(str, enum.Enum):
    CAT = "cat"


class _Level(enum.IntEnum):
    TWO = 2


class _Plain(enum.Enum):
    CAT = "cat"
    TWO = 2


# To a type checker, numpy's scalars compare with everything themselves.
HELD: list[tuple[Any, str]] = [
    (text == _Label.CAT, "c"),
    (text.is_in([_Label.CAT, np.str_("1")]), "ac"),
    (whole == _Level.TWO, "h"),
    (whole < np.int8(0), "bg"),
    (whole.is_in(np.array([0, 1, 2])), "efh"),
    (real == np.float32(-1.5), "h"),
    (real <= np.uint64(0), "abh"),
    (truth == np.True_, "acegh"),
]
EXACT: list[tuple[Any, str]] = [
    (real == 2**53, "e"),
    (real == 2**53 + 1, ""),
    (real < 2**53 + 1, "abcdefh"),
    (real >= 2**53 + 1, "g"),
    (real > 0.1, "deg"),
    (real <= 0.1, "abcfh"),
    (real < 0.1 + 2.0**-56, "abcfh"),
    (real >= 0.1 + 2.0**-56, "deg"),
    (real == np.float32(0.1), ""),
    (real < np.float32(0.1), "abcdfh"),
    (real == 0, "ab"),
    (real > -0.0, "cdefg"),
    (real.is_in([-0.0, 3.0]), "ab"),
    (real.is_in([0, 0.1]), "abc"),
    (real < math.inf, IDS),
    (real <= 10**400, IDS),
    (real == -math.inf, ""),
    (real >= NAN, ""),
    (real != NAN, IDS),
    (~(real < NAN), IDS),
    (whole == 2.5, ""),
    (whole != 2.5, IDS),
    (whole < 2.5, "befgh"),
    (whole >= -0.5, "acdefh"),
    (whole == 2.0, "h"),
    (whole > 2.0**53, "ad"),
    (whole < 2**63, IDS),
    (whole >= 2.0**63, ""),
    (whole == -(2**63), "b"),
    (whole > -(2**63), "acdefgh"),
    (whole.is_in([-(2**63), 1, 0.5, 2**64]), "bf"),
    (whole < NAN, ""),
    (text == "1", "a"),
    (text.is_in(["1", "01"]), "a"),
    (text == "cat\0", ""),
    (text < "cat\0", "abce"),
    (text >= "cat\0", "dfgh"),
    (text == "\U00020bb7", "f"),
    (text > "\u0bb7", "f"),
    (text == "x" * 65536, ""),
    (text <= "x" * 65536, "abcdeh"),
    (text > "x" * 65535, "fg"),
    (truth < True, "bdf"),
    (truth >= False, IDS),
]
STRANGE: dict[str, list[Any]] = {
    "name": [1, 1.5, True, None, b"cat", "\ud800", np.array("cat"), ["cat"], _Plain.CAT],
    "size": [
        "1",
        True,
        None,
        np.bool_(True),
        1j,
        np.timedelta64(1, "ns"),
        np.array([1]),
        _Plain.TWO,
    ],
    "share": ["1.0", False, None, np.datetime64("2026-01-01"), (1.0,), object()],
    "ok": [1, 0.0, "true", None, np.int8(1)],
}
_COMPARE = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)


def _joined(parts: Sequence[Filter]) -> Filter:
    """Return a filter of any of the parts: a chain that nests as deep as it is long."""
    chain = parts[0]
    for part in parts[1:]:
        chain = chain | part
    return chain


def _filled(harness: Harness) -> Any:
    index = harness.index(dimension=2, metric="euclidean", fields=FIELDS)
    index.upsert(list(IDS), [[number, 0] for number in range(len(IDS))], ROWS)
    return index


@requires("fields")
@clause("SEARCH-12", "ERR-3")
@pytest.mark.parametrize("name", FIELDS)
def test_an_operand_of_another_kind_is_refused(harness: Harness, name: str) -> None:
    """Look for an operand that is converted, or that matches nothing without a word."""
    index = _filled(harness)
    one = field(name)
    with unchanged(index):
        for value in STRANGE[name]:
            for where in (*(compare(one, value) for compare in _COMPARE), one.is_in([value])):
                for k in (9, None):
                    with pytest.raises(InvalidArgumentError):
                        index.search([0, 0], k, where=where)
                with pytest.raises(InvalidArgumentError):
                    index.search([0, 0], 9, where=~(where & (truth == True)))  # noqa: E712
        single: list[Any] = ["cat", b"cat", 1, None]
        for several in single:
            with pytest.raises(InvalidArgumentError):
                index.search([0, 0], 9, where=one.is_in(several))


@requires("fields")
@clause("SEARCH-12", "SEARCH-13", "SEARCH-8")
@pytest.mark.parametrize("ranking", ["exact", "native"])
def test_a_comparison_is_exact(harness: Harness, ranking: str) -> None:
    """Look for an operand that is rounded, cut or read as another type on its way to the store."""
    index = _filled(harness)
    for where, expected in [*HELD, *EXACT]:
        hits = index.search([0, 0], 9, where=where, ranking=ranking)[0]
        assert hits.ids == tuple(expected), repr(where)[:200]


@requires("fields")
@clause("SEARCH-14", "SEARCH-8")
def test_filters_combine_as_logic_has_it(harness: Harness) -> None:
    """Look for precedence, and for the complement of a filter that leaves records out."""
    index = _filled(harness)
    some: list[tuple[Filter, str]] = [(text == "cat", "c"), (whole == 2, "h"), *EXACT[::3]]
    for (left, first), (right, second) in pairwise(some):
        cases = {
            "and": (left & right, set(first) & set(second)),
            "or": (left | right, set(first) | set(second)),
            "not": (~(left | right), set(IDS) - set(first) - set(second)),
            "mixed": (~left & right | ~(~right), set(second)),
        }
        for kind, (where, expected) in cases.items():
            found = index.search([0, 0], 9, where=where)[0].ids
            assert found == tuple(sorted(expected)), f"{kind}: {where!r:.300}"


@requires("fields")
@clause("SEARCH-15", "SEARCH-8")
def test_a_filter_means_the_same_however_it_is_asked(harness: Harness) -> None:
    """Look for calls that go by the store's filter and calls that do not, and disagree."""
    index = _filled(harness)
    for where, expected in [*HELD[:3], *EXACT]:
        ways = {
            "k": index.search([0, 0], 9, where=where)[0].ids,
            "all": index.search([0, 0], None, where=where)[0].ids,
            "within": index.search([0, 0], 9, where=where, within=list(IDS))[0].ids,
            "farthest": index.farthest([0, 0], 9, where=where)[0].ids[::-1],
            "radius": index.range_search([0, 0], 99.0, where=where)[0].ids,
            "neighbors": tuple(name for name, _ in index.neighbors(1, where=where)),
        }
        can = harness.capabilities
        if can.filters == FILTER_OPERATORS and not can.filters_except:
            listed = index.candidates([0, 0], 9, where=where)[0].ids
            ways["candidates"] = tuple(sorted(listed))
        assert ways == dict.fromkeys(ways, tuple(expected)), f"{where!r:.200}"


@requires("fields")
@clause("SEARCH-16", "SEARCH-8")
def test_a_chain_of_thousands_of_conditions_is_answered(harness: Harness) -> None:
    """Look for a parser, or a walk over the filter, that nests as deep as the chain is long."""
    index = _filled(harness)
    # They do not become one list of values, nor one range.
    pairs: list[Filter] = [(whole == number) & (real != number) for number in range(2, 1002)]
    for chain in (_joined(pairs), _joined(pairs[::-1])):
        assert index.search([0, 0], 9, where=chain)[0].ids == ("h",)
        assert index.search([0, 0], 9, where=~chain)[0].ids == tuple("abcdefg")
    values = [*range(3, 20_000), 2]
    assert index.search([0, 0], 9, where=whole.is_in(values))[0].ids == ("h",)


@requires("fields")
@clause("SEARCH-16", "ERR-3")
def test_a_filter_that_is_too_large_is_refused(harness: Harness) -> None:
    """Look for an error of the store, or of Python, where the filter is beyond the limits."""
    index = _filled(harness)
    wide = _joined([(whole > number) & (real > number) for number in range(5001)])
    deep: Filter = whole == 2
    for number in range(100):
        deep = deep | (truth == True) if number % 2 else deep & (real != number)  # noqa: E712
    for where in (wide, deep):
        with pytest.raises(InvalidArgumentError):
            index.search([0, 0], 9, where=where)


class _WithoutFilters(FaultyIndex):
    """The same engine, which declares that it evaluates equality alone, of as much as it can."""

    @property
    def capabilities(self) -> Capabilities:
        can = super().capabilities
        return replace(can, filters=can.filters & {"==", "&"})

    def count(self, scope: Scope) -> int:
        self._check(scope.where)
        return super().count(scope)

    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        self._check(scope.where)
        return super().scan(batch_size, scope, ids, vectors=vectors)

    def search(self, queries: Any, k: int, scope: Scope) -> list[Hits]:
        self._check(scope.where)
        return super().search(queries, k, scope)

    def candidates(self, queries: Any, k: int, scope: Scope) -> list[Candidates]:
        self._check(scope.where)
        return super().candidates(queries, k, scope)

    def _check(self, where: Filter | None) -> None:
        parts = [] if where is None else [where]
        while parts:
            part = parts.pop()
            if isinstance(part, And):
                parts += part.operands()
            else:
                assert isinstance(part, Comparison), f"the engine was given {where!r}"
                assert part.operator == "==", f"the engine was given {where!r}"


@requires("fields")
@clause("CAP-8", "SEARCH-15")
def test_what_an_engine_does_not_evaluate_is_filtered_all_the_same(harness: Harness) -> None:
    """Look at what scans and fetches give of the fields: they are what the filter is asked of."""
    fields: dict[str, FieldType] = {"n": "integer", "even": "boolean"}
    index = harness.index(dimension=2, metric="euclidean", fields=fields)
    ids = [f"n{number:02}" for number in range(20)]
    columns: dict[str, list[Any]] = {
        "n": list(range(20)),
        "even": [number % 2 == 0 for number in range(20)],
    }
    index.upsert(ids, [[number, 0] for number in range(20)], columns)
    limited = Index(_WithoutFilters(index.engine))
    n, even = field("n"), field("even")
    filters: list[tuple[Filter, list[int]]] = [
        (n == 7, [7]),
        (n > 16, [17, 18, 19]),
        (n.is_in([3, 9]), [3, 9]),
        ((even == True) & (n > 12), [14, 16, 18]),  # noqa: E712
        ((n == 7) | (even == True) & ~(n <= 15), [7, 16, 18]),  # noqa: E712
        (~((even == True) | (n < 14)), [15, 17, 19]),  # noqa: E712
    ]
    for where, wanted in filters:
        expected = tuple(ids[number] for number in wanted)
        assert limited.count(where=where) == len(expected)
        assert sorted(name for page in limited.scan(where=where) for name in page.ids) == [
            *expected
        ]
        for ranking in ("exact", "certified", "native"):
            hits = limited.search([0, 0], 9, where=where, ranking=ranking)[0]
            assert hits.ids == expected, f"{where!r}, {ranking}"
        assert limited.farthest([0, 0], 9, where=where)[0].ids == expected[::-1]
        assert limited.range_search([0, 0], 99, where=where)[0].ids == expected
        assert limited.search([0, 0], 9, where=where, within=ids[:10])[0].ids == tuple(
            each for each in expected if each in ids[:10]
        )
    with pytest.raises(UnsupportedError, match="no-scan"):
        limited.search([0, 0], 9, where=n > 16, ranking="no-scan")
    limited.delete(where=(even == True) & (n > 4))  # noqa: E712
    left = [name for name, number in zip(ids, range(20), strict=True) if number % 2 or number <= 4]
    assert sorted(name for page in index.scan() for name in page.ids) == left
