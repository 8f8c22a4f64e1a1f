from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import vecbridge
from tests.unit.transfer.conftest import DIMENSION, RECORDS, fill, small_batches
from vecbridge import (
    CorruptStoreError,
    Index,
    IndexExistsError,
    InvalidArgumentError,
    SchemaMismatchError,
    Store,
)
from vecbridge.transfer import checksum, copy, verify


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Store]:
    with small_batches(vecbridge.get_backend("faiss", path=tmp_path)) as opened:
        yield opened


def test_a_copy_on_another_store_is_the_same(source: Index, target: Store) -> None:
    done = copy(source, target, "copied")
    with target.open_index("copied") as copied:
        assert copied.info == dataclasses.replace(source.info, name="copied")
        assert verify(source, copied).same
    assert (done.written, done.skipped) == (RECORDS, 0)
    assert done.checksum == checksum(source)


def test_records_that_are_there_are_not_overwritten_unasked(source: Index, target: Store) -> None:
    copy(source, target)
    with pytest.raises(IndexExistsError, match="resume"):
        copy(source, target)


def test_a_copy_that_was_cut_short_goes_on(source: Index, target: Store) -> None:
    with target.create_index(
        "photos", dimension=DIMENSION, metric="euclidean", fields=dict(source.info.fields)
    ) as begun:
        records = next(iter(source.scan(200)))
        begun.upsert(records.ids, records.vectors, records.fields)
    done = copy(source, target, resume=True)
    assert (done.written, done.skipped) == (RECORDS - 200, 200)
    assert done.checksum == checksum(source)


@pytest.mark.parametrize("difference", ["another vector", "another field", "another id"])
def test_what_is_no_part_of_a_copy_is_not_gone_on_with(
    difference: str, source: Index, target: Store
) -> None:
    with target.create_index(
        "photos", dimension=DIMENSION, metric="euclidean", fields=dict(source.info.fields)
    ) as other:
        fill(other, 200)
        records = other.fetch(["é'150\n"])
        ids = ["strange"] if difference == "another id" else records.ids
        vectors = records.vectors + (difference == "another vector")
        number = [7] if difference == "another field" else records.fields["number"]
        other.upsert(ids, vectors, {**records.fields, "number": number})
        before = checksum(other)
        with pytest.raises(IndexExistsError, match="not a part of this copy") as caught:
            copy(source, target, resume=True)
        assert repr(ids[0]) in str(caught.value)
        assert checksum(other) == before


def test_a_copy_that_is_cut_short_says_what_is_there(
    source: Index, target: Store, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupted(stage: str, done: int, total: int) -> None:
        if done >= RECORDS // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(source, target, progress=interrupted)
    there = target.open_index("photos").count()
    assert f"{there} of {RECORDS} records are in index 'photos' of faiss" in caplog.text
    assert "resume=True" in caplog.text
    done = copy(source, target, resume=True)
    assert (done.written, done.skipped) == (RECORDS - there, there)


def test_a_source_that_is_written_to_meanwhile_is_found_out(source: Index, target: Store) -> None:
    def meddling(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("copying", total):
            with target.open_index("photos") as other:
                other.delete(["é'7\n"])

    with pytest.raises(CorruptStoreError, match="differs from its source"):
        copy(source, target, progress=meddling)


def test_no_name_is_not_the_sources_name(source: Index, target: Store) -> None:
    with pytest.raises(InvalidArgumentError, match="index name"):
        copy(source, target, "")
    assert target.index_names() == []


def test_another_dimension_is_refused_before_anything_is_written(
    source: Index, target: Store
) -> None:
    target.create_index("photos", dimension=7, metric="euclidean")
    with pytest.raises(SchemaMismatchError, match="dimension"):
        copy(source, target)


def test_what_cannot_be_compared_is_not_read(source: Index, store: Store) -> None:
    other = store.create_index("other", dimension=DIMENSION + 1)
    told: list[int] = []

    def tell(stage: str, done: int, total: int) -> None:
        told.append(done)

    with pytest.raises(SchemaMismatchError, match=r"3 dimensions .* 4"):
        verify(source, other, progress=tell)
    with pytest.raises(InvalidArgumentError, match="queries must be at least 0"):
        verify(source, source, queries=-1, progress=tell)
    with pytest.raises(InvalidArgumentError, match="k must be"):
        verify(source, source, k=0, progress=tell)
    assert told == []
    assert verify(source, source, queries=0).same


def test_verify_names_the_rankings_that_differ(source: Index, store: Store) -> None:
    other = store.create_index("other", dimension=DIMENSION, metric="cosine")
    records = next(iter(source.scan(RECORDS)))
    other.upsert(records.ids, records.vectors)
    found = verify(source, other, queries=5)
    assert found.queries == 5
    assert found.differing == (0, 1, 2, 3, 4)
    assert not found.same


def test_verify_of_empty_indexes_has_nothing_to_ask(store: Store) -> None:
    one, other = (store.create_index(name, dimension=2) for name in ("one", "other"))
    found = verify(one, other)
    assert found.same
    assert found.queries == 0


def test_verify_finds_a_missing_record(source: Index, target: Store) -> None:
    copy(source, target)
    with target.open_index("photos") as copied:
        copied.delete(["é'7\n"])
        found = verify(source, copied)
    assert found.first.records - found.second.records == 1
    assert not found.same


def test_sampled_queries_are_spread_over_the_index(source: Index) -> None:
    found = verify(source, source, queries=RECORDS + 1, k=1)
    assert found.queries == RECORDS
    assert np.array_equal(found.differing, ())
