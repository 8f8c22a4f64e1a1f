"""Properties of writing and reading: what is put in is what is there, however it was put in."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from vecbridge_conformance import Harness, clause
from vecbridge_conformance.checks import Model, assert_same_bits
from vecbridge_conformance.properties import (
    DIMENSION,
    Drawn,
    filled,
    for_all,
    fresh,
    ids,
    metrics,
    records,
    vector,
)


@clause("READ-1", "READ-2", "READ-3", "REC-2")
def test_records_come_back_bit_for_bit(harness: Harness) -> None:
    """Look at types and encodings: of vectors, and of ids that hurt."""

    def body(drawn: Drawn, others: list[str], metric: Any) -> None:
        model = Model(DIMENSION, metric)
        model.upsert(drawn.ids, drawn.vectors)
        with filled(harness, metric, drawn) as index:
            asked = list(dict.fromkeys([*drawn.ids[::-1], *others]))
            model.check_records(index.fetch(asked), asked)

    for_all(harness, body, drawn=records(), others=st.lists(ids(), max_size=3), metric=metrics())


@clause("WRITE-6", "WRITE-2", "READ-5")
def test_the_same_upsert_again_changes_nothing(harness: Harness) -> None:
    """Look for insert where upsert is meant."""

    def body(drawn: Drawn) -> None:
        with filled(harness, "euclidean", drawn) as index:
            before = index.search(drawn.vectors, len(drawn))
            index.upsert(drawn.ids, drawn.vectors)
            assert index.count() == len(drawn)
            assert index.search(drawn.vectors, len(drawn)) == before

    for_all(harness, body, drawn=records())


@clause("WRITE-2", "WRITE-5")
def test_the_last_write_of_an_id_is_what_is_there(harness: Harness) -> None:
    """Look for old versions that are still counted, fetched or found."""

    def body(first: Drawn, second: Drawn, deleted: list[str], metric: Any) -> None:
        model = Model(DIMENSION, metric)
        with fresh(harness, metric) as index:
            for drawn in (first, second):
                model.upsert(drawn.ids, drawn.vectors)
                index.upsert(drawn.ids, drawn.vectors)
            model.delete(deleted)
            index.delete(deleted)
            asked = list(dict.fromkeys([*first.ids, *second.ids, *deleted]))
            model.check_records(index.fetch(asked), asked)
            found = index.search(second.vectors, len(asked) + 1)
            for hits in found:
                assert sorted(hits.ids) == sorted(model.records)

    some = st.lists(ids(), max_size=4)
    for_all(harness, body, first=records(), second=records(), deleted=some, metric=metrics())


@clause("WRITE-5", "WRITE-6", "READ-5")
def test_what_is_deleted_is_gone_and_nothing_else(harness: Harness) -> None:
    """Look at how the ids of a delete are escaped and matched."""

    def body(drawn: Drawn, choice: Any, others: list[str]) -> None:
        gone = {name for name in drawn.ids if choice.draw(st.booleans())}
        left = [name for name in drawn.ids if name not in gone and name not in others]
        with filled(harness, "cosine", drawn) as index:
            for _ in range(2):
                index.delete([*gone, *others])
                assert index.count() == len(left)
                assert index.contains(drawn.ids).tolist() == [name in left for name in drawn.ids]
                assert set(index.search(drawn.vectors[0], len(drawn))[0].ids) == set(left)

    for_all(
        harness,
        body,
        drawn=records(),
        choice=st.data(),
        others=st.lists(ids(), max_size=2),
    )


@clause("WRITE-4")
def test_how_records_are_divided_among_calls_makes_no_difference(harness: Harness) -> None:
    """Look at the borders of batches."""

    def body(drawn: Drawn, size: int) -> None:
        model = Model(DIMENSION, "dotproduct")
        model.upsert(drawn.ids, drawn.vectors)
        with fresh(harness, "dotproduct") as index:
            for start in range(0, len(drawn), size):
                part = drawn.part(range(start, min(start + size, len(drawn))))
                index.upsert(part.ids, part.vectors)
            model.check_all(index.scan())
            assert index.count() == len(drawn)

    for_all(harness, body, drawn=records(most=24), size=st.integers(1, 24))


@clause("READ-6")
def test_a_scan_visits_every_record_once(harness: Harness) -> None:
    """Look at the borders of pages: overlaps, gaps, and the last one."""

    def body(drawn: Drawn, size: int) -> None:
        model = Model(DIMENSION, "euclidean")
        model.upsert(drawn.ids, drawn.vectors)
        with filled(harness, "euclidean", drawn) as index:
            batches = list(index.scan(size))
            assert all(len(batch) <= size for batch in batches)
            model.check_all(batches)

    for_all(harness, body, drawn=records(least=0, most=24), size=st.integers(1, 25))


@clause("REC-7", "REC-8")
def test_arrays_are_neither_kept_nor_shared(harness: Harness) -> None:
    """Look for arrays that are kept, changed in place or given away as views."""

    def body(drawn: Drawn, query: list[float], metric: Any) -> None:
        with fresh(harness, metric) as index:
            given = drawn.vectors.copy()
            index.upsert(drawn.ids, given)
            assert_same_bits(given, drawn.vectors)
            given += 1.0
            asked = np.array([query], dtype=np.float32)
            before = asked.copy()
            index.search(asked, 3)
            index.search(asked, 3, ranking="native")
            assert_same_bits(asked, before)
            for name, row in zip(drawn.ids, drawn.vectors, strict=True):
                got = index.fetch([name]).vectors
                assert_same_bits(got, row[np.newaxis])
                if got.flags.writeable:
                    got += 1.0
            assert_same_bits(index.fetch(drawn.ids).vectors, drawn.vectors)

    for_all(harness, body, drawn=records(most=4), query=vector(), metric=metrics())
