"""Index types on a real server, searched as they are used: sealed, indexed and loaded."""

from __future__ import annotations

import functools
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import vecbridge
from tests.oracle import oracle
from vecbridge import Index, IndexExistsError, InvalidArgumentError, OperationTimeoutError
from vecbridge.diagnosis import diagnose
from vecbridge_milvus import MilvusBackend, MilvusIndex

COUNT, DIMENSION = 8000, 32


def clustered(count: int, seed: int) -> NDArray[np.float32]:
    """Points around centres, as embeddings lie."""
    centres = np.random.default_rng(0).standard_normal((60, DIMENSION))
    generator = np.random.default_rng(seed)
    chosen = centres[generator.integers(len(centres), size=count)]
    spread = 0.4 * generator.standard_normal((count, DIMENSION))
    return np.asarray(chosen + spread, dtype=np.float32)


def client_of(store: vecbridge.Store) -> Any:
    assert isinstance(store.backend, MilvusBackend)
    return store.backend.client


def seal(store: vecbridge.Store, name: str, count: int) -> None:
    """Until then a server searches every record, whatever the index is called."""
    client = client_of(store)
    client.flush(name, timeout=120)
    deadline = time.monotonic() + 240
    while True:
        described = client.describe_index(name, client.list_indexes(name)[0])
        if described["pending_index_rows"] == 0 and described["indexed_rows"] >= count:
            break
        assert time.monotonic() < deadline, described
        time.sleep(0.3)
    client.release_collection(name)
    client.load_collection(name)


@functools.cache
def make_data() -> tuple[list[str], NDArray[np.float32], NDArray[np.float32]]:
    vectors = clustered(COUNT, 1)
    vectors[77] = 0.0
    return [f"{number:05d}" for number in range(COUNT)], vectors, clustered(20, 2)


@pytest.fixture(scope="module")
def data() -> tuple[list[str], NDArray[np.float32], NDArray[np.float32]]:
    """Ids, vectors and queries."""
    return make_data()


@pytest.fixture(scope="module", params=[("HNSW", "cosine"), ("IVF_SQ8", "euclidean")])
def sealed(request: pytest.FixtureRequest, milvus_server_uri: str, data: Any) -> tuple[str, str]:
    """Name and metric of an approximate index whose records are all indexed."""
    kind, metric = request.param
    # A poor graph, so that it takes some effort to find enough.
    build = {"M": 4, "efConstruction": 8} if kind == "HNSW" else {}
    ids, vectors, _ = data
    name = f"s_{uuid.uuid4().hex}"
    options: dict[str, Any] = {"index_type": kind, "index_params": build}
    with vecbridge.get_backend("milvus", uri=milvus_server_uri, **options) as store:
        fields: Any = {"n": "integer"}
        index = store.create_index(name, dimension=DIMENSION, metric=metric, fields=fields)
        index.upsert(ids, vectors, {"n": list(range(COUNT))})
        seal(store, name, COUNT)
    return name, metric


@functools.cache
def rankings(metric: Any) -> list[tuple[str, ...]]:
    """The nearest thousand of each query."""
    ids, vectors, queries = make_data()
    return [oracle(metric, ids, vectors, query, 1000)[0] for query in queries]


def recall(index: Index, metric: str, data: Any, k: int) -> float:
    answers = index.search(data[2], k)
    assert [len(hits) for hits in answers] == [k] * len(answers)
    shares = [
        len(set(ranking[:k]).intersection(hits.ids)) / k
        for ranking, hits in zip(rankings(metric), answers, strict=True)
    ]
    return float(np.mean(shares))


@pytest.mark.parametrize("k", [10, 100, 1000])
def test_a_recall_that_is_named_is_met(
    milvus_server_uri: str, sealed: tuple[str, str], data: Any, k: int
) -> None:
    name, metric = sealed
    with vecbridge.get_backend("milvus", uri=milvus_server_uri, recall=0.95) as store:
        index = store.open_index(name)
        assert index.capabilities.recall == 0.95
        assert recall(index, metric, data, k) >= 0.95


