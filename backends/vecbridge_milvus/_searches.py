"""Searches as Milvus's protocol has them, made of whole arrays.

pymilvus looks at every value that is sent, and makes objects of every hit that comes back: beside
a server that answers in a few milliseconds, that is one of them. So a search is made here, and
pymilvus's connection sends it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge_milvus._found import Found, to_found, to_found_by_pymilvus
from vecbridge_milvus._requests import call_context, takes_requests
from vecbridge_milvus._schema import Layout

if TYPE_CHECKING:
    from pymilvus import MilvusClient


class Search(NamedTuple):
    """What is searched for.

    Attributes:
        layout: of the collection.
        queries: ``(q, d)`` float32.
        limit: how many hits of each.
        expression: only what matches is searched.
        vectors: whether hits bring their vectors. Keys come with every answer.
        parameters: what an approximate index is told.
    """

    layout: Layout
    queries: NDArray[np.float32]
    limit: int
    expression: str
    vectors: bool
    parameters: Mapping[str, Any] | None

    @property
    def output(self) -> list[str]:
        """The fields that come with the hits."""
        return [self.layout.vector] if self.vectors else []


def answered(search: Search, client: MilvusClient, word: str, timeout: float) -> list[Found]:
    """The hits of each query, read at Milvus's word for a level."""
    ask = _answered_here if takes_searches(client) else _answered_by_pymilvus
    return ask(search, client, word, timeout)


def takes_searches(client: MilvusClient) -> bool:
    """Whether this pymilvus has what a search can be sent with; all so far do."""
    return takes_requests(client) and hasattr(client._get_connection(), "_stub")  # noqa: SLF001


def _answered_here(search: Search, client: MilvusClient, word: str, timeout: float) -> list[Found]:
    from pymilvus.client.utils import check_status

    request = to_request(search)
    handler: Any = client._get_connection()  # noqa: SLF001 - nothing public sends what it has not made
    context = call_context(client)
    # Since 2.6, the time of own writes is kept by address and database, which calls name.
    place = () if context is None else (handler.server_address, context.get_db_name())
    _set_level(request, word, *place)
    metadata = None if context is None else context.to_grpc_metadata()
    answer = handler._stub.Search(request, timeout=timeout, metadata=metadata)  # noqa: SLF001
    check_status(answer.status)
    return to_found(search.layout, answer.results, vectors=search.vectors)


def _answered_by_pymilvus(
    search: Search, client: MilvusClient, word: str, timeout: float
) -> list[Found]:
    """The same by nothing but what pymilvus makes public."""
    reply = client.search(
        search.layout.info.name,
        data=list(search.queries),
        anns_field=search.layout.vector,
        filter=search.expression,
        limit=search.limit,
        output_fields=search.output,
        search_params={"params": dict(search.parameters)} if search.parameters else {},
        consistency_level=word,
        timeout=timeout,
    )
    return to_found_by_pymilvus(search.layout, reply, vectors=search.vectors)


def to_request(search: Search) -> Any:
    """The search as it is sent, but for its level."""
    from pymilvus.grpc_gen import common_pb2, milvus_pb2

    asked = common_pb2.PlaceholderValue(
        tag="$0",
        type=common_pb2.PlaceholderType.FloatVector,
        values=[row.tobytes() for row in search.queries.astype("<f4", copy=False)],
    )
    told = {
        "topk": str(search.limit),
        "round_decimal": "-1",
        "ignore_growing": "False",
        "anns_field": search.layout.vector,
        "params": json.dumps(dict(search.parameters or {})),
    }
    pairs = [common_pb2.KeyValuePair(key=key, value=value) for key, value in told.items()]
    return milvus_pb2.SearchRequest(
        collection_name=search.layout.info.name,
        dsl=search.expression,
        dsl_type=common_pb2.DslType.BoolExprV1,
        output_fields=search.output,
        search_params=pairs,
        nq=len(search.queries),
        placeholder_group=common_pb2.PlaceholderGroup(placeholders=[asked]).SerializeToString(),
    )


def _set_level(request: Any, word: str, *place: str) -> None:
    """Says how fresh the answer has to be, as pymilvus does."""
    from pymilvus.client.ts_utils import construct_guarantee_ts

    level: dict[str, Any] = {"consistency_level": word}
    construct_guarantee_ts(request.collection_name, level, *place)
    request.guarantee_timestamp = level["guarantee_timestamp"]
    request.consistency_level = level["consistency_level"]
