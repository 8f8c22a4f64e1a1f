"""An index is called exact where its searches are seen to be, and not because it says FLAT."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest

import vecbridge
from tests.live.milvus.replacing import replacing
from tests.oracle import oracle
from vecbridge import InvalidArgumentError, Metric, Store
from vecbridge.diagnosis import diagnose
from vecbridge_milvus import MilvusBackend, MilvusIndex

COUNT, DIMENSION = 6000, 48


def records() -> tuple[list[str], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    generator = np.random.default_rng(3)
    vectors = generator.standard_normal((COUNT, DIMENSION)).astype(np.float32)
    queries = generator.standard_normal((20, DIMENSION)).astype(np.float32)
    return [f"{number:05d}" for number in range(COUNT)], vectors, queries


def settled(store: Store, name: str) -> None:
    """Until then a server searches every record, whatever the index is called."""
    engine = store.open_index(name).engine
    assert isinstance(engine, MilvusIndex)
    engine.settle()


def by_hand(store: Store, word: str, *, count: int = COUNT) -> str:
    """A collection of another program, with an index that is called FLAT."""
    from pymilvus import DataType

    assert isinstance(store.backend, MilvusBackend)
    client, name = store.backend.client, f"h_{uuid.uuid4().hex}"
    schema = client.create_schema(auto_id=False)
    schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
    indexes = client.prepare_index_params()
    indexes.add_index("vector", index_name="vector", index_type="FLAT", metric_type=word)
    client.create_collection(name, schema=schema, index_params=indexes)
    ids, vectors, _ = records()
    rows = [{"pk": key, "vector": row} for key, row in zip(ids, vectors, strict=True)]
    client.insert(name, rows[:count])
    return name


def told(uri: str, name: str) -> tuple[str, str]:
    """Return what the doctor finds of a collection, and how bad that is."""
    found = diagnose("milvus", write=False, uri=uri)
    (finding,) = [each for each in found if each.check == f"collection {name}"]
    print(finding.found, finding.advice, sep="\n  ")
    return finding.status, finding.found


def check(store: Store, name: str, metric: Metric) -> tuple[int, bool]:
    """Return how many neighbours answers miss, and whether they are called exact."""
    ids, vectors, queries = records()
    missed = 0
    certain = False
    for query, hits in zip(queries, store.open_index(name).search(queries, 10), strict=True):
        wanted, _ = oracle(metric, ids, vectors, query, 10)
        missed += len(set(wanted) - set(hits.ids))
        certain = certain or hits.exact
    return missed, certain


@pytest.mark.slow
def test_a_server_that_builds_what_it_is_asked_for_is_exact(milvus_server_uri: str) -> None:
    ids, vectors, _ = records()
    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
        name = f"f_{uuid.uuid4().hex}"
        made = store.create_index(name, dimension=DIMENSION, metric="euclidean")
        assert made.capabilities.exact
        assert store.open_index(name).capabilities.exact
        made.upsert(ids, vectors)
        settled(store, name)
    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
        assert store.open_index(name).capabilities.exact
        assert check(store, name, "euclidean") == (0, True)
        store.drop_index(name)


def test_flat_of_another_program_is_exact_once_it_is_seen_to_be(milvus_server_uri: str) -> None:
    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
        name = by_hand(store, "L2")
        # What is not indexed yet is searched one by one on every server.
        assert not store.open_index(name).capabilities.exact
        assert "not exact: 0 of its " in told(milvus_server_uri, name)[1]
        settled(store, name)
    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
        assert store.open_index(name).capabilities.exact
        assert check(store, name, "euclidean") == (0, True)
        assert told(milvus_server_uri, name)[1].endswith("FLAT L2; exact")
        store.drop_index(name)


def test_a_probe_is_made_once_for_a_collection_and_a_version(
    milvus_server_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever store of this process opens it."""
    from pymilvus import MilvusClient

    asked: list[str] = []
    for method in ("search", "query"):
        taken = getattr(MilvusClient, method)

        def noted(
            self: Any, *args: Any, _method: str = method, _taken: Any = taken, **options: Any
        ) -> Any:
            asked.append(_method)
            return _taken(self, *args, **options)

        monkeypatch.setattr(MilvusClient, method, noted)
    name, (ids, vectors, _) = f"f_{uuid.uuid4().hex}", records()
    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
        made = store.create_index(name, dimension=DIMENSION, metric="euclidean")
        made.upsert(ids[:1200], vectors[:1200])
        # Nothing is indexed yet, so that nothing could be shown.
        assert store.open_index(name).capabilities.exact
        assert asked == []
        settled(store, name)
    for version, expected in (("", ["query", "search"]), ("", []), ("v9", ["query", "search"])):
        if version:
            monkeypatch.setattr(MilvusClient, "get_server_version", lambda *_, **__: "v9.9.9")
        with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
            asked.clear()
            assert store.open_index(name).capabilities.exact
            assert asked == expected
    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
        store.drop_index(name)


