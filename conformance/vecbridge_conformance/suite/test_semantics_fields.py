"""Scalar fields and filters, or their refusal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from vecbridge import FieldLimits, Filter, InvalidArgumentError, UnsupportedError, field
from vecbridge_conformance import Harness, clause, refuses, requires, vacuous
from vecbridge_conformance.checks import contents, unchanged

FIELDS: dict[str, Any] = {"name": "string", "size": "integer", "share": "float", "ok": "boolean"}
ROWS: dict[str, list[Any]] = {
    "name": ["cat", "Cat", "a'b\"c\\", "", "\U0001f9ed"],
    "size": [3, -1, 0, 2**53 - 1, 2],
    "share": [0.5, -0.25, 0.0, 1e300, 3.0],
    "ok": [True, False, True, False, True],
}
IDS = ["a", "b", "c", "d", "e"]
FILTERS: dict[str, tuple[Filter, str]] = {
    "equal": (field("name") == "cat", "a"),
    "other": (field("name") != "cat", "bcde"),
    "quotes": (field("name") == "a'b\"c\\", "c"),
    "empty": (field("name") == "", "d"),
    "emoji": (field("name") == "\U0001f9ed", "e"),
    "injection": (field("name") == '" or name != "', ""),
    "less": (field("size") < 2, "bc"),
    "at_most": (field("size") <= 2, "bce"),
    "greater": (field("size") > 2, "ad"),
    "at_least": (field("size") >= 2, "ade"),
    "large": (field("size") == 2**53 - 1, "d"),
    "share": (field("share") > 0.0, "ade"),
    "true": (field("ok") == True, "ace"),  # noqa: E712  (a filter, not a truth value)
    "not": (~(field("name") == "cat"), "bcde"),
    "and": ((field("size") > 0) & (field("ok") == True), "ae"),  # noqa: E712
    "or": ((field("name") == "Cat") | (field("share") >= 3.0), "bde"),
    "one_of": (field("name").is_in(["cat", "Cat", "dog"]), "ab"),
    "one_of_none": (field("name").is_in([]), ""),
    "precedence": (~((field("size") > 0) | (field("ok") == True)), "b"),  # noqa: E712
}

# Values that become another where integers pass through floats, floats through fewer bits,
# and texts through collations, normal forms, trimming or columns of a fixed width.
CLOSE: dict[str, list[Any]] = {
    "name": ["cat", "cat ", "caf\u00e9", "cafe\u0301", "a\r\nb", "x" * 65535],
    "size": [2**63 - 1, -(2**63), 2**53, 2**53 + 1, -(2**53) - 1, 0],
    "share": [0.1, 0.1 + 2.0**-56, 5e-324, 1.7976931348623157e308, -1e-300, 1 / 3],
    "ok": [True, False, True, False, True, False],
}
CLOSE_IDS = ["a", "b", "c", "d", "e", "f"]

MISFITS: tuple[dict[str, Any], ...] = (
    {"name": None},
    {"other": ["x"]},
    {"name": [7]},
    {"size": ["3"]},
    {"size": [True]},
    {"size": [1.5]},
    {"share": ["1.5"]},
    {"ok": [1]},
    {"name": ["x", "y"]},
    {"name": []},
)


def _filled(
    harness: Harness, ids: Sequence[str] = IDS, rows: Mapping[str, list[Any]] = ROWS
) -> Any:
    index = harness.index(dimension=2, metric="euclidean", fields=FIELDS)
    index.upsert(ids, [[number, 0] for number in range(len(ids))], rows)
    return index


@requires("fields")
@clause("REC-6", "READ-3")
def test_fields_come_back_as_plain_values_of_their_type(harness: Harness) -> None:
    """Look at types: True is not 1, 3.0 is not 3, and numpy scalars are not plain."""
    index = _filled(harness)
    found = index.fetch(IDS[::-1])
    for name, values in ROWS.items():
        assert list(found.fields[name]) == values[::-1]
        assert {type(value) for value in found.fields[name]} == {type(values[0])}
    for page in index.scan(2):
        for name, values in ROWS.items():
            assert list(page.fields[name]) == [values[IDS.index(each)] for each in page.ids]


@requires("fields")
@clause("REC-6", "READ-3")
def test_fields_keep_their_last_digit_and_every_character(harness: Harness) -> None:
    """Look for integers kept as floats, floats kept in few bits, texts trimmed or normalised."""
    index = _filled(harness, CLOSE_IDS, CLOSE)
    found = index.fetch(CLOSE_IDS)
    for name, values in CLOSE.items():
        assert list(found.fields[name]) == values, name


@requires("fields")
@clause("REC-6", "WRITE-2")
def test_a_replaced_record_has_its_new_fields(harness: Harness) -> None:
    """Look for fields of the old record that outlive it."""
    index = _filled(harness)
    index.upsert(["b"], [[9, 9]], {"name": ["dog"], "size": [7], "share": [1.5], "ok": [True]})
    found = index.fetch(["b", "a"])
    assert [list(found.fields[name]) for name in FIELDS] == [
        ["dog", "cat"],
        [7, 3],
        [1.5, 0.5],
        [True, True],
    ]


@requires("fields")
@clause("REC-6", "ERR-3")
def test_fields_that_do_not_fit_are_refused(harness: Harness) -> None:
    """Look at the client layer; an engine alone never sees such fields."""
    index = _filled(harness)
    good: dict[str, Any] = {"name": ["x"], "size": [1], "share": [1.0], "ok": [True]}
    with unchanged(index):
        for wrong in MISFITS:
            columns = {
                key: column for key, column in {**good, **wrong}.items() if column is not None
            }
            with pytest.raises(InvalidArgumentError):
                index.upsert(["new"], [[1, 1]], columns)


@requires("fields")
@clause("REC-10", "REC-6", "ERR-3")
def test_what_a_field_holds_is_kept_and_what_it_does_not_hold_is_refused(harness: Harness) -> None:
    """Look at the ends of what the index says that its fields hold, and at the next value."""
    index = harness.index(dimension=2, metric="euclidean", fields=FIELDS)
    held = {name: index.info.limits.get(name, FieldLimits()) for name in FIELDS}
    text, whole, single = held["name"], held["size"], held["share"].single_precision
    longest = "\u00e9" * (text.max_bytes // 2) + "x" * (text.max_bytes % 2)
    largest = float(np.finfo(np.float32 if single else np.float64).max)
    rows: dict[str, list[Any]] = {
        "name": [longest, "x" * text.max_bytes, ""],
        "size": [whole.smallest, whole.largest, 0],
        "share": [
            largest,
            2.0**-149 if single else 5e-324,
            float(np.float32(0.1)) if single else 0.1,
        ],
        "ok": [True, False, True],
    }
    index.upsert(["a", "b", "c"], np.ones((3, 2)), rows)
    found = index.fetch(["a", "b", "c"])
    assert {name: list(column) for name, column in found.fields.items()} == rows
    for name, one in (("size", whole.smallest), ("size", whole.largest), ("share", largest)):
        wanted = tuple("abc"[row] for row, value in enumerate(rows[name]) if value == one)
        assert index.search([0, 0], 9, where=field(name) == one)[0].ids == wanted
    beyond: list[tuple[str, Any]] = [
        ("name", longest + "x"),
        ("name", "x" * text.max_bytes + "x"),
        ("size", whole.smallest - 1),
        ("size", whole.largest + 1),
        ("share", 0.1 if single else math.inf),
        ("share", 2.0 * largest),
    ]
    with unchanged(index):
        for name, value in beyond:
            columns = {each: [column[2]] * 2 for each, column in rows.items()}
            columns[name][1] = value
            with pytest.raises(InvalidArgumentError):
                index.upsert(["c", "new"], np.zeros((2, 2)), columns)


@requires("fields")
@clause("REC-12", "REC-10", "ERR-3")
def test_the_longest_lists_come_back(harness: Harness) -> None:
    """Look for what a column of lists is declared to hold at most."""
    if "strings" not in harness.capabilities.field_types:
        vacuous("no field holds lists of strings")
    index = harness.index(dimension=1, metric="euclidean", fields={"tags": "strings"})
    held = index.info.limits.get("tags", FieldLimits())
    last = str(held.max_strings - 1)
    longest = "\u00e9" * (held.max_bytes // 2) + "x" * (held.max_bytes % 2)
    tags = [[str(number) for number in range(held.max_strings)], ["", longest]]
    index.upsert(["many", "long"], [[1], [2]], {"tags": tags})
    assert index.fetch(["many", "long"]).fields["tags"] == tags
    assert index.search([0], 2, where=field("tags").contains(last))[0].ids == ("many",)
    with unchanged(index):
        for beyond in (["a"] * (held.max_strings + 1), [longest + "x"]):
            with pytest.raises(InvalidArgumentError):
                index.upsert(["new"], [[1]], {"tags": [beyond]})


@refuses("fields")
@clause("CAP-2", "ERR-2")
def test_fields_that_are_not_declared_are_refused(harness: Harness) -> None:
    """Look at create_index: an index without the fields asked for must not be made."""
    before = harness.store.index_names()
    with pytest.raises(UnsupportedError) as caught:
        harness.store.create_index("conformance_fields", dimension=2, fields={"a": "string"})
    assert caught.value.capability == "fields"
    assert harness.store.index_names() == before


@requires("fields")
@clause("SEARCH-8", "CAP-3")
@pytest.mark.parametrize("ranking", ["exact", "native"])
def test_where_leaves_only_the_matching_records(harness: Harness, ranking: str) -> None:
    """Look at how the filter is put into the store's language: escaping, types, precedence."""
    index = _filled(harness)
    for kind, (where, expected) in FILTERS.items():
        hits = index.search([0, 0], k=9, where=where, ranking=ranking)[0]
        assert hits.ids == tuple(expected), kind


