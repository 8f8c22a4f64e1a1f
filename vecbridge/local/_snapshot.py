"""A frozen view of an index's records, and the part of it that a search may return."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._field_types import FieldValue
from vecbridge._contract._filters import Filter
from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._matching import matches
from vecbridge._contract._records import Records
from vecbridge.local._ids import IdTable
from vecbridge.ranking import ids_at

# Gathering reads and writes what a product over everything only reads.
_SPARSE_BELOW = 0.25


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

    def records(self, rows: NDArray[np.intp], missing: tuple[str, ...] = ()) -> Records:
        """Return copies of rows, the caller's own."""
        columns = {name: column[rows].tolist() for name, column in self.fields.items()}
        return Records(self.ids_at(rows), self.vectors[rows], columns, missing)

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
