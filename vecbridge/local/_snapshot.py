"""A frozen view of an index's records, for engines to search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._filters import Filter
from vecbridge._contract._matching import matches
from vecbridge._contract._records import Records, Scalar
from vecbridge.local._names import Names
from vecbridge.ranking._order import taken


class Snapshot:
    """Records as they were at one moment.

    Copy-on-write: as long as the snapshot itself is held, its arrays keep their values while
    others write. (An array taken out of it does not keep them frozen: hold the snapshot.)

    Attributes:
        generation: grows with every change of the records that this process has seen.
        appended_since: the smallest generation from which the records have only been added to:
            an engine that was built at that one or later is right about its first rows.
        vectors: ``(n, d)`` float32, read-only, one row a record.
        norms: ``(n,)`` float64, exact Euclidean norms of the rows.
        fields: ``(n,)`` object columns.
    """

    def __init__(
        self,
        *,
        generation: int,
        appended_since: int,
        names: Names,
        vectors: NDArray[np.float32],
        norms: NDArray[np.float64],
        fields: Mapping[str, NDArray[np.object_]],
    ) -> None:
        self.generation = generation
        self.appended_since = appended_since
        self.vectors = vectors
        self.norms = norms
        self.fields = fields
        self._names = names

    def __len__(self) -> int:
        return len(self.vectors)

    def names(self, rows: NDArray[np.intp]) -> tuple[str, ...]:
        """Ids of rows."""
        return taken(self._names.ids, rows)

    def rows_of(self, ids: Sequence[str]) -> NDArray[np.intp]:
        """Rows of ids, in their order; ids that are not there are left out."""
        get, count = self._names.rows.get, len(self)
        # Rows beyond the end were added after the snapshot was taken.
        found = [row for row in map(get, ids) if row is not None and row < count]
        return np.array(found, dtype=np.intp)

    def rows_where(self, where: Filter, rows: NDArray[np.intp] | None = None) -> NDArray[np.intp]:
        """Rows that a filter accepts, among ``rows`` or all of them."""
        if rows is None:
            columns: Mapping[str, Sequence[Scalar]] = self.fields  # type: ignore[assignment]
            return np.flatnonzero(matches(where, columns, len(self)))
        columns = {name: column[rows] for name, column in self.fields.items()}  # type: ignore[misc]
        return rows[matches(where, columns, len(rows))]

    def records(self, rows: NDArray[np.intp], missing: tuple[str, ...] = ()) -> Records:
        """Copies of rows, the caller's own."""
        columns = {name: column[rows].tolist() for name, column in self.fields.items()}
        return Records(self.names(rows), self.vectors[rows], columns, missing)

    def part(self, start: int, stop: int) -> Records:
        """Copies of consecutive rows, the caller's own."""
        columns = {name: column[start:stop].tolist() for name, column in self.fields.items()}
        return Records(tuple(self._names.ids[start:stop]), self.vectors[start:stop].copy(), columns)
