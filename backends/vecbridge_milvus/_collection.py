"""One collection of a live server: what is written to it, and how it is read."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vecbridge import Consistency, OperationTimeoutError
from vecbridge.locks import reentrant_lock
from vecbridge_milvus._calls import Calls
from vecbridge_milvus._connection import Connection
from vecbridge_milvus._errors import BACKEND
from vecbridge_milvus._expr import both
from vecbridge_milvus._found import Entity
from vecbridge_milvus._index_types import needs
from vecbridge_milvus._requests import Columns, send, takes_requests, to_request
from vecbridge_milvus._rows import to_rows
from vecbridge_milvus._schema import Layout
from vecbridge_milvus._session import Session
from vecbridge_milvus._view import View

if TYPE_CHECKING:
    from pymilvus import MilvusClient

MAX_LIMIT = 16384
"""Most hits of a search, and rows of a page, that a server gives."""

# Lite searches what is not flushed row by row in Python, some ten times slower than a segment.
_UNFLUSHED_ROWS = 1000

_PUT_AWAY_STEP_S = 0.3


class Collection:
    """A collection, and the calls of pymilvus on it.

    Args:
        connection: the store's connection.
        layout: what the collection is.
        loading: how many copies of it are loaded, and where.
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
        self._calls = Calls(connection, layout.info.name, layout.collection, loading or {})
        self._alone: bool | None = None
        self._loaded = False
        self._loading = reentrant_lock()
        # Where one process serves Lite to others, that one sees to it.
        self._settles = not connection.shared
        self._unflushed = 0
        self.session = Session(str(layout.collection), connection.place)

    def load(self, operation: str = "load") -> None:
        """Brings the collection into the server's memory."""
        self._calls.load(operation)
        self._alone = None
        self._loaded = True

    def upsert(self, columns: Columns) -> None:
        """Writes records, replacing those with the same keys."""
        norm = self.layout.norm
        if norm is None:
            # What somebody else made may have fields that pymilvus fills by itself.
            self.upsert_rows(to_rows(columns))
            return
        self.session.note_norms(columns[norm])
        request, timeout = to_request(self.layout, columns), self.connection.timeout

        def step(client: MilvusClient, _attempt: int) -> None:
            if takes_requests(client):
                send(client, request, timeout)
            else:
                client.upsert(self.layout.info.name, to_rows(columns), timeout=timeout)

        with self._writing(request.num_rows):
            self._calls.steps("upsert", step)

    def upsert_rows(self, rows: Sequence[Entity]) -> None:
        """Writes rows as pymilvus takes them."""
        with self._writing(len(rows)):
            self._calls.call("upsert", "upsert", data=rows)

    def settle(self) -> None:
        """Lets a Lite of this process's own put away what was written in bulk, before a search.

        A server decides that for itself: flushing there makes small segments and slow searches.
        """
        if not self._settles or self._unflushed < _UNFLUSHED_ROWS:
            return
        with self.connection.writing():
            if self._unflushed:
                self._calls.call("flush", "flush")
                self._unflushed = 0

    def delete(self, expression: str) -> None:
        """Removes the rows that match."""
        with self.connection.writing(), self.session.writing():
            self._calls.call("delete", "delete", filter=expression)

    def put_away(self, seconds: float) -> None:
        """Returns when every record so far is indexed, and searched by its index.

        Raises:
            OperationTimeoutError: the server does not get there.
        """
        self._calls.call("settle", "flush")
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
            time.sleep(_PUT_AWAY_STEP_S)
        # What is loaded keeps its scan until somebody loads it again.
        self._calls.call("settle", "release_collection")
        self.load()

    def progress(self) -> tuple[int, int]:
        """How many records are put away, and how many of those are indexed."""
        stored = self._calls.call("search", "get_collection_stats")["row_count"]
        name = self.layout.index.build.get("index_name", self.layout.vector)
        described = self._calls.call("search", "describe_index", index_name=name)
        return int(stored), int(described.get("indexed_rows", 0))

    @contextmanager
    def reading(self, operation: str, level: Consistency) -> Iterator[View]:
        """What an operation reads, as fresh as the level asks; waits until it can be read."""
        if not self._loaded:
            with self._loading:
                if not self._loaded:
                    self.load(operation)

        def replicated() -> bool:
            return not self.lite and not self._is_alone(operation)

        with self.session.reading(level, replicated) as word:
            yield View(
                self._calls,
                self.layout,
                operation,
                word,
                lite=self.lite,
                waits_first=word == "Strong" and not self.lite and self._is_alone(operation),
            )

    def _is_alone(self, operation: str) -> bool:
        """Whether one copy of the records answers all reads; asked when a read first needs it."""
        if self._alone is None:
            self._alone = self._calls.copies(operation) == 1
        return self._alone

    def beyond(self, low: float, high: float) -> str:
        """The rows whose norm lies outside of a band."""
        return f"not ({self.inside(low, high, '')})"

    def inside(self, low: float, high: float, scope: str) -> str:
        """The rows of a scope whose norm lies inside of a band."""
        norm = self.layout.norm
        above = f"{norm} >= {low!r}" if low > 0.0 else ""
        return both(scope, above, f"{norm} <= {high!r}")

    @contextmanager
    def _writing(self, rows: int) -> Iterator[None]:
        with self.connection.writing(), self.session.writing():
            yield
            self._unflushed += rows

    def close(self) -> None:
        """Refuses every later call."""
        self._calls.close()
