"""The ids of rows, and the rows of ids, which are learned when an id is first looked up."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray


class Names:
    """Who only opens a store and searches it whole pays for no look-up table.

    Safe to look into from several threads while one adds to it.

    Attributes:
        ids: of the rows. They may be added to; all other changes are made by the methods.
    """

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self.ids = list(ids)
        self._rows: dict[str, int] = {}
        self._known = 0
        self._hashes: list[NDArray[np.int64]] = []
        self._lock = threading.Lock()

    @property
    def rows(self) -> Mapping[str, int]:
        """The row of each id."""
        if self._known < len(self.ids):
            with self._lock:
                start, stop = self._known, len(self.ids)
                fresh = islice(self.ids, start, stop)
                self._rows.update(zip(fresh, range(start, stop), strict=True))
                self._known = stop
        return self._rows

    def copy(self) -> Names:
        """The same, on its own."""
        other = Names(self.ids)
        with self._lock:
            other._rows, other._known = dict(self._rows), self._known
        return other

    def moved(self, hole: int, mover: int) -> None:
        """Puts the id of one row into another, whose id was forgotten."""
        self.ids[hole] = self.ids[mover]
        self._rows[self.ids[hole]] = hole

    def forget(self, rows: Iterable[int]) -> None:
        """Ids of rows are no more; the rows stay, to be filled or cut off."""
        for row in rows:
            del self._rows[self.ids[row]]

    def cut(self, end: int) -> None:
        """Drops the rows from ``end`` on."""
        del self.ids[end:]
        self._known = end

    def load(self, ids: Sequence[str]) -> None:
        """Adds ids that may be there already; :meth:`settle` comes before anything is looked up."""
        self.ids.extend(ids)
        # Now, while they are in the processor's cache.
        self._hashes.append(np.fromiter(map(hash, ids), np.int64, len(ids)))

    def settle(self) -> NDArray[np.intp] | None:
        """Keeps each id that was loaded once, where it was first.

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
        return np.fromiter(last.values(), np.intp, len(last))
