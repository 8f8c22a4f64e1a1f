"""Collections that FiftyOne and others made are read, searched, and written where that is safe."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

import vecbridge
from tests.servers.qdrant import EDGE_KEY, EdgeServer
from vecbridge import InvalidIdError, SchemaMismatchError, Store, UnsupportedError

pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")

SAMPLES = [f"65f0e8f0e8f0e8f0e8f0e8{number:02x}" for number in range(9)]
VECTORS = np.random.default_rng(3).standard_normal((9, 4)).astype(np.float32)


def made_by_fiftyone(client: QdrantClient, collection: str, distance: models.Distance) -> None:
    """Do what the adapter of fiftyone-brain 0.25 and 0.27 does."""
    client.create_collection(
        collection, vectors_config=models.VectorParams(size=4, distance=distance)
    )
    client.upsert(
        collection,
        models.Batch(
            ids=[name + "00000000" for name in SAMPLES],
            payloads=[{"sample_id": name} for name in SAMPLES],
            vectors=VECTORS.tolist(),
        ),
    )


@pytest.fixture
def photos(qdrant_edge: EdgeServer) -> Iterator[Store]:
    options = qdrant_edge.options
    client = QdrantClient(str(options["url"]), api_key=EDGE_KEY, check_compatibility=False)
    made_by_fiftyone(client, "fiftyone-photos", models.Distance.COSINE)
    names = {"photos": "fiftyone-photos"}
    with vecbridge.get_backend("qdrant", **options, collection_names=names) as store:
        yield store
    client.delete_collection("fiftyone-photos")
    client.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    client = QdrantClient(path=str(tmp_path))
    made_by_fiftyone(client, "angles", models.Distance.COSINE)
    made_by_fiftyone(client, "dots", models.Distance.DOT)
    points = [
        models.PointStruct(
            id=7, vector=[1.0, 0.0], payload={"city": "Rome", "rank": 1, "at": {"x": 1}}
        ),
        models.PointStruct(id=str(uuid.UUID(int=5)), vector=[0.0, 1.0], payload={"city": "Oslo"}),
    ]
    config = models.VectorParams(size=2, distance=models.Distance.EUCLID)
    client.create_collection("quick", vectors_config=config)
    client.upsert("quick", points)
    manhattan = models.VectorParams(size=2, distance=models.Distance.MANHATTAN)
    client.create_collection("blocks", vectors_config=manhattan)
    client.create_collection("two", vectors_config={"a": config, "b": config})
    client.close()
    with vecbridge.get_backend("qdrant", path=tmp_path) as store:
        yield store


def test_a_collection_of_fiftyones_is_read_and_searched(photos: Store) -> None:
    index = photos.open_index("photos")
    records = index.fetch([SAMPLES[3], "65f0e8f0e8f0e8f0e8f0e8ff", "of no kind"])

    assert photos.index_names() == ["photos"]
    assert records.ids == (SAMPLES[3],)
    assert records.fields == {"sample_id": [SAMPLES[3]]}
    unit = VECTORS[3] / np.linalg.norm(VECTORS[3])
    np.testing.assert_allclose(records.vectors[0], unit, rtol=1e-6)
    assert index.search(VECTORS[3], k=2)[0].ids[0] == SAMPLES[3]
    assert index.search(VECTORS[3], k=2)[0].exact is False
    assert index.search(VECTORS[3], k=2, ranking="certified")[0].exact is True
    assert index.count(where=vecbridge.field("sample_id") == SAMPLES[1]) == 1


def test_what_qdrant_would_change_is_not_written(photos: Store) -> None:
    index = photos.open_index("photos")

    assert "unit length" in index.info.unsupported["vector"]
    with pytest.raises(UnsupportedError, match="unit length"):
        index.upsert(["65f0e8f0e8f0e8f0e8f0e8ff"], [[1, 2, 3, 4]], {"sample_id": ["x"]})
    index.delete(SAMPLES[:2])
    assert index.count() == 7


def test_a_collection_that_keeps_its_bits_is_written(store: Store) -> None:
    index = store.open_index("dots")
    index.upsert([SAMPLES[0]], [[0.1, 2, 3, 4]], {"sample_id": [None]})

    records = index.fetch([SAMPLES[0], SAMPLES[1]])
    assert records.vectors[0].tobytes() == np.array([0.1, 2, 3, 4], np.float32).tobytes()
    assert records.vectors[1].tobytes() == VECTORS[1].tobytes()
    assert records.fields["sample_id"] == [None, SAMPLES[1]]
    with pytest.raises(InvalidIdError, match="another program"):
        index.upsert(["no UUID"], [[1, 2, 3, 4]], {"sample_id": ["x"]})


def test_points_of_the_quickstart_are_records(store: Store) -> None:
    index = store.open_index("quick")

    assert dict(index.info.fields) == {"city": "string?", "rank": "integer?"}
    assert dict(index.info.unsupported) == {"at": "dict"}
    records = index.fetch(["7", str(uuid.UUID(int=5))])
    assert records.fields == {"city": ["Rome", "Oslo"], "rank": [1, None]}
    with pytest.raises(UnsupportedError, match="at"):
        index.upsert(["8"], [[1, 2]], {"city": ["x"], "rank": [2]})


def test_the_embedded_engine_does_not_change_what_it_searches(store: Store) -> None:
    index = store.open_index("angles")

    for query in VECTORS:
        order = np.argsort(-(VECTORS @ query) / np.linalg.norm(VECTORS, axis=1))
        assert index.search(query, k=3)[0].ids == tuple(SAMPLES[row] for row in order[:3])
        assert index.fetch(SAMPLES).vectors.tobytes() == VECTORS.tobytes()


def test_what_no_index_can_be_kept_in_is_refused_by_name(store: Store) -> None:
    assert store.index_names() == ["angles", "blocks", "dots", "quick", "two"]
    with pytest.raises(SchemaMismatchError, match="Manhattan"):
        store.open_index("blocks")
    with pytest.raises(SchemaMismatchError, match="vector_name"):
        store.open_index("two")
