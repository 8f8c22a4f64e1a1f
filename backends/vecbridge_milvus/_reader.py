"""The reads of one operation, all as fresh as its level asks.

A strong read asks for the time of the server's clock, waits with a read of nothing until the node
that answers has got so far, and reads then. Every read names that time, so that another node, which
may answer instead, waits as well: after a failure, or where a collection has several copies, or one
that moves.

It waits apart from the read because Milvus 2.3 gives a strong read that waits itself old versions,
or none, of records that are written at that very moment: what it undoes of the deletes behind its
time, it undoes wrongly. A read that does not wait has nothing to undo. It is faster too, since one
wait serves all reads of an operation, where a search that waits itself does so twice.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vecbridge.fields import BaseType
from vecbridge.locks import reentrant_lock
from vecbridge.remote import Nearest, TooLargeError
from vecbridge_milvus._expr import both
from vecbridge_milvus._freshness import Freshness
from vecbridge_milvus._schema import MAX_LIMIT, MILVUS_LEVELS, Layout
from vecbridge_milvus._wire import Entity, server_time, to_entities, to_results, to_vectors

if TYPE_CHECKING:
    from pymilvus import MilvusClient

IDS_AT_A_TIME = 2000

_MESSAGE_BYTES = 32 << 20
_HIT_BYTES = 128
_SAME_S = 1.0
"""How long reads go without a look whether the collection is still the one that was opened."""

_GROWTH = 16
_TEXT_BYTES = 8 << 20
_TEXTS = frozenset[BaseType]({"string", "strings"})

Retrying = Callable[[str, Callable[["MilvusClient", int], Any]], Any]
"""Makes the calls of an operation, given client and attempt, again where they fail and may pass."""


class Reader:
    """The reads of one operation.

    Args:
        with_retries: makes its calls.
        layout: of the collection.
        operation: what it is called in errors.
        asked: how fresh they have to be; a strong one notes its moment there.
        timeout: seconds that a call may take.
        same: raises an error where another collection has taken the name.
    """

    def __init__(
        self,
        with_retries: Retrying,
        layout: Layout,
        operation: str,
        asked: Freshness,
        *,
        timeout: float,
        same: Callable[[MilvusClient], None],
    ) -> None:
        self._with_retries = with_retries
        self._layout = layout
        self._operation = operation
        self._asked = asked
        self._timeout = timeout
        self._same = same
        self._lock = reentrant_lock()
        self._looked = -math.inf
        # Lite shows what was written at once.
        self._waits, self._waited = asked.level == "strong" and not layout.lite, False
        self.lenient = asked.level in {"session", "eventual"}
        """Whether the read need see nothing that others wrote of late."""

    def query(self, expression: str, output: Sequence[str], **options: Any) -> list[Entity]:
        """Return rows that match, in any order."""

        def ask(client: MilvusClient, attempt: int) -> list[Entity]:
            reply = client.query(
                self._layout.info.name,
                filter=expression,
                output_fields=list(output),
                timeout=self._timeout,
                **self._freshness(client, attempt),
                **options,
            )
            return to_entities(self._layout, reply)

        rows: list[Entity] = self._with_retries(self._operation, ask)
        return rows

    def count(self, expression: str) -> int:
        """Return the number of rows that match."""
        (row,) = self.query(expression, ["count(*)"])
        return int(row["count(*)"])

    def pages(self, output: Sequence[str], rows: int, *, scope: str = "") -> Iterator[list[Entity]]:
        """Yield every row of a scope once, in pages ordered by key.

        pymilvus's own iterator puts keys into its filters unescaped, so the pages are made here.
        """
        last, portion = "", _Portion(self._layout, output, rows)
        while True:
            page, _ = portion.read(partial(self._page, output, scope, last))
            if not page:
                return
            last = page[-1][self._layout.key]
            yield page
            # It is not kept while the next one comes.
            del page

    def rows(
        self,
        ids: Sequence[str],
        output: Sequence[str],
        at_a_time: int = IDS_AT_A_TIME,
        **options: Any,
    ) -> Iterator[Entity]:
        """Yield the rows of ids, in any order, as far as they are there."""
        start, portion = 0, _Portion(self._layout, output, at_a_time)
        while start < len(ids):
            found, count = portion.read(partial(self._some, ids, output, start, options))
            start += count
            yield from found

    def search(
        self,
        queries: NDArray[np.float32],
        limit: int,
        expression: str,
        *,
        vectors: bool,
        parameters: Mapping[str, Any] | None = None,
    ) -> list[Nearest]:
        """Return the engine's hits of each query.

        Args:
            queries: ``(q, d)`` as they are sent.
            limit: how many hits of each.
            expression: only what matches is searched.
            vectors: whether hits bring their vectors.
            parameters: search parameters of an approximate index.
        """
        layout = self._layout
        # Where keys may have several rows, a server cannot bring vectors along: it looks for as
        # many rows as it has found keys, finds some twice and others not, and refuses the search.
        apart = vectors and layout.norm is None
        brought = vectors and not apart

        def ask(data: NDArray[np.float32], client: MilvusClient, attempt: int) -> Any:
            reply = client.search(
                layout.info.name,
                data=list(data),
                anns_field=layout.vector,
                filter=expression,
                limit=limit,
                output_fields=[layout.vector] if brought else [],
                search_params={"params": dict(parameters)} if parameters else {},
                timeout=self._timeout,
                **self._freshness(client, attempt),
            )
            return to_results(layout, reply, vectors=brought)

        size = self._queries_at_a_time(limit, vectors=brought)
        found: list[Nearest] = []
        while len(found) < len(queries):
            part = queries[len(found) : len(found) + size]
            try:
                found += self._with_retries(self._operation, partial(ask, part))
            except TooLargeError as error:
                if len(part) <= 1:
                    raise
                size = _less(len(part), error)
        return self._with_vectors(found) if apart else found

    def wait(self) -> None:
        """Wait now, so that reads which run beside each other need not."""
        if self._waits:
            self._with_retries(self._operation, self._freshness)

    def _with_vectors(self, found: Sequence[Nearest]) -> list[Nearest]:
        """Read the vectors of hits; what was deleted in between is left out."""
        layout = self._layout
        ids = sorted({name for hits in found for name in hits.ids})
        rows = {row[layout.key]: row for row in self.rows(ids, [layout.key, layout.vector])}
        answers = []
        for hits in found:
            kept = [place for place, name in enumerate(hits.ids) if name in rows]
            names = tuple(hits.ids[place] for place in kept)
            scores = hits.scores[np.array(kept, dtype=np.intp)]
            vectors = to_vectors(layout, [rows[name] for name in names])
            answers.append(Nearest(names, scores, vectors))
        return answers

    def _some(
        self,
        ids: Sequence[str],
        output: Sequence[str],
        start: int,
        options: Mapping[str, Any],
        rows: int,
    ) -> list[Entity]:
        part = self._layout.expressions.keys(ids[start : start + rows])
        return self.query(part, output, **options)

    def _page(self, output: Sequence[str], scope: str, last: str, rows: int) -> list[Entity]:
        """Return at most ``rows`` rows of a scope, the first ones after a key."""
        layout = self._layout
        # Lite sorts by key where it serves an iterator, servers merge segments by key. For an
        # iterator, a server answers weak reads from a snapshot that is older than earlier reads.
        by_key = {"iterator": "True"} if layout.lite else {"reduce_stop_for_best": "True"}
        expression = both(scope, layout.expressions.after(last))
        reply = self.query(expression, output, limit=rows, **by_key)
        # A server may give more than a page where segments overlap, or cut it short where they
        # end: the first of what it gives are right, and only an empty page is the last.
        return sorted(reply, key=lambda row: layout.order(row[layout.key]))[:rows]

    def _freshness(self, client: MilvusClient, attempt: int) -> dict[str, Any]:
        """Return how fresh the next read has to be, in Milvus's words; wait first where it is due.

        A read that failed may be answered by another node, which is waited for as well.
        """
        asked = self._asked
        with self._lock:
            if time.monotonic() - self._looked >= _SAME_S:
                self._same(client)
                self._looked = time.monotonic()
            if self._waits and (attempt or not self._waited):
                asked.moment = asked.moment or server_time(client, self._timeout)
                if asked.moment:
                    self._await(client, asked.moment)
                    self._waited = True
        return (
            _at(asked.moment) if asked.moment else {"consistency_level": MILVUS_LEVELS[asked.level]}
        )

    def _await(self, client: MilvusClient, moment: int) -> None:
        """Read nothing, as of a moment."""
        client.query(
            self._layout.info.name,
            filter=self._layout.expressions.waiting(),
            output_fields=[self._layout.key],
            timeout=self._timeout,
            **_at(moment),
        )

    def _queries_at_a_time(self, limit: int, *, vectors: bool) -> int:
        # Lite makes all differences of a batch at once: queries times records times dimensions.
        if self._layout.lite and self._layout.info.metric == "euclidean":
            return 1
        sent = 4 * self._layout.stored_dimension
        hit = _HIT_BYTES + (sent if vectors else 0)
        return max(1, min(MAX_LIMIT, _MESSAGE_BYTES // (limit * hit), _MESSAGE_BYTES // sent))


class _Portion:
    """The size of the next piece of a read, by the bytes of the last one's strings.

    Vectors are all of one length, and the caller allows for them. A server gives up on an answer of
    more than 100 MB, and says so in the words of a failure that passes.
    """

    def __init__(self, layout: Layout, output: Sequence[str], most: int) -> None:
        texts = {name for name, field in layout.columns.items() if field.base in _TEXTS}
        self._texts = "*" in output or not texts.isdisjoint(output)
        self._most = most
        self._rows = min(most, IDS_AT_A_TIME) if self._texts else most

    def read(self, ask: Callable[[int], list[Entity]]) -> tuple[list[Entity], int]:
        """Return the rows of the next piece, fewer where the answer is too long, and its size."""
        while True:
            asked = self._rows
            try:
                found = ask(asked)
            except TooLargeError as error:
                if asked <= 1:
                    raise
                self._most = self._rows = _less(asked, error)
                continue
            if self._texts and found:
                length = sum(_length(value) for row in found for value in row.values())
                fitting = _TEXT_BYTES * len(found) // max(length, 1)
                self._rows = max(1, min(self._most, _GROWTH * asked, fitting))
            return found, asked


def _at(moment: int) -> dict[str, Any]:
    """Return what makes a server get as far as a moment before it answers a read."""
    return {"consistency_level": "Customized", "guarantee_timestamp": moment}


def _less(asked: int, error: TooLargeError) -> int:
    """Return how many to ask for where so many were too many: what the server admits, or half."""
    return error.most if error.most and error.most < asked else asked // 2


def _length(value: object) -> int:
    """Return the length of a string, or of a list of strings; 0 of anything else."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(len(each) for each in value if isinstance(each, str))
    return 0
