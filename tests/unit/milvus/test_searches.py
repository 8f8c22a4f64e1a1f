"""A search that is made here is the one that pymilvus makes, and its answer is read alike."""

from __future__ import annotations

from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vecbridge import BackendError, IndexInfo
from vecbridge_milvus._found import Found, to_found, to_found_by_pymilvus
from vecbridge_milvus._index_types import IndexType
from vecbridge_milvus._schema import Layout
from vecbridge_milvus._searches import Search, answered, to_request

pytest.importorskip("pymilvus")
INFO = IndexInfo("photos", 3, "cosine", MappingProxyType({}))
LAYOUT = Layout(INFO, 1, "pk", "vector", "vecbridge_norm", 4, IndexType("HNSW", {}))
QUERIES = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
SEARCHES = [
    Search(LAYOUT, QUERIES[:1], 10, "", False, None),
    Search(LAYOUT, QUERIES, 16384, 'pk in ["a\\"b", "emoji 🐈"]', True, {"ef": 64}),
    # Not in one piece, and of the other byte order.
    Search(LAYOUT, np.asfortranarray(QUERIES).astype(">f4"), 1, "n > 5", False, {"nprobe": 3}),
]


@pytest.mark.parametrize("search", SEARCHES)
def test_what_is_sent_is_what_pymilvus_would_send(search: Search) -> None:
    from pymilvus.client.prepare import Prepare

    theirs = Prepare.search_requests_with_expr(
        "photos",
        anns_field="vector",
        param={"params": dict(search.parameters)} if search.parameters else {},
        limit=search.limit,
        data=[row.astype(np.float32) for row in search.queries],
        expr=search.expression,
        output_fields=search.output,
    )
    ours = to_request(search)
    assert pairs(ours) == pairs(theirs)
    del ours.search_params[:], theirs.search_params[:]
    theirs.use_default_consistency = False
    assert ours == theirs


def pairs(request: Any) -> dict[str, str]:
    return {pair.key: pair.value.replace(" ", "") for pair in request.search_params}


def answer(sizes: list[int], vectors: bool) -> Any:
    from pymilvus import DataType
    from pymilvus.grpc_gen import schema_pb2

    total = sum(sizes)
    results = schema_pb2.SearchResultData(
        num_queries=len(sizes), topks=sizes, primary_field_name="pk"
    )
    results.ids.str_id.data.extend(f"id{number}" for number in range(total))
    results.scores.extend(np.float32(number) / 3 for number in range(total))
    if vectors:
        column = results.fields_data.add(field_name="vector", type=int(DataType.FLOAT_VECTOR))
        column.vectors.dim = 4
        column.vectors.float_vector.data.extend(np.arange(4.0 * total) / 7)
    return results


def plain(found: list[Found]) -> list[Any]:
    return [(hits.ids, hits.numbers.tolist(), hits.vectors.tolist()) for hits in found]


@pytest.mark.parametrize("vectors", [False, True])
@pytest.mark.parametrize("sizes", [[2], [3, 0, 1], [0, 0]])
def test_an_answer_is_read_as_pymilvus_reads_it(sizes: list[int], vectors: bool) -> None:
    from pymilvus.client.search_result import SearchResult

    results = answer(sizes, vectors)
    found = to_found(LAYOUT, results, vectors=vectors)
    assert [len(hits.ids) for hits in found] == sizes
    assert [hits.vectors.shape for hits in found] == [(n, 3 if vectors else 0) for n in sizes]
    theirs = to_found_by_pymilvus(LAYOUT, SearchResult(results), vectors=vectors)
    assert plain(found) == plain(theirs)
    assert [hits.vectors.shape for hits in theirs] == [hits.vectors.shape for hits in found]
    if vectors and sizes == [3, 0, 1]:
        expected = (np.arange(12, 15, dtype=np.float64) / 7).astype(np.float32)
        assert found[2].vectors.tolist() == [expected.tolist()]


def test_hits_without_their_vectors_are_refused() -> None:
    with pytest.raises(BackendError, match="one vector for each of 2 hits"):
        to_found(LAYOUT, answer([2], vectors=False), vectors=True)


def test_what_the_server_refuses_is_raised() -> None:
    from pymilvus.exceptions import MilvusException
    from pymilvus.grpc_gen import common_pb2, milvus_pb2

    refusal = common_pb2.Status(code=65535, reason="field id not exist")
    sent: list[Any] = []

    def search(request: Any, **_options: Any) -> Any:
        sent.append(request)
        return milvus_pb2.SearchResults(status=refusal)

    stub = SimpleNamespace(Search=search)
    handler = SimpleNamespace(_stub=stub, server_address="127.0.0.1:19530")
    client: Any = SimpleNamespace(_get_connection=lambda: handler)
    with pytest.raises(MilvusException, match="field id not exist"):
        answered(SEARCHES[0], client, "Bounded", 1.0)
    assert sent[0].guarantee_timestamp == 2
    assert sent[0].consistency_level == common_pb2.ConsistencyLevel.Bounded