@pytest.mark.slow
@pytest.mark.parametrize("metric", ["euclidean", "dotproduct"])
def test_a_server_that_puts_its_own_index_in_the_place_of_flat_is_seen_through(
    milvus_server_uri: str, metric: Metric
) -> None:
    word = {"euclidean": "L2", "cosine": "COSINE", "dotproduct": "IP"}[metric]
    address = milvus_server_uri.removeprefix("http://")
    with replacing(address) as uri, vecbridge.get_backend("milvus", uri=uri) as store:
        name = by_hand(store, word)
        settled(store, name)
        index = store.open_index(name)
        assert not index.capabilities.exact
        missed, certain = check(store, name, metric)
        assert not certain
        print(f"{missed} of 200 neighbours missed, and exact is not claimed")
        status, found = told(uri, name)
        assert status == "warning"
        assert "; not exact: a probe missed" in found
        (hits,) = index.search(records()[2][0], 10, ranking="certified")
        ids, vectors, queries = records()
        assert hits.ids == oracle(metric, ids, vectors, queries[0], 10)[0]
        assert hits.exact
        store.drop_index(name)


def test_a_new_index_there_is_called_what_it_is_and_flat_is_refused(
    milvus_server_uri: str,
) -> None:
    address = milvus_server_uri.removeprefix("http://")
    name = f"f_{uuid.uuid4().hex}"
    with replacing(address) as uri:
        with vecbridge.get_backend("milvus", uri=uri, index_type="FLAT") as store:
            with pytest.raises(InvalidArgumentError, match="in the place of FLAT"):
                store.create_index(name, dimension=4)
            assert name not in store.index_names()
        with vecbridge.get_backend("milvus", uri=uri) as store:
            index = store.create_index(name, dimension=4)
            assert not index.capabilities.exact
            index.upsert(["a"], [[1, 2, 3, 4]])
            assert store.open_index(name).search([1, 2, 3, 4], 1)[0].ids == ("a",)
            assert "not exact: its index is called AUTOINDEX" in told(uri, name)[1]
            store.drop_index(name)


@pytest.mark.slow
def test_what_was_tried_once_and_is_seen_to_be_approximate_all_the_same_is_not_exact(
    milvus_server_uri: str,
) -> None:
    """A server that refuses what cannot be built, and builds something else all the same."""
    address = milvus_server_uri.removeprefix("http://")
    ids, vectors, _ = records()
    name = f"f_{uuid.uuid4().hex}"
    with replacing(address, at_creation=False) as uri:
        with vecbridge.get_backend("milvus", uri=uri) as store:
            store.create_index(name, dimension=DIMENSION, metric="euclidean").upsert(ids, vectors)
            settled(store, name)
        with vecbridge.get_backend("milvus", uri=uri) as store:
            assert not store.open_index(name).capabilities.exact
            assert not check(store, name, "euclidean")[1]
            store.drop_index(name)


def test_the_cloud_is_known_by_its_name(milvus_server_uri: str) -> None:
    """By a name that this machine knows for itself, below which a server of the tests answers."""
    port = milvus_server_uri.rpartition(":")[2]
    uri = f"http://in01-zillizcloud.localhost:{port}"
    with vecbridge.get_backend("milvus", uri=uri, index_type="FLAT", timeout=10) as store:
        try:
            store.index_names()
        except vecbridge.ConnectionFailedError:
            pytest.skip("names below localhost do not lead here")
        with pytest.raises(InvalidArgumentError, match="Zilliz"):
            store.create_index(f"z_{uuid.uuid4().hex}", dimension=4)
