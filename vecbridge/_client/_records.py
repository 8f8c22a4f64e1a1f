"""An index as a set of records: what is written to it and read from it by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vecbridge._client import _validate as validate
from vecbridge._client._batching import update_fields, upsert_records
from vecbridge._client._checked import Budgets, CheckedEngine
from vecbridge._client._hit_fields import FieldNames, parse_field_names, projected
from vecbridge._client._operation import Lifetime, operation
from vecbridge._client._ranges import (
    count_in,
    ids_in,
    parse_range,
    partition,
    scan_range,
)
from vecbridge._client._scan import level_of, records_in, scope_of
from vecbridge._client._scanned import Scan
from vecbridge._contract._capabilities import Capabilities
from vecbridge._contract._consistency import Consistency, strongest_level
from vecbridge._contract._field_types import FieldType
from vecbridge._contract._filters import Filter
from vecbridge._contract._protocols import VectorIndex
from vecbridge._contract._records import Fields, IndexInfo, Records
from vecbridge._contract._scope import IdRange, Scope
from vecbridge._errors import InvalidArgumentError, InvalidIdError, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

    from vecbridge._client._tables import Imported, OnError, Progress


class RecordIndex:
    """Read and write records by id: a part of :class:`vecbridge.Index`.

    Args:
        engine: the store's implementation.
        consistency: level of reads that do not name one; the index's own by default.
        budgets: limits on what one read may take at a time.
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
            f"an index from a store's open_index() can",
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
        """The store's own object, for features that only that store has."""
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
        """Insert records, or replace those whose ids exist already.

        Records are written in batches that fit the store. Repeating the call is always safe.

        Args:
            ids: ``n`` distinct strings of 1 to 512 UTF-8 bytes, any character but NUL.
            vectors: ``(n, d)``, anything array-like: arrays, tensors, lists of them, a column of
                pandas or Arrow; converted to float32 once, never changed.
            fields: a column of ``n`` values for each scalar field of the index.
            drop_unsupported: write even if that erases the store's own columns, which
                ``info.unsupported`` names, from the records that are replaced.

        Raises:
            InvalidInputError: an argument is unusable; nothing was written.
            UnsupportedError: ``info.unsupported`` names what would be erased; nothing was written.
            PartialWriteError: the store failed part-way; the error lists the ids that were written.
            BackendError: the store failed before anything was acknowledged.
        """
        upsert_records(
            self._checked, ids, vectors, fields, self._lifetime.backend, dropped=drop_unsupported
        )

    @operation
    def upsert_table(
        self,
        table: Any,
        *,
        id_column: str | None = None,
        vector_column: str | None = None,
        fields: Sequence[str] | Mapping[str, str] | None = None,
        skip: Sequence[str] = (),
        types: Mapping[str, FieldType] | None = None,
        flatten: bool = False,
        timezone: str | None = None,
        on_error: OnError = "stop",
        rejects: str | Path | None = None,
        overwrite: bool = False,
        drop_unsupported: bool = False,
        progress: Progress | None = None,
    ) -> Imported:
        """Upsert the rows of a data frame, an Arrow table, or records. Needs pyarrow.

        The whole table is checked before anything is written. The page *Import what you have*
        explains how its types become ids, vectors and fields.

        Args:
            table: a data frame of pandas or polars; a table, record batch or dataset of Arrow, or
                anything with ``__arrow_c_stream__``; or an iterable of records, mappings such as
                ``{"id": "a", "vector": [1.0, 0.0], "label": "cat"}``, in which an optional field
                may be left out. Input that can be read only once is kept on disk meanwhile.
            id_column: column of the ids; by default ``id``, ``_id``, ``uuid``, ``guid`` or ``key``.
            vector_column: column of the vectors; by default ``vector``, or the only list of floats.
            fields: columns to take, or a mapping from columns to the names of their fields;
                ``"*"`` stands for all others. All columns by default.
            skip: columns to leave out.
            types: types of fields by column, as in ``{"taken": "timestamp"}`` for strings.
            flatten: make columns of a struct's values: ``place.city`` is field ``place_city``.
            timezone: zone of times without one, such as ``"UTC"``; by default they are refused.
            on_error: ``"skip"`` leaves out the rows that the index does not accept.
            rejects: a JSON Lines file to write, which lists what was left out, and why.
            overwrite: replace that file if it exists.
            drop_unsupported: as for :meth:`upsert`.
            progress: called after each batch.

        Raises:
            InvalidInputError: a column or a value is unusable; every such column is named, and
                nothing was written.
            MissingDependencyError: pyarrow is not installed.
            UnsupportedError: as for :meth:`upsert`.
            PartialWriteError: the store failed part-way; repeating the call is safe.
            BackendError: the store failed before anything was acknowledged.
        """
        # Not before it is needed: importing vecbridge is to stay cheap.
        from vecbridge._client import _tables as tables

        kinds = validate.column_types(types)
        return tables.upsert_table(
            self,
            table,
            tables.Selection(id_column, vector_column, fields, skip, kinds, flatten, timezone),
            tables.Rejecting(on_error, rejects, overwrite=overwrite),
            progress or tables.silent,
            dropped=drop_unsupported,
        )

    @operation
    def delete(self, ids: Iterable[str] | None = None, *, where: Filter | None = None) -> None:
        """Remove records by id or by filter; ids without a record are ignored.

        Args:
            ids: of the records.
            where: remove every record that matches, instead. The records are found first, at the
                strongest level of the index, then removed by id: a record that another writer
                changes in between is removed too.

        Raises:
            InvalidArgumentError: both ``ids`` and ``where`` are given, or the filter is unusable;
                nothing was deleted.
            InvalidIdError: an id is unusable, or there are neither ids nor a filter; nothing was
                deleted.
            BackendError: the store failed; repeating the call is always safe.
        """
        if where is None:
            if ids is None:
                raise InvalidIdError("delete takes ids or where=; give one: neither was given")
            checked = validate.ids(ids, unique=False)
        elif ids is None:
            scope = self._scope(None, where, strongest_level(self.capabilities.consistency))
            checked = ids_in(self._checked, scope)
        else:
            raise InvalidArgumentError("delete takes ids or where=; both were given")
        if checked:
            self._checked.delete(checked)

    @operation
    def update_fields(self, ids: Iterable[str], fields: Fields) -> None:
        """Replace some fields of records; keep their vectors and other fields as they are.

        Records are read, changed and written back, batch by batch: changes that another writer
        makes to the same records in between are lost.

        Args:
            ids: ``n`` distinct ids of existing records.
            fields: a column of ``n`` values for each field that changes.

        Raises:
            InvalidInputError: an argument is unusable, or an id has no record; nothing was written.
            PartialWriteError: the store failed part-way; the error lists the ids that were written.
            BackendError: the store failed before anything was acknowledged.
        """
        update_fields(self._checked, ids, fields, self._lifetime.backend)

    @operation
    def fetch(
        self,
        ids: Iterable[str],
        *,
        fields: FieldNames = True,
        vectors: bool = True,
        consistency: Consistency | None = None,
    ) -> Records:
        """Return records in request order, bit for bit as they were written.

        Ids without a record are listed in :attr:`Records.missing`; an id that is given twice is
        returned once. The vectors are ``(m, d)`` float32.

        Args:
            ids: of the records.
            fields: names of the fields to return; all of them by default, none with ``False`` or
                ``None``.
            vectors: ``False`` returns vectors of shape ``(m, 0)``.
            consistency: level of the read.

        Raises:
            InvalidIdError: an id is unusable.
            InvalidArgumentError: the index has no field of that name.
        """
        names = parse_field_names(fields, self.info)
        checked = validate.ids(ids, unique=False)
        level = self._level(consistency)
        found = self._checked.fetch(checked, vectors=vectors, consistency=level)
        return projected(found, self.info.fields, names, vectors=vectors)

    @operation
    def contains(
        self, ids: Iterable[str], *, consistency: Consistency | None = None
    ) -> NDArray[np.bool_]:
        """Return whether each id has a record: ``(n,)`` bools, in request order.

        Raises:
            InvalidIdError: an id is unusable.
        """
        column = validate.id_column(ids)
        distinct = list(dict.fromkeys(column))
        found = self._checked.contains(distinct, consistency=self._level(consistency))
        known = dict(zip(distinct, found.tolist(), strict=True))
        return np.array([known[each] for each in column], dtype=np.bool_)

    @operation
    def count(self, *, where: Filter | None = None, consistency: Consistency | None = None) -> int:
        """Return the number of live records, exact at its consistency level.

        Args:
            where: only records that match are counted.
            consistency: level of the read.

        Raises:
            InvalidArgumentError: the filter is unusable.
            UnsupportedError: the records have no fields to filter by.
        """
        return count_in(self._checked, self._scope(None, where, consistency))

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        # Or ``if index:`` would ask the store, and be false of an empty one.
        return True

    @operation
    def scan(
        self,
        batch_size: int | None = None,
        *,
        where: Filter | None = None,
        start: str | None = None,
        stop: str | None = None,
        after: str | None = None,
        fields: FieldNames = True,
        vectors: bool = True,
        consistency: Consistency | None = None,
    ) -> Scan:
        """Return every live record once, in batches; ``scan().to_arrow()`` gives a table instead.

        With ``start``, ``stop`` or ``after`` they come in ascending order of ids, by code point;
        otherwise in any order. The next page of a listing is
        ``next(index.scan(50, after=last_id), None)``.

        Args:
            batch_size: largest number of records per batch; by default as many as fit the budget,
                16 MiB.
            where: only records that match.
            start: only ids from this one on.
            stop: only ids before this one.
            after: only ids after this one.
            fields: names of the fields to return; all of them by default, none with ``False`` or
                ``None``.
            vectors: ``False`` returns vectors of shape ``(n, 0)``.
            consistency: level of the read.

        Raises:
            InvalidArgumentError: the index has no field of that name.
        """
        names = parse_field_names(fields, self.info)
        size = (
            self._checked.scan_rows
            if batch_size is None
            else validate.positive(batch_size, "batch_size")
        )
        scope, ids = self._scope(None, where, consistency), parse_range(start, stop, after)
        if ids is None:
            batches = records_in(self._checked, scope, size, vectors=vectors)
        else:
            batches = scan_range(self._checked, size, scope, ids, vectors=vectors)
        types = self.info.fields
        answers = (projected(records, types, names, vectors=vectors) for records in batches)
        return Scan(answers, lambda: self.info, list(names), vectors=vectors)

    @operation
    def partitions(self, count: int, *, consistency: Consistency | None = None) -> list[IdRange]:
        """Return ranges of ids that together hold every record once, with about as many in each.

        A range is what ``scan(start=, stop=)`` takes. The first has no lower end and the last no
        upper end, so that records written later belong to a range too. A single range starts at the
        smallest possible id: a scan without start and stop could be in any order.

        Args:
            count: number of ranges; fewer if there are fewer records.
            consistency: level of the read.

        Example:
            >>> import vecbridge
            >>> index = vecbridge.get_backend("sklearn").create_index("points", dimension=1)
            >>> index.upsert(["a", "b", "c", "d"], [[0], [1], [2], [3]])
            >>> index.partitions(2)
            [IdRange(start=None, stop='c'), IdRange(start='c', stop=None)]
        """
        parts = validate.positive(count, "count")
        return partition(self._checked, parts, self._level(consistency))

    def close(self) -> None:
        """Release what this index alone holds. Can be called more than once."""
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
