"""A frozen view of an index's records, and the part of it that a search may return."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._field_types import FieldValue
from vecbridge._contract._filters import Filter
from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._matching import matches
from vecbridge._contract._records import Records
from vecbridge._contract._scope import IdRange
from vecbridge.local._order import NO_ORDER, IdOrder
from vecbridge.ranking import ids_at

# Gathering reads and writes what a product over everything only reads.
_SPARSE_BELOW = 0.25


class IdTable:
    """Ids by row and rows by id. Opening a store and searching all of it maps nothing.

    Safe to look into from several threads, and from signal handlers, while one adds to it: each
    step is one call of the interpreter, and doing it again changes nothing.

    Attributes:
        ids: of the rows. They may be added to; all other changes are made by the methods.
    """

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self.ids = list(ids)
        self._rows: dict[str, int] = {}
        self._known = 0
        self._order = NO_ORDER
        self._hashes: list[NDArray[np.int64]] = []

    @property
    def rows(self) -> Mapping[str, int]:
        """The row of each id; maps the ids that were added since the last look."""
        if self._known < len(self.ids):
            start, stop = self._known, len(self.ids)
            self._rows.update(zip(islice(self.ids, start, stop), range(start, stop), strict=True))
            self._known = stop
        return self._rows

    @property
    def mapped(self) -> int:
        """How many ids can be looked up already."""
        return self._known

    def order(self, *, merged: bool = False) -> IdOrder:
        """Return the ids in ascending order; it is kept for the next look.

        Args:
            merged: whether none may be apart, and none gone.
        """
        known, rows = self._order, self.rows
        self._order = known.merged(self.ids, rows) if merged else known.of(self.ids, rows)
        return self._order

    def copy(self) -> IdTable:
        """Return the same ids, on their own."""
        other = IdTable(self.ids)
        # In this order: more may be learned meanwhile, and learned again.
        other._known = self._known
        other._rows = dict(self._rows)
        other._order = self._order
        return other

    def moved(self, hole: int, mover: int) -> None:
        """Put the id of one row into another, whose id was forgotten."""
        self.ids[hole] = self.ids[mover]
        self._rows[self.ids[hole]] = hole

    def forget(self, rows: Iterable[int]) -> None:
        """Forget the ids of rows; the rows stay, to be filled or cut off."""
        if self._order.names and self._order.rows < len(self.ids):
            # What has no place among the others may move to a row of theirs.
            self._order = self._order.merged(self.ids, self._rows)
        for row in rows:
            del self._rows[self.ids[row]]

    def put_back(self, end: int, tail: Sequence[str], at: Mapping[int, str]) -> None:
        """Undo what was done to some rows; may be done again.

        Args:
            end: the first row that was cut off or added.
            tail: the ids that belong there.
            at: the ids that belong in other rows.
        """
        self._order = NO_ORDER
        for name in self.ids[end:]:
            self._rows.pop(name, None)
        self.ids[end:] = tail
        for row, name in at.items():
            self.ids[row] = name
        self._rows.update((name, row) for row, name in at.items())
        self._rows.update(zip(tail, range(end, end + len(tail)), strict=True))
        self._known = min(self._known, end) if not tail else end + len(tail)

    def cut(self, end: int) -> None:
        """Drop the rows from ``end`` on."""
        del self.ids[end:]
        self._known = end
        self._order = self._order._replace(rows=min(end, self._order.rows))

    def load(self, ids: Sequence[str]) -> None:
        """Add ids that may be there already; :meth:`keep_latest` comes before any look-up."""
        self.ids.extend(ids)
        # Now, while they are in the processor's cache.
        self._hashes.append(np.fromiter(map(hash, ids), np.int64, len(ids)))

    def keep_latest(self) -> NDArray[np.intp] | None:
        """Keep each id that was loaded once, where it was first.

        Returns:
            The row that each was in last; ``None`` where none was there twice. Different hashes
            tell that without a look-up table, which is larger than any cache.
        """
        hashes = np.sort(np.concatenate([np.empty(0, np.int64), *self._hashes]))
        self._hashes = []
        if not (hashes[1:] == hashes[:-1]).any():
            return None
        last = dict(zip(self.ids, range(len(self.ids)), strict=True))
        if len(last) == len(self.ids):
            return None
        self.ids = list(last)
        self._order = NO_ORDER
        return np.fromiter(last.values(), np.intp, len(last))


class Snapshot:
    """Records as they were at one moment.

    Copy-on-write: as long as the snapshot itself is held, its arrays keep their values while
    others write. (An array taken out of it does not keep them frozen: hold the snapshot.)

    Attributes:
        generation: grows with every change of the records that this process has seen.
        appended_since: the smallest generation from which the records have only been added to:
            an engine that was built at that one or later is right about its first rows.
        vectors: ``(n, d)`` float32, read-only, one row per record.
        norms: ``(n,)`` float64, exact Euclidean norms of the rows.
        fields: ``(n,)`` object columns.
        ids: of the rows, and perhaps of rows that were added later.
    """

    def __init__(
        self,
        *,
        generation: int,
        appended_since: int,
        ids: IdTable,
        vectors: NDArray[np.float32],
        norms: NDArray[np.float64],
        fields: Mapping[str, NDArray[np.object_]],
    ) -> None:
        self.generation = generation
        self.appended_since = appended_since
        self.vectors = vectors
        self.norms = norms
        self.fields = fields
        self.ids = ids

    def __len__(self) -> int:
        return len(self.vectors)

    def ids_at(self, rows: NDArray[np.intp]) -> tuple[str, ...]:
        """Return the ids of rows."""
        return ids_at(self.ids.ids, rows)

    def rows_of(self, ids: Sequence[str]) -> NDArray[np.intp]:
        """Return the rows of ids, in their order; ids that are not there are left out."""
        get, count = self.ids.rows.get, len(self)
        # Rows beyond the end were added after the snapshot was taken.
        found = [row for row in map(get, ids) if row is not None and row < count]
        return np.array(found, dtype=np.intp)

    def rows_where(self, where: Filter, rows: NDArray[np.intp] | None = None) -> NDArray[np.intp]:
        """Return the rows that a filter accepts, among ``rows`` or all of them."""
        if rows is None:
            columns: Mapping[str, Sequence[FieldValue]] = self.fields  # type: ignore[assignment]
            return np.flatnonzero(matches(where, columns, len(self)))
        columns = {name: column[rows] for name, column in self.fields.items()}  # type: ignore[misc]
        return rows[matches(where, columns, len(rows))]

    def pages_where(
        self, ids: IdRange, where: Filter | None, size: int
    ) -> Iterator[NDArray[np.intp]]:
        """Yield the rows of a range of ids that a filter accepts, in order of ids.

        Args:
            ids: the range.
            where: the filter; ``None`` for none.
            size: how many rows at a time.
        """
        found: list[NDArray[np.intp]] = []
        count = 0
        for names in self.ids.order().within(ids, size):
            rows = self.rows_of(names)
            found.append(rows if where is None else self.rows_where(where, rows))
            count += len(found[-1])
            if count >= size:
                rows = np.concatenate(found)
                yield rows[:size]
                found, count = [rows[size:]], count - size
        rows = np.concatenate([np.empty(0, dtype=np.intp), *found])
        yield from (rows[at : at + size] for at in range(0, count, size))

    def records(
        self, rows: NDArray[np.intp], missing: tuple[str, ...] = (), *, vectors: bool = True
    ) -> Records:
        """Return copies of rows, the caller's own."""
        columns = {name: column[rows].tolist() for name, column in self.fields.items()}
        matrix = self.vectors[rows] if vectors else np.empty((len(rows), 0), dtype=np.float32)
        return Records(self.ids_at(rows), matrix, columns, missing)

    def part(self, start: int, stop: int) -> Records:
        """Return copies of consecutive rows, the caller's own."""
        columns = {name: column[start:stop].tolist() for name, column in self.fields.items()}
        return Records(tuple(self.ids.ids[start:stop]), self.vectors[start:stop].copy(), columns)


