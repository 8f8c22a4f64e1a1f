"""Indexes of a run: uniquely named, dropped at last, used again where making one is slow."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections import defaultdict
from itertools import count
from typing import NamedTuple

import vecbridge
from vecbridge import Consistency, FieldType, Index, Metric

_SLOW_S = 0.25
_MOST_EMPTIED = 20_000


class Schema(NamedTuple):
    """What must be equal for an index to be used again."""

    dimension: int
    metric: Metric
    fields: tuple[tuple[str, FieldType], ...]
    consistency: Consistency | None


class IndexPool:
    """Makes indexes in a store, and takes them back.

    Args:
        store: where.
    """

    def __init__(self, store: vecbridge.Store) -> None:
        self._store = store
        self._prefix = f"conformance_{uuid.uuid4().hex[:8]}"
        self._numbers = count()
        self._made: list[str] = []
        self._free: dict[Schema, list[str]] = defaultdict(list)
        self._slow = False

    def take(self, schema: Schema) -> Index:
        """An empty index of a schema."""
        if self._free[schema]:
            return self._store.open_index(self._free[schema].pop())
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
        self._slow = self._slow or time.monotonic() - start > _SLOW_S
        return index

    def give_back(self, schema: Schema, name: str, index: Index) -> None:
        """Drops an index, or empties it for the next test where making one is slow."""
        with contextlib.suppress(Exception):
            index.close()
        if self._slow and self._emptied(schema, name):
            self._free[schema].append(name)
        else:
            self._drop(name)

    def close(self) -> None:
        """Drops every index that is left."""
        for name in list(self._made):
            self._drop(name)

    def _emptied(self, schema: Schema, name: str) -> bool:
        """Deletes every record; whatever goes wrong, the index is not used again."""
        try:
            with self._store.open_index(name) as index:
                info = index.info
                if (info.dimension, info.metric) != schema[:2] or index.count(
                    consistency="strong"
                ) > _MOST_EMPTIED:
                    return False
                ids = [each for part in index.scan(consistency="strong") for each in part.ids]
                index.delete(ids)
                left = index.count(consistency="strong")
        except Exception:  # noqa: BLE001  (a broken backend must not break the next test)
            return False
        return left == 0

    def _drop(self, name: str) -> None:
        # A test may have dropped it itself, and a broken backend may fail to.
        with contextlib.suppress(Exception):
            self._store.drop_index(name)
        with contextlib.suppress(ValueError):
            self._made.remove(name)