@pytest.mark.parametrize("k", [10, 100])
@pytest.mark.parametrize("share", [0.1, 0.6])
def test_a_recall_that_is_named_is_met_under_a_filter(
    milvus_server_uri: str, sealed: tuple[Any, Any], data: Any, k: int, share: float
) -> None:
    name, metric = sealed
    ids, vectors, queries = data
    count = int(share * COUNT)
    nearest = [oracle(metric, ids[:count], vectors[:count], query, k)[0] for query in queries]
    with vecbridge.get_backend("milvus", uri=milvus_server_uri, recall=0.95) as store:
        answers = store.open_index(name).search(queries, k, where=vecbridge.field("n") < count)
    shares = [
        len(set(hits.ids).intersection(true)) / k
        for hits, true in zip(answers, nearest, strict=True)
    ]
    assert np.mean(shares) >= 0.95


def test_little_effort_misses_some_so_that_the_recall_above_is_no_accident(
    milvus_server_uri: str, sealed: tuple[str, str], data: Any
) -> None:
    name, metric = sealed
    # Never less effort is sent than k needs, and short answers are asked for again.
    least, k = ({"ef": 1}, 10) if metric == "cosine" else ({"nprobe": 1}, 2)
    with vecbridge.get_backend("milvus", uri=milvus_server_uri, search_params=least) as store:
        assert recall(store.open_index(name), metric, data, k) < 0.95


def test_exactness_can_be_had_from_an_approximate_index(
    milvus_server_uri: str, sealed: tuple[str, str], data: Any
) -> None:
    name, metric = sealed
    ids, vectors, queries = data
    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
        index = store.open_index(name)
        assert not index.search(queries[:2], 10)[0].exact
        for query, hits in zip(
            queries[:3], index.search(queries[:3], 25, ranking="certified"), strict=True
        ):
            expected = oracle(metric, ids, vectors, query, 25)
            assert (hits.ids, hits.distances.tolist(), hits.exact) == (*expected, True)


@pytest.mark.parametrize("ranking", ["exact", "native"])
def test_answers_are_never_short(
    milvus_server_uri: str, sealed: tuple[str, str], data: Any, ranking: Any
) -> None:
    name, metric = sealed
    ids, _, queries = data
    params = {"nprobe": 1} if metric == "euclidean" else {}
    with vecbridge.get_backend("milvus", uri=milvus_server_uri, search_params=params) as store:
        index = store.open_index(name)
        assert len(index.search(queries[0], 3000, ranking=ranking)[0]) == 3000
        # A zero vector, which the server leaves out under cosine, among the few that are asked for.
        few = index.search(queries[0], 10, within=ids[70:80], ranking=ranking)[0]
        assert set(few.ids) == set(ids[70:80])


def test_a_type_that_the_server_lacks_is_refused_and_nothing_is_left(
    milvus_server_uri: str,
) -> None:
    for options, reason in (
        ({"index_type": "TOMORROWS"}, "may be older than that type; every one has FLAT"),
        ({"index_type": "HNSW_SQ"}, r"known to Milvus 2\.5 and newer; every one has FLAT"),
        ({"index_type": "HNSW_PQ"}, r"known to Milvus 2\.5 and newer"),
        ({"index_type": "HNSW_PRQ"}, r"known to Milvus 2\.5 and newer"),
        ({"index_type": "IVF_RABITQ"}, r"known to Milvus 2\.6 and newer"),
        ({"index_type": "AISAQ"}, r"known to Milvus 3\.0 and newer; .*indexNode\.enableDisk"),
        ({"index_type": "GPU_CAGRA"}, r"2\.4 and newer; .*have a GPU.* every one has FLAT"),
        ({"index_type": "GPU_BRUTE_FORCE"}, r"2\.4 and newer; .*have a GPU"),
        ({"index_type": "DISKANN"}, "indexNode.enableDisk.* every one has FLAT"),
        ({"index_type": "HNSW", "index_params": {"M": 5000}}, "out of range"),
        ({"index_type": "IVF_FLAT", "index_params": {"nlist": 0}}, "nlist"),
        ({"index_type": "IVF_PQ", "index_params": {"m": 3}}, "index_type IVF_PQ with .*'m': 3"),
        ({"replicas": 2}, "nodes not enough"),
        ({"resource_groups": ["none_such"]}, "none_such"),
        ({"shards": 40}, "limited to 16"),
        ({"mmap": True}, "2.4"),
    ):
        with vecbridge.get_backend("milvus", uri=milvus_server_uri, **options) as store:
            before = store.index_names()
            with pytest.raises(InvalidArgumentError, match=reason) as refused:
                store.create_index(f"n_{uuid.uuid4().hex}", dimension=4)
            print(f"| {options} | {refused.value} |")
            assert store.index_names() == before


