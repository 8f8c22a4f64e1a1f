"""The index that every store behind a client builds on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._capabilities import Capabilities
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._records import Fields, IndexInfo, Records
from vecbridge._contract._scope import IdRange, Scope
from vecbridge._errors import (
    ClosedError,
)
from vecbridge.ranking import norms as norms_of
from vecbridge.remote._approximate import ApproximateRanker
from vecbridge.remote._collection import (
    ApproximateCollection,
    Collection,
    Columns,
    Page,
    PartitionedCollection,
)
from vecbridge.remote._link import Link
from vecbridge.remote._parts import in_parts
from vecbridge.remote._recall import RecallTuner
from vecbridge.remote._search import ExactRanker

ClientT = TypeVar("ClientT")
T = TypeVar("T")


class RemoteIndex(Generic[ClientT]):
    """Implements :class:`vecbridge.VectorIndex` on a collection.

    Args:
        link: the connections of its store.
        collection: its records.
        put_rows: most records in one call of ``put``.
        ids_at_a_time: most ids in one call of ``get`` and ``remove``.
        recall: the share of the true neighbours that an approximate index is to find.
        effort: a search effort that an approximate index keeps to instead.
        norms: whether records are found by their norms.
    """

    def __init__(
        self,
        link: Link[ClientT],
        collection: Collection[ClientT],
        *,
        put_rows: int = 10_000,
        ids_at_a_time: int = 10_000,
        recall: float = 0.95,
        effort: int | None = None,
        norms: bool = True,
    ) -> None:
        self._link = link
        self._collection = collection
        self._put_rows = put_rows
        self._ids_at_a_time = ids_at_a_time
        self._closed = False
        self._effort = effort
        exact = ExactRanker(collection, most=collection.capabilities.max_k, norms=norms)
        self._ranker: ExactRanker[ClientT] | ApproximateRanker[ClientT] = exact
        if not collection.capabilities.exact:
            approximate = cast(ApproximateCollection[ClientT], collection)
            tuner = RecallTuner(approximate, recall, exact=exact, given=effort)
            self._ranker = ApproximateRanker(approximate, exact, tuner)

    @property
    def info(self) -> IndexInfo:
        """Name, dimension, metric, fields and default level, as the store has them."""
        return self._collection.info

    @property
    def capabilities(self) -> Capabilities:
        """Return what this index can do, read from the live connection."""
        found = self._collection.capabilities
        # An effort that is kept to promises no share.
        return found if self._effort is None else replace(found, recall=None)

    @property
    def collection(self) -> Collection[ClientT]:
        """Return the author's own class, for what only the store can do."""
        return self._collection

    def upsert(
        self, ids: Sequence[str], vectors: NDArray[np.float32], fields: Fields | None = None
    ) -> None:
        """Insert records or replace them whole, a part at a time."""
        lengths, columns = norms_of(vectors), fields or {}

        def write(start: int, stop: int) -> None:
            part = {name: column[start:stop] for name, column in columns.items()}
            rows = ids[start:stop], vectors[start:stop], lengths[start:stop], part
            self._run("upsert", lambda client: self._collection.put(client, *rows))

        in_parts("upsert", ids, self._put_rows, write, backend=self._link.backend)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove records; ids that are not there are ignored."""

        def remove(start: int, stop: int) -> None:
            self._run("delete", lambda client: self._collection.remove(client, ids[start:stop]))

        in_parts("delete", ids, self._ids_at_a_time, remove, backend=self._link.backend)

    def fetch(self, ids: Sequence[str], *, vectors: bool, consistency: Consistency) -> Records:
        """Return records in request order; ids that are not there are listed in ``missing``."""
        found = self._by_id("fetch", ids, Columns(vectors, tuple(self.info.fields)))
        rows = {name: row for row, name in enumerate(found.ids)}
        missing = tuple(name for name in ids if name not in rows)
        there = found.take([rows[name] for name in ids if name in rows])
        return Records(there.ids, there.vectors, there.fields, missing)

    def contains(self, ids: Sequence[str], *, consistency: Consistency) -> NDArray[np.bool_]:
        """Return whether each id is there: ``(len(ids),)`` bool."""
        found = frozenset(self._by_id("contains", ids, Columns(vectors=False)).ids)
        return np.fromiter((name in found for name in ids), np.bool_, len(ids))

    def count(self, scope: Scope) -> int:
        """Return the number of live records in scope."""
        return self._run("count", lambda client: self._collection.count(client, scope))

    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        """Yield every live record in scope once, at most ``batch_size`` at a time."""
        columns, after = Columns(vectors, tuple(self.info.fields)), None

        def read(after: Any, client: ClientT) -> Page:
            return self._collection.page(client, scope, ids, batch_size, after, columns)

        while True:
            page = self._run("scan", partial(read, after))
            if page.records.ids:
                yield page.records
            after = page.after
            if after is None:
                return

    def partitions(self, count: int, *, consistency: Consistency) -> list[IdRange]:
        """Return at most ``count`` ranges of ids, ascending, of about as many records each."""
        collection = cast(PartitionedCollection[ClientT], self._collection)
        cuts = self._run("partitions", lambda client: collection.cuts(client, count))
        ends = [None, *dict.fromkeys(cuts), None]
        return [IdRange(start, stop) for start, stop in pairwise(ends)]

    def search(self, queries: NDArray[np.float32], k: int, scope: Scope) -> list[Hits]:
        """Return the store's own ranking, with the records that its arithmetic is no good for."""
        return self._run("search", lambda client: self._ranker.native(client, queries, k, scope))

    def candidates(self, queries: NDArray[np.float32], k: int, scope: Scope) -> list[Candidates]:
        """Return at least ``min(k, candidates)`` records of each query, with a lower bound."""
        return self._run(
            "search", lambda client: self._ranker.candidates(client, queries, k, scope)
        )

    def settle(self) -> None:
        """Build what an approximate index lacks, and return when it is there. For measuring."""
        if not self.capabilities.exact:
            collection = cast(ApproximateCollection[ClientT], self._collection)
            self._run(
                "settle",
                lambda client: collection.prepare(client, collection.count(client, Scope())),
            )

    def close(self) -> None:
        """Refuse every later call on this index. May be called twice."""
        self._closed = True

    def _run(self, operation: str, work: Callable[[ClientT], T]) -> T:
        if self._closed:
            raise ClosedError(
                f"{operation} was asked of index {self.info.name!r}, which was closed; "
                f"open it again",
                backend=self._link.backend,
                operation=operation,
            )
        return self._link.run(operation, work)

    def _by_id(self, operation: str, ids: Sequence[str], columns: Columns) -> Records:
        size = self._ids_at_a_time

        def read(start: int, client: ClientT) -> Records:
            return self._collection.get(client, ids[start : start + size], columns)

        starts = range(0, max(len(ids), 1), size)
        parts = [self._run(operation, partial(read, start)) for start in starts]
        if len(parts) == 1:
            return parts[0]
        return Records(
            tuple(name for part in parts for name in part.ids),
            np.concatenate([part.vectors for part in parts]),
            {
                name: [value for part in parts for value in part.fields[name]]
                for name in columns.fields
            },
        )
