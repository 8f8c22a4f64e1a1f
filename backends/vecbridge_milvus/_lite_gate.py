"""Whose turn it is in Milvus Lite's engine: reads go together, a write goes alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from vecbridge_milvus._lite_anchor import Anchor
from vecbridge_milvus._lite_settling import Settling

_READS = frozenset(
    {
        "CheckHealth",
        "Connect",
        "DescribeAlias",
        "DescribeCollection",
        "DescribeDatabase",
        "DescribeIndex",
        "GetCollectionStatistics",
        "GetFlushState",
        "GetLoadState",
        "GetLoadingProgress",
        "GetPartitionStatistics",
        "GetVersion",
        "HasCollection",
        "HasPartition",
        "HybridSearch",
        "ListAliases",
        "ListDatabases",
        "Query",
        "Search",
        "ShowCollections",
        "ShowPartitions",
    }
)
"""What only looks. A method that is not known to is taken for a write."""


class Gate:
    """Many readers or one writer; a writer that waits goes before readers that come later."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._waiting = 0
        self._written = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Held while something is read."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._written or self._waiting))
            self._readers += 1
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                self._changed.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Held while something is written."""
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: not (self._written or self._readers))
                self._written = True
            finally:
                self._waiting -= 1
        try:
            yield
        finally:
            with self._changed:
                self._written = False
                self._changed.notify_all()


class Turns(grpc.ServerInterceptor):  # type: ignore[misc]
    """Sends every call of a server through a gate.

    The engine takes one writer at a time, and its server has many threads. A read beside a write
    that puts rows away into a segment could find them in neither place.

    Args:
        gate: whose turn it is.
        settling: when rows are put away.
        mended: sees to it that a write which failed, given reply, request and context, does no
            harm later.
        anchor: the directory that is served. Where the engine cannot follow it, nothing is written
            once its path leads elsewhere.
    """

    def __init__(
        self, gate: Gate, settling: Settling, mended: Callable[..., object], anchor: Anchor
    ) -> None:
        self._gate = gate
        self._settling = settling
        self._mended = mended
        self._anchor = anchor

    def intercept_service(
        self, continuation: Callable[[Any], Any], handler_call_details: Any
    ) -> Any:
        """The handler of a call, behind the gate."""
        handler = continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        name = handler_call_details.method.rpartition("/")[2]
        reads = name in _READS
        turn = self._gate.reading if reads else self._gate.writing

        def in_turn(request: Any, context: Any) -> Any:
            if not (reads or self._anchor.follows) and (lost := self._anchor.lost()):
                return context.abort(grpc.StatusCode.ABORTED, f"{self._anchor.path}: {lost}")
            if self._settling.is_due(name, request):
                with self._gate.writing():
                    self._settling.settle(name, request, context)
            try:
                with turn():
                    reply = handler.unary_unary(request, context)
                    if not reads:
                        self._mended(reply, request, context)
            except NotImplementedError:
                # pymilvus goes without, and gRPC would log a traceback in the user's face.
                return context.abort(grpc.StatusCode.UNIMPLEMENTED, f"Milvus Lite has no {name}")
            self._settling.note(name, request)
            status = getattr(reply, "status", reply)
            if getattr(status, "reason", ""):
                status.reason = self._anchor.plain(status.reason)
            return reply

        return grpc.unary_unary_rpc_method_handler(
            in_turn,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
