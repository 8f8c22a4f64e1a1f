"""An index in a Milvus collection."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from vecbridge import (
    Candidates,
    Capabilities,
    Consistency,
    Fields,
    FieldType,
    Hits,
    IdRange,
    IndexInfo,
    Records,
    Scope,
)
from vecbridge.fields import FIELD_TYPES
from vecbridge.filters import FILTER_OPERATORS, FilterOperator
from vecbridge.locks import reentrant_lock
from vecbridge.ranking import SPARE
from vecbridge.remote import in_parts
from vecbridge_milvus._collection import Collection
from vecbridge_milvus._errors import BACKEND
from vecbridge_milvus._expr import both
from vecbridge_milvus._index_types import IndexSettings
from vecbridge_milvus._reader import IDS_AT_A_TIME, Reader
from vecbridge_milvus._schema import MAX_LIMIT, MILVUS_LEVELS
from vecbridge_milvus._search import FlatRanker, TunedRanker
from vecbridge_milvus._wire import Entity, part_of, to_columns, to_records

_NOT_ASKED: frozenset[tuple[FieldType, FilterOperator]] = frozenset(
    {("string", "contains"), ("string?", "contains")}
)
"""In 2.3, ``like`` finds what begins with a text, and no text inside of another. Milvus Lite has it
twice: for expressions with lists it takes no escapes, and Arrow's loses some backslashes."""

_WITHIN_AT_MOST_IDS = 10_000
_BATCH_BYTES = 16 << 20
_BATCH_ROWS = 5000
_KEYS_AT_ONCE = 500

