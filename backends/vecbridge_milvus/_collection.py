"""One collection of a live server: its calls, and what this process must see of its own writes.

Every call is tried again where its failure passes by itself; what a server has taken out of its
memory is loaded first.

pymilvus carries the time of a write over to later reads, but some servers tell no time for a
delete, and another spelling of the address knows of none. So a ledger, kept by collection for the
whole process, notes own writes that no strong read has looked past yet; until one has, a session
read is a strong one. No clock is involved: a strong read sees whatever was acknowledged before it,
to any process, so that joining another process's session is no more than one strong read to come.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vecbridge import (
    BackendError,
    ClosedError,
    Consistency,
    IndexNotFoundError,
    InvalidArgumentError,
    OperationTimeoutError,
)
from vecbridge.locks import reentrant_lock
from vecbridge_milvus._causes import ColumnsChangedError, NotLoadedError
from vecbridge_milvus._connection import Connection
from vecbridge_milvus._errors import failure
from vecbridge_milvus._index_types import needs
from vecbridge_milvus._reader import Reader
from vecbridge_milvus._schema import Layout, identity_of
from vecbridge_milvus._wire import Columns, Entity, send, to_request, to_rows

if TYPE_CHECKING:
    from pymilvus import MilvusClient

# Lite searches what is not flushed row by row in Python, some ten times slower than a segment.
_UNFLUSHED_ROWS = 1000

_PROGRESS_STEP_S = 0.3
_REPLICAS_KNOWN_S = 60.0
"""How long what the server said of replicas is gone by."""

_SESSION_KIND = "vecbridge-session-1"
_GRACE_S = 10.0
"""Age from which on a bounded read sees a write on every replica; twice a server's own bound."""


@dataclass
class _Ledger:
    """The writes to a collection, as far as one process knows.

    Attributes:
        origin: where the ledger was made, which a forked process has copied.
        written: number of the latest own write.
        latest: when it ended, on the monotonic clock.
        seen: number of the write that a strong read has looked past, by address. Two addresses may
            be two copies of one server, so what is seen on one says nothing of the other.
        joined: number of the latest write that was joined, by writer.
    """

    origin: str = field(default_factory=lambda: uuid.uuid4().hex)
    written: int = 0
    latest: float = -_GRACE_S
    seen: dict[str, int] = field(default_factory=dict)
    joined: dict[str, int] = field(default_factory=dict)

    @property
    def writer(self) -> str:
        """Return the name of this process in tokens."""
        return f"{self.origin}.{os.getpid()}"

    def note(self) -> None:
        """Count one more write."""
        self.written += 1
        self.latest = time.monotonic()


_guard = reentrant_lock()
_ledgers: dict[str, _Ledger] = {}


class Session:
    """This process's own writes to one collection, named alike at every address of its server."""

    def __init__(self, collection: str, address: str) -> None:
        self._collection = collection
        self._address = address
        with _guard:
            self._ledger = _ledgers.setdefault(collection, _Ledger())

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Note a write; one that failed may have happened all the same."""
        try:
            yield
        finally:
            with _guard:
                self._ledger.note()

    def moved_since(self, moment: float) -> bool:
        """Return whether an own write ended, or a session was joined, since a monotonic moment."""
        with _guard:
            return self._ledger.latest >= moment

    @contextmanager
    def reading(self, level: Consistency, replicated: Callable[[], bool]) -> Iterator[Consistency]:
        """Yield the level that this read has to ask the server for.

        Args:
            level: what is asked for.
            replicated: tells whether reads may be answered by different replicas of the records;
                asked where that matters.
        """
        with _guard:
            written, seen = self._ledger.written, self._ledger.seen.get(self._address, 0)
            age = time.monotonic() - self._ledger.latest
        asked = level
        if level == "session" and written > seen:
            asked = "strong"
        elif level == "session" and written and replicated():
            # What one replica has shown, another may still lack.
            asked = "strong" if age < _GRACE_S else "bounded"
        yield asked
        if asked == "strong":
            with _guard:
                seen = self._ledger.seen.get(self._address, 0)
                self._ledger.seen[self._address] = max(seen, written)

    def token(self) -> str:
        """Return what stands for all writes of this session so far, for another process to join."""
        with _guard:
            writer, written = self._ledger.writer, self._ledger.written
        return f"{_SESSION_KIND}:{self._collection}:{writer}:{written}"

    def join(self, token: str) -> None:
        """Let session reads see what the writer of a token had written when it was made.

        Raises:
            InvalidArgumentError: it is no token, or one of another collection.
        """
        kind, collection, writer, number, *_ = *token.split(":", 3), "", "", ""
        if kind != _SESSION_KIND or not writer or not number.isdecimal():
            raise InvalidArgumentError(
                f"session must be what session_token() gave; got {token[:80]!r}"
            )
        if collection != self._collection:
            raise InvalidArgumentError(
                "the session token is of another index, or of this name's index before it was "
                "dropped and made again; hand over a token of the index that is read"
            )
        with _guard:
            own = writer == self._ledger.writer
            if not own and int(number) > self._ledger.joined.get(writer, 0):
                self._ledger.joined[writer] = int(number)
                self._ledger.note()


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
                self.connection.alone_known.pop(self.layout.collection, None)
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

        self._refuse_another(operation)
        if self._flushes and self._unflushed >= _UNFLUSHED_ROWS:
            self._flush_bulk()

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

    def _is_alone(self, operation: str) -> bool:
        """Return whether one replica answers all reads; ``False`` where the server does not say."""
        known, number = self.connection.alone_known, self.layout.collection
        moment, alone = known.get(number, (-_REPLICAS_KNOWN_S, False))
        if time.monotonic() - moment >= _REPLICAS_KNOWN_S:
            try:
                alone = len(self._call(operation, "describe_replica")) == 1
            except BackendError as error:
                # An account may read without being allowed to ask this.
                if error.retryable or isinstance(error, ClosedError):
                    raise
                alone = False
            known[number] = time.monotonic(), alone
        return alone

    def _call(self, operation: str, method: str, **arguments: Any) -> Any:
        """Call one method of the client on this collection."""
        timeout = self.connection.timeout
        return self.with_retries(
            operation,
            lambda client, _: getattr(client, method)(self._name, timeout=timeout, **arguments),
        )

    def _refuse_another(self, operation: str) -> None:
        """Refuse a collection that was dropped and made again; servers find them by name.

        Raises:
            IndexNotFoundError: it is another one.
        """
        if identity_of(self._call(operation, "describe_collection")) != self.layout.collection:
            raise IndexNotFoundError(
                f"index {self._name!r} was dropped after it was opened, and another one made under "
                f"its name; open it again"
            )

    @contextmanager
    def _writing(self, operation: str, rows: int) -> Iterator[None]:
        self._refuse_another(operation)
        with self.connection.writing(), self.session.writing():
            yield
            self._unflushed += rows
