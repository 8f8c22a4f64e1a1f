"""Collections that FiftyOne's own Milvus adapter made become indexes as they are."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tests.live.fiftyone.cases import Case, Digits, new_run, ranked
from tests.servers.given_milvus import needs_own
from vecbridge import InvalidArgumentError

MILVUS = ["milvus-lite", "milvus-server"]
_numbers = itertools.count()


def made_elsewhere(digits: Digits, case: Case, copies: int = 0) -> str:
    """A collection with the fields and the index of FiftyOne's adapter."""
    from pymilvus import DataType

    from vecbridge.fiftyone.similarity import MilvusSimilarityConfig

    name = f"adopted_{digits.dataset.name}_{next(_numbers)}"
    store = MilvusSimilarityConfig(**case.options).connect()
    store.index_names()
    client: Any = getattr(store.backend, "client", None)
    schema = client.create_schema(auto_id=False)
    schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=64000)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=64)
    schema.add_field("sample_id", DataType.VARCHAR, max_length=64000)
    indexes = client.prepare_index_params()
    indexes.add_index(
        "vector", index_type="HNSW", metric_type="L2", params={"M": 8, "efConstruction": 64}
    )
    client.create_collection(name, schema=schema, index_params=indexes, consistency_level="Strong")
    pairs = zip(digits.ids, digits.vectors.tolist(), strict=True)
    rows = [{"pk": key, "vector": vector, "sample_id": key} for key, vector in pairs]
    client.insert(name, rows)
    if copies:
        client.insert(name, rows[:copies])
    return name


@pytest.fixture
def adopted(digits: Digits, case: Case, fob: Any) -> Any:
    name = made_elsewhere(digits, case)
    index = new_run(
        digits,
        case,
        embeddings=False,
        collection_name=name,
        metric="euclidean",
        consistency_level="Strong",
    )
    yield index
    index.delete()


@pytest.mark.parametrize("case", MILVUS, indirect=True, scope="session")
def test_collection_of_fiftyones_adapter_is_adopted(adopted: Any, digits: Digits) -> None:
    assert adopted.total_index_size == adopted.index_size == len(digits.ids)
    assert adopted.sample_ids.tolist() == sorted(digits.ids)
    view = adopted.sort_by_similarity(digits.ids[5], k=9, dist_field="adopted")
    expected = ranked("euclidean", digits.ids, digits.vectors, digits.vectors[5])[:9]
    assert list(zip(*view.values(["id", "adopted"]), strict=True)) == expected
    vectors, samples, _ = adopted.get_embeddings()
    assert np.array_equal(vectors, digits.vectors[[digits.row(name) for name in samples]])
    assert len(samples) == len(digits.ids)


@pytest.mark.parametrize("case", MILVUS, indirect=True, scope="session")
def test_adopted_collection_is_changed_in_place(adopted: Any, digits: Digits) -> None:
    adopted.remove_from_index(sample_ids=digits.ids[:2])
    assert adopted.total_index_size == len(digits.ids) - 2
    assert not set(digits.ids[:2]) & set(adopted.sample_ids.tolist())
    adopted.add_to_index(digits.vectors[:3] + 1, digits.ids[:3])
    assert adopted.total_index_size == len(digits.ids)
    vectors, _, _ = adopted.get_embeddings(sample_ids=digits.ids[2])
    assert np.array_equal(vectors[0], digits.vectors[2] + 1)


@pytest.mark.parametrize("case", MILVUS[1:], indirect=True, scope="session")
def test_rows_that_the_adapter_added_twice_are_one_record(
    fob: Any, digits: Digits, case: Case
) -> None:
    name = made_elsewhere(digits, case, copies=3)
    index = new_run(digits, case, embeddings=False, collection_name=name, metric="euclidean")
    assert index.index_size == len(digits.ids)
    found, _, dists = index._kneighbors(digits.ids[0], k=None, return_dists=True)
    expected = ranked("euclidean", digits.ids, digits.vectors, digits.vectors[0])
    assert list(zip(found, dists, strict=True)) == expected
    vectors, samples, _ = index.get_embeddings()
    assert samples.tolist() == sorted(digits.ids)
    assert np.array_equal(vectors, digits.vectors[[digits.row(name) for name in samples]])
    index.remove_from_index(sample_ids=digits.ids[:3])
    assert not set(digits.ids[:3]) & set(index.sample_ids.tolist())
    assert index.total_index_size == len(digits.ids) - 3
    index.delete()


@pytest.mark.filterwarnings("ignore")
@needs_own
def test_run_of_fiftyones_own_adapter_is_taken_over(
    fob: Any, digits: Digits, milvus_server_uri: str
) -> None:
    from fiftyone.brain.internal.core.milvus import MilvusSimilarityConfig

    theirs = fob.compute_similarity(
        digits.dataset,
        backend=MilvusSimilarityConfig,
        uri=milvus_server_uri,
        metric="euclidean",
        embeddings=digits.vectors,
        brain_key="theirs",
    )
    ours = new_run(
        digits,
        Case("milvus", {"uri": milvus_server_uri}),
        embeddings=False,
        collection_name=theirs.config.collection_name,
        metric="euclidean",
    )
    assert ours.total_index_size == len(digits.ids)
    near = ours._kneighbors(digits.ids[3], k=5, reverse=True, return_dists=True)
    expected = ranked("euclidean", digits.ids, digits.vectors, digits.vectors[3], reverse=True)[:5]
    assert list(zip(near[0], near[2], strict=True)) == expected
    with pytest.raises(InvalidArgumentError, match="is that of run 'theirs'"):
        ours.delete()
    digits.dataset.delete_brain_run("theirs")
    ours.delete()
