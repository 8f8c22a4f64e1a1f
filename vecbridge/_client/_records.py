"""An index as a set of records: what is written to it, in batches, and read from it by id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vecbridge._client import _field_values as field_values
from vecbridge._client import _validate as validate
from vecbridge._client import _vector_values as vector_values
from vecbridge._client._checked import Budgets, CheckedEngine
from vecbridge._client._operation import Lifetime, operation
from vecbridge._contract._capabilities import Capabilities
from vecbridge._contract._consistency import Consistency, parse_consistency, satisfying_level
from vecbridge._contract._filters import Filter, shown
from vecbridge._contract._protocols import VectorIndex
from vecbridge._contract._records import Fields, IndexInfo, Records, Scalar
from vecbridge._contract._scope import Scope
from vecbridge._contract._settling import settle
from vecbridge._errors import (
    BackendError,
    InvalidArgumentError,
    PartialWriteError,
    UnsupportedError,
)

_ID_BYTES = 64
_SCALAR_BYTES = 32
_ERASED = "An upsert replaces records whole, and would erase it from those that are there"


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
            vectors: ``(n, d)``, anything array-like; converted to float32 once, never changed.
            fields: a column of ``n`` values for each scalar field of the index.
            drop_unsupported: write although the store's own columns that ``info.unsupported``
                names are erased from the records that are replaced.

        Raises:
            InvalidInputError: an argument is unusable; nothing was written.
            UnsupportedError: ``info.unsupported`` names what would be erased, or the store asks for
                more than records have; nothing was written.
            PartialWriteError: a batch failed, for whatever reason, after others were acknowledged;
                it says which ids are written.
            BackendError: the store failed before anything was acknowledged.
        """
        info = self.info
        column = validate.ids(ids, unique=True, max_bytes=info.max_id_bytes)
        array = vector_values.vectors(vectors, dimension=info.dimension, ids=column)
        if len(array) != len(column):
            raise InvalidArgumentError(
                f"expected one vector per id; got {len(column)} ids and {len(array)} vectors"
            )
        columns = field_values.fields(fields, info, column)
        validate.refuse_unwritable(info)
        validate.refuse_unsupported(info, _ERASED, dropped=drop_unsupported)
        if column:
            _in_batches(self._checked, column, array, columns, self._lifetime.backend)

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
        """Return the level at which the engine answers a read that asks for ``wanted``.

        Raises:
            InvalidArgumentError: there is no such level.
            UnsupportedError: the engine offers none that is as strong.
        """
        asked = self.info.consistency if wanted is None else parse_consistency(wanted)
        offered = self.capabilities.consistency
        level = satisfying_level(asked, offered)
        if level is None:
            names = ", ".join(sorted(offered))
            message = f"this store offers {names} reads; none is as strong as {asked}"
            raise UnsupportedError(message, capability="consistency")
        return level

    def _scope(
        self,
        within: Iterable[str] | None,
        where: Filter | None,
        consistency: Consistency | None,
    ) -> Scope:
        """Check what a caller says of the scope of a search.

        Repeated ids stay in, because to find them takes as long as many a search.

        Raises:
            InvalidInputError: an id or the filter is unusable.
            UnsupportedError: the records have no fields, or no level is as strong as that.
        """
        level, info = self._level(consistency), self.info
        settled: Filter | bool = True
        if where is not None:
            if not self.capabilities.fields:
                raise UnsupportedError(
                    f"this store has no fields and so no filters: index {info.name!r} cannot "
                    f"answer where={shown(where)}; give the candidates' ids as within=[...]",
                    capability="filters",
                )
            settled = settle(where, info.fields, info.limits)
        ids = None if within is None else validate.id_column(within)
        if isinstance(settled, bool):
            # A filter that matches no record is an empty list of ids: the store need not be asked.
            return Scope(ids if settled else (), None, level)
        return Scope(ids, settled, level)


def _in_batches(
    index: VectorIndex,
    ids: Sequence[str],
    vectors: NDArray[np.float32],
    fields: dict[str, list[Scalar]],
    backend: str,
) -> None:
    size = _batch_size(index, ids, vectors, fields)
    for start in range(0, len(ids), size):
        stop = start + size
        columns = {name: column[start:stop] for name, column in fields.items()}
        try:
            index.upsert(ids[start:stop], vectors[start:stop], columns)
        except Exception as error:
            if not start and not isinstance(error, PartialWriteError):
                raise
            raise _partial(error, ids, start, backend) from error


def _batch_size(
    index: VectorIndex,
    ids: Sequence[str],
    vectors: NDArray[np.float32],
    fields: dict[str, list[Scalar]],
) -> int:
    budget = index.capabilities.max_batch_bytes
    if budget is None:
        return max(len(ids), 1)
    texts = [column for column in fields.values() if column and isinstance(column[0], str)]
    widest = max(len(each.encode()) for each in ids)
    for column in texts:
        widest += max(len(str(value).encode()) for value in column)
    row = 4 * vectors.shape[1] + _ID_BYTES + widest + _SCALAR_BYTES * len(fields)
    return max(1, budget // int(row))


def _partial(error: Exception, ids: Sequence[str], start: int, backend: str) -> PartialWriteError:
    operation, retryable = "upsert", False
    if isinstance(error, BackendError):
        backend, operation, retryable = error.backend, error.operation, error.retryable
    written = [*ids[:start]]
    if isinstance(error, PartialWriteError):
        written += error.written
    done = set(written)
    unknown = [each for each in ids[start:] if each not in done]
    return PartialWriteError(
        f"{len(written)} of {len(ids)} records were acknowledged before the store failed: "
        f"{str(error).rstrip('.')}. Do the same call again: it is safe, and completes the rest.",
        backend=backend,
        operation=operation,
        written=written,
        unknown=unknown,
        retryable=retryable,
    )
