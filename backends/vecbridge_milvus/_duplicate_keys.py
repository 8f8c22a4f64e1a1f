"""Several rows of one key, in collections that other programs write with plain inserts.

A server takes them without a word. It then counts every row, shows one of a key, and searches all,
so that answers come short. Ours are only ever upserted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import numpy as np

from vecbridge.locks import reentrant_lock
from vecbridge_milvus._collection import Collection
from vecbridge_milvus._expr import both
from vecbridge_milvus._reader import Reader
from vecbridge_milvus._schema import MAX_LIMIT
from vecbridge_milvus._wire import Entity

_KEYS_AT_ONCE = 500

_log = logging.getLogger("vecbridge.milvus")


class DuplicateKeys:
    """Counts keys where a server counts rows, and makes one row of several.

    Args:
        collection: the collection.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._key = collection.layout.key
        self._expressions = collection.layout.expressions
        self._lock = reentrant_lock()
        self._known = (-1, 0)

    def count(self, reader: Reader) -> int:
        """Return the number of keys; a pass over them where more rows are counted than before.

        Says in the log where there are more rows than keys.
        """
        rows = reader.count("")
        if self._collection.layout.norm is not None or self._collection.lite:
            return rows
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
        """Keep one row of every key that has several, the one that the server shows.

        Returns:
            How many keys had several.
        """
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
            keys = sorted(row[self._key] for row in page)
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
