"""The reads of one operation, all as fresh as its level asks.

A strong read is made of two: one that matches nothing and waits for the server's clock, and the
read itself, which need not wait any more. Milvus 2.3 gives a strong read that waits itself old
versions, or none, of records that are written at that very moment: what it undoes of the deletes
behind its time, it undoes wrongly. A read that does not wait has nothing to undo. It is faster too,
since one wait serves all reads of an operation, where a search that waits itself does so twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vecbridge.locks import reentrant_lock
from vecbridge_milvus._calls import Calls
from vecbridge_milvus._errors import TooLargeError
from vecbridge_milvus._expr import both
from vecbridge_milvus._found import Entity, Found, to_entities
from vecbridge_milvus._portions import Portion
from vecbridge_milvus._schema import Layout
from vecbridge_milvus._searches import Search, answered

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_MAX_QUERIES = 16384
_MESSAGE_BYTES = 32 << 20
_HIT_BYTES = 128
_FRESH_S = 1.0
"""How long after a wait reads may go without one: much less than a failed node is replaced in."""


class View:
    """What one operation reads.

    Args:
        calls: how the collection is called.
        layout: what the collection is.
        operation: the contract's name of what is being done.
        word: Milvus's word for the level.
        lite: whether this is Milvus Lite.
        waits_first: whether the read is a strong one that may be made of two; not where copies of
            the collection answer in turn, since one may have got where another has not.
    """

    def __init__(
        self,
        calls: Calls,
        layout: Layout,
        operation: str,
        word: str,
        *,
        lite: bool,
        waits_first: bool,
    ) -> None:
        self._calls = calls
        self._layout = layout
        self._operation = operation
        self._word = word
        self._lite = lite
        self._waits_first = waits_first
        self._lock = reentrant_lock()
        self._waited = -_FRESH_S

    def query(
        self, expression: str, output: Sequence[str], *, limit: int | None = None
    ) -> list[Entity]:
        """Rows that match, in any order."""
        bound = {} if limit is None else {"limit": limit}
        reply = self._query(filter=expression, output_fields=list(output), **bound)
        return to_entities(self._layout, reply)

    def count(self, expression: str) -> int:
        """The number of rows that match."""
        (row,) = self.query(expression, ["count(*)"])
        return int(row["count(*)"])

    def pages(self, output: Sequence[str], rows: int, *, scope: str = "") -> Iterator[list[Entity]]:
        """Every row of a scope once, in pages ordered by key.

        pymilvus's own iterator puts keys into its filters unescaped, so the pages are made here.
        """
        last, portion = "", Portion(self._layout, output, rows)
        while True:
            try:
                page = self._page(output, portion.rows, scope, last)
            except TooLargeError as error:
                portion.halve(error)
                continue
            if not page:
                return
            last = page[-1][self._layout.key]
            portion.note(page)
            yield page
            # It is not kept while the next one comes.
            del page

    def rows(self, keys: Sequence[str], output: Sequence[str], most: int) -> Iterator[Entity]:
        """The rows of keys, in any order, as far as they are there.

        Args:
            keys: any number of them.
            output: the fields to read.
            most: keys to ask for at a time.
        """
        start, portion = 0, Portion(self._layout, output, most)
        while start < len(keys):
            part = keys[start : start + portion.rows]
            try:
                found = self.query(self._layout.expressions.keys(part), output)
            except TooLargeError as error:
                portion.halve(error)
                continue
            start += len(part)
            portion.note(found)
            yield from found

    def _page(self, output: Sequence[str], rows: int, scope: str, last: str) -> list[Entity]:
        """At most ``rows`` rows of a scope, the first ones after a key."""
        key = self._layout.key
        # Lite sorts by key when told that it serves an iterator, servers merge segments by key.
        # A server told of an iterator answers weak reads from a snapshot before earlier reads.
        by_key = {"iterator": "True"} if self._lite else {"reduce_stop_for_best": "True"}
        reply = self._query(
            filter=both(scope, self._layout.expressions.after(last)),
            output_fields=list(output),
            limit=rows,
            **by_key,
        )
        # A server may give more than a page where segments overlap, or cut it short where they
        # end: the first of what it gives are right, and only an empty page is the last.
        return sorted(to_entities(self._layout, reply), key=itemgetter(key))[:rows]

    def search(
        self,
        queries: NDArray[np.float32],
        limit: int,
        expression: str,
        *,
        vectors: bool,
        parameters: Mapping[str, Any] | None = None,
    ) -> list[Found]:
        """The engine's hits of each query.

        Args:
            queries: ``(q, d)`` as they are sent.
            limit: how many hits of each.
            expression: only what matches is searched.
            vectors: whether hits bring their vectors.
            parameters: what an approximate index is told.
        """
        size = self._queries_at_a_time(limit, vectors=vectors)
        found: list[Found] = []
        for start in range(0, len(queries), size):
            search = Search(
                self._layout, queries[start : start + size], limit, expression, vectors, parameters
            )
            found += self._read(partial(answered, search))
        return found

    @property
    def lenient(self) -> bool:
        """Whether the read need see nothing that others wrote of late."""
        return self._word in {"Session", "Eventually"}

    def wait(self) -> None:
        """Waits now, so that reads which run beside each other need not."""
        if self._waits_first:
            self._calls.steps(self._operation, self._level)

    def _query(self, **arguments: Any) -> Any:
        def ask(client: MilvusClient, level: str, timeout: float) -> Any:
            name = self._layout.info.name
            return client.query(name, timeout=timeout, consistency_level=level, **arguments)

        return self._read(ask)

    def _read(self, ask: Callable[[MilvusClient, str, float], Any]) -> Any:
        """What is asked at Milvus's word for the level, within a time."""

        def step(client: MilvusClient, attempt: int) -> Any:
            return ask(client, self._level(client, attempt), self._calls.connection.timeout)

        return self._calls.steps(self._operation, step)

    def _level(self, client: MilvusClient, attempt: int) -> str:
        """Milvus's word for the next read; waits first where that is due.

        A read that failed may be answered by another node, which has to be waited for as well.
        """
        if not self._waits_first:
            return self._word
        with self._lock:
            if attempt or time.monotonic() - self._waited >= _FRESH_S:
                client.query(
                    self._layout.info.name,
                    filter=f'{self._layout.key} == ""',
                    output_fields=[self._layout.key],
                    consistency_level=self._word,
                    timeout=self._calls.connection.timeout,
                )
                self._waited = time.monotonic()
        return "Bounded"

    def _queries_at_a_time(self, limit: int, *, vectors: bool) -> int:
        # Lite makes all differences of a batch at once: queries times records times dimensions.
        if self._lite and self._layout.info.metric == "euclidean":
            return 1
        sent = 4 * self._layout.stored_dimension
        hit = _HIT_BYTES + (sent if vectors else 0)
        return max(1, min(_MAX_QUERIES, _MESSAGE_BYTES // (limit * hit), _MESSAGE_BYTES // sent))
