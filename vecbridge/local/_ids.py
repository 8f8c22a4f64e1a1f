"""The ids of rows, and the rows of ids, which are mapped when an id is first looked up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray


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

    def copy(self) -> IdTable:
        """Return the same ids, on their own."""
        other = IdTable(self.ids)
        # In this order: more may be learned meanwhile, and learned again.
        other._known = self._known
        other._rows = dict(self._rows)
        return other

    def moved(self, hole: int, mover: int) -> None:
        """Put the id of one row into another, whose id was forgotten."""
        self.ids[hole] = self.ids[mover]
        self._rows[self.ids[hole]] = hole

    def forget(self, rows: Iterable[int]) -> None:
        """Forget the ids of rows; the rows stay, to be filled or cut off."""
        for row in rows:
            del self._rows[self.ids[row]]

    def put_back(self, end: int, tail: Sequence[str], at: Mapping[int, str]) -> None:
        """Undo what was done to some rows; may be done again.

        Args:
            end: the first row that was cut off or added.
            tail: the ids that belong there.
            at: the ids that belong in other rows.
        """
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
        return np.fromiter(last.values(), np.intp, len(last))
