"""One collection of a live server: what is written to it, and how it is read.

Every call on it is tried again where its failure passes by itself; what a server has taken out of
its memory is loaded first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vecbridge import BackendError, ClosedError, Consistency, OperationTimeoutError
from vecbridge.locks import reentrant_lock
from vecbridge_milvus._connection import Connection
from vecbridge_milvus._errors import BACKEND, NotLoadedError
from vecbridge_milvus._index_types import needs
from vecbridge_milvus._reader import Reader
from vecbridge_milvus._schema import Layout
from vecbridge_milvus._session import Session
from vecbridge_milvus._wire import Columns, Entity, send, takes_requests, to_request, to_rows

if TYPE_CHECKING:
    from pymilvus import MilvusClient

# Lite searches what is not flushed row by row in Python, some ten times slower than a segment.
_UNFLUSHED_ROWS = 1000

_PROGRESS_STEP_S = 0.3
_REPLICAS_KNOWN_S = 60.0
"""How long an index that is opened goes by the replicas which one before it was told of."""


class Collection:
    """A collection, and the calls of pymilvus on it.

    Args:
        connection: the store's connection.
        layout: what the collection is.
        loading: how many replicas of it are loaded, and where.
    """

    def __init__(
        self,
        connection: Connection,
        layout: Layout,
        loading: Mapping[str, Any] | None = None,
    ) -> None:
        self.connection = connection
        self.layout = layout
        self.lite = connection.lite
        self.session = Session(str(layout.collection), connection.place)
        self._name = layout.info.name
        self._load_with = loading or {}
        self._alone: bool | None = None
        self._loaded = False
        self._loading = reentrant_lock()
        # Where one process serves Lite to others, that one sees to it.
        self._flushes = not connection.shared
        self._unflushed = 0
        self._closed = threading.Event()

    def with_retries(self, operation: str, step: Callable[[MilvusClient, int], Any]) -> Any:
        """Make calls that stand or fall together; tried again, they begin with the first.

        Args:
            operation: the contract's name of what is being done.
            step: makes them, given a client and the number of the attempt, from 0.

        Raises:
            ClosedError: the index was closed.
            VecbridgeError: what they failed with, or went on failing with.
        """

        def opened(client: MilvusClient, attempt: int) -> Any:
            if self._closed.is_set():
                raise ClosedError(
                    f"index {self._name!r} was closed, so it cannot {operation}; open it again",
                    backend=BACKEND,
                    operation=operation,
                )
            return step(client, attempt)

        def reload(error: BackendError) -> None:
            # Servers and Lite forget what was loaded when they start again.
            if isinstance(error, NotLoadedError):
                self._load("load")

        return self.connection.with_retries(operation, opened, reload)

    def load(self, operation: str = "load") -> None:
        """Bring the collection into the server's memory, where it is not yet.

        A load that takes longer than one call may is waited for, as a server that is away is.

        Args:
            operation: the contract's name of what waits for it.
        """
        self._load(operation)
        self._alone = None
        self._loaded = True

    def upsert(self, columns: Columns) -> None:
        """Write records, replacing those with the same keys."""
        if self.layout.norm is None:
            # A collection made by others may have fields that pymilvus fills by itself.
            self.upsert_rows(to_rows(columns))
            return
        request, timeout = to_request(self.layout, columns), self.connection.timeout

        def step(client: MilvusClient, _attempt: int) -> None:
            if takes_requests(client):
                send(client, request, timeout)
            else:
                client.upsert(self._name, to_rows(columns), timeout=timeout)

        with self._writing(request.num_rows):
            self.with_retries("upsert", step)

    def upsert_rows(self, rows: Sequence[Entity]) -> None:
        """Write rows as pymilvus takes them."""
        with self._writing(len(rows)):
            self._call("upsert", "upsert", data=rows)

    def delete(self, expression: str) -> None:
        """Remove the rows that match."""
        with self._writing(0):
            self._call("delete", "delete", filter=expression)

    def flush_bulk(self) -> None:
        """Flush what was written in bulk to a Lite of this process's own, before a search.

        A server decides that for itself: flushing there makes small segments and slow searches.
        """
        if not self._flushes or self._unflushed < _UNFLUSHED_ROWS:
            return
        with self.connection.writing():
            if self._unflushed:
                self._call("flush", "flush")
                self._unflushed = 0

    def wait_until_indexed(self, seconds: float) -> None:
        """Return when every record so far is indexed, and searched by its index.

        Raises:
            OperationTimeoutError: the server does not get there in time.
        """
        self._call("settle", "flush")
        if self.lite:
            return
        end = time.monotonic() + seconds
        while (progress := self.progress())[1] < progress[0]:
            if time.monotonic() > end:
                needed = needs(self.layout.index.name)
                raise OperationTimeoutError(
                    f"of {progress[0]} records, {progress[1]} are indexed after {seconds:g} s; "
                    f"try again later" + (f", or not at all: {needed}" if needed else ""),
                    backend=BACKEND,
                    operation="settle",
                    retryable=True,
                )
            time.sleep(_PROGRESS_STEP_S)
        # What is loaded keeps its scan until it is loaded again.
        self._call("settle", "release_collection")
        self.load()

    def progress(self) -> tuple[int, int]:
        """Return how many records are flushed, and how many of those are indexed."""
        stored = self._call("search", "get_collection_stats")["row_count"]
        name = self.layout.index.build.get("index_name", self.layout.vector)
        described = self._call("search", "describe_index", index_name=name)
        return int(stored), int(described.get("indexed_rows", 0))

    @contextmanager
    def reading(self, operation: str, level: Consistency) -> Iterator[Reader]:
        """Yield what an operation reads, as fresh as the level asks, once it can be read."""
        if not self._loaded:
            with self._loading:
                if not self._loaded:
                    self.load(operation)

        def replicated() -> bool:
            return not self.lite and not self._is_alone(operation)

        with self.session.reading(level, replicated) as asked:
            yield Reader(
                self.with_retries,
                self.layout,
                operation,
                asked,
                timeout=self.connection.timeout,
                waits_first=asked == "strong" and not self.lite and self._is_alone(operation),
            )

    def close(self) -> None:
        """Refuse every later call."""
        self._closed.set()

    def _load(self, operation: str) -> None:
        timeout = self.connection.timeout

        def step(client: MilvusClient, _attempt: int) -> None:
            state = client.get_load_state(self._name, timeout=timeout)["state"]
            if state.name != "Loaded":
                self.connection.replicas_known.pop(self.layout.collection, None)
                client.load_collection(self._name, timeout=timeout, **self._load_with)

        self.connection.with_retries(operation, step)

    def _is_alone(self, operation: str) -> bool:
        """Return whether one replica answers all reads; asked when a read first needs it."""
        if self._alone is None:
            self._alone = self._replicas(operation) == 1
        return self._alone

    def _replicas(self, operation: str) -> int | None:
        """Return how many replicas answer reads; ``None`` where the server does not say."""
        known, number = self.connection.replicas_known, self.layout.collection
        moment, count = known.get(number, (-_REPLICAS_KNOWN_S, None))
        if time.monotonic() - moment >= _REPLICAS_KNOWN_S:
            try:
                count = len(self._call(operation, "describe_replica"))
            except BackendError as error:
                # An account may read without being allowed to ask this.
                if error.retryable or isinstance(error, ClosedError):
                    raise
                count = None
            known[number] = time.monotonic(), count
        return count

    def _call(self, operation: str, method: str, **arguments: Any) -> Any:
        """Call one method of the client on this collection."""
        timeout = self.connection.timeout

        def step(client: MilvusClient, _attempt: int) -> Any:
            return getattr(client, method)(self._name, timeout=timeout, **arguments)

        return self.with_retries(operation, step)

    @contextmanager
    def _writing(self, rows: int) -> Iterator[None]:
        with self.connection.writing(), self.session.writing():
            yield
            self._unflushed += rows
