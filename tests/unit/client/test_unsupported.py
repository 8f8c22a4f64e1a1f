"""What records carry and no type of field expresses is named by the engine, not lost unasked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import vecbridge
from tests.engine import Engine
from vecbridge import Index, IndexInfo, InvalidIdError, InvalidInputError, UnsupportedError
from vecbridge.transfer import checksum, copy, export_records, verify


@pytest.fixture
def index() -> Index:
    info = IndexInfo(
        "photos", 2, "euclidean", unsupported={"note": "JSON", "$meta": "dynamic fields"}
    )
    index = Index(Engine(info=info))
    index.upsert(["a", "b"], [[1, 2], [3, 4]], drop_unsupported=True)
    return index


@pytest.mark.parametrize("ids", [["a"], ["new"], []])
def test_a_write_that_would_erase_it_is_refused(index: Index, ids: list[str]) -> None:
    before = checksum(index)
    named = r"'photos'.*note \(JSON\), \$meta \(dynamic fields\)"
    with pytest.raises(UnsupportedError, match=named) as told:
        index.upsert(ids, np.ones((len(ids), 2)))
    assert told.value.capability == "fields"
    assert "drop_unsupported=True" in str(told.value)
    assert checksum(index) == before


def test_nothing_is_written_where_the_store_asks_for_more_than_records_have() -> None:
    info = IndexInfo(
        "photos",
        2,
        "euclidean",
        unsupported={"note": "JSON", "$meta": "dynamic fields"},
        required=frozenset({"note"}),
    )
    engine = Engine(info=info)
    for dropped in (True, False):
        with pytest.raises(
            UnsupportedError, match=r"takes none without .*: note \(JSON\)\."
        ) as told:
            Index(engine).upsert(["a"], [[1, 2]], drop_unsupported=dropped)
        assert "drop_unsupported" not in str(told.value)
    assert engine.calls == []


def test_what_would_leave_it_behind_is_refused_and_changes_nothing(
    index: Index, tmp_path: Path
) -> None:
    with vecbridge.get_backend("sklearn") as store:
        other = store.create_index("other", dimension=2, metric="euclidean")
        other.upsert(["a", "b"], [[1, 2], [3, 4]])
        for call in (
            lambda: copy(index, store, "copied"),
            lambda: export_records(index, tmp_path / "out.npz"),
            lambda: verify(index, other),
            lambda: verify(other, index),
        ):
            with pytest.raises(UnsupportedError, match="drop_unsupported=True"):
                call()
        assert store.index_names() == ["other"]
        assert list(tmp_path.iterdir()) == []
        assert copy(index, store, "copied", drop_unsupported=True).written == 2
        assert export_records(index, tmp_path / "out.npz", drop_unsupported=True) == 2
        assert verify(index, other, drop_unsupported=True).same


def test_deletes_and_reads_need_no_leave(index: Index) -> None:
    assert index.search([1, 2], 1)[0].ids == ("a",)
    index.delete(["a"])
    assert index.count() == 1


KEPT = IndexInfo("photos", 2, "euclidean", unsupported={"note": "JSON"}, kept=True)


def test_a_store_that_keeps_it_is_written_to() -> None:
    index = Index(Engine(info=KEPT))
    index.upsert(["a", "b"], [[1, 2], [3, 4]])
    index.update_fields(["a"], {})
    assert index.count() == 2
    with pytest.raises(UnsupportedError, match=r"note \(JSON\)"):
        copy(index, vecbridge.get_backend("sklearn"), "copied")


def test_a_store_that_keeps_what_it_asks_for_takes_no_new_record() -> None:
    engine = Engine(info=KEPT)
    Index(engine).upsert(["a"], [[1, 2]])
    index = Index(replace(engine, info=replace(KEPT, required=frozenset({"note"}))))
    index.upsert(["a"], [[5, 6]])
    index.update_fields(["a"], {})
    for dropped in (True, False):
        told = r"2 of 3 ids are new to index 'photos', 'b' among them.*: note \(JSON\)"
        with pytest.raises(UnsupportedError, match=told):
            index.upsert(["a", "b", "c"], np.ones((3, 2)), drop_unsupported=dropped)
    with pytest.raises(UnsupportedError, match="takes none without"):
        index.upsert_table(pa.table({"id": ["a"], "vector": [[1.0, 2.0]]}))
    assert index.fetch(["a"]).vectors.tolist() == [[5, 6]]
    assert index.count() == 1


def test_what_stands_against_every_write_is_said() -> None:
    engine = Engine(info=replace(KEPT, unwritable="the store chooses its ids"))
    index = Index(engine)
    for write in (
        lambda: index.upsert(["a"], [[1, 2]]),
        lambda: index.update_fields(["a"], {}),
        lambda: index.upsert_table(pa.table({"id": ["a"], "vector": [[1.0, 2.0]]})),
    ):
        with pytest.raises(UnsupportedError, match="'photos': the store chooses its ids"):
            write()
    index.delete(["a"])
    assert [call for call in engine.calls if "upsert" in str(call)] == []


BAD = ["abc", "007", "+5", "-0", "1.0", " 1", "1_0", "\u0663", str(2**63), str(-(2**63) - 1)]


@pytest.mark.parametrize("bad", BAD)
def test_ids_that_are_integers_are_their_digits(bad: str) -> None:
    index = Index(Engine(info=replace(KEPT, integer_ids=True, max_id_bytes=20)))
    good = ["0", "-1", "10", str(2**63 - 1), str(-(2**63))]
    index.upsert(good, np.ones((5, 2)))
    with pytest.raises(InvalidIdError, match=r"digits of integers of 64 bits|bytes of UTF-8"):
        index.upsert(["1", bad], np.ones((2, 2)))
    with pytest.raises(InvalidIdError):
        index.update_fields([bad], {})
    with pytest.raises(InvalidInputError, match=r"digits of integers|bytes of UTF-8"):
        index.upsert_table(pa.table({"id": ["1", bad], "vector": [[1.0, 2.0]] * 2}))
    assert index.count() == 5
    assert index.fetch([bad]).missing == (bad,)
