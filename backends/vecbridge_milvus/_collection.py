"""One collection of a live server, and the calls on it.

Every call is tried again where its failure passes by itself; what a server has taken out of its
memory is loaded first.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vecbridge import (
    BackendError,
    ClosedError,
    Consistency,
    IndexNotFoundError,
    OperationTimeoutError,
)
from vecbridge.locks import reentrant_lock
from vecbridge_milvus._causes import ColumnsChangedError, NotLoadedError
from vecbridge_milvus._connection import Connection
from vecbridge_milvus._errors import failure
from vecbridge_milvus._freshness import Session
from vecbridge_milvus._index_types import needs
from vecbridge_milvus._reader import Reader
from vecbridge_milvus._schema import Layout, identity_of
from vecbridge_milvus._wire import Columns, Entity, send, to_request, to_rows

if TYPE_CHECKING:
    from pymilvus import MilvusClient

# Lite searches what is not flushed row by row in Python, some ten times slower than a segment.
_UNFLUSHED_ROWS = 1000

_PROGRESS_STEP_S = 0.3


class Collection:
    """A collection, and the calls of pymilvus on it."""

    def __init__(self, connection: Connection, layout: Layout, loading: Mapping[str, Any]) -> None:
        self.connection = connection
        self.layout = layout
        self.lite = connection.lite
        self.session = Session(layout.collection, connection.place)
        self._name = layout.info.name
        self._load_with = loading
        self._changed = layout.changed
        self._loaded = False
        self._loading = reentrant_lock()
        # Where one process serves Lite to others, that one sees to it.
        self._flushes = not connection.shared
        self._unflushed = 0
        self._closed = threading.Event()

    def with_retries(self, operation: str, step: Callable[[MilvusClient, int], Any]) -> Any:
        """Make calls as :meth:`Connection.with_retries` does, while the index is open.

        What the server has taken out of its memory is loaded before the next attempt.
        """

        def opened(client: MilvusClient, attempt: int) -> Any:
            if self._closed.is_set():
                text = f"index {self._name!r} was closed, so it cannot {operation}; open it again"
                raise failure(ClosedError, operation, text)
            if attempt:
                # It may have been dropped while the server was away.
                self._refuse_another(client)
            return step(client, attempt)

        def reload(error: BackendError) -> None:
            # Servers and Lite forget what was loaded when they start again.
            if isinstance(error, NotLoadedError):
                self.load("load")

        return self.connection.with_retries(operation, opened, reload)

    def load(self, operation: str = "load") -> None:
        """Bring the collection into the server's memory, where it is not yet.

        A load that takes longer than one call may is waited for, as a server that is away is.
        """
        timeout = self.connection.timeout

        def step(client: MilvusClient, _attempt: int) -> None:
            # With some of its partitions, a collection is called loaded, and searched without the
            # others.
            parts = [{"partition_name": each} for each in self.layout.partitions] or [{}]
            states = (client.get_load_state(self._name, timeout=timeout, **each) for each in parts)
            if any(each["state"].name != "Loaded" for each in states):
                client.load_collection(self._name, timeout=timeout, **self._load_with)

        self.connection.with_retries(operation, step)
        self._loaded = True

    def upsert(self, columns: Columns) -> None:
        """Write records, replacing those with the same keys."""
        layout = self.layout
        if layout.norm is None or layout.info.kept or layout.partitions:
            # A collection made by others may have fields that pymilvus fills by itself.
            self.upsert_rows(to_rows(columns))
            return
        request, timeout = to_request(layout, columns), self.connection.timeout

        def step(client: MilvusClient, _attempt: int) -> None:
            if self._changed:
                # A column that came since, and is not sent, would be made null without a word.
                request.schema_timestamp = self._changed
            if not send(client, request, timeout):
                client.upsert(self._name, to_rows(columns), timeout=timeout)

        with self._writing("upsert", request.num_rows):
            try:
                self.with_retries("upsert", step)
            except ColumnsChangedError:
                if not self._has_same_columns():
                    raise
                self.with_retries("upsert", step)

    def _has_same_columns(self) -> bool:
        """Return whether a collection that was changed has the columns that it had."""
        described = self._call("upsert", "describe_collection")
        self._changed = int(described.get("update_timestamp") or 0)
        return {column["name"] for column in described["fields"]} == self.layout.names

    def upsert_rows(self, rows: Sequence[Entity]) -> None:
        """Write rows as pymilvus takes them, each into the partition that it is in."""
        kept = {"partial_update": True} if self.layout.info.kept else {}
        parted = self._by_partition(rows) if self.layout.partitions else {"": rows}
        with self._writing("upsert", len(rows)):
            for partition, part in parted.items():
                self._call("upsert", "upsert", data=part, partition_name=partition, **kept)

    def _by_partition(self, rows: Sequence[Entity]) -> dict[str, list[Entity]]:
        """Return rows by the partition of their keys; a server would leave the old row in another.

        Raises:
            BackendError: a key is in several partitions.
        """
        key, where = self.layout.key, dict[str, str]()
        ids = [str(row[key]) for row in rows]
        with self.reading("upsert", "strong") as reader:
            for partition in self._call("upsert", "list_partitions"):
                for row in reader.rows(ids, [key], partition_names=[partition]):
                    if row[key] in where:
                        text = (
                            f"id {row[key]!r} is in the partitions {where[row[key]]!r} and "
                            f"{partition!r} of collection {self._name!r}, of which an upsert "
                            f"replaces one: delete it first"
                        )
                        raise failure(BackendError, "upsert", text)
                    where[row[key]] = partition
        parted: dict[str, list[Entity]] = {}
        for name, row in zip(ids, rows, strict=True):
            parted.setdefault(where.get(name, ""), []).append(row)
        return parted

    def delete(self, expression: str) -> None:
        """Remove the rows that match."""
        with self._writing("delete", 0):
            self._call("delete", "delete", filter=expression)

    def _flush_bulk(self) -> None:
        """Flush what was written in bulk to a Lite of this process's own, before a search.

        A server decides that for itself: flushing there makes small segments and slow searches.
        """
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
                text = (
                    f"of {progress[0]} records, {progress[1]} are indexed after {seconds:g} s; "
                    f"try again later" + (f", or not at all: {needed}" if needed else "")
                )
                raise failure(OperationTimeoutError, "settle", text, passes=True)
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

        if self._flushes and self._unflushed >= _UNFLUSHED_ROWS:
            self._flush_bulk()
        with self.session.reading(level) as asked:
            yield Reader(
                self.with_retries,
                self.layout,
                operation,
                asked,
                timeout=self.connection.timeout,
                same=self._refuse_another,
            )

    def close(self) -> None:
        """Refuse every later call."""
        self._closed.set()

    def _call(self, operation: str, method: str, **arguments: Any) -> Any:
        """Call one method of the client on this collection."""
        timeout = self.connection.timeout
        return self.with_retries(
            operation,
            lambda client, _: getattr(client, method)(self._name, timeout=timeout, **arguments),
        )

    def _refuse_another(self, client: MilvusClient) -> None:
        """Refuse a collection that was dropped and made again; servers find them by name.

        Raises:
            IndexNotFoundError: it is another one.
        """
        described = client.describe_collection(self._name, timeout=self.connection.timeout)
        if identity_of(described) != self.layout.collection:
            raise IndexNotFoundError(
                f"index {self._name!r} was dropped after it was opened, and another one made under "
                f"its name; open it again"
            )

    @contextmanager
    def _writing(self, operation: str, rows: int) -> Iterator[None]:
        self.with_retries(operation, lambda client, _: self._refuse_another(client))
        with self.connection.writing(), self.session.writing():
            yield
            self._unflushed += rows
