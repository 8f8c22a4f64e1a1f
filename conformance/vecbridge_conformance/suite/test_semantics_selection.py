"""Records by filter, by range of ids and with some of their fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import pytest

from vecbridge import (
    Filter,
    Hits,
    IdRange,
    Index,
    InvalidArgumentError,
    InvalidIdError,
    PartitionedIndex,
    Records,
    Scope,
    UnsupportedError,
    field,
)
from vecbridge_conformance import Harness, clause, refuses, requires
from vecbridge_conformance.checks import contents, contents_of, unchanged
from vecbridge_conformance.faults import FaultyIndex

FIELDS: dict[str, Any] = {"name": "string", "size": "integer"}
# By code point: capitals before small letters, and U+FFFF before what UTF-16 writes as a pair.
IDS = ["A", "a", "a b", "ab", "b", "z", "\u00e9", "\uffff", "\U0001f9ed"]
SIZES = [3, 1, 4, 1, 5, 9, 2, 6, 5]
VECTORS = np.arange(2 * len(IDS), dtype=np.float32).reshape(-1, 2)


def _filled(harness: Harness) -> Any:
    index = harness.index(dimension=2, metric="euclidean", fields=FIELDS)
    order = np.random.default_rng(3).permutation(len(IDS)).tolist()
    index.upsert([IDS[row] for row in order], VECTORS[order], _columns(order))
    return index


def _columns(rows: list[int]) -> dict[str, list[Any]]:
    return {"name": [f"name of {IDS[row]}" for row in rows], "size": [SIZES[row] for row in rows]}


def _sizes_of(hits: Hits) -> list[Any]:
    return [SIZES[IDS.index(name)] for name in hits.ids]


@requires("fields")
@clause("READ-8")
def test_a_read_returns_the_fields_that_it_is_asked_for(harness: Harness) -> None:
    """Look for fields that come unasked, and for vectors where none were wanted."""
    index = _filled(harness)
    for names, expected in ((True, FIELDS), (False, {}), (["size"], {"size"})):
        found = index.fetch(IDS[::-1], fields=names)
        assert set(found.fields) == set(expected)
        assert contents_of(found.ids, found.vectors) == contents_of(IDS, VECTORS)
    bare = index.fetch(["b", "none", "A"], fields=["size"], vectors=False)
    assert (bare.ids, bare.missing, bare.vectors.shape) == (("b", "A"), ("none",), (2, 0))
    assert list(bare.fields["size"]) == [5, 3]
    seen = {
        name: size
        for page in index.scan(2, fields=["size"], vectors=False)
        for name, size in zip(page.ids, page.fields["size"], strict=True)
    }
    assert seen == dict(zip(IDS, SIZES, strict=True))
    for wrong in (["other"], "size", 7):
        with pytest.raises(InvalidArgumentError):
            index.fetch(IDS, fields=wrong)
        with pytest.raises(InvalidArgumentError):
            index.search([0, 0], fields=wrong)


@requires("fields")
@clause("READ-9", "SEARCH-15")
def test_a_filter_counts_and_visits_what_a_search_finds(harness: Harness) -> None:
    """Look for calls that take a filter and go by another one, or by none."""
    index = _filled(harness)
    filters: tuple[Filter, ...] = (
        field("size") > 4,
        ~(field("size") > 4),
        (field("size") == 1) | (field("name") == "name of z"),
        field("size") > 2**70,
        field("size") < 2**70,
    )
    for where in filters:
        expected = set(index.search([0, 0], None, where=where)[0].ids)
        assert index.count(where=where) == len(expected)
        visited = [name for page in index.scan(2, where=where) for name in page.ids]
        assert sorted(visited) == sorted(expected)
        ranged = [name for page in index.scan(2, where=where, start="a") for name in page.ids]
        assert ranged == sorted(name for name in expected if name >= "a")


@clause("READ-10")
def test_a_scan_of_a_range_is_in_order_and_goes_on_after_a_batch(harness: Harness) -> None:
    """Look for collations, for an order of UTF-16, and for ends that are in or out by mistake."""
    index = harness.index(dimension=2, metric="euclidean")
    order = np.random.default_rng(3).permutation(len(IDS)).tolist()
    index.upsert([IDS[row] for row in order], VECTORS[order])
    for start, stop in ((None, "b"), ("a", None), ("a", "b"), ("aa", "zz"), ("b", "a")):
        found = [name for page in index.scan(2, start=start, stop=stop) for name in page.ids]
        assert found == [
            name
            for name in IDS
            if (start is None or name >= start) and (stop is None or name < stop)
        ], (start, stop)
    seen: list[str] = []
    while page := next(index.scan(2, after=seen[-1]) if seen else index.scan(2, start="!"), None):
        assert contents_of(page.ids, page.vectors) == contents_of(
            page.ids, VECTORS[[IDS.index(name) for name in page.ids]]
        )
        seen += page.ids
    assert seen == IDS
    with pytest.raises(InvalidArgumentError):
        index.scan(start="a", after="a")
    with pytest.raises(InvalidIdError):
        index.scan(start="")


@clause("READ-11")
def test_partitions_hold_every_id_once(harness: Harness) -> None:
    """Look for an id at a border, which belongs to one side of it alone."""
    index = harness.index(dimension=2, metric="euclidean")
    assert len(index.partitions(3)) == 1
    index.upsert(IDS, VECTORS)
    for count in (1, 2, 4, len(IDS), 100):
        ranges = index.partitions(count)
        assert len(ranges) == min(count, len(IDS))
        parts = [
            [name for page in index.scan(start=each.start, stop=each.stop) for name in page.ids]
            for each in ranges
        ]
        assert [name for part in parts for name in part] == IDS
        sizes = [len(part) for part in parts]
        assert max(sizes) - min(sizes) <= 1
        for name in (*IDS, "aaa", "\U0010ffff", "!"):
            assert sum(name in each for each in ranges) == 1


class _WithoutRanges(FaultyIndex):
    """The same engine, which does not declare that it reads ranges of ids."""

    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        assert ids is None, f"the engine was given {ids!r}"
        return super().scan(batch_size, scope, ids, vectors=vectors)


@clause("CAP-11", "READ-10", "READ-11")
def test_an_engine_without_ranges_is_given_none(harness: Harness) -> None:
    """Look at scans: all ids are read from them, and may come in any order."""
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert(IDS, VECTORS)
    limited = Index(_WithoutRanges(index.engine))
    for start, stop in (("a", None), (None, "b"), ("a b", "zz")):
        found = [name for page in limited.scan(2, start=start, stop=stop) for name in page.ids]
        assert found == [
            name
            for name in IDS
            if (start is None or name >= start) and (stop is None or name < stop)
        ]
    assert limited.partitions(3) == [
        IdRange(None, IDS[3]),
        IdRange(IDS[3], IDS[6]),
        IdRange(IDS[6], None),
    ]


@requires("partitions")
@clause("CAP-11", "CAP-3")
def test_an_engine_with_ranges_reads_them_in_order(harness: Harness) -> None:
    """Look at the engine's own scan: what it is compared by, and what it does with the ends."""
    index = harness.index(dimension=2, metric="euclidean")
    order = np.random.default_rng(3).permutation(len(IDS)).tolist()
    index.upsert([IDS[row] for row in order], VECTORS[order])
    engine, scope = index.engine, Scope(consistency=index.info.consistency)
    for ids in (
        IdRange(),
        IdRange("a", "b"),
        IdRange(IDS[-2]),
        IdRange("ab", "a"),
        IdRange("B", "C"),
    ):
        pages = list(engine.scan(2, scope, ids, vectors=True))
        assert all(len(page) <= 2 for page in pages)
        found = [name for page in pages for name in page.ids]
        assert found == [name for name in IDS if name in ids], ids
        vectors = np.concatenate([np.empty((0, 2)), *(page.vectors for page in pages)])
        assert vectors.tolist() == VECTORS[[IDS.index(name) for name in found]].tolist()
    index.delete(IDS[::2])
    index.upsert(["a", "aa"], [[1, 1], [2, 2]])
    found = [
        name for page in engine.scan(3, scope, IdRange("a"), vectors=False) for name in page.ids
    ]
    assert found == ["a", "aa", *IDS[3::2]]
    cuts = cast(PartitionedIndex, engine).partitions(2, consistency=index.info.consistency)
    assert [(each.start is None, each.stop is None) for each in cuts] == [
        (True, False),
        (False, True),
    ]
    assert cuts[0].stop == cuts[1].start


