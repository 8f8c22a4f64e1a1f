"""What other programs wrote into a collection, or left of a folder, is named, and not guessed."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient, models

import vecbridge
from vecbridge import CorruptStoreError


def raw_upsert(folder: Path, payload: dict[str, Any], vectors: Any, name: str = "photos") -> str:
    client = QdrantClient(path=str(folder))
    point = str(uuid.uuid4())
    client.upsert(name, [models.PointStruct(id=point, vector=vectors, payload=payload)])
    client.close()
    return point


@pytest.mark.parametrize("vectors", [{"vector": [1.0, 1.0]}, {}])
def test_a_point_that_is_no_record_is_named(tmp_path: Path, vectors: Any) -> None:
    with vecbridge.get_backend("qdrant", path=tmp_path) as store:
        index = store.create_index("photos", dimension=2, metric="euclidean")
        index.upsert(["a"], [[1, 2]])
    point = raw_upsert(tmp_path, {}, vectors)
    with vecbridge.get_backend("qdrant", path=tmp_path) as store:
        index = store.open_index("photos")
        uses: list[Any] = [lambda: index.search([0, 0], k=5), lambda: [*index.scan()]]
        for use in uses:
            with pytest.raises(CorruptStoreError, match=point):
                use()


def test_a_value_of_another_type_is_not_handed_out(tmp_path: Path) -> None:
    with vecbridge.get_backend("qdrant", path=tmp_path) as store:
        index = store.create_index(
            "photos", dimension=2, metric="euclidean", fields={"n": "integer"}
        )
        index.upsert(["a"], [[1, 2]], {"n": [1]})
    client = QdrantClient(path=str(tmp_path))
    client.set_payload("photos", {"n": "one"}, points=models.Filter())
    client.close()
    with (
        vecbridge.get_backend("qdrant", path=tmp_path) as store,
        pytest.raises(CorruptStoreError, match="a str is no int"),
    ):
        store.open_index("photos").fetch(["a"])


def test_an_empty_file_of_records_is_not_an_empty_index(tmp_path: Path) -> None:
    with vecbridge.get_backend("qdrant", path=tmp_path) as store:
        store.create_index("photos", dimension=2).upsert(["a"], [[1, 2]])
    file = tmp_path / "collection" / "photos" / "storage.sqlite"
    file.write_bytes(b"")
    with (
        pytest.raises(CorruptStoreError, match="is empty"),
        vecbridge.get_backend("qdrant", path=tmp_path) as store,
    ):
        store.index_names()
    assert file.read_bytes() == b""