def test_a_type_that_is_taken_and_never_built_answers_and_is_told_of(
    milvus_server_uri: str,
) -> None:
    name, vectors = f"g_{uuid.uuid4().hex}", clustered(2000, 4)
    ids = [f"k{number:04d}" for number in range(len(vectors))]
    with vecbridge.get_backend("milvus", uri=milvus_server_uri, index_type="GPU_IVF_FLAT") as store:
        index = store.create_index(name, dimension=DIMENSION)
        index.upsert(ids, vectors)
        assert index.search(vectors[7], 1)[0].ids == ("k0007",)
        with pytest.raises(OperationTimeoutError, match=r"or not at all: .* have a GPU"):
            index.engine.settle(seconds=1.0)  # type: ignore[attr-defined]
        told = {each.check: each for each in diagnose("milvus", uri=milvus_server_uri)}
        assert "the server cannot build it: GPU_IVF_FLAT" in told[f"collection {name}"].advice
        store.drop_index(name)


def test_shards_reach_the_server(milvus_server_uri: str) -> None:
    name = f"p_{uuid.uuid4().hex}"
    with vecbridge.get_backend("milvus", uri=milvus_server_uri, shards=2) as store:
        store.create_index(name, dimension=2)
        assert client_of(store).describe_collection(name)["num_shards"] == 2
        store.drop_index(name)


def test_a_partition_key_is_refused_where_replaced_records_go_astray(
    milvus_server_uri: str,
) -> None:
    with vecbridge.get_backend("milvus", uri=milvus_server_uri, partition_key="team") as store:
        before = store.index_names()
        with pytest.raises(InvalidArgumentError, match=r"partition_key needs Milvus 2\.4 or newer"):
            store.create_index("astray", dimension=2, fields={"team": "string"})
        assert store.index_names() == before


def test_a_record_whose_partition_key_changes_moves(tmp_path: Path) -> None:
    """Lite stands in for a newer server."""
    with vecbridge.get_backend("milvus", uri=tmp_path / "v.db", partition_key="team") as store:
        with pytest.raises(InvalidArgumentError, match="partition_key='team'"):
            store.create_index("moves", dimension=2, fields={"team": "boolean"})
        index = store.create_index("moves", dimension=2, fields={"team": "string"})
        described = client_of(store).describe_collection("moves")
        assert [field["name"] for field in described["fields"] if field.get("is_partition_key")]
        index.upsert(["a", "b"], [[1, 0], [0, 1]], {"team": ["red", "blue"]})
        index.upsert(["a"], [[1, 1]], {"team": ["blue"]})
        assert index.count() == 2
        assert index.fetch(["a"]).fields["team"] == ["blue"]
        found = index.search([1, 1], 5, where=vecbridge.field("team") == "blue")[0]
        assert set(found.ids) == {"a", "b"}


def test_copies_are_loaded_where_the_settings_say(milvus_server_uri: str) -> None:
    options: dict[str, Any] = {"replicas": 1, "resource_groups": ["__default_resource_group"]}
    name = f"w_{uuid.uuid4().hex}"
    with vecbridge.get_backend("milvus", uri=milvus_server_uri, **options) as store:
        store.create_index(name, dimension=2).upsert(["a"], [[1, 2]])
        client_of(store).release_collection(name)
        assert store.open_index(name).count(consistency="strong") == 1
        (copy,) = client_of(store).describe_replica(name)
        assert copy.resource_group == "__default_resource_group"
        store.drop_index(name)