@requires("fields")
@clause("WRITE-10")
def test_delete_by_filter_removes_what_matches(harness: Harness) -> None:
    """Look for records that are left, and for others that go with them."""
    index = _filled(harness)
    with unchanged(index):
        index.delete(where=field("size") > 100)
        with pytest.raises(InvalidArgumentError):
            index.delete(["a"], where=field("size") > 1)
        with pytest.raises(InvalidIdError):
            index.delete()
    index.delete(where=field("size") > 4)
    kept = [row for row, size in enumerate(SIZES) if size <= 4]
    assert contents(index) == contents_of([IDS[row] for row in kept], VECTORS[kept])


@requires("fields")
@clause("WRITE-11")
def test_update_fields_keeps_vectors_and_the_other_fields(harness: Harness) -> None:
    """Look for what is lost when a record is written again."""
    index = _filled(harness)
    index.update_fields(["z", "a"], {"size": [70, 80]})
    found = index.fetch(IDS)
    expected = dict(zip(IDS, SIZES, strict=True)) | {"z": 70, "a": 80}
    assert dict(zip(found.ids, found.fields["size"], strict=True)) == expected
    assert list(found.fields["name"]) == _columns([*range(len(IDS))])["name"]
    assert contents_of(found.ids, found.vectors) == contents_of(IDS, VECTORS)
    for ids, columns, error in (
        (["a", "unknown"], {"size": [0, 0]}, InvalidIdError),
        (["a"], {"other": [0]}, InvalidArgumentError),
        (["a"], {"size": ["x"]}, InvalidArgumentError),
        (["a", "b"], {"size": [0]}, InvalidArgumentError),
    ):
        with pytest.raises(error):
            index.update_fields(ids, columns)
    again = index.fetch(IDS)
    assert list(again.fields["size"]) == list(found.fields["size"])


