"""What records carry and no type of field expresses is named by the engine, not lost unasked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import vecbridge
from tests.engine import Engine
from vecbridge import Index, IndexInfo, UnsupportedError
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