class SearchScope:
    """Some rows of a snapshot, or all of them. Its *columns* count the rows in scope.

    Args:
        snapshot: the records.
        rows: which of them; all where ``None``.

    Attributes:
        snapshot: the records.
        rows: ``(m,)`` rows of the snapshot that are in scope, ascending; ``None`` for all of them.
    """

    def __init__(self, snapshot: Snapshot, rows: NDArray[np.intp] | None = None) -> None:
        self.snapshot = snapshot
        self.rows = rows

    def __len__(self) -> int:
        return len(self.snapshot) if self.rows is None else len(self.rows)

    @property
    def is_sparse(self) -> bool:
        """Whether so few records are in scope that a copy of their vectors is worth its while."""
        return self.rows is not None and len(self.rows) < _SPARSE_BELOW * len(self.snapshot)

    def rows_at(self, columns: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the rows of the snapshot that columns stand for."""
        return columns if self.rows is None else self.rows[columns]

    def all_candidates(self) -> Candidates:
        """Return every record in scope, with nothing left to prove."""
        return self.candidates_for(self.rows_at(np.arange(len(self))), math.inf)

    def candidates_for(self, rows: NDArray[np.intp], lower_bound: float) -> Candidates:
        """Return records as candidates; the bound matters only where some are left out.

        Args:
            rows: distinct rows of the snapshot, all in scope.
            lower_bound: no other record in scope is nearer.
        """
        whole = len(rows) == len(self)
        ids, vectors = self.snapshot.ids_at(rows), self.snapshot.vectors[rows]
        return Candidates(ids, vectors, math.inf if whole else lower_bound)

    def hits(self, rows: NDArray[np.intp], distances: NDArray[np.float64]) -> Hits:
        """Return records as an engine's own answer, sorted by distance."""
        order = np.argsort(distances, kind="stable")
        return Hits(self.snapshot.ids_at(rows[order]), distances[order])
