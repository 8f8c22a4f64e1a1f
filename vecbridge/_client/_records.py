"""An index as a set of records: what is written to it and read from it by id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vecbridge._client import _validate as validate
from vecbridge._client._batching import upsert_records
from vecbridge._client._budgets import Budgets
from vecbridge._client._checked import CheckedEngine
from vecbridge._client._operation import Lifetime, operation
from vecbridge._client._scan import level_of, scope_of
from vecbridge._contract._capabilities import Capabilities
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._filters import Filter
from vecbridge._contract._protocols import VectorIndex
from vecbridge._contract._records import Fields, IndexInfo, Records
from vecbridge._contract._scope import Scope
from vecbridge._errors import UnsupportedError


class RecordIndex:
    """The part of :class:`vecbridge.Index` that reads and writes records by id.

    Args:
        engine: the store's implementation.
        consistency: level of a read that asks for none; the index's own by default.
        budgets: how much a read may take at a time.
    """

    def __init__(
        self,
        engine: VectorIndex,
        *,
        consistency: Consistency | None = None,
        budgets: Budgets | None = None,
    ) -> None:
        self._engine = engine
        self._checked = CheckedEngine(engine, budgets or Budgets())
        self._consistency = consistency
        self._lifetime = Lifetime(type(engine).__name__)

    def __repr__(self) -> str:
        info = self.info
        return f"<Index {info.name!r}: {info.dimension} dimensions, {info.metric}>"

    def __getstate__(self) -> dict[str, Any]:
        raise UnsupportedError(
            f"index {self.info.name!r} was made from an object, and cannot be pickled or copied; "
            f"one that open_index() of a store gives can",
            capability="shared",
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def engine(self) -> VectorIndex:
        """The store's own object, for what only that store can do."""
        return self._engine

    @property
    def info(self) -> IndexInfo:
        """Name, dimension, metric, fields and default consistency."""
        known, level = self._engine.info, self._consistency
        return known if level is None else replace(known, consistency=level)

    @property
    def capabilities(self) -> Capabilities:
        """Return what the live store can do."""
        return self._engine.capabilities

    @operation
    def upsert(
        self,
        ids: Iterable[str],
        vectors: ArrayLike,
        fields: Fields | None = None,
        *,
        drop_unsupported: bool = False,
    ) -> None:
        """Insert records, or replace those whose ids are there already.

        Any size: batches are made to fit the store. Doing the same call again is always safe.

        Args:
            ids: ``n`` distinct strings of 1 to 512 UTF-8 bytes, any character but NUL.
            vectors: ``(n, d)``, anything array-like: arrays, tensors, lists of them, a column of
                pandas or Arrow; converted to float32 once, never changed.
            fields: a column of ``n`` values for each scalar field of the index.
            drop_unsupported: write although the store's own columns that ``info.unsupported``
                names are erased from the records that are replaced.

        Raises:
            InvalidInputError: an argument is unusable; nothing was written.
            UnsupportedError: ``info.unsupported`` names what would be erased; nothing was written.
            PartialWriteError: the store failed part-way; it says which ids are written.
            BackendError: the store failed before anything was acknowledged.
        """
        upsert_records(
            self._checked, ids, vectors, fields, self._lifetime.backend, dropped=drop_unsupported
        )

    @operation
    def delete(self, ids: Iterable[str]) -> None:
        """Remove records; ids that are not there are ignored.

        Raises:
            InvalidIdError: an id is unusable; nothing was deleted.
            BackendError: the store failed; doing the same call again is always safe.
        """
        checked = validate.ids(ids, unique=False)
        if checked:
            self._checked.delete(checked)

    @operation
    def fetch(self, ids: Iterable[str], *, consistency: Consistency | None = None) -> Records:
        """Return records in request order, bit for bit as they were written.

        Ids that are not there are listed in :attr:`Records.missing`; an id that is asked for twice
        comes once. The vectors are ``(m, d)`` float32.

        Raises:
            InvalidIdError: an id is unusable.
        """
        checked = validate.ids(ids, unique=False)
        return self._checked.fetch(checked, consistency=self._level(consistency))

    @operation
    def contains(
        self, ids: Iterable[str], *, consistency: Consistency | None = None
    ) -> NDArray[np.bool_]:
        """Return whether each id is there: ``(n,)`` bools, one per id, in request order.

        Raises:
            InvalidIdError: an id is unusable.
        """
        column = validate.id_column(ids)
        distinct = list(dict.fromkeys(column))
        found = self._checked.contains(distinct, consistency=self._level(consistency))
        known = dict(zip(distinct, found.tolist(), strict=True))
        return np.array([known[each] for each in column], dtype=np.bool_)

    @operation
    def count(self, *, consistency: Consistency | None = None) -> int:
        """Return the number of live records, exact at its consistency level."""
        return self._checked.count(consistency=self._level(consistency))

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        # Or ``if index:`` would ask the store, and be false of an empty one.
        return True

    @operation
    def scan(
        self, batch_size: int | None = None, *, consistency: Consistency | None = None
    ) -> Iterator[Records]:
        """Return every live record once, in batches.

        Args:
            batch_size: most records at a time; by default as many as fit the budget, 16 MiB.
            consistency: level of the read.
        """
        size = (
            self._checked.scan_rows
            if batch_size is None
            else validate.positive(batch_size, "batch_size")
        )
        return self._checked.scan(size, consistency=self._level(consistency))

    def close(self) -> None:
        """Release what this index alone holds. May be called twice."""
        self._lifetime.end()
        self._engine.close()

    def _span_attributes(self) -> dict[str, str | int]:
        return {
            "db.system.name": self._lifetime.backend,
            "db.collection.name": self.info.name,
            "vecbridge.dimension": self.info.dimension,
            "vecbridge.metric": self.info.metric,
        }

    def _level(self, wanted: Consistency | None) -> Consistency:
        return level_of(self._checked, wanted, self.info.consistency)

    def _scope(
        self,
        within: Iterable[str] | None,
        where: Filter | None,
        consistency: Consistency | None,
    ) -> Scope:
        return scope_of(self._checked, self._level(consistency), within, where)