@requires("fields")
@clause("SEARCH-8")
def test_where_tells_values_apart_that_are_nearly_the_same(harness: Harness) -> None:
    """Look for a filter that compares integers as floats, or texts by a collation."""
    index = _filled(harness, CLOSE_IDS, CLOSE)
    for name in ("name", "size", "share"):
        for expected, value in zip(CLOSE_IDS, CLOSE[name], strict=True):
            for where in (field(name) == value, field(name).is_in([value])):
                assert index.search([0, 0], k=9, where=where)[0].ids == (expected,), where
    assert index.search([0, 0], k=9, where=field("size") > 2**53)[0].ids == ("a", "d")
    assert index.search([0, 0], k=9, where=field("size") < -(2**53))[0].ids == ("b", "e")


@requires("fields")
@clause("SEARCH-8")
def test_a_filter_may_list_many_values(harness: Harness) -> None:
    """Look for a list in a filter that is cut, or dropped, where it is long."""
    index = _filled(harness)
    many = [*range(1000, 6000), 2, 3]
    assert index.search([0, 0], k=9, where=field("size").is_in(many))[0].ids == ("a", "e")


@requires("fields")
@clause("SEARCH-8", "SEARCH-7", "SEARCH-3")
def test_where_and_within_must_both_hold(harness: Harness) -> None:
    """Look at candidates that are filtered after the best k were taken."""
    index = _filled(harness)
    where = field("size") > 0
    for ranking in ("exact", "native"):
        hits = index.search([0, 0], 2, where=where, within=["c", "d", "e"], ranking=ranking)[0]
        assert hits.ids == ("d", "e")
    assert index.search([0, 0], k=None, where=where)[0].ids == ("a", "d", "e")
    assert index.farthest([0, 0], k=2, where=where)[0].ids == ("e", "d")
    assert index.search([0, 0], k=2, where=where, within=[])[0].ids == ()


