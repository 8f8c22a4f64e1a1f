"""A server that builds its own index in the place of what it is asked for, and describes the other.

The server of the tests stands behind it: a relay that changes two messages, as ``autoIndex.enable``
changes them (2.3.5 as it is packaged cannot be started with that setting).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc

BUILT = {"index_type": "HNSW", "M": "4", "efConstruction": "8"}


@contextmanager
def replacing(address: str, *, at_creation: bool = True) -> Iterator[str]:
    """The address of a relay to a server.

    Args:
        address: ``host:port`` of the server.
        at_creation: whether indexes that cannot be built are replaced too, as that setting does.
    """
    channel = grpc.insecure_channel(address, [("grpc.max_receive_message_length", 1 << 28)])
    relay = grpc.server(
        futures.ThreadPoolExecutor(8),
        handlers=[_Relay(channel, at_creation=at_creation)],
        options=[
            ("grpc.max_receive_message_length", 1 << 28),
            ("grpc.max_send_message_length", 1 << 28),
        ],
    )
    port = relay.add_insecure_port("127.0.0.1:0")
    relay.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        relay.stop(None).wait()
        channel.close()


class _Relay(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, channel: grpc.Channel, *, at_creation: bool) -> None:
        self._channel = channel
        self._at_creation = at_creation
        self._asked: dict[str, dict[str, str]] = {}

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        forward = self._channel.unary_unary(method)

        def relayed(request: bytes, context: Any) -> bytes:
            change: Callable[[bytes], bytes] = getattr(
                self, f"_before_{method.rpartition('/')[2]}", bytes
            )
            try:
                reply: bytes = forward(
                    change(request),
                    timeout=min(context.time_remaining() or 60.0, 60.0),
                    metadata=context.invocation_metadata(),
                )
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
            after = getattr(self, f"_after_{method.rpartition('/')[2]}", None)
            return reply if after is None else after(request, reply)

        return grpc.unary_unary_rpc_method_handler(relayed)

    def _before_CreateIndex(self, data: bytes) -> bytes:  # noqa: N802 - the method's name
        import json

        from pymilvus.grpc_gen import milvus_pb2

        request = milvus_pb2.CreateIndexRequest.FromString(data)
        asked: dict[str, str] = {}
        for pair in request.extra_params:
            asked |= json.loads(pair.value) if pair.key == "params" else {pair.key: pair.value}
        impossible = str(asked.get("M")) == "0"
        if impossible and not self._at_creation:
            return data
        self._asked[request.collection_name] = {key: str(value) for key, value in asked.items()}
        built = {"metric_type": asked["metric_type"], "index_type": BUILT["index_type"]}
        del request.extra_params[:]
        for key, value in built.items():
            request.extra_params.add(key=key, value=value)
        rest = {key: value for key, value in BUILT.items() if key != "index_type"}
        request.extra_params.add(key="params", value=json.dumps(rest))
        return bytes(request.SerializeToString())

    def _after_DescribeIndex(self, data: bytes, told: bytes) -> bytes:  # noqa: N802
        from pymilvus.grpc_gen import milvus_pb2

        request = milvus_pb2.DescribeIndexRequest.FromString(data)
        reply = milvus_pb2.DescribeIndexResponse.FromString(told)
        for described in reply.index_descriptions:
            del described.params[:]
            for key, value in self._asked.get(request.collection_name, {}).items():
                described.params.add(key=key, value=value)
        return bytes(reply.SerializeToString())
