"""An index in a Milvus collection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vecbridge import (
    BackendError,
    Candidates,
    Capabilities,
    Consistency,
    Fields,
    Filter,
    Hits,
    IndexInfo,
    PartialWriteError,
    Records,
)
from vecbridge_milvus._approximate import Approximate
from vecbridge_milvus._candidates import Ranker
from vecbridge_milvus._collection import MAX_LIMIT, Collection
from vecbridge_milvus._completion import Completion
from vecbridge_milvus._copies import Copies
from vecbridge_milvus._errors import BACKEND, TooLargeError
from vecbridge_milvus._expr import both
from vecbridge_milvus._found import Entity, Found
from vecbridge_milvus._geometry import Query
from vecbridge_milvus._index_settings import IndexSettings
from vecbridge_milvus._rows import part_of, to_columns, to_records, to_stored
from vecbridge_milvus._tuning import SPARE

MAX_WITHIN = 10_000
_BATCH_BYTES = 16 << 20
_BATCH_ROWS = 5000
# Not all of pymilvus gives vectors as arrays: as numbers they take some ten times their bytes.
_REPLY_BYTES = 4 << 20
_KEYS = 2000


class MilvusIndex:
    """Implements :class:`vecbridge.VectorIndex` on one collection.

    Args:
        collection: the collection.
        settings: how it is searched where it is approximate.
    """

    def __init__(self, collection: Collection, settings: IndexSettings) -> None:
        self._collection = collection
        self._layout = collection.layout
        self._expressions = collection.layout.expressions
        self._ranker = Ranker(collection)
        self._completion = Completion(self._layout)
        self._copies = Copies(collection)
        # What proves nothing is asked like an index that is approximate.
        self._approximate = (
            None if self._layout.provable else Approximate(collection, self._ranker, settings)
        )
        levels: tuple[Consistency, ...] = ("strong", "session", "bounded", "eventual")
        self._capabilities = Capabilities(
            exact=self._layout.provable,
            recall=None if self._layout.exhaustive else settings.recall,
            max_k=MAX_LIMIT - SPARE,
            max_within=MAX_WITHIN,
            max_batch_bytes=_BATCH_BYTES,
            fields=True,
            filters=True,
            consistency=frozenset(levels[:1] if collection.lite else levels),
            durable=True,
            shared=collection.connection.shared,
        )

    @property
    def info(self) -> IndexInfo:
        """Name, dimension, metric, fields and default level, as the server has them."""
        return self._layout.info

    @property
    def capabilities(self) -> Capabilities:
        """What the live server can do."""
        return self._capabilities

    def upsert(
        self, ids: Sequence[str], vectors: NDArray[np.float32], fields: Fields | None = None
    ) -> None:
        """Inserts records or replaces them whole; never a plain insert, which doubles keys."""
        columns = to_columns(self._layout, ids, vectors, fields or {})
        start, size = 0, min(len(ids), _BATCH_ROWS)
        while start < len(ids):
            try:
                self._collection.upsert(part_of(columns, start, start + size))
            except BackendError as error:
                if isinstance(error, TooLargeError) and size > 1:
                    size //= 2
                    continue
                if start:
                    raise _partial(error, "upsert", ids, start) from error
                raise
            start += size

    def delete(self, ids: Sequence[str]) -> None:
        """Removes records; ids that are not there are ignored."""
        gone = 0
        for part in _slices(ids, _KEYS):
            try:
                self._collection.delete(self._expressions.keys(part))
            except BackendError as error:
                if not gone:
                    raise
                raise _partial(error, "delete", ids, gone) from error
            gone += len(part)

    def fetch(self, ids: Sequence[str], *, consistency: Consistency | None = None) -> Records:
        """Records in request order; ids that are not there are listed in ``missing``."""
        output = [self._layout.key, self._layout.vector, *self._layout.info.fields]
        found = self._by_key("fetch", ids, output, self._level(consistency), self._page_rows())
        rows = [found[name] for name in ids if name in found]
        missing = tuple(name for name in ids if name not in found)
        return to_records(self._layout, rows, missing)

    def contains(
        self, ids: Sequence[str], *, consistency: Consistency | None = None
    ) -> NDArray[np.bool_]:
        """Whether each id is there: ``(len(ids),)`` bool."""
        level = self._level(consistency)
        found = self._by_key("contains", ids, [self._layout.key], level, _KEYS)
        return np.array([name in found for name in ids], dtype=np.bool_)

    def count(self, *, consistency: Consistency | None = None) -> int:
        """The number of live records."""
        self._collection.settle()
        with self._collection.reading("count", self._level(consistency)) as view:
            return self._copies.count(view)

    def scan(self, batch_size: int, *, consistency: Consistency | None = None) -> Iterator[Records]:
        """Every live record once, at most ``batch_size`` at a time, in order of ids."""
        output = [self._layout.key, self._layout.vector, *self._layout.info.fields]
        self._collection.settle()
        rows = min(batch_size, self._page_rows())
        with self._collection.reading("scan", self._level(consistency)) as view:
            yield from map(partial(to_records, self._layout), view.pages(output, rows))

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        within: Sequence[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Hits]:
        """The engine's own ranking, and what the engine leaves out silently."""
        scope, level = self._scope(within, where), self._level(consistency)
        self._collection.settle()
        sent, asked = self._ranker.geometry.prepare(queries)
        with self._collection.reading("search", level) as view:
            stored = to_stored(self._layout, sent)
            if self._approximate is None:
                found = view.search(stored, k, scope, vectors=False)
            else:
                found = self._approximate.hits(view, stored, k, scope)
            answers = self._answers(asked, found)
            if any(self._completion.lacks(hits, k) for hits in answers):
                outliers = self._ranker.outliers(view, scope, k)
                answers = self._completion.completed(view, queries, answers, outliers, k, scope)
        return answers

    def candidates(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        within: Sequence[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Candidates]:
        """At least ``min(k, candidates)`` records of each query, with a proven floor."""
        self._collection.settle()
        scope = self._scope(within, where)
        with self._collection.reading("search", self._level(consistency)) as view:
            if self._approximate is not None:
                return self._approximate.candidates(view, queries, k, scope)
            return self._ranker.candidates(view, queries, k, scope)

    def mend_duplicates(self) -> int:
        """Keeps one row of every key that has several, the one that the server shows.

        Only collections that something else writes, with plain inserts, can have such keys.

        Returns:
            How many keys had several.
        """
        return self._copies.mend()

    def settle(self, seconds: float = 120.0) -> None:
        """Return when searches go by the index and not past it, as those of fresh records do.

        For measuring: it seals what was written, and takes the collection out of the server's
        memory for a moment.

        Args:
            seconds: how long to wait.

        Raises:
            OperationTimeoutError: the server has not built the index by then.
        """
        self._collection.put_away(seconds)

    def session_token(self) -> str:
        """Stands for every write of this process so far, for another process to join."""
        return self._collection.session.token()

    def join_session(self, token: str) -> None:
        """Lets this process's session reads see what another one had written.

        Args:
            token: what :meth:`session_token` gave there, on an index of the same collection.

        Raises:
            InvalidArgumentError: it is no token, or one of another collection.
        """
        self._collection.session.join(token)

    def close(self) -> None:
        """Refuses every later call on this index. May be called twice."""
        self._collection.close()

    def _scope(self, within: Sequence[str] | None, where: Filter | None) -> str:
        allowed = "" if within is None else self._expressions.keys(within)
        return both(allowed, "" if where is None else self._expressions.matching(where))

    def _level(self, consistency: Consistency | None) -> Consistency:
        return self.info.consistency if consistency is None else consistency

    def _page_rows(self) -> int:
        return max(1, min(MAX_LIMIT, _REPLY_BYTES // (4 * self._layout.stored_dimension)))

    def _by_key(
        self, operation: str, ids: Sequence[str], output: list[str], level: Consistency, rows: int
    ) -> Mapping[str, Entity]:
        key = self._layout.key
        with self._collection.reading(operation, level) as view:
            return {row[key]: row for row in view.rows(ids, output, min(rows, _KEYS))}

    def _answers(self, asked: Sequence[Query], found: Sequence[Found]) -> list[Hits]:
        contract = self._ranker.geometry.contract
        return [
            Hits(hits.ids, contract(hits.numbers, query))
            for query, hits in zip(asked, found, strict=True)
        ]


def _slices(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _partial(
    error: BackendError, operation: str, ids: Sequence[str], done: int
) -> PartialWriteError:
    return PartialWriteError(
        f"{done} of {len(ids)} records were acknowledged before Milvus failed to {operation} the "
        f"rest: {error} Do the same call again: it is safe, and completes it.",
        backend=BACKEND,
        operation=operation,
        written=ids[:done],
        unknown=ids[done:],
        retryable=error.retryable,
    )