@requires("fields")
@clause("SEARCH-9", "ERR-3")
def test_a_filter_on_an_unknown_field_is_refused(harness: Harness) -> None:
    """Look for a filter that matches everything, or nothing, because the field is not there."""
    index = _filled(harness)
    with pytest.raises(InvalidArgumentError, match="nowhere"):
        index.search([0, 0], where=field("nowhere") == 1)


@refuses("fields")
@clause("CAP-2", "ERR-2")
def test_a_filter_is_refused_where_filters_are_not_declared(harness: Harness) -> None:
    """Look for a filter that is accepted and ignored."""
    index = harness.index(dimension=2)
    index.upsert(["a"], [[1, 2]])
    before = contents(index)
    with pytest.raises(UnsupportedError) as caught:
        index.search([1, 2], where=field("name") == "x")
    assert caught.value.capability == "filters"
    assert contents(index) == before


@clause("REC-9", "INDEX-4")
def test_what_the_store_keeps_for_itself_is_not_the_callers(harness: Harness) -> None:
    """Look at columns of the store's own, such as norms or versions: none of them is a field."""
    index = harness.index(dimension=2)
    assert isinstance(index.info.unsupported, Mapping)
    assert dict(index.info.unsupported) == {}
    index.upsert(["a"], [[1, 2]])
    again = harness.store.open_index(index.info.name)
    assert dict(again.info.unsupported) == {}
    again.upsert(["a"], [[3, 4]])
    assert again.fetch(["a"], consistency=harness.strongest).vectors.tolist() == [[3, 4]]
