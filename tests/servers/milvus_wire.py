"""A Milvus of the tests' own: Lite's engine behind a port; it notes calls and changes answers."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import numpy as np

Answer = Callable[[Any], Any]
"""Makes the reply to a request."""

Failure: TypeAlias = tuple[int, str] | tuple[int, str, bool] | grpc.StatusCode
"""A code of Milvus's, what it says, and whether the server calls it retriable; or one of gRPC's."""

_NOTHING = 'pk == ""'
_NUMBERS = itertools.count(1_000_001)


class Wire:
    """What goes between a client and the server.

    Attributes:
        uri: address of the server.
        version: what the server calls itself.
        nodes: how many nodes answer reads in turn. All but the first are behind: they see what was
            written once a read has made them wait for it.
        changed: when collections were last changed, of which it refuses writes that say otherwise.
        calls: name and request of each call so far.
    """

    def __init__(self) -> None:
        self.uri = ""
        self.version = "v2.4.9"
        self.nodes = 1
        self.changed = 0
        self.calls: list[tuple[str, Any]] = []
        self._scripted: dict[str, list[Answer]] = {}
        self._edits: dict[str, Callable[[Any], None]] = {}
        self._asked: dict[str, dict[str, str]] = {}
        self._made: dict[str, Any] = {}
        self._numbers: dict[str, int] = {}
        self._clock = itertools.count(1_000_000)
        self._written = 0
        self._turns = itertools.count()
        self._reached: dict[int, int] = {}

    def requests(self, method: str) -> list[Any]:
        """The requests of one method, the oldest first."""
        return [request for name, request in self.calls if name == method]

    def built(self, collection: str) -> dict[str, str]:
        """What the index of a collection was asked to be built with."""
        return self._asked[collection]

    def fail(self, method: str, *statuses: Failure) -> None:
        """Make the next calls of a method fail, each with a code of Milvus's or one of gRPC's."""
        self._scripted.setdefault(method, []).extend(map(_failing, statuses))

    def edit(self, method: str, change: Callable[[Any], None]) -> None:
        """Change every reply to a method from now on."""
        self._edits[method] = change

    def clear(self) -> None:
        """Forget the calls so far, and answer as the engine does."""
        self.calls.clear()
        self._scripted.clear()
        self._edits.clear()
        self.nodes, self.changed = 1, 0
        self._turns, self._reached = itertools.count(), {}

    def handle(self, name: str, serve: Answer, request: Any) -> Any:
        """The reply to a call."""
        self.calls.append((name, request))
        scripted = self._scripted.get(name)
        if scripted:
            return scripted.pop(0)(request)
        special: Callable[[Answer, Any], Any] | None = getattr(self, f"_{name}", None)
        reply = serve(request) if special is None else special(serve, request)
        if name in self._edits:
            self._edits[name](reply)
        return reply

    def _GetVersion(self, serve: Answer, request: Any) -> Any:  # noqa: N802 - the method's name
        reply = serve(request)
        reply.version = self.version
        return reply

    def _AllocTimestamp(self, _serve: Answer, _request: Any) -> Any:  # noqa: N802
        from pymilvus.grpc_gen import milvus_pb2

        return milvus_pb2.AllocTimestampResponse(timestamp=next(self._clock))

    def _is_behind(self, request: Any) -> bool:
        """Whether the node whose turn it is lacks a write that the read need not see."""
        from pymilvus.grpc_gen import common_pb2

        node, asked = next(self._turns) % self.nodes, request.guarantee_timestamp
        if request.consistency_level == common_pb2.Strong:
            asked = next(self._clock)
        reached = self._reached[node] = max(self._reached.get(node, 0), asked)
        return node > 0 and reached < self._written

    def _CreateCollection(self, serve: Answer, request: Any) -> Any:  # noqa: N802
        """Keeps the description, the level and a number, which Lite does not."""
        self._made[request.collection_name] = request
        self._numbers[request.collection_name] = next(_NUMBERS)
        return serve(request)

    def _DescribeCollection(self, serve: Answer, request: Any) -> Any:  # noqa: N802
        from pymilvus.grpc_gen import schema_pb2

        reply, made = serve(request), self._made.get(request.collection_name)
        if made is not None:
            schema = schema_pb2.CollectionSchema.FromString(made.schema)
            reply.schema.description = schema.description
            reply.consistency_level = made.consistency_level
            reply.collectionID = self._numbers[request.collection_name]
        reply.update_timestamp = self.changed
        return reply

    def _Upsert(self, serve: Answer, request: Any) -> Any:  # noqa: N802
        from pymilvus.grpc_gen import common_pb2, milvus_pb2

        if request.schema_timestamp and request.schema_timestamp != self.changed:
            # As a proxy of 2.6 does where it is told of which state of the columns a write is.
            said = common_pb2.Status(
                code=109, error_code=common_pb2.SchemaMismatch, reason="collection schema mismatch"
            )
            return milvus_pb2.MutationResult(status=said)
        self._written = next(self._clock)
        return serve(request)

    def _Delete(self, serve: Answer, request: Any) -> Any:  # noqa: N802
        self._written = next(self._clock)
        return serve(_readable(request))

    def _Search(self, serve: Answer, request: Any) -> Any:  # noqa: N802
        if self._is_behind(request):
            request.dsl = _NOTHING
        return serve(request)

    def _Query(self, serve: Answer, request: Any) -> Any:  # noqa: N802
        """Orders pages by key, for which Lite has another word than servers have."""
        sent = _readable(request)
        if self._is_behind(request):
            sent.expr = _NOTHING
        for pair in sent.query_params:
            if pair.key == "reduce_stop_for_best":
                pair.key = "iterator"
        return serve(sent)

    def _CreateIndex(self, serve: Answer, request: Any) -> Any:  # noqa: N802
        """Builds ``FLAT`` whatever is asked for, and remembers what that was."""
        from pymilvus.grpc_gen import common_pb2

        asked: dict[str, Any] = {}
        for pair in request.extra_params:
            asked |= json.loads(pair.value) if pair.key == "params" else {pair.key: pair.value}
        if str(asked.get("M")) == "0":
            return common_pb2.Status(code=1100, error_code=1, reason="M=0 is out of range")
        self._asked[request.collection_name] = {key: str(value) for key, value in asked.items()}
        sent = type(request).FromString(request.SerializeToString())
        del sent.extra_params[:]
        for key, value in {"index_type": "FLAT", "metric_type": asked["metric_type"]}.items():
            sent.extra_params.add(key=key, value=value)
        return serve(sent)

    def _DescribeIndex(self, serve: Answer, request: Any) -> Any:  # noqa: N802
        reply = serve(request)
        for described in reply.index_descriptions:
            del described.params[:]
            for key, value in self._asked.get(request.collection_name, {}).items():
                described.params.add(key=key, value=value)
        return reply


@contextmanager
def serving_wire(folder: Path) -> Iterator[Wire]:
    """Serve an empty Milvus on a port of this machine.

    Args:
        folder: an empty folder.
    """
    from milvus_lite.adapter.grpc.servicer import MilvusServicer
    from milvus_lite.db import MilvusLite
    from pymilvus.grpc_gen import milvus_pb2_grpc

    wire = Wire()
    with ExitStack() as ending:
        engine = MilvusLite(str(folder / "wire.db"))
        ending.callback(engine.close)
        server = grpc.server(futures.ThreadPoolExecutor(8), interceptors=[_Interceptor(wire)])
        milvus_pb2_grpc.add_MilvusServiceServicer_to_server(MilvusServicer(engine), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        ending.callback(lambda: server.stop(None).wait())
        wire.uri = f"http://127.0.0.1:{port}"
        yield wire


def search_parameters(request: Any) -> dict[str, Any]:
    """What a search tells the index, as a request holds it."""
    pairs = {pair.key: pair.value for pair in request.search_params}
    return dict(json.loads(pairs["params"]))


def sent_queries(request: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The queries of a search request, ``(q, d)``."""
    from pymilvus.grpc_gen import common_pb2

    group = common_pb2.PlaceholderGroup.FromString(request.placeholder_group)
    (holder,) = group.placeholders
    return np.stack([np.frombuffer(value, "<f4") for value in holder.values])


