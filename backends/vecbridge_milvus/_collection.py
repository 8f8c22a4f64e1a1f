"""One collection of a live server, and every call that an index makes on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vecbridge import ClosedError, Consistency
from vecbridge_milvus._connection import Connection
from vecbridge_milvus._errors import BACKEND, NotLoadedError, OvertakenError, boundary
from vecbridge_milvus._expr import both, string_literal
from vecbridge_milvus._schema import Layout
from vecbridge_milvus._session import Session

MAX_LIMIT = 16384
"""Most hits of a search, and rows of a page, that a server gives."""

_MAX_QUERIES = 16384
_MESSAGE_BYTES = 32 << 20
_HIT_BYTES = 128

# A search whose hits are deleted before they are read fails, and is worth a few more tries.
_ATTEMPTS = 6
_PAUSE_S = 0.01

# Lite searches what is not flushed row by row in Python, some ten times slower than a segment.
_UNFLUSHED_ROWS = 1000

Entity = dict[str, Any]


class Collection:
    """A loaded collection, and the calls of pymilvus on it.

    Args:
        connection: the store's connection.
        layout: what the collection is.
    """

    def __init__(self, connection: Connection, layout: Layout) -> None:
        self.connection = connection
        self.layout = layout
        self.lite = connection.lite
        self._session = Session(layout.collection)
        self._closed = threading.Event()
        self._unflushed = 0

    def load(self) -> None:
        """Brings the collection into the server's memory, where it is not yet."""
        name, timeout = self.layout.info.name, self.connection.timeout
        client = self.connection.client("load")
        with boundary("load"):
            state = client.get_load_state(name, timeout=timeout)["state"]
            if state.name != "Loaded":
                client.load_collection(name, timeout=timeout)

    def upsert(self, rows: Sequence[Entity]) -> None:
        """Writes rows, replacing those with the same keys."""
        with self.connection.writing(), self._session.writing():
            self._call("upsert", "upsert", data=rows)
            self._unflushed += len(rows)

    def settle(self) -> None:
        """Lets Lite put away what was written in bulk, before all of it is looked at.

        A server decides that for itself: flushing there makes small segments and slow searches.
        """
        if not self.lite or self._unflushed < _UNFLUSHED_ROWS:
            return
        with self.connection.writing():
            if self._unflushed:
                self._call("flush", "flush")
                self._unflushed = 0

    def delete(self, expression: str) -> None:
        """Removes the rows that match."""
        with self.connection.writing(), self._session.writing():
            self._call("delete", "delete", filter=expression)

    def count(self, level: Consistency) -> int:
        """The number of rows."""
        (row,) = self.query("count", "", ["count(*)"], level)
        return int(row["count(*)"])

    def query(
        self,
        operation: str,
        expression: str,
        output: Sequence[str],
        level: Consistency,
        *,
        limit: int | None = None,
    ) -> list[Entity]:
        """Rows that match, in any order."""
        bound = {} if limit is None else {"limit": limit}
        with self._session.reading(level) as word:
            found = self._call(
                operation,
                "query",
                filter=expression,
                output_fields=list(output),
                consistency_level=word,
                **bound,
            )
        return list(found)

    def pages(self, output: Sequence[str], level: Consistency, rows: int) -> Iterator[list[Entity]]:
        """Every row once, in pages ordered by key.

        pymilvus's own iterator puts keys into its filters unescaped, so the pages are made here.
        """
        key, last = self.layout.key, ""
        # Lite sorts by key when told that it serves an iterator, servers merge segments by key.
        # A server told of an iterator answers weak reads from a snapshot before earlier reads.
        by_key = {"iterator": "True"} if self.lite else {"reduce_stop_for_best": "True"}
        while True:
            with self._session.reading(level) as word:
                page = self._call(
                    "scan",
                    "query",
                    filter=f"{key} > {string_literal(last)}",
                    output_fields=list(output),
                    limit=rows,
                    consistency_level=word,
                    **by_key,
                )
            if not page:
                return
            # A server may cut a page short where segments end, so only an empty one is the last.
            last = max(row[key] for row in page)
            yield list(page)

    def search(
        self,
        queries: NDArray[np.float32],
        limit: int,
        expression: str,
        level: Consistency,
        *,
        vectors: bool,
    ) -> list[list[Entity]]:
        """The engine's hits of each query, each with its ``distance`` and ``entity``."""
        output = [self.layout.key, self.layout.vector] if vectors else [self.layout.key]
        size = self._queries_at_a_time(limit, vectors=vectors)
        hits: list[list[Entity]] = []
        for start in range(0, len(queries), size):
            with self._session.reading(level) as word:
                hits.extend(
                    self._call(
                        "search",
                        "search",
                        data=list(queries[start : start + size]),
                        anns_field=self.layout.vector,
                        filter=expression,
                        limit=limit,
                        output_fields=output,
                        search_params=self._search_params(limit),
                        consistency_level=word,
                    )
                )
        return hits

    def beyond(self, low: float, high: float) -> str:
        """The rows whose norm lies outside of a band."""
        norm = self.layout.norm
        below = f"{norm} < {low!r} or " if low > 0.0 else ""
        return f"{below}{norm} > {high!r}"

    def inside(self, low: float, high: float, scope: str) -> str:
        """The rows of a scope whose norm lies inside of a band."""
        norm = self.layout.norm
        above = f"{norm} >= {low!r}" if low > 0.0 else ""
        return both(scope, above, f"{norm} <= {high!r}")

    def close(self) -> None:
        """Refuses every later call."""
        self._closed.set()

    def _queries_at_a_time(self, limit: int, *, vectors: bool) -> int:
        # Lite makes all differences of a batch at once: queries times records times dimensions.
        if self.lite and self.layout.info.metric == "euclidean":
            return 1
        sent = 4 * self.layout.stored_dimension
        hit = _HIT_BYTES + (sent if vectors else 0)
        return max(1, min(_MAX_QUERIES, _MESSAGE_BYTES // (limit * hit), _MESSAGE_BYTES // sent))

    def _search_params(self, limit: int) -> dict[str, Any]:
        """What an approximate index must be told to look at ``limit`` records at all."""
        if "HNSW" in self.layout.index_type:
            return {"params": {"ef": max(limit, 64)}}
        if self.layout.index_type == "DISKANN":
            return {"params": {"search_list": max(limit, 64)}}
        return {}

    def _call(self, operation: str, method: str, **arguments: Any) -> Any:
        name, timeout = self.layout.info.name, self.connection.timeout
        for attempt in range(_ATTEMPTS):
            if self._closed.is_set():
                raise ClosedError(
                    f"index {name!r} was closed, so it cannot {operation}; open it again",
                    backend=BACKEND,
                    operation=operation,
                )
            client = self.connection.client(operation)
            try:
                with boundary(operation):
                    return getattr(client, method)(name, timeout=timeout, **arguments)
            except NotLoadedError:
                # Servers and Lite forget what was loaded when they start again.
                if attempt:
                    raise
                self.load()
            except OvertakenError:
                if attempt == _ATTEMPTS - 1:
                    raise
                time.sleep(_PAUSE_S * 2**attempt)
        raise AssertionError("unreachable")
