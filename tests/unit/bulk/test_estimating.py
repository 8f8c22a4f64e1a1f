"""A dry run measures the target, and leaves nothing where it had no files."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import vecbridge
from tests.unit.bulk.conftest import RECORDS
from vecbridge import Index
from vecbridge.bulk import estimate
from vecbridge.diagnosis import diagnose

EMBEDDED = {
    "sklearn": "path",
    "faiss": "path",
    "qdrant": "path",
    "chroma": "path",
    "lancedb": "uri",
    "milvus": "uri",
}


@pytest.mark.parametrize("backend", EMBEDDED)
def test_a_store_without_files_gets_none(backend: str, source: Index, tmp_path: Path) -> None:
    place = tmp_path / "new" / "vectors.db"
    before = {*tmp_path.iterdir()}
    with vecbridge.get_backend(backend, **{EMBEDDED[backend]: str(place)}) as target:
        found = estimate(source, target)
        assert (found.records, found.exists) == (RECORDS, False)
        assert found.writing > 0
        assert {*tmp_path.iterdir()} == before
        # What measured it elsewhere is no part of what travels.
        assert b"vecbridge-sample" not in pickle.dumps(target)


def test_a_store_with_files_is_measured_where_it_is(source: Index, tmp_path: Path) -> None:
    with vecbridge.get_backend("sklearn", path=tmp_path / "there") as target:
        target.create_index("photos", dimension=4)
        assert estimate(source, target).exists
        assert not estimate(source, target, "others").exists
        assert target.index_names() == ["photos"]


def test_a_store_that_is_looked_into_gets_no_files(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "new"):
        found = [*diagnose("sklearn", path=tmp_path / folder)]
        assert {each.status for each in found} == {"ok"}
    assert [*tmp_path.rglob("*")] == [tmp_path / "empty"]