def _readable(request: Any) -> Any:
    """A copy without the escape that servers know and Lite does not."""
    sent = type(request).FromString(request.SerializeToString())
    # Read from the left, so that a backslash that is escaped itself begins no escape.
    sent.expr = re.sub(r"\\(?:U([0-9A-F]{8})|.)", _character, sent.expr)
    return sent


def _character(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else escape[0]


class _Abort(Exception):  # noqa: N818 - no error, but what ends a call
    def __init__(self, status: grpc.StatusCode) -> None:
        super().__init__(status)
        self.status = status


def _failing(status: Failure) -> Answer:
    def answer(request: Any) -> Any:
        from pymilvus.grpc_gen import common_pb2, milvus_pb2

        if isinstance(status, grpc.StatusCode):
            raise _Abort(status)
        code, reason, *rest = status
        said = common_pb2.Status(code=code, error_code=1, reason=reason, retriable=any(rest))
        replies = {"Search": milvus_pb2.SearchResults, "Query": milvus_pb2.QueryResults}
        kind = type(request).__name__.removesuffix("Request")
        if kind in {"Upsert", "Delete", "Insert"}:
            return milvus_pb2.MutationResult(status=said)
        return replies[kind](status=said)

    return answer


class _Interceptor(grpc.ServerInterceptor):  # type: ignore[misc]
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        handler = continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler
        name = details.method.rpartition("/")[2]

        def served(request: Any, context: Any) -> Any:
            try:
                return self._wire.handle(
                    name, lambda sent: handler.unary_unary(sent, context), request
                )
            except _Abort as abort:
                return context.abort(abort.status, "as the test says")
            except NotImplementedError:
                return context.abort(grpc.StatusCode.UNIMPLEMENTED, name)

        return grpc.unary_unary_rpc_method_handler(
            served,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