@requires("fields")
@clause("SEARCH-19")
def test_hits_carry_the_fields_that_are_asked_for(harness: Harness) -> None:
    """Look for columns in another order than the hits'."""
    index = _filled(harness)
    queries = VECTORS[[4, 0]] + np.float32(0.25)
    plain = index.search(queries, 5)
    for answers in (
        index.search(queries, 5, fields=["size"]),
        index.search(queries, None, where=field("size") < 5, fields=["size"]),
        index.search(queries, 3, ranking="native", fields=["size"]),
        index.farthest(queries, 4, fields=["size"]),
        index.range_search(queries, 6.0, fields=["size"]),
        [index.search_aggregated(queries, 4, aggregation="post-min", fields=["size"])],
        [hits for _, hits in index.neighbors(2, fields=["size"])],
        [hits for _, hits in index.neighbors_within(4.0, fields=["size"])],
    ):
        for hits in answers:
            assert dict(hits.fields) == {"size": _sizes_of(hits)}
            assert [hit.fields["size"] for hit in hits] == _sizes_of(hits)
    found = index.search(queries, 5, fields=True)
    assert found == plain
    assert set(found[0].fields) == set(FIELDS)
    assert not plain[0].fields


@refuses("fields")
@clause("CAP-2", "READ-9", "WRITE-10")
def test_filters_are_refused_everywhere_where_there_are_no_fields(harness: Harness) -> None:
    """Look for a delete whose filter is ignored: it would remove everything."""
    index = harness.index(dimension=2)
    index.upsert(["a"], [[1, 2]])
    with unchanged(index):
        for call in (index.count, index.scan, index.delete):
            with pytest.raises(UnsupportedError) as caught:
                call(where=field("name") == "x")
            assert caught.value.capability == "filters"
