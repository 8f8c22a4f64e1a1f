"""The pairs of some records that are within a distance: what follows from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Others = tuple[NDArray[np.intp], NDArray[np.float64]]
"""Positions of other records, and their distances."""

Part = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Some pairs, each as the number of its earlier record times that of all, and its later one."""


@dataclass(frozen=True)
class NearPairs:
    """All pairs within a distance, by the first of both, then by the second.

    Attributes:
        records: how many records there are.
        limit: the distance.
        first: ``(p,)`` the earlier record of each pair.
        second: ``(p,)`` the later one.
        distances: ``(p,)`` exact.
    """

    records: int
    limit: float
    first: NDArray[np.int32]
    second: NDArray[np.int32]
    distances: NDArray[np.float64]

    @classmethod
    def of(cls, records: int, limit: float, parts: list[Part]) -> NearPairs:
        """Put pairs in order; the list is emptied on the way, to save memory."""
        ends = np.cumsum([0, *(len(numbers) for numbers, _ in parts)])
        numbers, distances = np.empty(ends[-1], dtype=np.int64), np.empty(ends[-1])
        while parts:
            part = parts.pop()
            at = slice(ends[len(parts)], ends[len(parts) + 1])
            numbers[at], distances[at] = part
            del part
        order = np.argsort(numbers)
        numbers = numbers[order]
        distances = distances[order]
        del order
        first, second = np.empty((2, len(numbers)), dtype=np.int32)
        np.floor_divide(numbers, records, out=first, casting="same_kind")
        np.remainder(numbers, records, out=second, casting="same_kind")
        return cls(records, limit, first, second, distances)

    def within(self, limit: float) -> NearPairs:
        """Return the pairs within a smaller distance, or the same one."""
        if limit == self.limit:
            return self
        kept = self.distances <= limit
        return NearPairs(
            self.records, limit, self.first[kept], self.second[kept], self.distances[kept]
        )

    def others(self) -> Iterator[Others]:
        """Yield for each record the others it is in a pair with, ascending, and their distances."""
        back = np.argsort(self.second, kind="stable").astype(np.int32)
        later = self._starts(self.first).tolist()
        earlier = self._starts(self.second[back]).tolist()
        for row in range(self.records):
            before, after = back[earlier[row] : earlier[row + 1]], slice(later[row], later[row + 1])
            if not len(before) and after.start == after.stop:
                # Most records have none.
                yield np.empty(0, dtype=np.intp), np.empty(0)
                continue
            others = np.concatenate([self.first[before], self.second[after]])
            distances = np.concatenate([self.distances[before], self.distances[after]])
            yield others.astype(np.intp), distances

    def apart(self) -> NDArray[np.intp]:
        """Return the records that are in no pair with an earlier one that is returned."""
        starts = self._starts(self.first)
        kept = np.ones(self.records, dtype=np.bool_)
        for row in np.flatnonzero(np.diff(starts)).tolist():
            if kept[row]:
                kept[self.second[starts[row] : starts[row + 1]]] = False
        return np.flatnonzero(kept)

    def nearest_among(self, chosen: Sequence[int]) -> Nearest:
        """Return for each record that is not chosen the nearest that is, within the distance."""
        kept = np.zeros(self.records, dtype=np.bool_)
        kept[np.asarray(chosen, dtype=np.intp)] = True
        mixed = np.flatnonzero(kept[self.first] != kept[self.second])
        first, second = self.first[mixed], self.second[mixed]
        owners, rows = np.where(kept[first], (first, second), (second, first))
        return Nearest.of(rows, owners, self.distances[mixed])

    def _starts(self, ascending: NDArray[np.int32]) -> NDArray[np.intp]:
        return np.searchsorted(ascending, np.arange(self.records + 1))


class Nearest(NamedTuple):
    """The nearest chosen record of each of some others, by position; ties go to the earlier one.

    Attributes:
        rows: ``(n,)`` the others, ascending.
        owners: ``(n,)`` the chosen record that is nearest to each.
        distances: ``(n,)`` exact.
    """

    rows: NDArray[np.intp]
    owners: NDArray[np.intp]
    distances: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        rows: NDArray[np.integer],
        owners: NDArray[np.integer],
        distances: NDArray[np.float64],
    ) -> Nearest:
        """Keep the nearest of all that are given per row."""
        order = np.lexsort((owners, distances, rows))
        best = order[np.flatnonzero(np.diff(rows[order], prepend=-1))]
        return cls(rows[best].astype(np.intp), owners[best].astype(np.intp), distances[best])
