"""The turn, the flush and the recovery around each call of Milvus Lite's engine.

Reads go together, a write goes alone. Rows are flushed before a call that would look through many
that are not; and collections on which a write has failed half-way are opened again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import grpc

from vecbridge.locks import reentrant_lock
from vecbridge_milvus.lite._rendezvous import Anchor

if TYPE_CHECKING:
    from milvus_lite.db import MilvusLite

_METHODS = """
    CheckHealth Connect DescribeAlias DescribeCollection DescribeDatabase DescribeIndex
    GetCollectionStatistics GetFlushState GetLoadState GetLoadingProgress GetPartitionStatistics
    GetVersion HasCollection HasPartition HybridSearch ListAliases ListDatabases Query Search
    ShowCollections ShowPartitions
"""
_READS = frozenset(_METHODS.split())
"""Methods that only read. Any other one is taken for a write."""

_SEARCHED_ROWS, _LOGGED_ROWS = 1000, 20_000
"""How many unflushed rows a search looks through, and how many a log holds, at most."""

_PAUSE_S = 10.0
"""How long no flush is tried after one has failed, as it does on a full disk."""
_Name = tuple[str, str]
_log = logging.getLogger("vecbridge.milvus")

_FAILED = 1
"""The code of an unforeseen failure; a refusal has others, and changes nothing."""

_TOO_LATE = "cannot schedule new futures"
"""What Lite says where the interpreter is at its end, and what it would tidy up later stays so."""


class ReadWriteGate:
    """Many readers or one writer; a writer that waits goes before readers that come later."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers = 0
        self._waiting = 0
        self._written = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the gate while something is read."""
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
        """Hold the gate while something is written."""
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


class AutoFlush:
    """Flushes rows before a call that would look through many of them.

    A search of what is not flushed takes some ten times as long. Only the process that serves
    knows what all the others wrote, and what its predecessor left to be read from the log.
    Its successor reads that log first, so that writes too flush rows, now and then.

    Args:
        flush: flushes the rows of the collection that a request names; says what it failed
            with, or nothing. What has failed has lost no row.
    """

    def __init__(self, flush: Callable[[Any, Any], str]) -> None:
        self._flush = flush
        self._lock = reentrant_lock()
        # What a collection has in its log when it is first seen is not known.
        self._rows: defaultdict[_Name, int] = defaultdict(lambda: _SEARCHED_ROWS)
        self._failed: dict[_Name, float] = {}

    def is_due(self, method: str, request: Any) -> bool:
        """Return whether more rows are unflushed than there should be when a call is made."""
        limit = _limit(method, request)
        if limit is None:
            return False
        name, now = _name(request), time.monotonic()
        with self._lock:
            paused = now - self._failed.get(name, -_PAUSE_S) < _PAUSE_S
            return not paused and self._rows[name] >= limit

    def run(self, method: str, request: Any, context: Any) -> None:
        """Flush rows, unless another call has just done so. Needs a writer's turn.

        Where that fails the call goes on without: it takes longer, and finds the same.
        """
        if not self.is_due(method, request):
            return
        failure = self._flush(request, context)
        with self._lock:
            if failure:
                self._failed[_name(request)] = time.monotonic()
            else:
                self._rows[_name(request)] = 0
        if failure:
            _log.warning(
                "Milvus Lite cannot flush what was written to %r, and searches it slowly until "
                "it can: %s",
                request.collection_name,
                failure,
            )

    def note(self, method: str, request: Any) -> None:
        """Count what a call wrote."""
        if method in {"Insert", "Upsert"}:
            with self._lock:
                self._rows[_name(request)] += request.num_rows


class ReopenAfterFailure:
    """Opens collections again on which a write has failed half-way, as on a full disk.

    Lite clears what it holds in memory before it puts it into a segment, and does not take it back
    where that fails: reads no longer find the records, and the next segment that can be written
    removes the log that still has them. A record that was cut short in the log hides all that are
    written behind it. Opened again, a collection has everything from its log, and begins a new one.
    """

    def __init__(self, engine: MilvusLite) -> None:
        self._engine = engine

    def check(self, reply: Any, request: Any, context: Any) -> bool:
        """Open the collections of a write again that failed half-way. Needs a writer's turn.

        Returns:
            Whether it had failed half-way.
        """
        status = getattr(reply, "status", reply)
        if getattr(status, "code", 0) != _FAILED or _TOO_LATE in status.reason:
            return False
        for name in _named(request):
            _log.debug("Milvus Lite opens %r again: %s", name, status.reason)
            self._open_again(name, _database(request, context))
        return True

    def _open_again(self, name: str, database: str) -> None:
        opened: dict[tuple[str, str], Any] = self._engine._collections  # noqa: SLF001 - no other way
        known = self._engine.resolve_collection_name(name, database_name=database)
        before = opened.pop((database, known), None)
        if before is None:
            return
        # What it still does behind the scenes must not meet what its successor does.
        before._bg_executor.shutdown(wait=True)  # noqa: SLF001
        # Where this fails too, it is opened by the next call.
        with suppress(Exception):
            again = self._engine.get_collection(known, database_name=database)
            if before.load_state == "loaded":
                again.load()


class ReadWriteInterceptor(grpc.ServerInterceptor):  # type: ignore[misc]
    """Sends every call of a server through a gate.

    The engine takes one writer at a time, and its server has many threads. A read beside a write
    that flushes rows into a segment could find them in neither place. Where the engine cannot
    follow its directory, nothing is written once the path leads elsewhere.
    """

    def __init__(
        self,
        gate: ReadWriteGate,
        auto_flush: AutoFlush,
        check: Callable[[Any, Any, Any], bool],
        anchor: Anchor,
    ) -> None:
        self._gate = gate
        self._auto_flush = auto_flush
        self._check = check
        self._anchor = anchor

    def intercept_service(
        self, continuation: Callable[[Any], Any], handler_call_details: Any
    ) -> Any:
        """Return the handler of a call, behind the gate."""
        handler = continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        name = handler_call_details.method.rpartition("/")[2]
        reads = name in _READS
        turn = self._gate.reading if reads else self._gate.writing

        def in_turn(request: Any, context: Any) -> Any:
            if not (reads or self._anchor.follows) and (lost := self._anchor.lost()):
                return context.abort(grpc.StatusCode.ABORTED, f"{self._anchor.path}: {lost}")
            if self._auto_flush.is_due(name, request):
                with self._gate.writing():
                    self._auto_flush.run(name, request, context)
            try:
                with turn():
                    reply = handler.unary_unary(request, context)
                    if not reads:
                        self._check(reply, request, context)
            except NotImplementedError:
                # pymilvus goes without, and gRPC would log a traceback in the user's face.
                return context.abort(grpc.StatusCode.UNIMPLEMENTED, f"Milvus Lite has no {name}")
            self._auto_flush.note(name, request)
            status = getattr(reply, "status", reply)
            if getattr(status, "reason", ""):
                status.reason = self._anchor.plain(status.reason)
            return reply

        return grpc.unary_unary_rpc_method_handler(
            in_turn,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


def _limit(method: str, request: Any) -> int | None:
    if method in {"Insert", "Upsert"}:
        return _LOGGED_ROWS
    if method in {"Search", "HybridSearch"}:
        return _SEARCHED_ROWS
    # Rows that are asked for by key are found at once wherever they are.
    return _SEARCHED_ROWS if method == "Query" and " in [" not in request.expr else None


def _name(request: Any) -> _Name:
    return request.db_name, request.collection_name


def _named(request: Any) -> list[str]:
    names = getattr(request, "collection_names", None)
    one = getattr(request, "collection_name", "")
    return [one] if one else list(names or ())


def _database(request: Any, context: Any) -> str:
    """Return the database as Lite reads it: from the request, else from the call's metadata."""
    from milvus_lite.db import DEFAULT_DATABASE_NAME

    if request.db_name:
        return str(request.db_name)
    metadata = dict(context.invocation_metadata())
    return str(metadata.get("dbname") or DEFAULT_DATABASE_NAME)