@pytest.mark.parametrize("place", ["lite", "server"])
def test_one_of_racing_creations_wins(
    place: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    uri = str(tmp_path / "v.db")
    if place == "server":
        uri = request.getfixturevalue("milvus_server_uri")
    stores = [vecbridge.get_backend("milvus", uri=uri) for _ in range(4)]
    name = f"r_{uuid.uuid4().hex}"
    outcomes: list[object] = []
    start = threading.Barrier(len(stores))

    def create(store: vecbridge.Store) -> None:
        start.wait()
        try:
            outcomes.append(store.create_index(name, dimension=3))
        except IndexExistsError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=create, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = [outcome for outcome in outcomes if isinstance(outcome, Index)]
    assert (len(outcomes), len(made)) == (len(stores), 1), outcomes
    made[0].upsert(["a"], [[1, 2, 3]])
    # A loser may go on at once, though the winner may still be at it.
    assert stores[0].open_index(name).count(consistency="strong") == 1
    for store in stores:
        store.close()


def test_lite_refuses_what_it_would_make_something_else_of(tmp_path: Path) -> None:
    with vecbridge.get_backend("milvus", uri=tmp_path / "v.db", index_type="SCANN") as store:
        with pytest.raises(InvalidArgumentError, match="Milvus Lite has no index SCANN"):
            store.create_index("x", dimension=3)
        assert store.index_names() == []


def test_keys_with_several_rows_are_counted_once_and_mended(
    milvus_server_uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    from pymilvus import DataType

    name, vectors = f"d_{uuid.uuid4().hex}", clustered(200, 4)
    ids = [f"k{number:03d}" for number in range(200)]
    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
        client = client_of(store)
        schema = client.create_schema(auto_id=False)
        schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
        schema.add_field("note", DataType.JSON)
        indexes = client.prepare_index_params()
        indexes.add_index("vector", index_type="FLAT", metric_type="L2")
        client.create_collection(name, schema=schema, index_params=indexes)
        rows = [
            {"pk": key, "vector": vector, "note": {"of": key}}
            for key, vector in zip(ids, vectors, strict=True)
        ]
        client.insert(name, rows)
        client.insert(name, rows[:30])
        index = store.open_index(name, consistency="strong")
        assert index.count() == 200
        assert "230 rows of 200 keys" in caplog.text
        assert sum(len(records) for records in index.scan(64)) == 200
        for k in (10, 199, 200):
            expected = oracle("euclidean", ids, vectors, vectors[0], k)
            for ranking in vecbridge.RANKINGS[:2]:
                hits = index.search(vectors[0], k, ranking=ranking)[0]
                assert (hits.ids, hits.distances.tolist()) == expected
                # So few records do not show that a server looks at all of them.
                assert hits.exact or ranking == "exact"
        assert isinstance(index.engine, MilvusIndex)
        assert index.engine.mend_duplicates() == 30
        (counted,) = client.query(
            name, filter="", output_fields=["count(*)"], consistency_level="Strong"
        )
        assert (counted["count(*)"], index.count()) == (200, 200)
        (kept,) = client.query(name, filter='pk == "k003"', output_fields=["note"])
        assert kept["note"] == {"of": "k003"}
        assert index.engine.mend_duplicates() == 0


def test_a_record_that_turns_to_zero_and_back_is_in_every_answer_that_no_write_overlaps(
    tmp_path: Path,
) -> None:
    """Zero vectors are read apart from the others; what is written meanwhile may be in neither."""
    vectors = clustered(50, 6)
    ids = [f"{number:02d}" for number in range(len(vectors))]
    stop = threading.Event()
    with vecbridge.get_backend("milvus", uri=tmp_path / "v.db") as store:
        index = store.create_index("crossing", dimension=DIMENSION, metric="cosine")
        index.upsert(ids, vectors)

        def cross() -> None:
            while not stop.is_set():
                index.upsert(ids[:1], np.zeros((1, DIMENSION)))
                index.upsert(ids[:1], vectors[:1])

        writer = threading.Thread(target=cross)
        writer.start()
        try:
            beside = [set(index.search(vectors[1], 50)[0].ids) for _ in range(30)]
        finally:
            stop.set()
            writer.join()
        assert all(set(ids[1:]) <= found <= set(ids) for found in beside)
        for crossed in (np.zeros((1, DIMENSION)), vectors[:1]):
            index.upsert(ids[:1], crossed)
            (hits,) = index.search(vectors[1], 50)
            assert set(hits.ids) == set(ids)
            assert hits.exact
