"""The records of an index in memory, as columns."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._field_types import FieldValue
from vecbridge.local._log import Change
from vecbridge.local._snapshot import IdTable, Snapshot
from vecbridge.ranking import norms

_BLOCK_ROWS = 4096


class Columns:
    """Rows without gaps: a deleted row is filled with the last one."""

    def __init__(self, dimension: int, fields: Iterable[str]) -> None:
        self._dimension = dimension
        self._field_names = tuple(fields)
        self._generation = 0
        self._appended_since = 0
        self._undo: _Undo | None = None
        self.clear()

    def __len__(self) -> int:
        return len(self._ids.ids)

    def __contains__(self, record_id: str) -> bool:
        return record_id in self._ids.rows

    def clear(self) -> None:
        """Forget everything."""
        self._ids = IdTable()
        self._normed = 0
        self._arrays = _Arrays(
            np.empty((0, self._dimension), dtype=np.float32),
            np.empty(0),
            {name: np.empty(0, dtype=object) for name in self._field_names},
        )
        self._views: weakref.WeakSet[Snapshot] = weakref.WeakSet()
        self._touch(rewritten=True)

    def reserve(self, more: int) -> None:
        """Make room for ``more`` rows: exactly so many in a bulk load, with some to spare later.

        Pages that nothing was written to take no memory.
        """
        wanted = len(self) + more
        if wanted > len(self._arrays.matrix):
            self._reallocate(max(wanted, len(self) * 5 // 4))

    def apply(self, change: Change) -> None:
        """Delete, then upsert. :meth:`reserve` came first, so nothing here can run out."""
        if change.deleted:
            self._remove(change.deleted)
        if change.ids:
            self._put(change.ids, change.vectors, change.fields)

    def apply_whole(self, change: Change) -> None:
        """Apply a change that deletes or upserts, so that :meth:`restore` can take it back.

        An exception may come at any moment: then the next use of the records begins with that.
        """
        doomed = self._rows_of(change.deleted)
        end = len(self) - len(doomed)
        changed = [row for row in doomed if row < end] or self._rows_of(change.ids)
        rows = np.array(changed, dtype=np.intp)
        arrays, ids = self._arrays, self._ids.ids
        undo = _Undo(
            rows,
            arrays.matrix[rows],
            arrays.norms[rows],
            _taken(arrays.fields, rows),
            {row: ids[row] for row in changed} if doomed else {},
            end,
            ids[end:],
            {name: column[end : len(ids)].copy() for name, column in arrays.fields.items()},
        )
        self._undo = undo
        self.apply(change)
        self._undo = None

    def restore(self) -> None:
        """Take back what an interrupted :meth:`apply_whole` has begun.

        May itself be interrupted, and done again.
        """
        undo = self._undo
        if undo is None:
            return
        self._arrays.matrix[undo.rows] = undo.vectors
        self._arrays.norms[undo.rows] = undo.norms
        for name, column in self._arrays.fields.items():
            column[undo.rows] = undo.fields[name]
            column[undo.end : undo.end + len(undo.tail)] = undo.tail_fields[name]
        table = self._ids.copy() if self._views else self._ids
        table.put_back(undo.end, undo.tail, undo.ids)
        self._ids = table
        self._normed = min(self._normed, undo.end)
        self._touch(rewritten=True)
        self._undo = None

    def load(self, change: Change) -> None:
        """Add records without a look at whether their ids are new; :meth:`keep_latest` is next."""
        self._append(change.vectors, _objects(change.fields, len(change.ids)))
        self._ids.load(change.ids)

    def keep_latest(self) -> None:
        """Keep what was written last of each id that was loaded, in the row of what was first."""
        rows = self._ids.keep_latest()
        if rows is None:
            return
        columns: list[NDArray[Any]] = [self._arrays.matrix, *self._arrays.fields.values()]
        for start in range(0, len(rows), _BLOCK_ROWS):
            # The last of an id is no earlier than its place now: nothing is overwritten unread.
            part = rows[start : start + _BLOCK_ROWS]
            for column in columns:
                column[start : start + len(part)] = column[part]
        for column in self._arrays.fields.values():
            column[len(rows) :] = None
        self._normed = 0
        self._touch(rewritten=True)

    def as_change(self) -> Change:
        """Return all records as one change; its arrays are views, good until the next change."""
        count = len(self)
        fields = {name: column[:count].tolist() for name, column in self._arrays.fields.items()}
        return Change(self._ids.ids, self._arrays.matrix[:count], fields)

    def snapshot(self) -> Snapshot:
        """Return a frozen view of the records as they are now."""
        count = len(self)
        if self._normed < count:
            self._arrays.norms[self._normed : count] = norms(
                self._arrays.matrix[self._normed : count]
            )
            self._normed = count
        vectors, exact = self._arrays.matrix[:count], self._arrays.norms[:count]
        vectors.flags.writeable = exact.flags.writeable = False
        view = Snapshot(
            generation=self._generation,
            appended_since=self._appended_since,
            ids=self._ids,
            vectors=vectors,
            norms=exact,
            fields={name: column[:count] for name, column in self._arrays.fields.items()},
        )
        self._views.add(view)
        return view

    def _put(
        self,
        ids: Sequence[str],
        vectors: NDArray[np.float32],
        fields: Mapping[str, Sequence[FieldValue]],
    ) -> None:
        columns = _objects(fields, len(ids))
        rows = list(map(self._ids.rows.get, ids))
        if rows.count(None) < len(rows):
            known = np.fromiter((row is not None for row in rows), np.bool_, len(rows))
            old, new = np.flatnonzero(known), np.flatnonzero(~known)
            self._replace(list(compress(ids, known)), vectors[old], _taken(columns, old))
            ids = list(compress(ids, ~known))
            vectors, columns = vectors[new], _taken(columns, new)
        self._append(vectors, columns)
        self._ids.ids.extend(ids)

    def _append(
        self, vectors: NDArray[np.float32], columns: Mapping[str, NDArray[np.object_]]
    ) -> None:
        """Add what the next rows hold, but for their ids."""
        start, stop = len(self), len(self) + len(vectors)
        self._arrays.matrix[start:stop] = vectors
        for name, column in columns.items():
            self._arrays.fields[name][start:stop] = column
        self._touch(rewritten=False)

    def _replace(
        self,
        ids: Sequence[str],
        vectors: NDArray[np.float32],
        columns: Mapping[str, NDArray[np.object_]],
    ) -> None:
        self._part_from_views()
        row_of = self._ids.rows
        rows = np.array([row_of[one] for one in ids])
        self._arrays.matrix[rows] = vectors
        self._arrays.norms[rows] = norms(vectors)
        for name, column in columns.items():
            self._arrays.fields[name][rows] = column
        self._touch(rewritten=True)

    def _remove(self, ids: Sequence[str]) -> None:
        row_of = self._ids.rows
        doomed = {row_of[one] for one in ids if one in row_of}
        if not doomed:
            return
        self._part_from_views()
        self._ids.forget(doomed)
        end = len(self) - len(doomed)
        holes = [row for row in doomed if row < end]
        movers = [row for row in range(end, len(self)) if row not in doomed]
        self._fill(holes, movers)
        for column in self._arrays.fields.values():
            column[end : len(self)] = None
        self._ids.cut(end)
        self._normed = min(self._normed, end)
        self._touch(rewritten=True)

    def _fill(self, holes: list[int], movers: list[int]) -> None:
        if any(row >= self._normed for row in movers):
            # A row whose norm is unknown may move among those whose norm is known.
            self._arrays.norms[movers] = norms(self._arrays.matrix[movers])
        columns: list[NDArray[Any]] = [
            self._arrays.matrix,
            self._arrays.norms,
            *self._arrays.fields.values(),
        ]
        for column in columns:
            column[holes] = column[movers]
        for hole, mover in zip(holes, movers, strict=True):
            self._ids.moved(hole, mover)

    def _part_from_views(self) -> None:
        """Leave the present arrays to the snapshots that look at them."""
        if self._views:
            self._ids = self._ids.copy()
            self._reallocate(len(self._arrays.matrix))
            self._views = weakref.WeakSet()

    def _rows_of(self, ids: Sequence[str]) -> list[int]:
        row_of = self._ids.rows
        return list(dict.fromkeys(row_of[one] for one in ids if one in row_of)) if ids else []

    def _reallocate(self, capacity: int) -> None:
        old, count = self._arrays, len(self)
        # One assignment: an interrupt leaves all of the old arrays or all of the new.
        self._arrays = _Arrays(
            _moved(old.matrix, count, capacity),
            _moved(old.norms, count, capacity),
            {name: _moved(column, count, capacity) for name, column in old.fields.items()},
        )

    def _touch(self, *, rewritten: bool) -> None:
        self._generation += 1
        if rewritten:
            self._appended_since = self._generation


class _Arrays(NamedTuple):
    """The columns of an index, all of one capacity."""

    matrix: NDArray[np.float32]
    norms: NDArray[np.float64]
    fields: dict[str, NDArray[np.object_]]


class _Undo(NamedTuple):
    """The content of some rows before a change, and of the rows from ``end`` on."""

    rows: NDArray[np.intp]
    vectors: NDArray[np.float32]
    norms: NDArray[np.float64]
    fields: Mapping[str, NDArray[np.object_]]
    ids: Mapping[int, str]
    end: int
    tail: Sequence[str]
    tail_fields: Mapping[str, NDArray[np.object_]]


def _moved(column: NDArray[Any], count: int, capacity: int) -> NDArray[Any]:
    moved = np.empty((capacity, *column.shape[1:]), dtype=column.dtype)
    moved[:count] = column[:count]
    return moved


def _objects(
    fields: Mapping[str, Sequence[FieldValue]], count: int
) -> dict[str, NDArray[np.object_]]:
    # Not by assignment, which would look into values that are lists.
    return {name: np.fromiter(values, object, count) for name, values in fields.items()}


def _taken(
    columns: Mapping[str, NDArray[np.object_]], rows: NDArray[np.intp]
) -> dict[str, NDArray[np.object_]]:
    return {name: column[rows] for name, column in columns.items()}