_log = logging.getLogger("vecbridge.milvus")


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
        # What proves nothing is asked like an index that is approximate.
        self._ranker = (
            FlatRanker(collection) if self._layout.provable else TunedRanker(collection, settings)
        )
        self._duplicates = _DuplicateKeys(collection)
        levels = ("strong",) if collection.lite else tuple(MILVUS_LEVELS)
        self._capabilities = Capabilities(
            exact=self._layout.provable,
            recall=None if self._layout.index.exhaustive else settings.recall,
            range_search=False,
            farthest=False,
            partitions=True,
            max_dimension=32_768,
            max_k=MAX_LIMIT - SPARE,
            max_within=_WITHIN_AT_MOST_IDS,
            max_batch_bytes=_BATCH_BYTES,
            field_types=frozenset(FIELD_TYPES),
            filters=FILTER_OPERATORS,
            filters_except=_NOT_ASKED,
            consistency=frozenset[Consistency](levels),
            durable=True,
            shared=collection.connection.shared,
        )

    @property
    def info(self) -> IndexInfo:
        """Name, dimension, metric, fields and default level, as the server has them."""
        return self._layout.info

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the live server."""
        return self._capabilities

    def upsert(
        self, ids: Sequence[str], vectors: NDArray[np.float32], fields: Fields | None = None
    ) -> None:
        """Insert records or replace them whole; never by a plain insert, which doubles keys."""
        columns = to_columns(self._layout, ids, vectors, fields or {})

        def write(start: int, stop: int) -> None:
            self._collection.upsert(part_of(columns, start, stop))

        in_parts("upsert", ids, _BATCH_ROWS, write, backend=BACKEND)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove records; ids that are not there are ignored."""

        def remove(start: int, stop: int) -> None:
            self._collection.delete(self._expressions.keys(ids[start:stop]))

        in_parts("delete", ids, IDS_AT_A_TIME, remove, backend=BACKEND)

    def fetch(self, ids: Sequence[str], *, vectors: bool, consistency: Consistency) -> Records:
        """Return records in request order; ids that are not there are listed in ``missing``."""
        output = self._output(vectors=vectors)
        rows = self._layout.page_rows if vectors else IDS_AT_A_TIME
        known = self._by_key("fetch", ids, output, consistency, rows)
        found = [known[name] for name in ids if name in known]
        missing = tuple(name for name in ids if name not in known)
        return to_records(self._layout, found, missing, vectors=vectors)

    def contains(self, ids: Sequence[str], *, consistency: Consistency) -> NDArray[np.bool_]:
        """Return whether each id is there: ``(len(ids),)`` bool."""
        found = self._by_key("contains", ids, [self._layout.key], consistency, IDS_AT_A_TIME)
        return np.array([name in found for name in ids], dtype=np.bool_)

    def count(self, scope: Scope) -> int:
        """Return the number of live records in scope."""
        with self._collection.reading("count", scope.consistency) as reader:
            return self._duplicates.count(reader, self._expressions.of(scope))

    def scan(
        self, batch_size: int, scope: Scope, ids: IdRange | None, *, vectors: bool
    ) -> Iterator[Records]:
        """Yield every live record in scope once, at most ``batch_size`` at a time, by id."""
        output = self._output(vectors=vectors)
        rows = min(batch_size, self._layout.page_rows if vectors else MAX_LIMIT)
        expression = self._expressions.of(scope)
        with self._collection.reading("scan", scope.consistency) as reader:
            if ids is None or not self._layout.integers:
                within = "" if ids is None else self._expressions.in_range(ids)
                pages = reader.pages(output, rows, scope=both(within, expression))
            else:
                pages = self._digits_in(reader, ids, output, rows, expression)
            for page in pages:
                yield to_records(self._layout, page, vectors=vectors)

    def _digits_in(
        self, reader: Reader, ids: IdRange, output: Sequence[str], rows: int, scope: str
    ) -> Iterator[list[Entity]]:
        """Yield pages of a range of integer keys by their digits, which no server orders by."""
        key = self._layout.key
        names = [name for name in self._sorted(reader, scope) if name in ids]
        for start in range(0, len(names), rows):
            found = reader.rows(names[start : start + rows], output, rows)
            yield sorted(found, key=itemgetter(key))

    def _sorted(self, reader: Reader, scope: str = "") -> list[str]:
        key = self._layout.key
        pages = reader.pages([key], MAX_LIMIT, scope=scope)
        return sorted(row[key] for page in pages for row in page)

    def partitions(self, count: int, *, consistency: Consistency) -> list[IdRange]:
        """Return at most ``count`` ranges of ids with about as many records each.

        It reads the ids, a page at a time.
        """
        key, cuts, seen = self._layout.key, list[str](), 0
        with self._collection.reading("partitions", consistency) as reader:
            if self._layout.integers:
                names = self._sorted(reader)
                places = [len(names) * part // count for part in range(1, count)]
                cuts = [*dict.fromkeys(names[place] for place in places if place)]
                return [IdRange(*edge) for edge in pairwise([None, *cuts, None])]
            whole = self._duplicates.count(reader)
            parts = max(1, min(count, whole))
            places = [whole * part // parts for part in range(1, parts)]
            for page in reader.pages([key], MAX_LIMIT):
                within = [place - seen for place in places if seen <= place < seen + len(page)]
                cuts += [str(page[place][key]) for place in within]
                seen += len(page)
        return [IdRange(*edge) for edge in pairwise([None, *cuts, None])]

    def search(self, queries: NDArray[np.float32], k: int, scope: Scope) -> list[Hits]:
        """Return the engine's own ranking, with what the engine leaves out silently."""
        with self._collection.reading("search", scope.consistency) as reader:
            return self._ranker.native(reader, queries, k, scope)

    def candidates(self, queries: NDArray[np.float32], k: int, scope: Scope) -> list[Candidates]:
        """Return at least ``min(k, candidates)`` records of each query, with a lower bound."""
        with self._collection.reading("search", scope.consistency) as reader:
            return self._ranker.candidates(reader, queries, k, scope)

    def mend_duplicates(self) -> int:
        """Keep one row of every key that has several, the one that the server shows.

        Only collections that something else writes, with plain inserts, can have such keys.

        Returns:
            How many keys had several.
        """
        return self._duplicates.mend()

    def settle(self, seconds: float = 120.0) -> None:
        """Return when searches go by the index and not past it, as those of fresh records do.

        For measuring: it seals what was written, and takes the collection out of the server's
        memory for a moment.

        Args:
            seconds: how long to wait.

        Raises:
            OperationTimeoutError: the server has not built the index by then.
        """
        self._collection.wait_until_indexed(seconds)

    def session_token(self) -> str:
        """Return a token of every write of this process so far, for another process to join."""
        return self._collection.session.token()

    def join_session(self, token: str) -> None:
        """Let this process's session reads see what another one had written.

        Args:
            token: what :meth:`session_token` gave there, on an index of the same collection.

        Raises:
            InvalidArgumentError: it is no token, or one of another collection.
        """
        self._collection.session.join(token)

    def close(self) -> None:
        """Refuse every later call on this index. May be called twice."""
        self._collection.close()

    def _output(self, *, vectors: bool) -> list[str]:
        layout = self._layout
        return [layout.key, *([layout.vector] if vectors else []), *layout.scalars]

    def _by_key(
        self, operation: str, ids: Sequence[str], output: list[str], level: Consistency, rows: int
    ) -> Mapping[str, Entity]:
        key = self._layout.key
        with self._collection.reading(operation, level) as reader:
            return {row[key]: row for row in reader.rows(ids, output, min(rows, IDS_AT_A_TIME))}


class _DuplicateKeys:
    """Counts keys where a server counts rows, and makes one row of several.

    A server takes plain inserts of one key without a word. It then counts every row, shows one of a
    key, and searches all, so that answers come short. Ours are only ever upserted.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._key = collection.layout.key
        self._expressions = collection.layout.expressions
        self._lock = reentrant_lock()
        self._known = (-1, 0)

    def count(self, reader: Reader, scope: str = "") -> int:
        """Return the number of keys; a pass over them where more rows are counted than before.

        Says in the log where there are more rows than keys.

        Args:
            reader: of the operation.
            scope: the expression of the keys to count; empty for all.
        """
        if self._collection.layout.norm is not None or self._collection.lite:
            return reader.count(scope)
        if scope:
            return sum(len(page) for page in reader.pages([self._key], MAX_LIMIT, scope=scope))
        rows = reader.count("")
        with self._lock:
            if self._known[0] != rows:
                keys = sum(len(page) for page in reader.pages([self._key], MAX_LIMIT))
                self._known = (rows, min(keys, rows))
                if keys < rows:
                    _log.warning(
                        "collection %r holds %d rows of %d keys: something inserts where it should "
                        "upsert. mend_duplicates() of the index's engine keeps one row per key",
                        self._collection.layout.info.name,
                        rows,
                        keys,
                    )
            return self._known[1]

    def mend(self) -> int:
        """Keep one row of every key that has several; return how many had."""
        mended = 0
        with self._collection.reading("mend_duplicates", "strong") as reader:
            for keys in self._repeated(reader):
                mended += len(keys)
                self._collection.upsert_rows(self._shown(reader, keys))
        with self._lock:
            self._known = (-1, 0)
        return mended

    def _repeated(self, reader: Reader) -> Iterator[list[str]]:
        last = ""
        for page in reader.pages([self._key], MAX_LIMIT):
            keys = [row[self._key] for row in page]
            found = list(self._among(reader, last, keys))
            last = keys[-1]
            for start in range(0, len(found), _KEYS_AT_ONCE):
                yield found[start : start + _KEYS_AT_ONCE]

    def _among(self, reader: Reader, after: str, keys: Sequence[str]) -> Iterator[str]:
        """Yield those of consecutive keys that have several rows, found by halving."""
        scope = both(self._expressions.after(after), self._expressions.until(keys[-1]))
        if reader.count(scope) <= len(keys):
            return
        if len(keys) == 1:
            yield keys[0]
            return
        middle = len(keys) // 2
        yield from self._among(reader, after, keys[:middle])
        yield from self._among(reader, keys[middle - 1], keys[middle:])

    def _shown(self, reader: Reader, keys: Sequence[str]) -> list[Entity]:
        vector = self._collection.layout.vector
        rows = reader.rows(keys, ["*"], _KEYS_AT_ONCE)
        return [{**row, vector: np.asarray(row[vector], dtype=np.float32)} for row in rows]
