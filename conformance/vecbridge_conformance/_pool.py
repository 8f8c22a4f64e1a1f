"""Indexes of a run: uniquely named, dropped at the end, used again where making one is slow."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections import Counter
from collections.abc import Collection
from itertools import count
from typing import NamedTuple

import vecbridge
from vecbridge import Consistency, FieldType, Index, Metric

_TIMED = 2
_MOST_EMPTIED = 20_000
_OFTEN = 8


class Schema(NamedTuple):
    """What must be equal for an index to be used again."""

    dimension: int
    metric: Metric
    fields: tuple[tuple[str, FieldType], ...]
    consistency: Consistency | None


class IndexPool:
    """Indexes of a store, lent to tests and taken back.

    Args:
        store: the store.
        slow_from_s: seconds from which on making an index counts as slow.
        kept: how many indexes are kept to be used again.
        pace_s: seconds that making one counts as taking, whatever it takes.
    """

    def __init__(
        self, store: vecbridge.Store, slow_from_s: float, kept: int, pace_s: float | None = None
    ) -> None:
        self._store = store
        self._slow_from_s = slow_from_s
        self._kept = kept
        self._pace_s = pace_s
        self._prefix = f"conformance_{uuid.uuid4().hex[:8]}"
        self._numbers = count()
        self._made: list[str] = []
        self._free: list[tuple[Schema, str]] = []
        self._taken: Counter[Schema] = Counter()
        self._slow = False

    def take(self, schema: Schema) -> Index:
        """Return an empty index of a schema."""
        free = [each for each in self._free if each[0] == schema]
        self._taken[schema] += 1
        if len(free) == 1 and self._taken[schema] == _OFTEN:
            # Of two in turn, one settles while the other is used.
            return self._made_new(schema)
        for each in free:
            self._free.remove(each)
            _, name = each
            index = self._opened_empty(schema, name)
            if index is not None:
                return index
            self._drop(name)
        return self._made_new(schema)

    def give_back(self, schema: Schema, name: str, index: Index, ids: Collection[str] = ()) -> None:
        """Drop an index, or empty it for a later test where making one is slow.

        Args:
            schema: of the index.
            name: of the index.
            index: what was taken.
            ids: of the records that it is known to hold; what else it holds is looked for when it
                is taken again, for a store may need a moment to show that it is empty.
        """
        with contextlib.suppress(Exception):
            index.close()
        if self._slow and self._deleted(name, ids):
            self._free.append((schema, name))
            if len(self._free) > self._kept:
                self._drop(self._free.pop(0)[1])
        else:
            self._drop(name)

    def close(self) -> None:
        """Drop every index that is left."""
        for name in list(self._made):
            self._drop(name)

    def _made_new(self, schema: Schema) -> Index:
        name = f"{self._prefix}_{next(self._numbers)}"
        self._made.append(name)
        start = time.monotonic()
        index = self._store.create_index(
            name,
            dimension=schema.dimension,
            metric=schema.metric,
            fields=dict(schema.fields),
            consistency=schema.consistency,
        )
        if len(self._made) <= _TIMED:
            # A server may put off what takes time until the first read.
            with contextlib.suppress(Exception):
                index.count()
        taken = time.monotonic() - start if self._pace_s is None else self._pace_s
        self._slow = self._slow or taken > self._slow_from_s
        return index

    def _deleted(self, name: str, ids: Collection[str]) -> bool:
        """Delete the records that are known; whatever goes wrong, the index is not used again."""
        try:
            with (
                self._store.open_index(name) as index,
                # A test may have tried ids that cannot be.
                contextlib.suppress(vecbridge.InvalidInputError),
            ):
                index.delete(ids)
        except Exception:  # noqa: BLE001  (a broken backend must not break the next test)
            return False
        return True

    def _opened_empty(self, schema: Schema, name: str) -> Index | None:
        """Return an index of the schema without records; ``None`` where it cannot be had."""
        # What a test sees is what counts; a weaker read could miss what the test will see later.
        level: Consistency = "session" if schema.consistency == "session" else "strong"
        try:
            index = self._store.open_index(name)
            if (index.info.dimension, index.info.metric) != schema[:2]:
                return None
            held = index.count(consistency=level)
            if 0 < held <= _MOST_EMPTIED:
                for part in list(index.scan(consistency=level)):
                    index.delete(part.ids)
                held = index.count(consistency=level)
        except Exception:  # noqa: BLE001  (a broken backend must not break the next test)
            return None
        return index if held == 0 else None

    def _drop(self, name: str) -> None:
        # A test may have dropped it itself, and a broken backend may fail to.
        with contextlib.suppress(Exception):
            self._store.drop_index(name)
        with contextlib.suppress(ValueError):
            self._made.remove(name)
